"""A scene as markers for RViz: one message that is filled again, every marker with a namespace and number of its own for good.

What is not there now is a marker that says DELETE, so nothing flickers, and nothing that is gone stays. Markers die by themselves when
nobody sends them any more.
"""

from collections.abc import Iterable, Sequence

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion import scene as look
from safe_locomotion.bar_panel import BarBoxes, bar_panel, headline_place
from safe_locomotion.nodes.conversions import ODOM_FRAME, time_message
from safe_locomotion.reachability import LONGEST_HORIZON
from safe_locomotion.robot_body import Rgba, RobotBody
from safe_locomotion.rotations import Vector, quaternion_from_rpy
from safe_locomotion.scene import FootScene, Scene
from safe_locomotion.trigger_set import N_COMPONENTS
from safe_locomotion.types import LEGS, NANOSECONDS

LIFETIME = Duration(sec=0, nanosec=500_000_000)
_SHAPES = {"box": Marker.CUBE, "cylinder": Marker.CYLINDER, "sphere": Marker.SPHERE}
_UPRIGHT = (1.0, 0.0, 0.0, 0.0)


class SceneMarkers:
    """The message for `safety/markers`."""

    def __init__(self, body: RobotBody) -> None:
        """Make all markers of a robot."""
        self._header = Header(frame_id=ODOM_FRAME)
        self._all: list[Marker] = []
        self._robot = [self._new("robot", _SHAPES[shape.kind], shape.size, shape.color) for shape in body.shapes]
        self._contacts = self._new("contacts", Marker.SPHERE_LIST, (look.FOOT_SIZE,) * 3)
        self._forces = [self._new("forces", Marker.ARROW, (look.FORCE_WIDTH, 2.5 * look.FORCE_WIDTH, 0.0)) for _ in LEGS]
        self._cones = self._new("friction_cones", Marker.TRIANGLE_LIST, (1.0, 1.0, 1.0), look.CONE)
        self._targets = self._new("swing_targets", Marker.SPHERE_LIST, (look.TARGET_SIZE,) * 3, look.BLUE)
        self._landings = self._new("next_footholds", Marker.CUBE_LIST, look.FOOTHOLD_SIZE, look.BLUE)
        self._footholds = self._new("footholds", Marker.CUBE_LIST, look.FOOTHOLD_SIZE, look.GREY)
        self._states = self._new("prediction", Marker.SPHERE_LIST, (look.STATE_SIZE,) * 3)
        self._path = self._new("prediction", Marker.LINE_STRIP, (look.PATH_WIDTH, 0.0, 0.0))
        self._ghost = self._new("prediction", Marker.CUBE, body.shapes[0].size, look.GHOST)
        self._panel = [self._new_bar() for _ in range(N_COMPONENTS)]
        self._headline = self._new("text", Marker.TEXT_VIEW_FACING, (0.0, 0.0, look.TEXT_HEIGHT))
        self._reason = self._new("text", Marker.TEXT_VIEW_FACING, (0.0, 0.0, look.SMALL_TEXT_HEIGHT), look.WHITE)
        self._falls = [self._new("falls", Marker.SPHERE, (look.FALL_SIZE,) * 3, look.RED) for _ in range(look.KEPT_FALLS)]
        self._fall_texts = [self._new_label("fall_texts") for _ in range(look.KEPT_FALLS)]
        self._points = [Point() for _ in range(max(LONGEST_HORIZON + 1, look.KEPT_FOOTHOLDS))]
        self._array = MarkerArray(markers=self._all)

    def fill(self, scene: Scene) -> MarkerArray:
        """The message for a scene, valid until the next; a publisher copies it."""
        self._header.stamp = time_message(scene.stamp_ns)
        self._fill_robot(scene)
        self._fill_feet(scene)
        self._fill_prediction(scene)
        self._fill_panel(scene)
        self._fill_falls(scene)
        return self._array

    def _new(self, namespace: str, kind: int, size: Vector, color: Rgba = look.WHITE) -> Marker:
        number = sum(marker.ns == namespace for marker in self._all)
        marker = Marker(header=self._header, ns=namespace, id=number, type=kind, action=Marker.DELETE, lifetime=LIFETIME)
        marker.scale, marker.color = Vector3(x=size[0], y=size[1], z=size[2]), _color(color)
        marker.pose.orientation.w = 1.0
        self._all.append(marker)
        return marker

    def _new_label(self, namespace: str) -> Marker:
        return self._new(namespace, Marker.TEXT_VIEW_FACING, (0.0, 0.0, look.SMALL_TEXT_HEIGHT))

    def _new_bar(self) -> tuple[Marker, Marker, Marker, Marker]:
        """Track, bounds, value and label."""
        track = self._new("bars", Marker.CUBE, (1.0, 1.0, 1.0), look.DARK)
        bounds = self._new("bars", Marker.CUBE, (1.0, 1.0, 1.0), look.GREY)
        return track, bounds, self._new("bars", Marker.CUBE, (1.0, 1.0, 1.0)), self._new_label("bar_texts")

    def _fill_robot(self, scene: Scene) -> None:
        places, turns = scene.shapes.position.tolist(), scene.shapes.quaternion_wxyz.tolist()
        for marker, place, turn in zip(self._robot, places, turns, strict=True):
            _put(marker, place, turn)

    def _fill_feet(self, scene: Scene) -> None:
        feet = scene.feet
        self._list(self._contacts, [foot.position for foot in feet], [foot.color for foot in feet])
        for marker, foot in zip(self._forces, feet, strict=True):
            _fill_force(marker, foot)
        pushing = [foot for foot in feet if foot.friction >= 0.0]
        self._cones.points = [_point(p) for foot in pushing for p in _triangles(foot)]
        self._cones.action = Marker.ADD if pushing else Marker.DELETE
        self._list(self._targets, [foot.target for foot in feet if foot.target is not None])
        self._list(self._landings, [foot.foothold for foot in feet if foot.foothold is not None])
        self._list(self._footholds, scene.footholds.tolist())

    def _fill_prediction(self, scene: Scene) -> None:
        p = scene.prediction
        places = [] if p is None else p.position.tolist()
        colors: tuple[Rgba, ...] = () if p is None else p.colors
        self._list(self._states, places, colors)
        self._list(self._path, places if len(places) > 1 else [], colors)
        if p is None:
            self._ghost.action = Marker.DELETE
            return
        last = len(places) - 1 if p.entry is None else min(p.entry, len(places) - 1)
        _put(self._ghost, places[last], p.quaternion_wxyz[last].tolist())

    def _fill_panel(self, scene: Scene) -> None:
        turn = quaternion_from_rpy(0.0, 0.0, scene.heading).tolist()
        for markers, boxes in zip(self._panel, bar_panel(scene), strict=True):
            _fill_bar(markers, boxes, turn, scene.judged)
        x, y, z = headline_place(scene)
        _write(self._headline, (x, y, z), scene.headline, scene.color)
        _write(self._reason, (x, y, z - look.TEXT_HEIGHT), scene.reason, look.WHITE)

    def _fill_falls(self, scene: Scene) -> None:
        for marker, text, fall in zip(self._falls, self._fall_texts, _padded(scene.falls, look.KEPT_FALLS), strict=True):
            if fall is None:
                marker.action = text.action = Marker.DELETE
                continue
            x, y, z = fall.position
            _put(marker, (x, y, z), _UPRIGHT)
            ago = (scene.stamp_ns - fall.stamp_ns) / NANOSECONDS
            _write(text, (x, y, z + look.FALL_SIZE), f"fell {ago:.0f} s ago: {', '.join(fall.reasons)}", look.RED)

    def _list(self, marker: Marker, places: Sequence[Sequence[float]], colors: Iterable[Rgba] = ()) -> None:
        """Points of a list, each with its own colour where there are any; RViz complains about empty lists."""
        marker.action = Marker.ADD if places else Marker.DELETE
        marker.points = [_point(place) for place in places]
        marker.colors = [_COLORS[color] for color in colors]


def _padded(values: Sequence[look.Fall], length: int) -> list[look.Fall | None]:
    return [*values, *[None] * (length - len(values))]


def _fill_force(marker: Marker, foot: FootScene) -> None:
    if not foot.friction >= 0.0:
        marker.action = Marker.DELETE
        return
    tip = [g + look.FORCE_SCALE * f for g, f in zip(foot.ground, foot.force, strict=True)]
    marker.action, marker.points, marker.color = Marker.ADD, [_point(foot.ground), _point(tip)], _COLORS[foot.force_color]


def _fill_bar(markers: tuple[Marker, Marker, Marker, Marker], boxes: BarBoxes, turn: Sequence[float], judged: bool) -> None:
    track, bounds, value, label = markers
    for marker, place, (x, y, z) in (
        (track, boxes.middle, boxes.track_size),
        (bounds, boxes.middle, boxes.bounds_size),
        (value, boxes.value, boxes.value_size),
    ):
        _put(marker, place, turn)
        marker.scale.x, marker.scale.y, marker.scale.z = x, y, z
    value.color = _COLORS[boxes.bar.color if judged else look.WHITE]
    _write(label, boxes.label, boxes.bar.text, boxes.bar.color if judged else look.WHITE)


def _triangles(foot: FootScene) -> list[Sequence[float]]:
    """Corners of the sides of a friction cone, three by three."""
    rim = foot.cone.tolist()
    return [corner for i in range(len(rim)) for corner in (foot.ground, rim[i], rim[i - 1])]


def _put(marker: Marker, place: Sequence[float], turn: Sequence[float]) -> None:
    position, orientation = marker.pose.position, marker.pose.orientation
    position.x, position.y, position.z = place
    orientation.w, orientation.x, orientation.y, orientation.z = turn
    marker.action = Marker.ADD


def _write(marker: Marker, place: Vector, text: str, color: Rgba) -> None:
    """Text, or nothing: RViz complains about empty ones."""
    position = marker.pose.position
    position.x, position.y, position.z = place
    marker.text, marker.color, marker.action = text, _COLORS[color], Marker.ADD if text else Marker.DELETE


def _point(place: Sequence[float]) -> Point:
    x, y, z = place
    return Point(x=x, y=y, z=z)


def _color(color: Rgba) -> ColorRGBA:
    r, g, b, a = color
    return ColorRGBA(r=r, g=g, b=b, a=a)


_COLORS = {color: _color(color) for color in (look.GREEN, look.AMBER, look.RED, look.BLUE, look.GREY, look.DARK, look.WHITE)}
