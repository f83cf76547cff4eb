"""A scene as markers for RViz, in two messages; every marker has a namespace and number of its own for good.

`moving` is robot, feet, forces and bars: a fixed number of markers, packed once. `lasting` is what has no fixed size (texts, footholds,
prediction, falls) and changes too seldom to be read twenty times a second. What is not there now is a marker that says DELETE, so
nothing flickers, and nothing that is gone stays. Markers die by themselves when nobody sends them any more.
"""

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion import scene as look
from safe_locomotion.bar_panel import BOUNDS_SIZE, TRACK_SIZE, bar_panel, headline_place
from safe_locomotion.nodes.conversions import ODOM_FRAME, time_message
from safe_locomotion.nodes.packed_markers import PackedMarkers
from safe_locomotion.robot_body import Rgba, RobotBody
from safe_locomotion.rotations import Vector, quaternion_from_rpy
from safe_locomotion.scene import Bar, FootScene, Scene
from safe_locomotion.trigger_set import N_COMPONENTS
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array

LIFETIME = Duration(sec=0, nanosec=500_000_000)
CORNERS = 4  #: of a friction cone's rim
_SHAPES = {"box": Marker.CUBE, "cylinder": Marker.CYLINDER, "sphere": Marker.SPHERE}
_UPRIGHT = (1.0, 0.0, 0.0, 0.0)
_BEFORE = [CORNERS - 1, *range(CORNERS - 1)]  #: the corner before each
_ONE: Vector = (1.0, 1.0, 1.0)


class _Group:
    """Markers that are made together; numbers count up within each namespace."""

    def __init__(self) -> None:
        self.header, self.markers = Header(frame_id=ODOM_FRAME), list[Marker]()

    def add(self, namespace: str, kind: int, size: Vector, color: Rgba = look.WHITE, *, points: int = 0) -> int:
        """Number of the new marker within the group; it begins with so many points."""
        number = sum(marker.ns == namespace for marker in self.markers)
        marker = Marker(header=self.header, ns=namespace, id=number, type=kind, action=Marker.DELETE, lifetime=LIFETIME)
        marker.scale, marker.color = Vector3(x=size[0], y=size[1], z=size[2]), _color(color)
        marker.pose.orientation.w = 1.0
        marker.points = [Point() for _ in range(points)]
        self.markers.append(marker)
        return len(self.markers) - 1

    def several(self, count: int, namespace: str, kind: int, size: Vector, color: Rgba = look.WHITE, *, points: int = 0) -> slice:
        """Numbers of `count` such markers."""
        first = len(self.markers)
        for _ in range(count):
            self.add(namespace, kind, size, color, points=points)
        return slice(first, first + count)


class MovingMarkers:
    """Robot, feet, forces, cones and bars of every scene."""

    def __init__(self, body: RobotBody) -> None:
        """Make all markers of a robot."""
        group = _Group()
        for shape in body.shapes:
            group.add("robot", _SHAPES[shape.kind], shape.size, shape.color)
        group.several(N_COMPONENTS, "bar_tracks", Marker.CUBE, TRACK_SIZE, look.DARK)
        group.several(N_COMPONENTS, "bar_tracks", Marker.CUBE, BOUNDS_SIZE, look.GREY)
        self._bars = group.several(N_COMPONENTS, "bars", Marker.CUBE, _ONE)
        self._posed = slice(0, len(group.markers))
        self._contacts = group.several(N_LEGS, "contacts", Marker.SPHERE, (look.FOOT_SIZE,) * 3)
        self._targets = group.several(N_LEGS, "swing_targets", Marker.SPHERE, (look.TARGET_SIZE,) * 3, look.BLUE)
        self._landings = group.several(N_LEGS, "next_footholds", Marker.CUBE, look.FOOTHOLD_SIZE, look.BLUE)
        arrow = (look.FORCE_WIDTH, 2.5 * look.FORCE_WIDTH, 0.0)
        self._forces = group.several(N_LEGS, "forces", Marker.ARROW, arrow, points=2)
        self._cones = group.several(N_LEGS, "friction_cones", Marker.TRIANGLE_LIST, _ONE, look.CONE, points=3 * CORNERS)
        self._packed = PackedMarkers(group.markers)

    def fill(self, scene: Scene) -> bytes:
        """The message for a scene, packed."""
        packed, panel, turn = self._packed, bar_panel(scene), quaternion_from_rpy(0.0, 0.0, scene.heading)
        middles, values = [boxes.middle for boxes in panel], [boxes.value for boxes in panel]
        turns = np.broadcast_to(turn, (3 * len(panel), 4))
        places = np.concatenate((scene.shapes.position, np.array(middles + middles + values)))
        packed.place(self._posed, places, np.concatenate((scene.shapes.quaternion_wxyz, turns)))
        packed.resize(self._bars, np.array([boxes.value_size for boxes in panel]))
        packed.paint(self._bars, [bar_color(boxes.bar, scene) for boxes in panel])
        feet = scene.feet
        packed.move(self._contacts, [foot.position for foot in feet])
        packed.paint(self._contacts, [foot.color for foot in feet])
        self._put(self._targets, [foot.target for foot in feet])
        self._put(self._landings, [foot.foothold for foot in feet])
        self._fill_forces(feet)
        return packed.packed(scene.stamp_ns)

    def _put(self, rows: slice, places: Sequence[Vector | None]) -> None:
        self._packed.show(rows, [place is not None for place in places])
        self._packed.move(rows, [place or (0.0, 0.0, 0.0) for place in places])

    def _fill_forces(self, feet: Sequence[FootScene]) -> None:
        packed, push = self._packed, [foot.friction >= 0.0 for foot in feet]
        packed.show(self._forces, push)
        packed.show(self._cones, push)
        packed.paint(self._forces, [foot.force_color for foot in feet])
        for leg, foot in enumerate(feet):
            if push[leg]:
                packed.draw(self._forces.start + leg, (foot.ground, foot.force_tip))
                packed.draw(self._cones.start + leg, _sides(foot))


class LastingMarkers:
    """Texts, footholds, prediction and falls."""

    def __init__(self, body: RobotBody) -> None:
        """Make all markers of a robot."""
        group, text = _Group(), (0.0, 0.0, look.SMALL_TEXT_HEIGHT)
        self._header = group.header
        footholds = group.add("footholds", Marker.CUBE_LIST, look.FOOTHOLD_SIZE, look.GREY)
        states = group.add("prediction", Marker.SPHERE_LIST, (look.STATE_SIZE,) * 3)
        path = group.add("prediction", Marker.LINE_STRIP, (look.PATH_WIDTH, 0.0, 0.0))
        ghost = group.add("prediction", Marker.CUBE, body.shapes[0].size, look.GHOST)
        labels = group.several(N_COMPONENTS, "bar_texts", Marker.TEXT_VIEW_FACING, text)
        headline = group.add("text", Marker.TEXT_VIEW_FACING, (0.0, 0.0, look.TEXT_HEIGHT))
        reason = group.add("text", Marker.TEXT_VIEW_FACING, text)
        self._always = list(group.markers)
        falls = group.several(look.KEPT_FALLS, "falls", Marker.SPHERE, (look.FALL_SIZE,) * 3, look.RED)
        texts = group.several(look.KEPT_FALLS, "fall_texts", Marker.TEXT_VIEW_FACING, text)
        made = group.markers
        self._footholds, self._states, self._path, self._ghost = made[footholds], made[states], made[path], made[ghost]
        self._labels, self._headline, self._reason = made[labels], made[headline], made[reason]
        self._falls, self._fall_texts = made[falls], made[texts]
        self._array = MarkerArray(markers=self._always)

    def fill(self, scene: Scene) -> MarkerArray:
        """The message for a scene, valid until the next; a publisher copies it."""
        self._header.stamp = time_message(scene.stamp_ns)
        _list(self._footholds, scene.footholds.tolist())
        self._fill_prediction(scene)
        for label, boxes in zip(self._labels, bar_panel(scene), strict=True):
            _write(label, boxes.label, boxes.bar.text, bar_color(boxes.bar, scene))
        x, y, z = headline_place(scene)
        _write(self._headline, (x, y, z), scene.headline, scene.color)
        _write(self._reason, (x, y, z - look.TEXT_HEIGHT), scene.reason, look.WHITE)
        self._fill_falls(scene)
        return self._array

    def _fill_prediction(self, scene: Scene) -> None:
        p = scene.prediction
        places = [] if p is None else p.position.tolist()
        colors: tuple[Rgba, ...] = () if p is None else p.colors
        _list(self._states, places, colors)
        _list(self._path, places if len(places) > 1 else [], colors)
        if p is None:
            self._ghost.action = Marker.DELETE
            return
        _put(self._ghost, places[p.telling], p.quaternion_wxyz[p.telling].tolist())

    def _fill_falls(self, scene: Scene) -> None:
        """Falls only become more, so those that are not there yet need not be sent."""
        count = len(scene.falls)
        for marker, text, fall in zip(self._falls, self._fall_texts, scene.falls, strict=False):
            x, y, z = fall.position
            _put(marker, (x, y, z), _UPRIGHT)
            ago = (scene.stamp_ns - fall.stamp_ns) / NANOSECONDS
            _write(text, (x, y, z + look.FALL_SIZE), f"fell {ago:.0f} s ago: {', '.join(fall.reasons)}", look.RED)
        if len(self._array.markers) != len(self._always) + 2 * count:
            self._array.markers = [*self._always, *self._falls[:count], *self._fall_texts[:count]]


def bar_color(bar: Bar, scene: Scene) -> Rgba:
    """White while nobody judges by the bars."""
    return bar.color if scene.judged else look.WHITE


def _sides(foot: FootScene) -> Array:
    """Corners (12, 3) of the sides of a friction cone, three by three."""
    sides = np.empty((CORNERS, 3, 3))
    sides[:, 0], sides[:, 1], sides[:, 2] = foot.ground, foot.cone, foot.cone[_BEFORE]
    return sides.reshape(-1, 3)


def _list(marker: Marker, places: Sequence[Sequence[float]], colors: Sequence[Rgba] = ()) -> None:
    """Points of a list, each with its own colour where there are any; RViz complains about empty lists."""
    marker.action = Marker.ADD if places else Marker.DELETE
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in places]
    marker.colors = [_COLORS[color] for color in colors]


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


def _color(color: Rgba) -> ColorRGBA:
    r, g, b, a = color
    return ColorRGBA(r=r, g=g, b=b, a=a)


_COLORS = {color: _color(color) for color in (look.GREEN, look.AMBER, look.RED, look.BLUE, look.GREY, look.DARK, look.WHITE)}
