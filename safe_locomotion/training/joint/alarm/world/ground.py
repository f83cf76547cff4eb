"""Terrain on the device: one grid of heights, on which every tile has its place."""

from typing import Any

import numpy as np
import torch
import warp as wp
from torch import Tensor

from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.sim.tiles import SIDE
from safe_locomotion.training.gait.world.arrays import Array2
from safe_locomotion.types import Array

wp.set_module_options({"enable_backward": False})


@wp.struct
class Ground:
    """A `HeightGrid` for kernels.

    Attributes:
        heights: (rows, columns) of the nodes [m].
        cell: distance of nodes [m].
        x, y: place of node (0, 0) [m].
    """

    heights: Array2
    cell: float
    x: float
    y: float


def ground_of(grid: HeightGrid, device: str) -> Any:
    """The grid on a device of Warp."""
    ground = Ground()
    ground.heights = wp.array(grid.heights.astype(np.float32), dtype=float, device=device)
    ground.cell = grid.cell
    ground.x = grid.x
    ground.y = grid.y
    return ground


@wp.func
def node_height(ground: Ground, row: int, column: int) -> float:
    """Height of the nearest node of the grid [m]."""
    r = wp.clamp(row, 0, ground.heights.shape[0] - 1)
    c = wp.clamp(column, 0, ground.heights.shape[1] - 1)
    return ground.heights[r, c]


@wp.func
def height_at(ground: Ground, x: float, y: float) -> float:
    """Height of the ground [m] at a place [m]; `HeightGrid.height`."""
    u = (x - ground.x) / ground.cell
    v = (y - ground.y) / ground.cell
    c = int(wp.floor(u))
    r = int(wp.floor(v))
    s = u - float(c)
    t = v - float(r)
    low = node_height(ground, r, c)
    high = node_height(ground, r + 1, c + 1)
    if s >= t:
        right = node_height(ground, r, c + 1)
        return low + s * (right - low) + t * (high - right)
    left = node_height(ground, r + 1, c)
    return low + t * (left - low) + s * (high - left)


def tile_centres(rows: Tensor, levels: Tensor) -> Tensor:
    """Middles (n, 2) of tiles of `tiles.tile_field` [m].

    Args:
        rows, levels: (n,) place of each tile.
    """
    return SIDE * torch.stack((levels + 0.5, rows + 0.5), dim=1)


def around(forward: Array, left: Array) -> Array:
    """Points (k, 2) of a rectangular pattern around a robot in its heading frame [m]."""
    x, y = np.meshgrid(forward, left, indexing="ij")
    points: Array = np.stack((x.ravel(), y.ravel()), axis=1)
    return points
