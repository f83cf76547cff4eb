"""Motor model: impedance law, torque-speed plane, heat."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.motors import AMBIENT, Impedance, MotorParameters, Motors, PowerMeter
from safe_locomotion.types import LowCommand

ROBOT = load_robot("a1")


def motors() -> Motors:
    return Motors(ROBOT, MotorParameters())


def full(tau: float) -> Impedance:
    zero = np.zeros(12)
    return Impedance.from_command(
        LowCommand(stamp_ns=0, q=zero, dq=zero, tau=np.full(12, tau), kp=zero, kd=zero)
    )


def test_impedance_law() -> None:
    """Inside the limits the torque is tau + kp (q* - q) + kd (dq* - dq)."""
    rng = np.random.default_rng(0)
    q_set, dq_set, tau, kp, kd, q, dq = rng.uniform(0.0, 1.0, (7, 12))
    motor = motors()
    motor.update(
        Impedance.from_command(LowCommand(stamp_ns=0, q=q_set, dq=dq_set, tau=tau, kp=kp, kd=kd)),
        q,
        dq,
    )
    np.testing.assert_allclose(motor.tau, tau + kp * (q_set - q) + kd * (dq_set - dq), atol=1e-12)


@pytest.mark.parametrize(
    ("speed", "driving"),
    [
        (0.0, 33.5),
        (13.9, 33.5),
        (14.0, 33.5),
        (17.5, 16.75),
        (21.0, 0.0),
        (25.0, 0.0),
        (300.0, 0.0),
    ],
)
def test_torque_speed_plane(speed, driving) -> None:
    """Driving torque falls linearly from 14 to 21 rad/s and stays zero; braking torque stays full.

    Both directions behave alike.
    """
    motor = motors()
    for sign in (1.0, -1.0):
        dq = np.full(12, sign * speed)
        motor.update(full(sign * 1e3), np.zeros(12), dq)
        np.testing.assert_allclose(motor.tau, sign * driving, atol=1e-12)
        motor.update(full(-sign * 1e3), np.zeros(12), dq)
        np.testing.assert_allclose(motor.tau, -sign * 33.5, atol=1e-12)


def test_one_fast_joint_does_not_limit_the_others() -> None:
    """Only the joint past the knee loses torque."""
    motor = motors()
    dq = np.zeros(12)
    dq[4] = 17.5
    motor.update(full(1e3), np.zeros(12), dq)
    assert motor.tau[4] == pytest.approx(16.75) and set(np.delete(motor.tau, 4)) == {33.5}


def test_friction_opposes_motion() -> None:
    """Gear friction has the size of the Coulomb constant and acts against the motion.

    It is zero at rest, and acts on limp motors too.
    """
    motor = motors()
    motor.update(None, np.zeros(12), np.r_[np.full(6, 1.0), np.full(5, -1.0), 0.0])
    np.testing.assert_allclose(
        motor.friction, np.r_[np.full(6, -0.2), np.full(5, 0.2), 0.0], atol=1e-9
    )
    assert not motor.tau.any()


def test_positive_work_only() -> None:
    """Driving counts as energy, braking does not: 2 Nm at 3 rad/s for 1 s on one joint are 6 J."""
    meter = PowerMeter(MotorParameters(), 0.001)
    tau = np.zeros(12)
    dq = np.zeros(12)
    tau[:2] = (2.0, 2.0)
    dq[:2] = (3.0, -3.0)
    for _ in range(1000):
        meter.add(tau, dq)
    assert meter.energy == pytest.approx(6.0)


def test_temperature_settles_where_the_constants_say() -> None:
    """Under constant torque the temperature approaches ambient + heating tau^2.

    It does so as a first-order system.
    """
    parameters = MotorParameters(thermal_time=1.0)
    meter = PowerMeter(parameters, 0.001)
    tau = np.full(12, 10.0)
    for _ in range(200):
        for _ in range(50):
            meter.add(tau, np.zeros(12))
        meter.settle(50)
    np.testing.assert_allclose(meter.temperature, AMBIENT + 0.38 * 100.0, rtol=1e-3)
