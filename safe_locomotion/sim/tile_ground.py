"""A tile of ALARM as ground of the simulator, and flat ground all around.

One sees a height field. Robots touch convex solids instead, see `convex_ground`.
"""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from safe_locomotion.sim.convex_ground import convex_pieces
from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.sim.tiles import CELL, SIDE, tile_heights

SURROUNDINGS = 40.0
"""Width of the flat ground around a tile [m]."""
SOLID = "tile solid"
"""Start of the names of what robots touch."""
DEPTH = 0.5
"""Thickness of the ground under its lowest point [m]."""


def tile_grid(kind: str, level: int, seed: int) -> HeightGrid:
    """A tile whose middle is the origin of the world."""
    heights = tile_heights(kind, level, seed)
    middle = heights.shape[0] // 2
    return HeightGrid(
        heights=heights - heights[middle, middle], cell=CELL, x=-SIDE / 2.0, y=-SIDE / 2.0
    )


def add_tile(
    spec: mujoco.MjSpec, grid: HeightGrid, ground: dict[str, Any]
) -> Callable[[float, float], float]:
    """Add a tile of `tile_grid`; returns its height function.

    The names of the solids begin with `SOLID`.

    Args:
        spec: to add to.
        grid: heights.
        ground: contact and colour of its geoms.
    """
    half = SIDE / 2.0
    border = float(grid.heights[0, 0])
    _draw(spec, grid, ground)
    _add_solids(spec, grid, ground)
    _add_surroundings(spec, border, ground)

    def height(x: float, y: float) -> float:
        inside = -half <= x < half and -half <= y < half
        return grid.height(x, y) if inside else border

    return height


def _draw(spec: mujoco.MjSpec, grid: HeightGrid, ground: dict[str, Any]) -> None:
    """Add what one sees of a tile."""
    lowest = float(grid.heights.min())
    span = max(float(grid.heights.max()) - lowest, 1e-3)
    rows, columns = grid.heights.shape
    half = SIDE / 2.0
    spec.add_hfield(
        name="tile",
        size=[half, half, span, DEPTH],
        nrow=rows,
        ncol=columns,
        userdata=((grid.heights - lowest) / span).ravel(),
    )
    spec.worldbody.add_geom(
        name="tile",
        type=mujoco.mjtGeom.mjGEOM_HFIELD,
        hfieldname="tile",
        pos=[0.0, 0.0, lowest],
        **{**ground, "contype": 0, "conaffinity": 0},
    )


def _add_solids(spec: mujoco.MjSpec, grid: HeightGrid, ground: dict[str, Any]) -> None:
    """Add what robots touch, which is not drawn."""
    base = float(grid.heights.min()) - DEPTH
    for number, top in enumerate(convex_pieces(grid)):
        bottom = top.copy()
        bottom[:, 2] = base
        name = f"{SOLID} {number}"
        spec.add_mesh(name=name, uservert=np.concatenate([top, bottom]).ravel())
        spec.worldbody.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, group=3, **ground
        )


def _add_surroundings(spec: mujoco.MjSpec, border: float, ground: dict[str, Any]) -> None:
    """Add flat ground around a tile, at the height of its border [m]."""
    half = SIDE / 2.0
    wide = SURROUNDINGS / 2.0
    far = half + wide
    for x, y, length, width in (
        (-far, 0.0, wide, far + wide),
        (far, 0.0, wide, far + wide),
        (0.0, -far, half, wide),
        (0.0, far, half, wide),
    ):
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=np.array([x, y, border - DEPTH / 2.0]),
            size=np.array([length, width, DEPTH / 2.0]),
            **ground,
        )
