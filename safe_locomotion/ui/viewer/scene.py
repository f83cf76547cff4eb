"""The `Scene` in a browser: objects are made once and then moved.

Equal primitives are one object with many instances, so a frame is a handful of messages. Values
that did not change are not sent. Everything hangs on the frame `/odom`, which moves against the
robot. So the camera stays where the user put it, and the ground passes by.
"""

from math import isnan

import numpy as np
import viser

from safe_locomotion.types import N_LEGS, Array, Flags
from safe_locomotion.ui.robot_body import RobotBody
from safe_locomotion.ui.scene import (
    BLUE,
    CONE,
    FOOT_SIZE,
    FORCE_SCALE,
    FORCE_WIDTH,
    PALE,
    TARGET_SIZE,
    Scene,
)
from safe_locomotion.ui.viewer.batch import Batch, ball, padded, rgb, upright_on
from safe_locomotion.ui.viewer.plan_view import PlanView

LIVE = "/odom"  #: frame of the picture that all browsers share
FAR_BELOW = (0.0, 0.0, -1e4)  #: place of a hidden arrow, beyond the far plane of every camera [m]
GROUND_SIZE = 24.0  #: [m]
SECTION = 1.0  #: size of a section of the grid on the ground [m]
CELL = 0.25  #: size of a cell of the grid [m]
UNSEEN = 5e-4  #: smaller changes of the ground are not sent [m, or part of a quaternion]
GROUND_FOLLOWS = 0.2  #: share of the way to the feet that the ground moves per frame, to damp steps
AROUND = 1.6  #: intensity of the light from all sides
SUN = 2.0  #: intensity of the light from above
FILL = 0.6  #: intensity of the light from the side
SKY = (255, 255, 255)  #: colour of the light from all sides, from above
EARTH = (190, 190, 195)  #: colour of the light from all sides, from below
PAPER = (236, 239, 243)  #: colour of the ground
LINES = (221, 225, 231)  #: colour of the lines between cells
SECTIONS = (190, 197, 207)  #: colour of the lines between sections


class SceneView:
    """Draws scenes of one robot for all browsers."""

    def __init__(self, api: viser.SceneApi, body: RobotBody, root: str = LIVE) -> None:
        """Make all objects under the frame `root`; they are hidden until the first scene."""
        self._root = api.add_frame(root, show_axes=False)
        self._ground_height: float | None = None
        self._laid = (float("inf"),) * 7
        self._ground = api.add_grid(
            f"{root}/ground",
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
        self._robot = _RobotView(api, body, root)
        self._feet = _FeetView(api, root)
        self._plan = PlanView(api, body, root)

    def draw(self, scene: Scene) -> None:
        """Move all objects to their places in a scene."""
        x, y, _ = scene.position
        self._root.position = (-x, -y, 0.0)
        self._robot.draw(scene)
        self._feet.draw(scene)
        self._plan.draw(scene)
        self._lay_ground(scene)

    def remove(self) -> None:
        """Take all objects away."""
        self._root.remove()

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
        place = (east, north, (self._ground_height or 0.0) + rise, *upright_on(scene.normal))
        if max(abs(new - old) for new, old in zip(place, self._laid, strict=True)) > UNSEEN:
            self._laid = place
            self._ground.position = place[:3]
            self._ground.wxyz = place[3:]


class _RobotView:
    """The shapes of the robot, one batch per kind of primitive."""

    def __init__(self, api: viser.SceneApi, body: RobotBody, root: str) -> None:
        self._batches = []
        for kind in sorted({shape.kind for shape in body.shapes}):
            indices = [i for i, shape in enumerate(body.shapes) if shape.kind == kind]
            batch = Batch(api, f"{root}/robot/{kind}", kind, len(indices))
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

    def __init__(self, api: viser.SceneApi, root: str) -> None:
        self._balls = Batch(api, f"{root}/feet", "sphere", N_LEGS)
        self._targets = Batch(api, f"{root}/swing_targets", "sphere", N_LEGS)
        self._forces = api.add_arrows(
            f"{root}/forces",
            np.tile(FAR_BELOW, (N_LEGS, 2, 1)),
            rgb([BLUE] * N_LEGS),
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
            f"{root}/friction_cones",
            np.tile(FAR_BELOW, (5 * N_LEGS, 1)),
            np.array(faces),
            color=rgb([CONE])[0],
            opacity=CONE[3],
            side="double",
            flat_shading=True,
            cast_shadow=False,
            receive_shadow=False,
        )

    def draw(self, scene: Scene) -> None:
        feet = scene.feet
        self._balls.place(np.array([foot.position for foot in feet]))
        self._balls.style([ball(FOOT_SIZE)] * N_LEGS, [foot.color for foot in feet])
        self._draw_targets(scene)
        grounds = np.array([foot.ground for foot in feet])
        pushes = np.array([not isnan(foot.friction) for foot in feet])[:, None, None]
        self._draw_forces(scene, grounds, pushes)
        cones = np.concatenate((np.array([foot.cone for foot in feet]), grounds[:, None]), axis=1)
        self._cones.vertices = np.where(pushes, cones, FAR_BELOW).reshape(-1, 3).astype(np.float32)

    def _draw_targets(self, scene: Scene) -> None:
        """Blue; grey after a stop."""
        targets = [foot.target for foot in scene.feet if foot.target is not None]
        color = BLUE
        if scene.remains is not None:
            targets = list(scene.remains.targets)
            color = PALE
        self._targets.place(np.array(targets).reshape(-1, 3))
        self._targets.style([ball(TARGET_SIZE)] * len(targets), [color] * len(targets))

    def _draw_forces(self, scene: Scene, grounds: Array, pushes: Flags) -> None:
        """Arrows of the planned forces; grey ones after a stop."""
        forces = np.array([foot.force for foot in scene.feet])
        arrows = np.where(
            pushes, np.stack((grounds, grounds + FORCE_SCALE * forces), axis=1), FAR_BELOW
        )
        colors = [foot.force_color for foot in scene.feet]
        if scene.remains is not None:
            arrows = padded(scene.remains.forces, np.tile(FAR_BELOW, (N_LEGS, 2, 1)))
            colors = [PALE] * N_LEGS
        self._forces.points = arrows.astype(np.float32)
        if colors != self._force_colors:
            self._force_colors = colors
            self._forces.colors = rgb(colors)


def light(api: viser.SceneApi, shadows: bool) -> None:
    """Add neutral daylight.

    There is no environment map: a browser without a graphics card needs half a minute for it.
    """
    api.configure_default_lights(enabled=False)
    api.configure_environment_map(None)
    api.add_light_hemisphere("/sky", sky_color=SKY, ground_color=EARTH, intensity=AROUND)
    api.add_light_directional("/sun", intensity=SUN, cast_shadow=shadows, position=(1.0, -1.5, 4.0))
    api.add_light_directional("/fill", intensity=FILL, position=(-2.0, 2.0, 1.5))
