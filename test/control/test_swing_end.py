"""Where a swing ends, read back from points of the very cycloid that the controller follows."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.control.swing import cycloid
from safe_locomotion.control.swing_end import EARLIEST, time_left

START = (0.1, -0.2, 0.02)
DURATION = 0.18
HEIGHT = 0.07


@given(st.floats(EARLIEST + 1e-3, 0.999), st.floats(-0.2, 0.3), st.floats(-0.1, 0.1))
def test_the_end_is_found(progress: float, dx: float, dy: float) -> None:
    """From a tenth of a level swing on, point, speed and height give its end within 2 mm of a step of up to 0.3 m."""
    end = (START[0] + dx, START[1] + dy, START[2])
    (x, y, z), (vx, vy, vz) = cycloid(START, end, HEIGHT, progress, DURATION)
    left = time_left((z - START[2]) / HEIGHT, rising=vz > 0.0)
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
    """At the end of a swing nothing is left of it."""
    assert time_left(lift, rising=False) == pytest.approx(0.0, abs=1e-4)
