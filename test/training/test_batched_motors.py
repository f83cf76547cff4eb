"""Batched motors give the torques of the simulator's motors."""

import numpy as np
import pytest

pytest.importorskip("warp")

import warp as wp

from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.motors import Impedance, Motors, load_motors
from safe_locomotion.training.gait.world.arrays import Array1
from safe_locomotion.training.gait.world.motors import (
    Drives,
    drives_of,
    gear_friction,
    motor_torque,
)
from safe_locomotion.types import N_JOINTS

A1 = load_robot("a1")
SPEEDS = (0.0, 0.01, 0.05, 1.0, 13.9, 14.0, 14.1, 17.5, 20.9, 21.0, 21.1, 40.0, 500.0)  # rad/s
SHARES = (0.0, 0.3, 0.99, 1.0, 1.01, 50.0)  # of the peak torque


@wp.kernel
def torques(drives: Drives, wanted: Array1, dq: Array1, tau: Array1, friction: Array1):
    k = wp.tid()
    joint = k % 12
    tau[k] = motor_torque(drives, joint, wanted[k], dq[k])
    friction[k] = gear_friction(drives, dq[k])


def batched(wanted: np.ndarray, dq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Torque and gear friction of each motor, one row of twelve per case."""
    out = [wp.zeros(wanted.size, dtype=float) for _ in range(2)]
    inputs = [wp.array(x.ravel().astype(np.float32), dtype=float) for x in (wanted, dq)]
    wp.launch(torques, wanted.size, inputs=[drives_of(A1, "cpu"), *inputs, *out])
    tau, friction = (values.numpy().reshape(wanted.shape) for values in out)
    return tau, friction


def test_torques_agree_on_the_whole_plane() -> None:
    """Driving, braking, at the knee, at the limits and past them, torques agree to 1e-4 Nm."""
    signed = [sign * speed for speed in SPEEDS for sign in (1.0, -1.0)]
    shares = [sign * share for share in SHARES for sign in (1.0, -1.0)]
    cases = [(speed, share) for speed in signed for share in shares]
    dq = np.array([np.full(N_JOINTS, speed) for speed, _ in cases])
    wanted = np.array([share * A1.tau_max for _, share in cases])
    tau, friction = batched(wanted, dq)
    motors = Motors(A1, load_motors("a1"))
    zero = np.zeros(N_JOINTS)
    for k in range(len(cases)):
        motors.update(Impedance(wanted[k], zero, zero, zero), zero, dq[k])
        np.testing.assert_allclose(tau[k], motors.tau, atol=1e-4)
        np.testing.assert_allclose(friction[k], motors.friction, atol=1e-6)


def test_a_torque_that_is_not_finite_gives_none() -> None:
    """NaN and infinity from a controller do not reach the joints."""
    wanted = np.array([np.resize((np.nan, np.inf, -np.inf), N_JOINTS)])
    tau, _ = batched(wanted, np.ones((1, N_JOINTS)))
    np.testing.assert_array_equal(tau, 0.0)
