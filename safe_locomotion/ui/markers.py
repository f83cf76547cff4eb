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
from visualization_msgs.msg import Marker

from safe_locomotion.messages.layouts import ODOM_FRAME
from safe_locomotion.rotations import Vector, quaternion_from_rpy, vector
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array
from safe_locomotion.ui import scene as look
from safe_locomotion.ui.bar_panel import BOUNDS_SIZE, TRACK_SIZE, bar_panel, headline_place
from safe_locomotion.ui.drawn_markers import DrawnMarkers
from safe_locomotion.ui.packed_markers import PackedMarkers
from safe_locomotion.ui.robot_body import Rgba, RobotBody
from safe_locomotion.ui.scene import Bar, FootScene, Scene

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

    def add(
        self, namespace: str, kind: int, size: Vector, color: Rgba = look.WHITE, *, points: int = 0
    ) -> int:
        """Number of the new marker within the group; it begins with so many points."""
        number = sum(marker.ns == namespace for marker in self.markers)
        marker = Marker(
            header=self.header,
            ns=namespace,
            id=number,
            type=kind,
            action=Marker.DELETE,
            lifetime=LIFETIME,
        )
        marker.scale, marker.color = Vector3(x=size[0], y=size[1], z=size[2]), _color(color)
        marker.pose.orientation.w = 1.0
        marker.points = [Point() for _ in range(points)]
        self.markers.append(marker)
        return len(self.markers) - 1

    def several(
        self,
        count: int,
        namespace: str,
        kind: int,
        size: Vector,
        color: Rgba = look.WHITE,
        *,
        points: int = 0,
    ) -> slice:
        """Numbers of `count` such markers."""
        first = len(self.markers)
        for _ in range(count):
            self.add(namespace, kind, size, color, points=points)
        return slice(first, first + count)


class MovingMarkers:
    """Robot, feet, forces, cones and bars of every scene."""

    def __init__(self, body: RobotBody, bars: int) -> None:
        """Make all markers of a robot with so many bars over it."""
        group = _Group()
        for shape in body.shapes:
            group.add("robot", _SHAPES[shape.kind], shape.size, shape.color)
        group.several(bars, "bar_tracks", Marker.CUBE, TRACK_SIZE, look.DARK)
        group.several(bars, "bar_tracks", Marker.CUBE, BOUNDS_SIZE, look.GREY)
        self._bars = group.several(bars, "bars", Marker.CUBE, _ONE)
        self._posed = slice(0, len(group.markers))
        self._contacts = group.several(N_LEGS, "contacts", Marker.SPHERE, (look.FOOT_SIZE,) * 3)
        self._targets = group.several(
            N_LEGS, "swing_targets", Marker.SPHERE, (look.TARGET_SIZE,) * 3, look.BLUE
        )
        self._landings = group.several(
            N_LEGS, "next_footholds", Marker.CUBE, look.FOOTHOLD_SIZE, look.BLUE
        )
        arrow = (look.FORCE_WIDTH, 2.5 * look.FORCE_WIDTH, 0.0)
        self._forces = group.several(N_LEGS, "forces", Marker.ARROW, arrow, points=2)
        self._cones = group.several(
            N_LEGS, "friction_cones", Marker.TRIANGLE_LIST, _ONE, look.CONE, points=3 * CORNERS
        )
        self._packed = PackedMarkers(group.markers)

    def fill(self, scene: Scene) -> bytes:
        """The message for a scene, packed."""
        packed = self._packed
        panel = bar_panel(scene)
        turn = quaternion_from_rpy(0.0, 0.0, scene.heading)
        middles = [boxes.middle for boxes in panel]
        values = [boxes.value for boxes in panel]
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
        packed = self._packed
        push = [foot.friction >= 0.0 for foot in feet]
        packed.show(self._forces, push)
        packed.show(self._cones, push)
        packed.paint(self._forces, [foot.force_color for foot in feet])
        for leg, foot in enumerate(feet):
            if push[leg]:
                packed.draw(self._forces.start + leg, (foot.ground, foot.force_tip))
                packed.draw(self._cones.start + leg, _sides(foot))


class LastingMarkers:
    """Texts, footholds, prediction and falls."""

    def __init__(self, body: RobotBody, bars: int) -> None:
        """Make all markers of a robot with so many bars over it."""
        group = _Group()
        text = (0.0, 0.0, look.SMALL_TEXT_HEIGHT)
        self._footholds = group.add("footholds", Marker.CUBE_LIST, look.FOOTHOLD_SIZE, look.GREY)
        self._states = group.add("prediction", Marker.SPHERE_LIST, (look.STATE_SIZE,) * 3)
        self._path = group.add("prediction", Marker.LINE_STRIP, (look.PATH_WIDTH, 0.0, 0.0))
        self._ghost = group.add("prediction", Marker.CUBE, body.shapes[0].size, look.GHOST)
        self._labels = group.several(bars, "bar_texts", Marker.TEXT_VIEW_FACING, text)
        self._headline = group.add("text", Marker.TEXT_VIEW_FACING, (0.0, 0.0, look.TEXT_HEIGHT))
        self._reason = group.add("text", Marker.TEXT_VIEW_FACING, text)
        self._falls = group.several(
            look.KEPT_FALLS, "falls", Marker.SPHERE, (look.FALL_SIZE,) * 3, look.RED
        )
        self._fall_texts = group.several(
            look.KEPT_FALLS, "fall_texts", Marker.TEXT_VIEW_FACING, text
        )
        self._drawn = DrawnMarkers(group.markers)

    def fill(self, scene: Scene) -> bytes:
        """The message for a scene, packed. Falls only become more, so those that are not there yet need not be sent."""
        drawn = self._drawn
        drawn.list_points(self._footholds, scene.footholds)
        self._fill_prediction(scene)
        for row, boxes in enumerate(bar_panel(scene), self._labels.start):
            drawn.write(row, boxes.label, boxes.bar.text, bar_color(boxes.bar, scene))
        x, y, z = headline_place(scene)
        drawn.write(self._headline, (x, y, z), scene.headline, scene.color)
        drawn.write(self._reason, (x, y, z - look.TEXT_HEIGHT), scene.reason, look.WHITE)
        falls = self._falls.start
        texts = self._fall_texts.start
        for k, fall in enumerate(scene.falls):
            x, y, z = fall.position
            drawn.put(falls + k, (x, y, z), _UPRIGHT)
            ago = (scene.stamp_ns - fall.stamp_ns) / NANOSECONDS
            drawn.write(
                texts + k,
                (x, y, z + look.FALL_SIZE),
                f"fell {ago:.0f} s ago: {', '.join(fall.reasons)}",
                look.RED,
            )
        count = len(scene.falls)
        return drawn.packed(scene.stamp_ns, [*range(falls + count), *range(texts, texts + count)])

    def _fill_prediction(self, scene: Scene) -> None:
        p = scene.prediction
        drawn = self._drawn
        if p is None:
            for row in (self._states, self._path, self._ghost):
                drawn.hide(row)
            return
        drawn.list_points(self._states, p.position, p.colors)
        alone = len(p.position) < 2  # no path
        drawn.list_points(self._path, p.position[: 0 if alone else None], () if alone else p.colors)
        drawn.put(self._ghost, vector(p.position[p.telling]), p.quaternion_wxyz[p.telling].tolist())


def bar_color(bar: Bar, scene: Scene) -> Rgba:
    """White while nobody judges by the bars."""
    return bar.color if scene.judged else look.WHITE


def _sides(foot: FootScene) -> Array:
    """Corners (12, 3) of the sides of a friction cone, three by three."""
    sides = np.empty((CORNERS, 3, 3))
    sides[:, 0], sides[:, 1], sides[:, 2] = foot.ground, foot.cone, foot.cone[_BEFORE]
    return sides.reshape(-1, 3)


def _color(color: Rgba) -> ColorRGBA:
    r, g, b, a = color
    return ColorRGBA(r=r, g=g, b=b, a=a)
