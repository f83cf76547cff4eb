"""Ground heights on a square grid of nodes, interpolated as MuJoCo's height fields are."""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class HeightGrid:
    """Heights of nodes; outside of them the ground has height 0.

    Attributes:
        heights: (rows, columns) of the nodes [m]; rows run along y, columns along x.
        cell: distance of neighbouring nodes [m].
        x, y: place of node (0, 0) [m].
    """

    heights: Array
    cell: float
    x: float
    y: float

    def height(self, x: float, y: float) -> float:
        """Height of the ground [m] at a place [m]."""
        rows, columns = self.heights.shape
        u = (x - self.x) / self.cell
        v = (y - self.y) / self.cell
        if not (0.0 <= u < columns - 1 and 0.0 <= v < rows - 1):
            return 0.0
        return triangle_height(self.heights, u, v)

    def closest(self, point: Array, reach: float) -> Array:
        """Point (3,) of the ground that is closest to one (3,) above or below it [m].

        Args:
            point: in the world [m].
            reach: ground within this horizontal distance is looked at [m]; without any the result
                is NaN.
        """
        corners = self._triangles(point, reach)
        if not len(corners):
            return np.full(3, np.nan)
        candidates = closest_on_triangles(point, corners)
        nearest: Array = candidates[np.argmin(((candidates - point) ** 2).sum(axis=1))]
        return nearest

    def _triangles(self, point: Array, reach: float) -> Array:
        """(k, 3, 3) corners of the triangles near a point [m]."""
        rows, columns = self.heights.shape
        u = (point[0] - self.x) / self.cell
        v = (point[1] - self.y) / self.cell
        cells = reach / self.cell
        c, r = np.meshgrid(
            np.arange(max(0, floor(u - cells)), min(columns - 1, ceil(u + cells))),
            np.arange(max(0, floor(v - cells)), min(rows - 1, ceil(v + cells))),
        )

        def node(right: int, up: int) -> Array:
            z = self.heights[r + up, c + right]
            x = self.x + self.cell * (c + right)
            y = self.y + self.cell * (r + up)
            nodes: Array = np.stack([x, y, z], axis=-1).reshape(-1, 3)
            return nodes

        low = node(0, 0)
        high = node(1, 1)
        both = [
            np.stack([low, node(1, 0), high], axis=1),
            np.stack([low, high, node(0, 1)], axis=1),
        ]
        return np.concatenate(both)


def triangle_height(heights: Array, u: float, v: float) -> float:
    """Height on the two triangles of a grid cell.

    The cell is split along the diagonal from (column, row) to (column + 1, row + 1).

    Args:
        heights: (rows, columns) of the nodes [m].
        u, v: column and row, with their fractions.
    """
    c = floor(u)
    r = floor(v)
    s = u - c
    t = v - r
    low = float(heights[r, c])
    high = float(heights[r + 1, c + 1])
    if s >= t:
        side = float(heights[r, c + 1])
        return low + s * (side - low) + t * (high - side)
    side = float(heights[r + 1, c])
    return low + t * (side - low) + s * (high - side)


def closest_on_triangles(point: Array, corners: Array) -> Array:
    """Closest point (k, 3) of each of k triangles (k, 3, 3) to a point (3,)."""
    a = corners[:, 0]
    along_b = corners[:, 1] - a
    along_c = corners[:, 2] - a
    normal = np.cross(along_b, along_c)
    size = (normal**2).sum(axis=1)
    way = point - a
    v = (np.cross(way, along_c) * normal).sum(axis=1) / size
    w = (np.cross(along_b, way) * normal).sum(axis=1) / size
    inside = (v >= 0.0) & (w >= 0.0) & (v + w <= 1.0)
    face = a + v[:, None] * along_b + w[:, None] * along_c
    starts = corners
    edges = np.roll(corners, -1, axis=1) - corners
    share = ((point - starts) * edges).sum(axis=2) / (edges**2).sum(axis=2)
    on_edges = starts + np.clip(share, 0.0, 1.0)[..., None] * edges
    nearest = np.argmin(((on_edges - point) ** 2).sum(axis=2), axis=1)
    best = on_edges[np.arange(len(corners)), nearest]
    found: Array = np.where(inside[:, None], face, best)
    return found
