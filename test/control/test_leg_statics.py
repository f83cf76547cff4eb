"""Leg controller against MuJoCo's dynamics: leg weight, forces of the ground, joint speeds."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from core_values import A1, GAINS, low_state, stance_plan, verdict

from safe_locomotion.control.leg_control import LegController
from safe_locomotion.control.leg_weight import LegWeight
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import robot_file
from safe_locomotion.rotations import (
    matrix_from_quaternion,
    quaternion_from_rpy,
    rows_from_quaternion,
)
from safe_locomotion.types import LEGS, Array, Mode

MODEL = mujoco.MjModel.from_xml_path(str(robot_file("a1", ".xml")))
RNG = np.random.default_rng(7)
POSES = [
    (
        RNG.uniform(A1.q_min, A1.q_max),
        quaternion_from_rpy(*(float(angle) for angle in RNG.uniform(-1.2, 1.2, 3))),
    )
    for _ in range(20)
] + [(A1.q_stand, np.array((1.0, 0.0, 0.0, 0.0)))]


def posed(q: Array, wxyz: Array) -> mujoco.MjData:
    """MuJoCo's robot at rest in this pose."""
    data = mujoco.MjData(MODEL)
    data.qpos[3:7] = wxyz
    data.qpos[7:] = q
    mujoco.mj_forward(MODEL, data)
    return data


@pytest.mark.parametrize(("q", "wxyz"), POSES)
def test_leg_weight_is_mujocos_gravity(q: Array, wxyz: Array) -> None:
    """The torque equals MuJoCo's qfrc_bias of the joints at any pose and attitude.

    At rest inverse dynamics is gravity alone.
    """
    poses = Kinematics(A1).poses(q)
    torque = np.concatenate(
        [LegWeight(A1, leg).torque(poses[leg], rows_from_quaternion(wxyz)[2]) for leg in range(4)]
    )
    np.testing.assert_allclose(torque, posed(q, wxyz).qfrc_bias[6:], atol=1e-9)


@pytest.mark.parametrize(("q", "wxyz"), POSES)
def test_stance_torque_is_minus_the_contact_jacobian_times_the_force(q: Array, wxyz: Array) -> None:
    """A force that MuJoCo applies at the lowest point of each foot is balanced joint by joint."""
    rotation = matrix_from_quaternion(wxyz)
    force = RNG.uniform(-1.0, 1.0, (4, 3)) * (5.0, 5.0, 10.0)
    data = posed(q, wxyz)
    applied = np.zeros(MODEL.nv)
    for leg, name in enumerate(LEGS):
        geom = mujoco.mj_name2id(MODEL, mujoco.mjtObj.mjOBJ_GEOM, f"{name}_foot")
        point = data.geom_xpos[geom] - (0.0, 0.0, A1.foot_radius)
        mujoco.mj_applyFT(
            MODEL, data, rotation @ force[leg], np.zeros(3), point, MODEL.geom_bodyid[geom], applied
        )
    controller = LegController(A1, replace(GAINS, stance_kd=0.0))
    command = controller.update(
        low_state(q=q, quaternion_wxyz=wxyz), verdict(), stance_plan(force=force)
    )
    expected = data.qfrc_bias[6:] - applied[6:]
    assert np.abs(expected).max() < A1.tau_max.min()
    np.testing.assert_allclose(command.tau, expected, atol=1e-9)


def test_standing_forces_leave_the_whole_robot_in_balance() -> None:
    """Torques of the controller and forces of the ground cancel gravity in all 18 equations.

    The forces carry the weight about the centre of mass.
    """
    data = posed(A1.q_stand, np.array((1.0, 0.0, 0.0, 0.0)))
    applied = np.zeros(MODEL.nv)
    feet = Kinematics(A1).feet(A1.q_stand)
    weight = A1.mass * 9.81
    moments = np.vstack((np.ones(4), (feet - A1.com)[:, 0], (feet - A1.com)[:, 1]))
    normal = np.linalg.lstsq(moments, np.array((weight, 0.0, 0.0)), rcond=None)[0]
    force = np.stack((np.zeros(4), np.zeros(4), normal), axis=1)
    command = LegController(A1, GAINS).update(
        low_state(), verdict(mode=Mode.STAND), stance_plan(force=force)
    )
    for leg, name in enumerate(LEGS):
        geom = mujoco.mj_name2id(MODEL, mujoco.mjtObj.mjOBJ_GEOM, f"{name}_foot")
        point = data.geom_xpos[geom] - (0.0, 0.0, A1.foot_radius)
        mujoco.mj_applyFT(
            MODEL, data, force[leg], np.zeros(3), point, MODEL.geom_bodyid[geom], applied
        )
    applied[6:] += command.tau
    np.testing.assert_allclose(applied, data.qfrc_bias, atol=1e-6)


def test_expected_joint_speed_moves_the_foot_as_planned() -> None:
    """dq* solves J dq = v, so that damping does not brake a foot that moves as it should."""
    velocity = RNG.uniform(-0.5, 0.5, (4, 3))
    command = LegController(A1, GAINS).update(
        low_state(), verdict(), stance_plan(foot_velocity=velocity)
    )
    _, jacobians = Kinematics(A1).feet_and_jacobians(A1.q_stand)
    reached = np.stack([jacobians[leg] @ command.dq[3 * leg : 3 * leg + 3] for leg in range(4)])
    np.testing.assert_allclose(reached, velocity, atol=1e-3)


def test_expected_joint_speed_is_bounded_at_a_stretched_knee() -> None:
    """Where the Jacobian is nearly singular the speed stays within the motors'."""
    q = np.tile((0.0, 0.458, -0.9163), 4)
    command = LegController(A1, GAINS).update(
        low_state(q=q), verdict(), stance_plan(foot_velocity=np.full((4, 3), 9.0))
    )
    assert (np.abs(command.dq) <= A1.dq_max).all()
