"""Leg odometry against the kinematics and against statics."""

import numpy as np
from legged_motion import robot

from safe_locomotion.estimation.leg_odometry import LegOdometry
from safe_locomotion.robot.kinematics import Kinematics

MODEL = robot()


def test_same_kinematics() -> None:
    """Foot positions and velocities equal those of `Kinematics`, at any pose and speed."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        q = rng.uniform(MODEL.q_min, MODEL.q_max)
        dq = rng.normal(0, 5, 12)
        feet, jacobians = Kinematics(MODEL).feet_and_jacobians(q)
        legs = LegOdometry(MODEL).read(q, dq, np.zeros(12))
        np.testing.assert_allclose([leg.foot for leg in legs], feet, atol=1e-12)
        velocities = (jacobians @ dq.reshape(4, 3, 1))[:, :, 0]
        np.testing.assert_allclose([leg.velocity for leg in legs], velocities, atol=1e-12)


def test_torque_load_inverts_statics() -> None:
    """The load from tau = -J^T f is the force along the leg plane's z axis, at any pose."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        q = rng.uniform(MODEL.q_min, MODEL.q_max)
        force = rng.normal(0, 50, (4, 3))
        _, jacobians = Kinematics(MODEL).feet_and_jacobians(q)
        tau = -(jacobians.transpose(0, 2, 1) @ force[:, :, None]).reshape(12)
        legs = LegOdometry(MODEL).read(q, np.zeros(12), tau)
        expected = np.cos(q[::3]) * force[:, 2] - np.sin(q[::3]) * force[:, 1]
        np.testing.assert_allclose([leg.load for leg in legs], expected, atol=1e-8)


def test_a_standing_foot_rolls() -> None:
    """The contact point of a standing foot is at rest for any joint speeds and any turning base.

    It lies one radius from the centre, against the normal.
    """
    rng = np.random.default_rng(2)
    odometry = LegOdometry(MODEL)
    for _ in range(20):
        q = rng.uniform(MODEL.q_min, MODEL.q_max)
        dq = rng.normal(0, 5, 12)
        omega = rng.normal(0, 2, 3)
        normal = rng.normal(0, 1, 3)
        normal /= np.linalg.norm(normal)
        for leg in odometry.read(q, dq, np.zeros(12)):
            base, rolling = odometry.standing(leg, tuple(omega), tuple(normal))
            centre = np.array(base) + np.cross(omega, leg.foot) + leg.velocity
            np.testing.assert_allclose(centre, rolling, atol=1e-12)
            contact = centre + np.cross(omega + leg.calf_rate, -MODEL.foot_radius * normal)
            np.testing.assert_allclose(contact, 0.0, atol=1e-12)
