"""Footholds: Raibert's numbers by hand, and a body that moves steadily."""

import math

import numpy as np
import pytest
from core_values import A1
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.control.footholds import foothold, raibert_step, sideways_reach
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import load_robot

SWING = SwingParameters(velocity_gain=0.05, reach=0.2)
SPEED = st.floats(-0.5, 0.5)


def test_raibert_by_hand() -> None:
    """v T/2 + k (v - v*), by hand.

    0.6 * 0.11 + 0.05 * (0.6 - 0.5) = 0.071; -0.2 * 0.11 + 0.05 * (-0.2 - 0.1) = -0.037.
    """
    assert raibert_step(0.6, 0.5, 0.22, 0.05, 0.20) == pytest.approx(0.071, rel=1e-12)
    assert raibert_step(-0.2, 0.1, 0.22, 0.05, 0.20) == pytest.approx(-0.037, rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_raibert_is_clipped(sign: float) -> None:
    """A step is clipped to the reach on both sides, and NaN stays NaN."""
    assert raibert_step(sign * 9.0, 0.0, 0.2, 0.0, 0.2) == sign * 0.2
    assert raibert_step(sign * 0.1, 0.0, 0.2, 0.0, 0.2) == pytest.approx(sign * 0.01)
    assert math.isnan(raibert_step(math.nan, 0.0, 0.2, 0.0, 0.2))


@given(vx=SPEED, vy=SPEED, wz=st.floats(-1.0, 1.0), left=st.floats(0.0, 0.3))
def test_a_body_that_moves_as_wanted_has_its_feet_under_the_hip_in_mid_stance(
    vx: float, vy: float, wz: float, left: float
) -> None:
    """On touchdown the foot is ahead of its hip by half a stance of the hip's velocity."""
    x = 0.2
    y = -0.1
    place = foothold(
        centre=(1.0, 2.0),
        neutral=(x, y),
        velocity=(vx, vy),
        yaw_rate=wz,
        wanted=(vx, vy, wz),
        left=left,
        stance_duration=0.2,
        parameters=SWING,
    )
    c = math.cos(wz * left)
    s = math.sin(wz * left)
    hip_x = c * x - s * y
    hip_y = s * x + c * y
    expected = (
        1.0 + vx * left + hip_x + 0.1 * (vx - wz * hip_y),
        2.0 + vy * left + hip_y + 0.1 * (vy + wz * hip_x),
    )
    assert place == pytest.approx(expected, abs=1e-12)


def test_a_turn_that_is_not_wanted_is_braked_by_hand() -> None:
    """A body turns by 1 rad/s on the spot and should not; its hip is 0.2 m ahead of it.

    So the hip moves by 0.2 m/s to the left.

    Step: 0.2 * 0.1 + 0.05 * (0.2 - 0) = 0.03 m.
    """
    place = foothold(
        centre=(0.0, 0.0),
        neutral=(0.2, 0.0),
        velocity=(0.0, 0.0),
        yaw_rate=1.0,
        wanted=(0.0, 0.0, 0.0),
        left=0.0,
        stance_duration=0.2,
        parameters=SWING,
    )
    assert place == pytest.approx((0.2, 0.03), abs=1e-12)


def test_a_straight_leg_spans_the_sideways_reach() -> None:
    """The foot of a leg that is raised sideways and straight is there, by forward kinematics."""
    reach = sideways_reach(A1, 0.27)
    height = 0.27 - A1.foot_radius
    offset = float(A1.hip_offset[1])  # of the left front leg
    length = A1.thigh_length + A1.calf_length
    raised = math.atan2(offset + reach, height) - math.atan2(offset, length)
    q = np.zeros(12)
    q[3] = raised
    foot = Kinematics(A1).feet(q)[1]
    hip = A1.hip_position[1]
    assert foot[1] - hip[1] - offset == pytest.approx(reach, abs=1e-9)
    assert hip[2] - foot[2] == pytest.approx(height, abs=1e-9)
    assert sideways_reach(A1, 0.6) == 0.0


@pytest.mark.parametrize("name", ["a1", "go1", "go2", "laikago"])
def test_a_pushed_robot_may_step_as_far_as_its_leg_reaches(name: str) -> None:
    """A shorter step catches less of a push, and a longer one never reaches the ground.

    A1, Go1 and Go2 stepped a fifth less far, and fell from pushes that they hold now.
    """
    mpc = load_config(name).mpc
    farthest = sideways_reach(load_robot(name), mpc.locomotion.body_height)
    assert 0.95 * farthest <= mpc.swing.reach <= 1.1 * farthest
