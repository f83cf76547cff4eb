"""The `Scene` in a browser: objects are made once and then moved.

Equal primitives are one object with many instances, so a frame is a handful of messages. Values
that did not change are not sent. Everything hangs on the frame `/odom`, which moves against the
robot. So the camera stays where the user put it, and the ground passes by.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
import viser

from safe_locomotion.rotations import Vector
from safe_locomotion.safety.switching_rule import LONGEST_HORIZON
from safe_locomotion.types import N_LEGS, Array
from safe_locomotion.ui.robot_body import Rgba, RobotBody
from safe_locomotion.ui.scene import (
    BLUE,
    CONE,
    FALL_SIZE,
    FOOT_SIZE,
    FOOTHOLD_SIZE,
    FORCE_SCALE,
    FORCE_WIDTH,
    GHOST,
    GREY,
    KEPT_FALLS,
    KEPT_FOOTHOLDS,
    PATH_WIDTH,
    RED,
    STATE_SIZE,
    TARGET_SIZE,
    Fall,
    Prediction,
    Scene,
)

NOTHING = 1e-6  #: size of an instance that is hidden [m]
FAR_BELOW = (0.0, 0.0, -1e4)  #: place of a hidden arrow, beyond the far plane of every camera [m]
UPRIGHT = (1.0, 0.0, 0.0, 0.0)
SIDES = 32  #: of a cylinder
GROUND_SIZE = 24.0  #: [m]
SECTION = 1.0  #: size of a section of the grid on the ground [m]
CELL = 0.25  #: size of a cell of the grid [m]
UNSEEN = 5e-4  #: smaller changes of the ground are not sent [m, or part of a quaternion]
GROUND_FOLLOWS = 0.2  #: share of the way to the feet that the ground moves per frame, to damp steps
HEADLINE_ABOVE = 0.22  #: height of the headline over the base [m]
CAMERA = (1.05, -1.25, 0.75)  #: first position of the camera, from the robot [m]
LOOK_AT = (0.0, 0.0, 0.16)  #: first point in the middle of the picture [m]
FIELD_OF_VIEW = 0.75  #: [rad]
AROUND = 1.6  #: intensity of the light from all sides
SUN = 2.0  #: intensity of the light from above
FILL = 0.6  #: intensity of the light from the side
SKY = (255, 255, 255)  #: colour of the light from all sides, from above
EARTH = (190, 190, 195)  #: colour of the light from all sides, from below
PAPER = (236, 239, 243)  #: colour of the ground
LINES = (221, 225, 231)  #: colour of the lines between cells
SECTIONS = (190, 197, 207)  #: colour of the lines between sections


class Batch:
    """Equal primitives, each with a size, position, quaternion and colour."""

    def __init__(
        self, api: viser.SceneApi, name: str, kind: str, count: int, opacity: float | None = None
    ) -> None:
        self._count = count
        self._style: tuple[tuple[Vector, ...], tuple[Rgba, ...]] = ((), ())
        vertices, faces = _unit_mesh(kind)
        self._handle = api.add_batched_meshes_simple(
            name,
            vertices,
            faces,
            np.tile(UPRIGHT, (count, 1)),
            np.zeros((count, 3)),
            batched_scales=np.full((count, 3), NOTHING),
            batched_colors=np.zeros((count, 3), np.uint8),
            flat_shading=kind != "sphere",
            opacity=opacity,
            lod="off",
            cast_shadow=opacity is None,
            receive_shadow=False,
        )

    def place(self, positions: Array, wxyzs: Array | None = None) -> None:
        """Move the first n instances to positions (n, 3); with quaternions, turn them too."""
        self._handle.batched_positions = _padded(positions, self._handle.batched_positions)
        if wxyzs is not None:
            self._handle.batched_wxyzs = _padded(wxyzs, self._handle.batched_wxyzs)

    def style(self, sizes: Sequence[Vector], colors: Sequence[Rgba]) -> None:
        """Give the first n instances sizes [m] and colours, and hide all others."""
        wanted = (tuple(sizes), tuple(colors))
        if wanted == self._style:
            return
        self._style = wanted
        hidden = np.full((self._count, 3), NOTHING)
        self._handle.batched_scales = _padded(np.array(sizes).reshape(-1, 3), hidden)
        if colors:
            self._handle.batched_colors = _padded(_rgb(colors), self._handle.batched_colors)


class SceneView:
    """Draws scenes of one robot for all browsers."""

    def __init__(self, api: viser.SceneApi, body: RobotBody) -> None:
        """Make all objects; they are hidden until the first scene."""
        self._root = api.add_frame("/odom", show_axes=False)
        self._ground_height: float | None = None
        self._laid = (float("inf"),) * 7
        self._ground = api.add_grid(
            "/odom/ground",
            width=GROUND_SIZE,
            height=GROUND_SIZE,
            cell_size=CELL,
            section_size=SECTION,
            plane_opacity=1.0,
            plane_color=PAPER,
            cell_color=LINES,
            section_color=SECTIONS,
            fade_distance=GROUND_SIZE / 2,
            shadow_opacity=0.3,
        )
        self._robot = _RobotView(api, body)
        self._feet = _FeetView(api)
        self._plan = _PlanView(api, body)
        self._headline = api.add_label("/odom/headline", "", anchor="bottom-center", visible=False)

    def draw(self, scene: Scene) -> None:
        """Move all objects to their places in a scene."""
        x, y, z = scene.position
        self._root.position = (-x, -y, 0.0)
        self._robot.draw(scene)
        self._feet.draw(scene)
        self._plan.draw(scene)
        self._lay_ground(scene)
        self._headline.position = (x, y, z + HEADLINE_ABOVE)
        self._headline.text = scene.headline
        self._headline.visible = True

    def _lay_ground(self, scene: Scene) -> None:
        """Lay the ground under the feet in contact, moved by whole sections of its grid."""
        heights = [foot.ground[2] for foot in scene.feet if foot.contact]
        if heights:
            height = sum(heights) / len(heights)
            before = height if self._ground_height is None else self._ground_height
            self._ground_height = before + GROUND_FOLLOWS * (height - before)
        x, y, _ = scene.position
        nx, ny, nz = scene.normal
        east = SECTION * round(x / SECTION)
        north = SECTION * round(y / SECTION)
        rise = -(nx * (east - x) + ny * (north - y)) / max(nz, 0.5)
        place = (east, north, (self._ground_height or 0.0) + rise, *_upright_on(scene.normal))
        if max(abs(new - old) for new, old in zip(place, self._laid, strict=True)) > UNSEEN:
            self._laid = place
            self._ground.position = place[:3]
            self._ground.wxyz = place[3:]


class _RobotView:
    """The shapes of the robot, one batch per kind of primitive."""

    def __init__(self, api: viser.SceneApi, body: RobotBody) -> None:
        self._batches = []
        for kind in sorted({shape.kind for shape in body.shapes}):
            indices = [i for i, shape in enumerate(body.shapes) if shape.kind == kind]
            batch = Batch(api, f"/odom/robot/{kind}", kind, len(indices))
            shapes = [body.shapes[i] for i in indices]
            sizes = [shape.size for shape in shapes]
            colors = [shape.color for shape in shapes]
            self._batches.append((batch, indices, sizes, colors))

    def draw(self, scene: Scene) -> None:
        for batch, indices, sizes, colors in self._batches:
            batch.place(scene.shapes.position[indices], scene.shapes.quaternion_wxyz[indices])
            batch.style(sizes, colors)


class _FeetView:
    """Contacts, planned forces with their friction cones, and swing targets."""

    def __init__(self, api: viser.SceneApi) -> None:
        self._balls = Batch(api, "/odom/feet", "sphere", N_LEGS)
        self._targets = Batch(api, "/odom/swing_targets", "sphere", N_LEGS)
        self._forces = api.add_arrows(
            "/odom/forces",
            np.tile(FAR_BELOW, (N_LEGS, 2, 1)),
            _rgb([BLUE] * N_LEGS),
            shaft_radius=0.5 * FORCE_WIDTH,
            head_radius=1.2 * FORCE_WIDTH,
            head_length=2.5 * FORCE_WIDTH,
        )
        self._force_colors = [BLUE] * N_LEGS
        rims = np.arange(N_LEGS)[:, None] * 5 + np.arange(4)
        faces = [
            (5 * leg + 4, rim[i], rim[(i + 1) % 4])
            for leg, rim in enumerate(rims)
            for i in range(4)
        ]
        self._cones = api.add_mesh_simple(
            "/odom/friction_cones",
            np.tile(FAR_BELOW, (5 * N_LEGS, 1)),
            np.array(faces),
            color=_rgb([CONE])[0],
            opacity=CONE[3],
            side="double",
            flat_shading=True,
            cast_shadow=False,
            receive_shadow=False,
        )

    def draw(self, scene: Scene) -> None:
        feet = scene.feet
        self._balls.place(np.array([foot.position for foot in feet]))
        self._balls.style([_ball(FOOT_SIZE)] * N_LEGS, [foot.color for foot in feet])
        targets = [foot.target for foot in feet if foot.target is not None]
        self._targets.place(np.array(targets).reshape(-1, 3))
        self._targets.style([_ball(TARGET_SIZE)] * len(targets), [BLUE] * len(targets))
        grounds = np.array([foot.ground for foot in feet])
        forces = np.array([foot.force for foot in feet])
        has_force = np.array([not isnan(foot.friction) for foot in feet])
        pushes = has_force[:, None, None]
        arrows = np.stack((grounds, grounds + FORCE_SCALE * forces), axis=1)
        self._forces.points = np.where(pushes, arrows, FAR_BELOW).astype(np.float32)
        colors = [foot.force_color for foot in feet]
        if colors != self._force_colors:
            self._force_colors = colors
            self._forces.colors = _rgb(colors)
        cones = np.concatenate((np.array([foot.cone for foot in feet]), grounds[:, None]), axis=1)
        self._cones.vertices = np.where(pushes, cones, FAR_BELOW).reshape(-1, 3).astype(np.float32)


class _PlanView:
    """Past and next footholds, the learner's prediction, and falls."""

    def __init__(self, api: viser.SceneApi, body: RobotBody) -> None:
        self._footholds = Batch(api, "/odom/footholds", "cylinder", KEPT_FOOTHOLDS + N_LEGS)
        self._states = Batch(api, "/odom/prediction/states", "sphere", LONGEST_HORIZON + 1)
        nothing = np.zeros((LONGEST_HORIZON, 2, 3))
        black = (0, 0, 0)
        path = "/odom/prediction/path"
        self._path = api.add_line_segments(
            path, nothing, black, thickness=PATH_WIDTH, thickness_units="world", visible=False
        )
        self._ghost = Batch(api, "/odom/prediction/body", "box", 1, opacity=GHOST[3])
        self._trunk = next(
            shape.size for shape in body.shapes if shape.link == 0 and shape.kind == "box"
        )
        self._falls = Batch(api, "/odom/falls", "sphere", KEPT_FALLS)
        self._fallen: tuple[Fall, ...] = ()
        self._foreseen: int | None = None

    def draw(self, scene: Scene) -> None:
        ahead = [foot.foothold for foot in scene.feet if foot.foothold is not None]
        holds = np.concatenate((scene.footholds, np.array(ahead).reshape(-1, 3)))
        self._footholds.place(holds, np.tile(_upright_on(scene.normal), (len(holds), 1)))
        self._footholds.style(
            [FOOTHOLD_SIZE] * len(holds), [GREY] * len(scene.footholds) + [BLUE] * len(ahead)
        )
        if scene.falls != self._fallen:
            self._fallen = scene.falls
            self._falls.place(np.array([fall.position for fall in scene.falls]))
            self._falls.style([_ball(FALL_SIZE)] * len(scene.falls), [RED] * len(scene.falls))
        stamp_ns = None if scene.prediction is None else scene.prediction.stamp_ns
        if stamp_ns != self._foreseen:
            self._foreseen = stamp_ns
            self._foresee(scene.prediction)

    def _foresee(self, prediction: Prediction | None) -> None:
        n = 0 if prediction is None else len(prediction.position)
        self._path.visible = n > 1
        self._states.style([_ball(STATE_SIZE)] * n, () if prediction is None else prediction.colors)
        self._ghost.style([self._trunk] if n else [], [GHOST] if n else [])
        if prediction is None or not n:
            return
        self._states.place(prediction.position)
        self._ghost.place(prediction.position[-1:], prediction.quaternion_wxyz[-1:])
        points = _padded(
            prediction.position, np.tile(prediction.position[-1], (LONGEST_HORIZON + 1, 1))
        )
        self._path.points = np.stack((points[:-1], points[1:]), axis=1).astype(np.float32)
        colors = _padded(_rgb(prediction.colors), np.zeros((LONGEST_HORIZON + 1, 3), np.uint8))
        self._path.colors = np.stack((colors[:-1], colors[1:]), axis=1)


def light(api: viser.SceneApi, shadows: bool) -> None:
    """Add neutral daylight.

    There is no environment map: a browser without a graphics card needs half a minute for it.
    """
    api.configure_default_lights(enabled=False)
    api.configure_environment_map(None)
    api.add_light_hemisphere("/sky", sky_color=SKY, ground_color=EARTH, intensity=AROUND)
    api.add_light_directional("/sun", intensity=SUN, cast_shadow=shadows, position=(1.0, -1.5, 4.0))
    api.add_light_directional("/fill", intensity=FILL, position=(-2.0, 2.0, 1.5))


def _ball(diameter: float) -> Vector:
    return diameter, diameter, diameter


def _unit_mesh(kind: str) -> tuple[Array, Any]:
    """Vertices (n, 3) and triangles (m, 3) of a primitive that has size one along each axis."""
    if kind == "box":
        return _revolved(np.array([(0.0, -0.5), (0.5**0.5, -0.5), (0.5**0.5, 0.5), (0.0, 0.5)]), 4)
    if kind == "cylinder":
        return _revolved(np.array([(0.0, -0.5), (0.5, -0.5), (0.5, 0.5), (0.0, 0.5)]), SIDES)
    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, SIDES // 2 + 1)
    return _revolved(0.5 * np.column_stack((np.cos(angles), np.sin(angles))), SIDES)


def _revolved(profile: Array, sides: int) -> tuple[Array, Any]:
    """Mesh of a profile of radii and heights (k, 2), turned around z in so many sides.

    With four sides, the sides are perpendicular to the axes.
    """
    around = 2.0 * np.pi * (np.arange(sides) + 0.5) / sides
    circle = np.column_stack((np.cos(around), np.sin(around)))
    rings = np.concatenate(
        (
            profile[:, None, :1] * circle,
            np.broadcast_to(profile[:, None, 1:], (len(profile), sides, 1)),
        ),
        axis=2,
    )
    ring, side = np.meshgrid(np.arange(len(profile) - 1), np.arange(sides), indexing="ij")
    a = ring * sides + side
    b = ring * sides + (side + 1) % sides
    faces = np.concatenate(
        (np.stack((a, b, b + sides), axis=2), np.stack((a, b + sides, a + sides), axis=2))
    )
    return rings.reshape(-1, 3), faces.reshape(-1, 3)


def _padded(values: Array, rest: Any) -> Any:
    """`values`, then the rows of `rest` past their end."""
    return values if len(values) == len(rest) else np.concatenate((values, rest[len(values) :]))


def _rgb(colors: Sequence[Rgba]) -> Any:
    """Colours (n, 3) as bytes."""
    return np.array([[round(255.0 * part) for part in color[:3]] for color in colors], np.uint8)


def _upright_on(normal: Vector) -> tuple[float, float, float, float]:
    """Quaternion wxyz of the shortest rotation from z to the normal."""
    x, y, z = normal
    w = 1.0 + z
    length = (w * w + x * x + y * y) ** 0.5
    return (w / length, -y / length, x / length, 0.0) if length > 1e-6 else UPRIGHT
