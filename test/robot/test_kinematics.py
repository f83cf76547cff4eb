"""Leg kinematics against MuJoCo, finite differences and its own inverse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import load_robot, robot_file
from safe_locomotion.types import LEGS

mujoco = pytest.importorskip("mujoco")

ROBOT = load_robot("a1")
KINEMATICS = Kinematics(ROBOT)
unit = st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12).map(np.array)


def joints(share: np.ndarray) -> np.ndarray:
    return ROBOT.q_min + share * (ROBOT.q_max - ROBOT.q_min)


@pytest.fixture(scope="module")
def mj():
    model = mujoco.MjModel.from_xml_path(str(robot_file("a1", ".xml")))
    return model, mujoco.MjData(model)


def test_feet_are_where_mujoco_puts_them(mj) -> None:
    """Forward kinematics equals that of the MJCF to 1e-9 m at 200 poses of the joint ranges."""
    model, data = mj
    rng = np.random.default_rng(0)
    for _ in range(200):
        q = joints(rng.random(12))
        data.qpos[:7] = (0, 0, 0, 1, 0, 0, 0)
        data.qpos[7:] = q
        mujoco.mj_kinematics(model, data)
        expected = np.array([data.body(f"{leg}_foot").xpos for leg in LEGS])
        np.testing.assert_allclose(KINEMATICS.feet(q), expected, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(unit)
def test_jacobian_is_the_derivative_of_the_feet(share) -> None:
    """Each Jacobian equals central differences of the foot position.

    `feet` and `feet_and_jacobians` give the same feet.
    """
    q = joints(share)
    h = 1e-6
    feet, jacobians = KINEMATICS.feet_and_jacobians(q)
    np.testing.assert_allclose(feet, KINEMATICS.feet(q), atol=1e-15)
    for j in range(12):
        step = np.zeros(12)
        step[j] = h
        difference = (KINEMATICS.feet(q + step) - KINEMATICS.feet(q - step)) / (2 * h)
        np.testing.assert_allclose(jacobians[j // 3, :, j % 3], difference[j // 3], atol=1e-8)
        np.testing.assert_allclose(np.delete(difference, j // 3, axis=0), 0.0, atol=1e-12)


def test_a_force_balances_its_torques_and_a_singular_leg_pushes_with_none() -> None:
    """J' f = tau at 200 poses; the force is zero where the leg is singular.

    A leg is singular with a stretched knee, and with the foot level with its hip axis.
    """
    rng = np.random.default_rng(0)
    straight = (0.1, 0.4, 0.0)
    level = (0.1, 0.5 * np.pi, 0.0)
    for _ in range(200):
        q = joints(rng.random(12))
        tau = 10.0 * rng.normal(size=12)
        _, jacobians = KINEMATICS.feet_and_jacobians(q)
        for i, (leg, pose) in enumerate(zip(KINEMATICS.legs, KINEMATICS.poses(q), strict=True)):
            part = tau[3 * i : 3 * i + 3]
            np.testing.assert_allclose(jacobians[i].T @ leg.force(pose, *part), part, atol=1e-9)
    for leg in KINEMATICS.legs:
        for singular in (straight, level):
            assert leg.force(leg.pose(*singular), 1.0, 2.0, 3.0) == (0.0, 0.0, 0.0)


@settings(max_examples=200, deadline=None)
@given(unit)
def test_inverse_undoes_forward_below_the_hips(share) -> None:
    """inverse(feet(q)) gives q at every pose whose feet are below their hip axes."""
    q = joints(share).reshape(4, 3)
    q[:, 1] = -0.5 * q[:, 2] + np.clip(q[:, 1], -0.6, 0.6)
    q[:, 1] = np.clip(q[:, 1], ROBOT.q_min[1], ROBOT.q_max[1])
    q = q.reshape(-1)
    solved = KINEMATICS.inverse(KINEMATICS.feet(q))
    np.testing.assert_allclose(KINEMATICS.feet(solved), KINEMATICS.feet(q), atol=1e-9)
    np.testing.assert_allclose(solved, q, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-2.0, 2.0), min_size=12, max_size=12))
def test_inverse_stays_inside_the_joint_ranges(values) -> None:
    """Every target gives finite joint positions inside their ranges, also one out of reach."""
    q = KINEMATICS.inverse(np.array(values).reshape(4, 3))
    assert np.all(q >= ROBOT.q_min) and np.all(q <= ROBOT.q_max)


def test_standing_feet_are_under_the_thigh_joints() -> None:
    """At q_stand and nominal height every foot touches the ground under its thigh joint."""
    feet = KINEMATICS.feet(ROBOT.q_stand)
    thighs = ROBOT.hip_position[:, :2] + np.c_[np.zeros(4), ROBOT.hip_offset]
    np.testing.assert_allclose(feet[:, :2], thighs, atol=1e-12)
    np.testing.assert_allclose(feet[:, 2] - ROBOT.foot_radius, -ROBOT.nominal_height, atol=1e-12)


def test_sitting_feet_are_level_with_the_belly(mj) -> None:
    """At q_sit the soles are level with the lower side of the trunk, within 1 mm."""
    model, _ = mj
    soles = KINEMATICS.feet(ROBOT.q_sit)[:, 2] - ROBOT.foot_radius
    np.testing.assert_allclose(soles, -model.geom("trunk").size[2], atol=1e-3)
