"""Hops and feet distance, worked out by hand on made-up logs."""

import math

import numpy as np
import pytest
from core_values import A1

from safe_locomotion.sim.feet_figures import FeetLog, feet_distance, feet_figures, hops

DT = 0.002
LOAD = 30.0  # N


def feet_log(n: int, in_air: list[tuple[int, int]], walking: bool = True) -> FeetLog:
    """A robot in its standing pose whose feet carry load, but for some rows."""
    force = np.full((n, 4), LOAD)
    for start, end in in_air:
        force[start:end] = 0.0
    return FeetLog(
        time=DT * np.arange(n),
        force=force,
        q=np.tile(A1.q_stand, (n, 1)),
        walking=np.full(n, walking),
    )


def test_a_landing_after_a_flight_is_a_hop() -> None:
    """Two flights of 20 and 10 ms count, one of 6 ms does not, and one without end does not."""
    log = feet_log(300, [(20, 30), (50, 55), (80, 83), (290, 300)])
    assert hops(log, A1) == 2


def test_one_loaded_foot_is_no_flight() -> None:
    """A robot on one foot has not hopped; one that falls on a foot of 2 N still flies."""
    log = feet_log(100, [(20, 40)])
    log.force[20:40, 2] = LOAD
    assert hops(log, A1) == 0
    log.force[20:40, 2] = 2.0
    assert hops(log, A1) == 1


def test_a_robot_that_does_not_walk_does_not_hop() -> None:
    """Standing up and sitting down do not count, nor does an empty log."""
    assert hops(feet_log(100, [(20, 40)], walking=False), A1) == 0
    assert hops(feet_log(0, []), A1) == 0


def test_the_distance_of_a_standing_robot_is_that_of_its_hips() -> None:
    """Feet in the air do not count, and neither do the first two seconds."""
    log = feet_log(1500, [])
    width = 2.0 * float(abs(A1.hip_position[0, 1] + A1.hip_offset[0]))
    assert feet_distance(log, A1) == pytest.approx(width, abs=1e-3)
    log.q[:900, 0] += 0.3
    log.q[1200:, 3] += 0.3
    log.force[1200:, 1] = 0.0
    assert feet_distance(log, A1) == pytest.approx(width, abs=1e-3)


def test_a_foot_that_never_carries_load_has_no_distance() -> None:
    """NaN, which the report writes as null."""
    log = feet_log(1500, [])
    log.force[:, 3] = 0.0
    figures = feet_figures(log, A1)
    assert math.isnan(figures["feet_distance_m"]) and figures["hops"] == 0
