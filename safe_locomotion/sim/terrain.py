"""Ground of the simulator: a flat start and terrain along +x, or a tile of ALARM around the start.

Each terrain adds its geoms and knows its own height.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, radians, sin, tan

import mujoco
import numpy as np

from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.sim.terrain_names import tile_of
from safe_locomotion.sim.tile_ground import add_tile, tile_grid
from safe_locomotion.types import Array

LEAD_IN = 1.0
"""Flat ground from the start to where the terrain begins [m]."""
LENGTH = 16.0
"""Terrain along x [m]: 30 s at 0.4 m/s need 12; the rest is for a controller that runs fast."""
HALF_WIDTH = 4.0
"""Half the width of the terrain [m]: a robot that drifts sideways must stay on it."""
DEPTH = 0.5
"""Thickness of ramps and of the ground under a height field [m].

Feet cannot tunnel through a thick solid.
"""
RUNS_PER_FLIGHT = 10
TREAD = 0.30
"""Depth of a step [m]: the going of a public stair (0.26-0.32 in building codes)."""
LANDING = 1.2
"""Flat stretch between flights [m]: three body lengths."""
CELL = 0.15
"""Grid of the rough ground [m]: about three foot diameters.

Front and rear feet of a stride thus meet different heights.
"""

Height = Callable[[float, float], float]

FLOOR_RGBA = (0.90, 0.91, 0.92, 1.0)
STEP_RGBA = (0.66, 0.69, 0.72, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TerrainOptions:
    """What to build.

    Attributes:
        name: one of `TERRAINS`, or a tile with its level such as `up_stairs:6`.
        slope: inclination of the ramp [rad].
        roughness: height of the highest bump [m].
        step: height of a stair [m].
        friction: sliding friction between feet and ground.
        seed: of bumps, noise and obstacles.
    """

    name: str = "flat"
    slope: float = radians(15.0)
    roughness: float = 0.05
    step: float = 0.06
    friction: float = 0.8
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Terrain:
    """A built terrain: `height(x, y)` is the ground's height [m] in the world."""

    name: str
    height: Height
    extent: Array = field(default_factory=lambda: np.array([LEAD_IN + LENGTH, HALF_WIDTH]))


def build_terrain(spec: mujoco.MjSpec, options: TerrainOptions) -> Terrain:
    """Add the ground to `spec`.

    Raises:
        UnknownNameError: there is no terrain of this name.
        ConfigurationError: a tile has no such level.
    """
    tile = tile_of(options.name)
    if tile is not None:
        return Terrain(options.name, _tile(spec, options, *tile))
    _add_floor(spec, options)
    return Terrain(options.name, TERRAINS[options.name](spec, options))


def _flat(spec: mujoco.MjSpec, options: TerrainOptions) -> Height:
    return lambda x, y: 0.0


def _slope(spec: mujoco.MjSpec, options: TerrainOptions) -> Height:
    """A ramp up whose length along the surface is LENGTH, then a plateau."""
    angle = options.slope
    run = LENGTH * cos(angle)
    rise = LENGTH * sin(angle)
    half = np.array([LENGTH / 2, HALF_WIDTH, DEPTH / 2])
    middle = np.array(
        [LEAD_IN + run / 2 + sin(angle) * DEPTH / 2, 0.0, rise / 2 - cos(angle) * DEPTH / 2]
    )
    _add_box(
        spec,
        options,
        middle,
        half,
        quaternion=np.array([cos(angle / 2), 0.0, -sin(angle / 2), 0.0]),
    )
    _add_box(
        spec,
        options,
        np.array([LEAD_IN + run + 2.0, 0.0, rise / 2]),
        np.array([2.0, HALF_WIDTH, rise / 2]),
    )

    def height(x: float, y: float) -> float:
        return min(max(x - LEAD_IN, 0.0), run) * tan(angle)

    return height


def _stairs(spec: mujoco.MjSpec, options: TerrainOptions) -> Height:
    """Flights of RUNS_PER_FLIGHT steps: up, a landing, down, a landing, and so on."""
    levels = _stair_levels(options.step)
    for left, right, level in levels:
        if level > 0.0:
            half = np.array([(right - left) / 2, HALF_WIDTH, level / 2])
            _add_box(spec, options, np.array([(left + right) / 2, 0.0, level / 2]), half)

    def height(x: float, y: float) -> float:
        return next((level for left, right, level in levels if left <= x < right), 0.0)

    return height


def _stair_levels(step: float) -> list[tuple[float, float, float]]:
    """Start, end and height of every level stretch."""
    levels: list[tuple[float, float, float]] = []
    x = LEAD_IN
    level = 0
    direction = 1
    while x < LEAD_IN + LENGTH:
        for _ in range(RUNS_PER_FLIGHT):
            level += direction
            last = level in (0, RUNS_PER_FLIGHT)
            width = LANDING if last else TREAD
            levels.append((x, x + width, level * step))
            x += width
        direction = -direction
    return levels


def _rough(spec: mujoco.MjSpec, options: TerrainOptions) -> Height:
    """A height field of independent uniform heights in [0, roughness] on a square grid.

    Its near edge is flat.
    """
    columns = round(LENGTH / CELL) + 1
    rows = round(2 * HALF_WIDTH / CELL) + 1
    grid = np.random.default_rng([options.seed, 1]).random((rows, columns))
    grid[:, 0] = 0.0
    half_x = (columns - 1) * CELL / 2
    half_y = (rows - 1) * CELL / 2
    # MuJoCo rescales the data to fill [0, 1].
    grid.flat[-1] = 0.0
    grid.flat[-2] = 1.0
    spec.add_hfield(
        name="rough",
        size=[half_x, half_y, options.roughness, DEPTH],
        nrow=rows,
        ncol=columns,
        userdata=grid.ravel(),
    )
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_HFIELD,
        hfieldname="rough",
        pos=[LEAD_IN + half_x, 0.0, 0.0],
        **_ground(options, STEP_RGBA),
    )

    return HeightGrid(heights=options.roughness * grid, cell=CELL, x=LEAD_IN, y=-half_y).height


def _tile(spec: mujoco.MjSpec, options: TerrainOptions, kind: str, level: int) -> Height:
    """A tile of ALARM around the origin, on which the robot starts on the platform."""
    grid = tile_grid(kind, level, options.seed)
    _add_floor(spec, options, float(grid.heights.min()) - DEPTH)
    return add_tile(spec, grid, _ground(options, STEP_RGBA))


def _add_floor(spec: mujoco.MjSpec, options: TerrainOptions, height: float = 0.0) -> None:
    """The plane under everything at a height [m], with light and sky for pictures."""
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.95, 0.96, 0.98],
        rgb2=[0.62, 0.72, 0.84],
        width=64,
        height=384,
    )
    spec.add_texture(
        name="floor",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        mark=mujoco.mjtMark.mjMARK_EDGE,
        rgb1=[0.72, 0.75, 0.78],
        rgb2=[0.66, 0.69, 0.73],
        markrgb=[0.80, 0.82, 0.84],
        width=512,
        height=512,
    )
    material = spec.add_material(name="floor", texrepeat=[2, 2], texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    spec.worldbody.add_light(
        pos=[-0.2, -0.4, 2.0],
        dir=[0.1, 0.2, -1.0],
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=True,
    )
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.0, 0.0, 0.05],
        pos=[0.0, 0.0, height],
        material="floor",
        **_ground(options, FLOOR_RGBA),
    )


def _add_box(
    spec: mujoco.MjSpec,
    options: TerrainOptions,
    centre: Array,
    half: Array,
    quaternion: Array | None = None,
) -> None:
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=centre,
        size=half,
        quat=np.array([1.0, 0.0, 0.0, 0.0]) if quaternion is None else quaternion,
        **_ground(options, STEP_RGBA),
    )


def _ground(options: TerrainOptions, rgba: tuple[float, float, float, float]) -> dict[str, object]:
    """Contact and colour of every ground geom.

    With priority 1 its friction is the one that counts.
    """
    return {
        "contype": 0,
        "conaffinity": 1,
        "condim": 3,
        "priority": 1,
        "friction": [options.friction, 0.005, 0.0001],
        "rgba": list(rgba),
    }


TERRAINS: dict[str, Callable[[mujoco.MjSpec, TerrainOptions], Height]] = {
    "flat": _flat,
    "slope": _slope,
    "stairs": _stairs,
    "rough": _rough,
}
