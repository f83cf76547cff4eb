"""Capture point: where it lies in any attitude, and how it decides who drives."""

from dataclasses import replace
from math import inf, isnan, nan, sqrt
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TICK_NS, TROT, estimate
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import make_intervention
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.rotations import quaternion_from_rpy, rows_from_quaternion
from safe_locomotion.safety.capture_point import (
    CAPTURE,
    MARGINS,
    N_MARGINS,
    CapturePoint,
    margin_row,
)
from safe_locomotion.types import N_JOINTS, Proposal, VelocityCommand

CAPTURED = CapturePoint(A1)
FEET = Kinematics(A1).feet(A1.q_stand)
TIME = sqrt((A1.nominal_height + A1.com[2]) / 9.81)
FRONT = (
    (FEET[:, 0].max() - A1.com[0]) / TIME
)  #: forward velocity at which the capture point of a standing robot lies under its front feet


def test_a_standing_robot_is_captured_until_its_speed_reaches_past_the_feet() -> None:
    """At rest the distance is that to the nearest side. Velocity in any direction counts."""
    middle = np.array((*A1.com[:2], 0.0))
    nearest = np.abs(
        np.array(
            [FEET[:, k].max() - middle[k] for k in (0, 1)]
            + [middle[k] - FEET[:, k].min() for k in (0, 1)]
        )
    )
    assert CAPTURED.beyond(estimate()) == pytest.approx(-nearest.min())
    for sign, side in ((1.0, FEET.max(axis=0)), (-1.0, FEET.min(axis=0))):
        for k in (0, 1):
            for excess in (-0.01, 0.01):
                velocity = np.zeros(3)
                velocity[k] = (side[k] - middle[k] + sign * excess) / TIME
                assert CAPTURED.beyond(estimate(velocity=velocity)) == pytest.approx(excess)


@given(
    st.floats(-0.4, 0.4),
    st.floats(-0.4, 0.4),
    st.floats(-3.1, 3.1),
    *(st.lists(st.floats(-1.0, 1.0), min_size=n, max_size=n) for n in (3, N_JOINTS)),
)
def test_it_is_the_plain_geometry_in_any_attitude(roll, pitch, yaw, velocity, change) -> None:
    """Matrices give the same: rotate all points to the world, then by the heading."""
    now = estimate(
        position=np.array((4.0, -3.0, 0.5)),
        ground_height=0.2,
        quaternion_wxyz=quaternion_from_rpy(roll, pitch, yaw),
        velocity=np.array(velocity),
        q=A1.q_stand + 0.2 * np.array(change),
    )
    r = np.array(rows_from_quaternion(now.quaternion_wxyz))
    com = r @ A1.com
    feet = Kinematics(A1).feet(now.q) @ r.T
    heading = np.array((np.cos(yaw), np.sin(yaw)))
    axes = np.array((heading, (-heading[1], heading[0])))
    point = axes @ (com[:2] + now.velocity[:2] * sqrt((0.3 + com[2]) / 9.81))
    sides = feet[:, :2] @ axes.T
    expected = max((point - sides.max(axis=0)).max(), (sides.min(axis=0) - point).max())
    assert CAPTURED.beyond(now) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize("name", ["position", "velocity", "quaternion_wxyz", "q"])
def test_what_is_not_finite_is_not_known(name, bad) -> None:
    """One number that is not finite gives NaN or a large distance. Both trigger."""
    clean = getattr(estimate(), name)
    for k in range(len(clean)):
        if (name, k) not in (("position", 0), ("position", 1), ("velocity", 2)):
            value = clean.copy()
            value[k] = bad
            assert not CAPTURED.beyond(estimate(**{name: value})) <= 0.0, k
    for ground_height in (1.0, float(A1.com[2])):  # above the centre of mass, and at it
        assert isnan(CAPTURED.beyond(estimate(position=np.zeros(3), ground_height=ground_height)))


def drives(**named: Any) -> list[bool]:
    """Whether recovery drives before, during and after the feet are left behind.

    The speed is always the same.
    """
    config = load_config(
        "a1", {f"supervisor.intervention.{name}": value for name, value in named.items()}
    )
    tested = make_intervention(A1, config)
    stamp_ns = START_NS
    out = []
    for speed in (0.0, FRONT + 0.1, 0.0):
        for _ in range(8):
            stamp_ns += TICK_NS
            learner = Proposal(
                stamp_ns=stamp_ns, policy="l", kind="gait", gait=replace(TROT, frequency=3.0)
            )
            now = estimate(stamp_ns=stamp_ns, velocity=np.array((speed, 0.0, 0.0)))
            decision = tested.update(now, learner, TROT, VelocityCommand())
        out.append(decision.recovers)
        assert (dict(decision.margins).get(CAPTURE, 1.0) < 0.0) == (
            CAPTURE in dict(decision.margins) and speed > 0.0
        )
    assert tested.statistics.triggers[CAPTURE] == out.count(True)
    assert tested.statistics.figures()["triggers/capture"] == str(out.count(True))
    return out


@pytest.mark.parametrize("criterion", ["naive", "reachability", "planning"])
def test_recovery_drives_while_the_feet_are_left_behind(criterion) -> None:
    """The body stays inside the box. Only the shipped configuration looks at the feet."""
    assert drives(criterion=criterion) == [False, True, False]
    assert drives(criterion=criterion, capture=False) == [False, False, False]


def test_a_row_of_margins_has_a_place_for_each() -> None:
    """A margin that was not measured is NaN, as in verdicts of the box alone."""
    row = margin_row((("capture", 0.5), ("roll", -0.25)))
    assert len(row) == N_MARGINS == 6 and row[MARGINS.index("roll")] == -0.25 and row[-1] == 0.5
    assert np.isnan(row).sum() == 4


def test_its_margin_is_that_of_a_component() -> None:
    """It is 1 in the middle, 0 on the rectangle, negative outside, -inf if it is not known."""
    captured = CapturePoint(A1)
    side = FEET[:, 1].max()
    assert captured.margin(estimate()) == pytest.approx((side - abs(A1.com[1])) / side)
    for share in (0.5, 1.0, 1.5):
        sideways = np.array((0.0, (share * side - A1.com[1]) / TIME, 0.0))
        assert captured.margin(estimate(velocity=sideways)) == pytest.approx(1.0 - share, abs=1e-9)
    assert captured.margin(estimate(velocity=np.array((nan, 0.0, 0.0)))) == -inf
