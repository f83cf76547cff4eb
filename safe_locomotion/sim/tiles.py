"""Tiles of ALARM's terrain: five kinds, ten levels, squares of 8 m with a platform in the middle.

A robot starts on the platform and leaves the tile across its border, whatever its heading. Every
border is at height 0, so tiles can lie side by side without cliffs. Therefore the platform of a
tile that rises towards its border lies below 0.

Heights are those of section III.A of ALARM. Its height noise of U(-5, 5) cm is scaled with the
level here, so that level 0 is smooth. The paper is silent on the grid of the noise, the tread, the
platform and the sizes of obstacles. Tread and obstacles are as in legged_gym.
"""

from collections.abc import Callable
from math import radians, tan

import numpy as np

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.types import Array

SIDE = 8.0
"""Length and width of a tile [m]."""
CELL = 0.05
"""Distance of nodes [m]; the riser of a stair is as deep."""
CELLS = round(SIDE / CELL)
LEVELS = 10
MARGIN = 0.2
"""Flat strip along the border [m]."""
PLATFORM = 2.0
"""Side of the flat square in the middle [m]."""
RUN = (SIDE - PLATFORM) / 2.0 - MARGIN
"""From the flat strip to the platform [m]."""
TREAD = 0.31
"""Depth of a stair [m]."""
STAIRS = int(RUN / TREAD)
RECTANGLES = 20
"""Obstacles of a tile; they may overlap."""
RECTANGLE = (1.0, 2.0)
"""Shortest and longest side of an obstacle [m]."""
NOISE = 0.05
"""Largest height noise at the highest level [m]."""
NOISE_CELL = 0.2
"""Distance of the nodes between which the noise is linear [m]."""

Shape = Callable[[float, np.random.Generator], Array]


def tile_heights(kind: str, level: int, seed: int) -> Array:
    """Heights (161, 161) of the nodes of a tile [m], rows along y.

    Args:
        kind: one of `KINDS`.
        level: 0 to 9.
        seed: of the noise and the obstacles.

    Raises:
        UnknownNameError: no such kind.
        ConfigurationError: no such level.
    """
    check_tile(kind, level)
    share = level / (LEVELS - 1)
    rng = np.random.default_rng([seed, KINDS.index(kind), level])
    heights: Array = _SHAPES[kind](share, rng) + share * _noise(rng)
    return heights


def check_tile(kind: str, level: int) -> None:
    """Refuse a tile that does not exist.

    Raises:
        UnknownNameError: no such kind.
        ConfigurationError: no such level.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of terrain", kind, KINDS)
    if not 0 <= level < LEVELS:
        raise ConfigurationError(f"level {level} of {kind} is outside 0 to {LEVELS - 1}")


def tile_field(rows: tuple[str, ...], levels: int, seed: int) -> HeightGrid:
    """Tiles side by side: one row along x per kind, with levels that increase along x.

    A flat strip of one tile's half surrounds them. The first tile has its corner at the origin.

    Args:
        rows: kind of each row, from y = 0 on.
        levels: how many tiles a row has, 1 to 10.
        seed: of noise and obstacles; every row draws its own.
    """
    strip = CELLS // 2
    shape = (len(rows) * CELLS + 1 + 2 * strip, levels * CELLS + 1 + 2 * strip)
    heights: Array = np.zeros(shape)
    for row, kind in enumerate(rows):
        for level in range(levels):
            bottom = strip + row * CELLS
            left = strip + level * CELLS
            tile = tile_heights(kind, level, seed + row)
            heights[bottom : bottom + CELLS + 1, left : left + CELLS + 1] = tile
    return HeightGrid(heights=heights, cell=CELL, x=-strip * CELL, y=-strip * CELL)


def border_distance() -> Array:
    """(161, 161) distance of the nodes of a tile from its border [m]."""
    nodes = np.arange(CELLS + 1) * CELL
    near = np.minimum(nodes, SIDE - nodes)
    distance: Array = np.minimum(near[:, None], near[None, :])
    return distance


def _way_in() -> Array:
    """Way from the flat strip towards the platform [m], from 0 to RUN."""
    return np.clip(border_distance() - MARGIN, 0.0, RUN)


def _slopes(angle: float) -> Shape:
    """Slopes outwards; at the highest level they fall by `angle` [rad]."""
    return lambda share, rng: tan(share * angle) * _way_in()


def _stairs(lowest: float, more: float) -> Shape:
    """Stairs outwards; each falls by `lowest` [m], and by `more` in addition at level 9."""

    def heights(share: float, rng: np.random.Generator) -> Array:
        risers = np.minimum(np.ceil(_way_in() / TREAD - 1e-9), STAIRS)
        return (lowest + share * more) * risers

    return heights


def _obstacles(share: float, rng: np.random.Generator) -> Array:
    """Rectangles of one height on flat ground, clear of the platform and the border."""
    heights = np.zeros((CELLS + 1, CELLS + 1))
    for _ in range(RECTANGLES):
        size = rng.integers(
            round(RECTANGLE[0] / CELL), round(RECTANGLE[1] / CELL), 2, endpoint=True
        )
        corner = rng.integers(0, CELLS + 1 - size)
        place = tuple(slice(at, at + length + 1) for at, length in zip(corner, size, strict=True))
        heights[place] = 0.05 + share * 0.23
    way = border_distance() - MARGIN
    heights[(way <= 0.0) | (way >= RUN)] = 0.0
    return heights


def _noise(rng: np.random.Generator) -> Array:
    """Noise of the highest level [m], 0 on the border.

    It is linear on the triangles of its own grid, whose cells are split as by `triangle_height`.
    """
    every = round(NOISE_CELL / CELL)
    cells = CELLS // every
    coarse = rng.uniform(-NOISE, NOISE, (cells + 1, cells + 1))
    coarse[[0, -1], :] = 0.0
    coarse[:, [0, -1]] = 0.0
    nodes = np.arange(CELLS + 1)
    first = np.minimum(nodes // every, cells - 1)
    share = nodes / every - first
    row = first[:, None]
    column = first[None, :]
    t = share[:, None]
    s = share[None, :]
    low = coarse[row, column]
    high = coarse[row + 1, column + 1]
    right = coarse[row, column + 1]
    left = coarse[row + 1, column]
    noise: Array = np.where(
        s >= t,
        low + s * (right - low) + t * (high - right),
        low + t * (left - low) + s * (high - left),
    )
    return noise


_SHAPES: dict[str, Shape] = {
    "up_slopes": _slopes(-radians(30.0)),
    "down_slopes": _slopes(radians(45.0)),
    "up_stairs": _stairs(-0.05, -0.18),
    "down_stairs": _stairs(0.05, 0.20),
    "obstacles": _obstacles,
}
KINDS = tuple(_SHAPES)
