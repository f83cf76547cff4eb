"""Ground heights on a square grid of nodes, interpolated as MuJoCo's height fields are."""

from dataclasses import dataclass
from math import floor

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
