"""Swing: Raibert's numbers by hand, the curve's ends, apex and derivative."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.control.swing import cycloid, raibert_step
from safe_locomotion.types import Array

COORDINATE = st.floats(-0.5, 0.5)
POINTS = st.tuples(COORDINATE, COORDINATE, COORDINATE).map(np.array)
HEIGHT = 0.07
DURATION = 0.18


def test_raibert_by_hand() -> None:
    """v T/2 + k (v - v*): 0.6 * 0.11 + 0.05 * (0.6 - 0.5) = 0.071; -0.2 * 0.11 + 0.05 * (-0.2 - 0.1) = -0.037."""
    assert raibert_step(0.6, 0.5, 0.22, 0.05, 0.20) == pytest.approx(0.071, rel=1e-12)
    assert raibert_step(-0.2, 0.1, 0.22, 0.05, 0.20) == pytest.approx(-0.037, rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_raibert_is_clipped(sign: float) -> None:
    """To the reach, on both sides; NaN stays NaN and is not turned into a step."""
    assert raibert_step(sign * 9.0, 0.0, 0.2, 0.0, 0.2) == sign * 0.2
    assert raibert_step(sign * 0.1, 0.0, 0.2, 0.0, 0.2) == pytest.approx(sign * 0.01)
    assert math.isnan(raibert_step(math.nan, 0.0, 0.2, 0.0, 0.2))


@given(start=POINTS, end=POINTS)
def test_the_swing_starts_and_ends_at_rest_on_its_points(start: Array, end: Array) -> None:
    """Position and velocity at lift-off and touchdown, also for progress past the ends."""
    for progress, point in ((0.0, start), (1.0, end), (-0.1, start), (1.2, end)):
        position, velocity = cycloid(start, end, HEIGHT, progress, DURATION)
        np.testing.assert_allclose(position, point, atol=1e-12)
        np.testing.assert_allclose(velocity, 0.0, atol=1e-12)


@given(start=POINTS, end=POINTS)
def test_apex_is_above_the_higher_end(start: Array, end: Array) -> None:
    """Half-way the foot is `height` above the higher end, with no vertical speed, horizontally in the middle; never higher."""
    position, velocity = cycloid(start, end, HEIGHT, 0.5, DURATION)
    assert position[2] == pytest.approx(max(start[2], end[2]) + HEIGHT, abs=1e-12)
    assert velocity[2] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(position[:2], (start + end)[:2] / 2, atol=1e-12)
    heights = [cycloid(start, end, HEIGHT, s, DURATION)[0][2] for s in np.linspace(0.0, 1.0, 101)]
    assert max(heights) <= position[2] + 1e-12
    assert (np.diff(heights[:51]) >= 0).all() and (np.diff(heights[50:]) <= 0).all()


@given(start=POINTS, end=POINTS, progress=st.floats(0.001, 0.999))
def test_velocity_is_the_derivative_of_position(start: Array, end: Array, progress: float) -> None:
    """Central differences over time, also across the apex: the curve is continuously differentiable."""
    h = 1e-6
    ahead, behind = (
        cycloid(start, end, HEIGHT, progress + s * h / DURATION, DURATION)[0] for s in (1, -1)
    )
    _, velocity = cycloid(start, end, HEIGHT, progress, DURATION)
    np.testing.assert_allclose(np.subtract(ahead, behind) / (2 * h), velocity, atol=2e-3)


def test_a_quarter_of_the_way_by_hand() -> None:
    """s = 1/4: horizontally 1/4 - 1/(2 pi), vertically half of the way up at full vertical speed 2 * 2 / T."""
    position, velocity = cycloid(np.zeros(3), np.array((0.2, 0.0, 0.0)), 0.08, 0.25, 0.2)
    np.testing.assert_allclose(position, (0.2 * (0.25 - 1 / (2 * math.pi)), 0.0, 0.04), atol=1e-12)
    np.testing.assert_allclose(velocity, (0.2 / 0.2, 0.0, 0.08 * 2 * 2 / 0.2), atol=1e-12)


def test_end_points_are_not_written_to() -> None:
    """They belong to the caller."""
    start = np.zeros(3)
    end = np.ones(3)
    for progress in (0.0, 0.3, 0.7, 1.0):
        cycloid(start, end, HEIGHT, progress, DURATION)
    np.testing.assert_array_equal(start, 0.0)
    np.testing.assert_array_equal(end, 1.0)
