"""Swing: ends, apex and derivative of the curve, and its end read back from one of its points."""

import math
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.control.swing import EARLIEST, cycloid, time_left
from safe_locomotion.types import Array

COORDINATE = st.floats(-0.5, 0.5)
POINTS = st.tuples(COORDINATE, COORDINATE, COORDINATE).map(np.array)
LIFT_OFF = (0.1, -0.2, 0.02)
HEIGHT = 0.07
DURATION = 0.18


@given(start=POINTS, end=POINTS)
def test_the_swing_starts_and_ends_at_rest_on_its_points(start: Array, end: Array) -> None:
    """The foot is at rest on its points at lift-off and touchdown, and past them."""
    for progress, point in ((0.0, start), (1.0, end), (-0.1, start), (1.2, end)):
        position, velocity = cycloid(start, end, HEIGHT, progress, DURATION)
        np.testing.assert_allclose(position, point, atol=1e-12)
        np.testing.assert_allclose(velocity, 0.0, atol=1e-12)


@given(start=POINTS, end=POINTS)
def test_apex_is_above_the_higher_end(start: Array, end: Array) -> None:
    """Half-way the foot is `height` above the higher end, horizontally in the middle.

    It has no vertical speed there, and is never higher.
    """
    position, velocity = cycloid(start, end, HEIGHT, 0.5, DURATION)
    assert position[2] == pytest.approx(max(start[2], end[2]) + HEIGHT, abs=1e-12)
    assert velocity[2] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(position[:2], (start + end)[:2] / 2, atol=1e-12)
    heights = [cycloid(start, end, HEIGHT, s, DURATION)[0][2] for s in np.linspace(0.0, 1.0, 101)]
    assert max(heights) <= position[2] + 1e-12
    assert (np.diff(heights[:51]) >= 0).all() and (np.diff(heights[50:]) <= 0).all()


@given(start=POINTS, end=POINTS, progress=st.floats(0.001, 0.999))
def test_velocity_is_the_derivative_of_position(start: Array, end: Array, progress: float) -> None:
    """Central differences over time agree with the velocity, also across the apex."""
    h = 1e-6
    ahead, _ = cycloid(start, end, HEIGHT, progress + h / DURATION, DURATION)
    behind, _ = cycloid(start, end, HEIGHT, progress - h / DURATION, DURATION)
    _, velocity = cycloid(start, end, HEIGHT, progress, DURATION)
    np.testing.assert_allclose(np.subtract(ahead, behind) / (2 * h), velocity, atol=2e-3)


def test_a_quarter_of_the_way_by_hand() -> None:
    """At s = 1/4 the foot is horizontally at 1/4 - 1/(2 pi) of its way.

    Vertically it is half of the way up, at full vertical speed 2 * 2 / T.
    """
    position, velocity = cycloid(np.zeros(3), np.array((0.2, 0.0, 0.0)), 0.08, 0.25, 0.2)
    np.testing.assert_allclose(position, (0.2 * (0.25 - 1 / (2 * math.pi)), 0.0, 0.04), atol=1e-12)
    np.testing.assert_allclose(velocity, (0.2 / 0.2, 0.0, 0.08 * 2 * 2 / 0.2), atol=1e-12)


def test_end_points_are_not_written_to() -> None:
    """Points are not changed, because they belong to the caller."""
    start = np.zeros(3)
    end = np.ones(3)
    for progress in (0.0, 0.3, 0.7, 1.0):
        cycloid(start, end, HEIGHT, progress, DURATION)
    np.testing.assert_array_equal(start, 0.0)
    np.testing.assert_array_equal(end, 1.0)


@given(st.floats(EARLIEST + 1e-3, 0.999), st.floats(-0.2, 0.3), st.floats(-0.1, 0.1))
def test_the_end_is_found(progress: float, dx: float, dy: float) -> None:
    """From a tenth of a level swing on, one point tells its end within 2 mm.

    The point has position, speed and height; the step is up to 0.3 m long.
    """
    end = (LIFT_OFF[0] + dx, LIFT_OFF[1] + dy, LIFT_OFF[2])
    (x, y, z), (vx, vy, vz) = cycloid(LIFT_OFF, end, HEIGHT, progress, DURATION)
    left = time_left((z - LIFT_OFF[2]) / HEIGHT, rising=vz > 0.0)
    assert left is not None
    assert (x + left * DURATION * vx, y + left * DURATION * vy) == pytest.approx(end[:2], abs=2e-3)


@pytest.mark.parametrize(
    ("lift", "rising"), [(0.0, True), (-0.1, True), (0.01, True), (nan, True), (nan, False)]
)
def test_nothing_is_said_too_early_or_about_nan(lift: float, rising: bool) -> None:
    """A foot that has hardly left the ground does not tell where it goes."""
    assert time_left(lift, rising=rising) is None


@pytest.mark.parametrize("lift", [0.0, -1.0, -inf])
def test_a_foot_that_is_down_stays(lift: float) -> None:
    """A foot on the ground has nothing left of its swing."""
    assert time_left(lift, rising=False) == pytest.approx(0.0, abs=1e-4)
