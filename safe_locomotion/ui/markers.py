"""A scene as markers for RViz, in two messages.

`MovingMarkers` holds what moves on every look: robot, feet, forces, friction cones and bars.
`LastingMarkers` holds texts, footholds, prediction and falls, which need fewer messages.

Every marker keeps its namespace and number. Equal shapes are one list, because each marker costs
time. A marker that has nothing to show says DELETE, so nothing flickers and nothing stays too long.
RViz removes a marker `LIFETIME` after its last message.
"""

from collections.abc import Iterable, Sequence
from math import isnan

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.messages.layouts import ODOM_FRAME
from safe_locomotion.nodes.conversions import time_message
from safe_locomotion.rotations import Vector, quaternion_from_rpy, vector
from safe_locomotion.types import N_LEGS, NANOSECONDS
from safe_locomotion.ui import scene as look
from safe_locomotion.ui.bar_panel import (
    BOUNDS_SIZE,
    TRACK_SIZE,
    BarBoxes,
    bar_panel,
    headline_place,
)
from safe_locomotion.ui.robot_body import Quaternion, Rgba, RobotBody
from safe_locomotion.ui.scene import Bar, Fall, FootScene, Prediction, Scene

LIFETIME = Duration(sec=0, nanosec=500_000_000)
CORNERS = 4  #: of the rim of a friction cone
_SHAPES = {"box": Marker.CUBE, "cylinder": Marker.CYLINDER, "sphere": Marker.SPHERE}
_UPRIGHT: Quaternion = (1.0, 0.0, 0.0, 0.0)
_UNIT: Vector = (1.0, 1.0, 1.0)
_SMALL_TEXT: Vector = (0.0, 0.0, look.SMALL_TEXT_HEIGHT)
_LARGE_TEXT: Vector = (0.0, 0.0, look.TEXT_HEIGHT)
_ARROW: Vector = (look.FORCE_WIDTH, 2.5 * look.FORCE_WIDTH, 0.0)


class _Group:
    """Markers that share one header."""

    def __init__(self) -> None:
        self.header = Header(frame_id=ODOM_FRAME)
        self.markers: list[Marker] = []

    def add(self, namespace: str, kind: int, size: Vector, color: Rgba = look.WHITE) -> Marker:
        """Make one marker; its number counts up within the namespace."""
        marker = Marker(
            header=self.header,
            ns=namespace,
            id=sum(marker.ns == namespace for marker in self.markers),
            type=kind,
            action=Marker.DELETE,
            lifetime=LIFETIME,
            scale=Vector3(x=size[0], y=size[1], z=size[2]),
            color=_color(color),
        )
        marker.pose.orientation.w = 1.0
        self.markers.append(marker)
        return marker

    def several(
        self, count: int, namespace: str, kind: int, size: Vector, color: Rgba = look.WHITE
    ) -> list[Marker]:
        """Make `count` equal markers."""
        return [self.add(namespace, kind, size, color) for _ in range(count)]


class MovingMarkers:
    """Robot, feet, forces, friction cones and bars."""

    def __init__(self, body: RobotBody, bars: int) -> None:
        """Make all markers once.

        Args:
            body: shapes of the robot.
            bars: number of bars above the robot.
        """
        group = _Group()
        self._robot = [
            group.add("robot", _SHAPES[shape.kind], shape.size, shape.color)
            for shape in body.shapes
        ]
        self._tracks = group.several(bars, "bar_tracks", Marker.CUBE, TRACK_SIZE, look.DARK)
        self._bounds = group.several(bars, "bar_tracks", Marker.CUBE, BOUNDS_SIZE, look.GREY)
        self._bars = group.several(bars, "bars", Marker.CUBE, _UNIT)
        ball = (look.FOOT_SIZE,) * 3
        target = (look.TARGET_SIZE,) * 3
        foothold = look.FOOTHOLD_SIZE
        self._contacts = group.add("contacts", Marker.SPHERE_LIST, ball)
        self._targets = group.add("swing_targets", Marker.SPHERE_LIST, target, look.BLUE)
        self._landings = group.add("next_footholds", Marker.CUBE_LIST, foothold, look.BLUE)
        self._forces = group.several(N_LEGS, "forces", Marker.ARROW, _ARROW)
        self._cones = group.add("friction_cones", Marker.TRIANGLE_LIST, _UNIT, look.CONE)
        self._group = group

    def update(self, scene: Scene) -> MarkerArray:
        """The message for a scene. The next call changes the same markers again."""
        self._group.header.stamp = time_message(scene.stamp_ns)
        shapes = scene.shapes
        poses = zip(shapes.position.tolist(), shapes.quaternion_wxyz.tolist(), strict=True)
        for marker, (position, quaternion) in zip(self._robot, poses, strict=True):
            _show(marker, position, quaternion)
        for row, boxes in enumerate(bar_panel(scene)):
            self._update_bar(row, boxes, scene)
        self._update_feet(scene.feet)
        return MarkerArray(markers=self._group.markers)

    def _update_bar(self, row: int, boxes: BarBoxes, scene: Scene) -> None:
        heading = quaternion_from_rpy(0.0, 0.0, scene.heading).tolist()
        _show(self._tracks[row], boxes.middle, heading)
        _show(self._bounds[row], boxes.middle, heading)
        value = self._bars[row]
        _show(value, boxes.value, heading)
        value.scale.y = boxes.value_size[1]
        value.color = _color(bar_color(boxes.bar, scene))

    def _update_feet(self, feet: Sequence[FootScene]) -> None:
        _list_points(self._contacts, [f.position for f in feet], [f.color for f in feet])
        _list_points(self._targets, [f.target for f in feet if f.target is not None])
        _list_points(self._landings, [f.foothold for f in feet if f.foothold is not None])
        for foot, force in zip(feet, self._forces, strict=True):
            _list_points(force, (foot.ground, foot.force_tip) if _has_force(foot) else ())
            force.color = _color(foot.force_color)
        pushing = [foot for foot in feet if _has_force(foot)]
        _list_points(self._cones, [corner for foot in pushing for corner in cone_sides(foot)])


class LastingMarkers:
    """Texts, footholds, prediction and falls."""

    def __init__(self, body: RobotBody, bars: int) -> None:
        """Make all markers once.

        Args:
            body: shapes of the robot.
            bars: number of bars above the robot.
        """
        group = _Group()
        state = (look.STATE_SIZE,) * 3
        path = (look.PATH_WIDTH, 0.0, 0.0)
        self._footholds = group.add("footholds", Marker.CUBE_LIST, look.FOOTHOLD_SIZE, look.GREY)
        self._states = group.add("prediction", Marker.SPHERE_LIST, state)
        self._path = group.add("prediction", Marker.LINE_STRIP, path)
        self._ghost = group.add("prediction", Marker.CUBE, body.shapes[0].size, look.GHOST)
        self._labels = group.several(bars, "bar_texts", Marker.TEXT_VIEW_FACING, _SMALL_TEXT)
        self._headline = group.add("text", Marker.TEXT_VIEW_FACING, _LARGE_TEXT)
        self._reason = group.add("text", Marker.TEXT_VIEW_FACING, _SMALL_TEXT)
        fall = (look.FALL_SIZE,) * 3
        kept = look.KEPT_FALLS
        self._falls = group.add("falls", Marker.SPHERE_LIST, fall, look.RED)
        self._fall_texts = group.several(
            kept, "fall_texts", Marker.TEXT_VIEW_FACING, _SMALL_TEXT, look.RED
        )
        self._group = group

    def update(self, scene: Scene) -> MarkerArray:
        """The message for a scene. The next call changes the same markers again."""
        self._group.header.stamp = time_message(scene.stamp_ns)
        _list_points(self._footholds, scene.footholds.tolist())
        self._update_prediction(scene.prediction)
        for label, boxes in zip(self._labels, bar_panel(scene), strict=True):
            _write(label, boxes.label, boxes.bar.text, bar_color(boxes.bar, scene))
        x, y, z = headline_place(scene)
        _write(self._headline, (x, y, z), scene.headline, scene.color)
        _write(self._reason, (x, y, z - look.TEXT_HEIGHT), scene.reason, look.WHITE)
        _list_points(self._falls, [fall.position for fall in scene.falls])
        for text, fall in zip(self._fall_texts, scene.falls, strict=False):
            _write_fall(text, fall, scene.stamp_ns)
        return MarkerArray(markers=self._group.markers)

    def _update_prediction(self, prediction: Prediction | None) -> None:
        if prediction is None:
            for marker in (self._states, self._path, self._ghost):
                marker.action = Marker.DELETE
            return
        points = prediction.position.tolist()
        _list_points(self._states, points, prediction.colors)
        if len(points) > 1:
            _list_points(self._path, points, prediction.colors)
        else:
            _list_points(self._path, ())
        drawn = prediction.telling
        quaternion = prediction.quaternion_wxyz[drawn].tolist()
        _show(self._ghost, vector(prediction.position[drawn]), quaternion)


def bar_color(bar: Bar, scene: Scene) -> Rgba:
    """White while the supervisor does not judge by the bars."""
    return bar.color if scene.judged else look.WHITE


def _has_force(foot: FootScene) -> bool:
    return not isnan(foot.friction)


def cone_sides(foot: FootScene) -> list[Vector]:
    """Corners of the four triangles of a friction cone, three by three (12 points)."""
    rim = [vector(corner) for corner in foot.cone]
    corners: list[Vector] = []
    for number, corner in enumerate(rim):
        corners += (foot.ground, corner, rim[number - 1])
    return corners


def _show(
    marker: Marker, position: Sequence[float] | None, quaternion_wxyz: Sequence[float] = _UPRIGHT
) -> None:
    """Show a marker at a pose, or delete it when there is no position."""
    if position is None:
        marker.action = Marker.DELETE
        return
    marker.action = Marker.ADD
    place = marker.pose.position
    place.x, place.y, place.z = position
    turn = marker.pose.orientation
    turn.w, turn.x, turn.y, turn.z = quaternion_wxyz


def _list_points(
    marker: Marker, points: Iterable[Sequence[float]], colors: Iterable[Rgba] = ()
) -> None:
    """Show a list of points, or delete the marker: RViz warns about empty lists."""
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in points]
    marker.colors = [_color(color) for color in colors]
    marker.action = Marker.ADD if marker.points else Marker.DELETE


def _write(marker: Marker, position: Vector, text: str, color: Rgba) -> None:
    """Show a text, or delete the marker: RViz warns about empty texts."""
    _show(marker, position if text else None)
    marker.text = text
    marker.color = _color(color)


def _write_fall(marker: Marker, fall: Fall, now_ns: int) -> None:
    """Show over the place of a fall when and why the robot fell."""
    x, y, z = fall.position
    ago = (now_ns - fall.stamp_ns) / NANOSECONDS
    text = f"fell {ago:.0f} s ago: {', '.join(fall.reasons)}"
    _write(marker, (x, y, z + look.FALL_SIZE), text, look.RED)


def _color(color: Rgba) -> ColorRGBA:
    r, g, b, a = color
    return ColorRGBA(r=r, g=g, b=b, a=a)
