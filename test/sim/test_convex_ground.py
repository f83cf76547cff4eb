"""Convex pieces of a height grid are that grid."""

import numpy as np
import pytest

from safe_locomotion.sim.convex_ground import convex_pieces
from safe_locomotion.sim.height_grid import HeightGrid
from safe_locomotion.sim.tile_ground import tile_grid
from safe_locomotion.sim.tiles import KINDS, SIDE


def area(corners) -> float:
    """Signed area of a polygon's projection [m2]."""
    x = corners[:, 0]
    y = corners[:, 1]
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def turns(corners):
    """(k,) sine of the turn at each corner, times the sides."""
    before = corners - np.roll(corners, 1, axis=0)
    after = np.roll(corners, -1, axis=0) - corners
    return before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]


@pytest.mark.parametrize(("kind", "level"), [*((kind, 9) for kind in KINDS), ("up_stairs", 0)])
def test_pieces_cover_a_tile(kind: str, level: int) -> None:
    """They are convex, flat, on the ground everywhere, and their areas add up to the tile's."""
    grid = tile_grid(kind, level, 4)
    total = 0.0
    rng = np.random.default_rng(0)
    for piece in convex_pieces(grid):
        total += area(piece)
        assert (turns(piece) > 0.0).all()
        shares = rng.dirichlet(np.ones(len(piece)))
        x, y, z = 0.999 * (shares @ piece) + 0.001 * piece.mean(axis=0)
        assert z == pytest.approx(grid.height(x, y), abs=1e-6)
    assert total == pytest.approx(SIDE**2, abs=1e-6)


def test_flat_ground_is_one_piece() -> None:
    """A plane has four corners, however it is inclined."""
    x = np.arange(33) * 0.05
    heights = 0.3 * x[None, :] - 0.2 * x[:, None]
    grid = HeightGrid(heights=heights, cell=0.05, x=1.0, y=2.0)
    (piece,) = convex_pieces(grid)
    assert len(piece) == 4
    np.testing.assert_allclose(sorted(piece[:, 0]), [1.0, 1.0, 2.6, 2.6])
    np.testing.assert_allclose(piece[:, 2], 0.3 * (piece[:, 0] - 1.0) - 0.2 * (piece[:, 1] - 2.0))


def test_a_corner_of_a_platform_is_split() -> None:
    """Ground around a raised corner is not convex, so it has several pieces."""
    heights = np.zeros((9, 9))
    heights[5:, 5:] = 0.2
    grid = HeightGrid(heights=heights, cell=0.1, x=0.0, y=0.0)
    pieces = list(convex_pieces(grid))
    low = [piece for piece in pieces if not piece[:, 2].any()]
    assert len(low) > 1
    assert sum(area(piece) for piece in pieces) == pytest.approx(0.64)


def test_the_closest_ground_is_the_closest_of_many_points() -> None:
    """On the grid of a tile, from above and from below, against a dense sample."""
    grid = tile_grid("obstacles", 6, 1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.uniform(-3.0, 3.0, 2)
        point = np.array([x, y, grid.height(x, y) + rng.uniform(-0.03, 0.05)])
        found = grid.closest(point, 0.1)
        assert found[2] == pytest.approx(grid.height(found[0], found[1]), abs=1e-9)
        around = np.linspace(-0.08, 0.08, 81)
        sample = [(x + a, y + b, grid.height(x + a, y + b)) for a in around for b in around]
        nearest = np.linalg.norm(np.array(sample) - point, axis=1).min()
        assert np.linalg.norm(found - point) <= nearest + 1e-9


def test_no_ground_is_close_outside_of_a_grid() -> None:
    """The result is NaN, which no comparison takes for a place."""
    grid = HeightGrid(heights=np.zeros((3, 3)), cell=0.1, x=0.0, y=0.0)
    assert np.isnan(grid.closest(np.array([5.0, 5.0, 0.0]), 0.1)).all()
