"""A height grid as convex solids, for MuJoCo's contacts.

MuJoCo collides with a height field as with one prism for each triangle. A thin limb whose axis is
below the surface leaves such a prism through the nearest side, which is buried in the ground: it
is pushed along the ground and caught. Solids that are as large as the ground is flat have few such
sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.types import Array

Numbers = NDArray[np.int64]
Corner = tuple[int, int]
"""Row and column of a node."""

ALIGNED = 4
"""Blocks are split at multiples of this many cells, while they are larger."""
MOST_PLANES = 64
"""A larger block with more planes than this is split without a look at their shapes."""
SAME = 1e-7
"""Planes whose slopes and offsets round to the same multiple of this are one."""


@dataclass(frozen=True, slots=True)
class Block:
    """Cells of a grid: rows and columns from the first to before the last."""

    row: int
    column: int
    end_row: int
    end_column: int

    def halves(self) -> tuple["Block", "Block"]:
        """The block, cut across its longer side."""
        rows = self.end_row - self.row
        columns = self.end_column - self.column
        if rows >= columns:
            cut = _middle(self.row, self.end_row)
            return (
                Block(self.row, self.column, cut, self.end_column),
                Block(cut, self.column, self.end_row, self.end_column),
            )
        cut = _middle(self.column, self.end_column)
        return (
            Block(self.row, self.column, self.end_row, cut),
            Block(self.row, cut, self.end_row, self.end_column),
        )


def convex_pieces(grid: HeightGrid) -> Iterator[Array]:
    """Surfaces of flat convex pieces that cover the grid and do not overlap.

    Yields:
        (k, 3) corners of a piece in the world [m].
    """
    planes = _planes(grid.heights)
    rows = grid.heights.shape[0] - 1
    columns = grid.heights.shape[1] - 1
    waiting = [Block(0, 0, rows, columns)]
    while waiting:
        block = waiting.pop()
        polygons = _polygons(planes, block)
        if polygons is None:
            waiting.extend(block.halves())
            continue
        for nodes in polygons:
            r = nodes[:, 0]
            c = nodes[:, 1]
            x = grid.x + grid.cell * c
            y = grid.y + grid.cell * r
            yield np.column_stack([x, y, grid.heights[r, c]])


def _middle(begin: int, end: int) -> int:
    """About halfway between two rows, at a multiple of `ALIGNED` where one lies between."""
    middle = (begin + end) // 2
    aligned = round(middle / ALIGNED) * ALIGNED
    return aligned if begin < aligned < end else middle


def _planes(heights: Array) -> Numbers:
    """(rows, columns, 2) number of the plane in which each triangle of each cell lies."""
    r, c = np.indices((heights.shape[0] - 1, heights.shape[1] - 1))
    low = heights[:-1, :-1]
    high = heights[1:, 1:]
    right = heights[:-1, 1:]
    left = heights[1:, :-1]
    keys = []
    for along_x, along_y in ((right - low, high - right), (high - left, left - low)):
        keys.append(np.stack([along_x, along_y, low - along_x * c - along_y * r], axis=-1))
    rounded = np.round(np.stack(keys, axis=2) / SAME).astype(np.int64)
    _, number = np.unique(rounded.reshape(-1, 3), axis=0, return_inverse=True)
    planes: Numbers = number.reshape(rounded.shape[:3])
    return planes


def _polygons(planes: Numbers, block: Block) -> list[Array] | None:
    """Corners (k, 2) as rows and columns of each plane's piece; None when one is not convex."""
    inside = planes[block.row : block.end_row, block.column : block.end_column]
    found = np.unique(inside)
    small = max(inside.shape[:2]) <= ALIGNED
    if len(found) > MOST_PLANES and not small:
        return None
    polygons = []
    for plane in found:
        r, c, side = np.nonzero(inside == plane)
        triangles = list(zip(r.tolist(), c.tolist(), side.tolist(), strict=True))
        nodes = {(r, c) for r, c, _ in triangles}
        nodes.update((r + 1, c + 1) for r, c, _ in triangles)
        nodes.update((r + side, c + 1 - side) for r, c, side in triangles)
        hull, area = _hull(sorted(nodes))
        if area > 0.5 * len(triangles) + 0.25:
            return None
        polygons.append(np.array(hull) + np.array([block.row, block.column]))
    return polygons


def _hull(points: list[Corner]) -> tuple[list[Corner], float]:
    """Convex hull of points in lexical order, and its area (Andrew's algorithm).

    Corners as rows and columns run clockwise, so they run counter-clockwise as x and y.
    """
    hull = _half(points) + _half(points[::-1])
    area = sum(a * d - b * c for (a, b), (c, d) in zip(hull, hull[1:] + hull[:1], strict=True))
    return hull[::-1], 0.5 * area


def _half(points: list[Corner]) -> list[Corner]:
    """One chain of a hull, without its last corner."""
    chain: list[Corner] = []
    for r, c in points:
        while len(chain) > 1:
            (a, b), (d, e) = chain[-2:]
            if (d - a) * (c - b) > (e - b) * (r - a):
                break
            chain.pop()
        chain.append((r, c))
    return chain[:-1]
