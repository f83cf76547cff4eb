"""Motor model: impedance law, torque-speed plane, heat."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion import shared_files
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot, robot_file
from safe_locomotion.sim.motors import AMBIENT, Impedance, Motors, PowerMeter, load_motors
from safe_locomotion.types import LowCommand

ROBOT = load_robot("a1")
MOTORS = load_motors("a1")


def motors() -> Motors:
    return Motors(ROBOT, MOTORS)


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


def test_each_kind_of_joint_has_its_own_curve() -> None:
    """Hips, thighs and calves lose torque from their own speeds on; all end at `dq_max`.

    Half way between knee and end, half of the peak torque is left.
    """
    speeds = (14.0, 7.0, 3.0)
    motor = Motors(ROBOT, replace(MOTORS, full_torque_speed=speeds))
    dq = np.tile(np.array(speeds), 4)
    motor.update(full(1e3), np.zeros(12), dq)
    np.testing.assert_allclose(motor.tau, 33.5, atol=1e-12)
    motor.update(full(1e3), np.zeros(12), 0.5 * (dq + 21.0))
    np.testing.assert_allclose(motor.tau, 16.75, atol=1e-12)
    motor.update(full(-1e3), np.zeros(12), 0.5 * (dq + 21.0))
    np.testing.assert_allclose(motor.tau, -33.5, atol=1e-12)


def test_a_slow_knee_counts_although_the_sum_of_speeds_is_small() -> None:
    """A calf past its knee loses torque while no other joint moves."""
    motor = Motors(ROBOT, replace(MOTORS, full_torque_speed=(14.0, 14.0, 3.0)))
    dq = np.zeros(12)
    dq[2] = 12.0
    motor.update(full(1e3), np.zeros(12), dq)
    assert motor.tau[2] == pytest.approx(16.75) and set(np.delete(motor.tau, 2)) == {33.5}


def test_a_file_with_a_missing_number_is_refused(tmp_path, monkeypatch) -> None:
    """A motor file without one of its numbers stops the start, and the message names it."""
    folder = tmp_path / "models" / "robots" / "a1"
    folder.mkdir(parents=True)
    for suffix in ("a1.urdf", "a1.xml"):
        (folder / suffix).write_text("")
    lines = robot_file("a1", ".xml").with_name("motors.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("coulomb_speed")]
    (folder / "motors.yaml").write_text("\n".join(kept))
    monkeypatch.setattr(shared_files, "share_roots", lambda: (tmp_path,))
    with pytest.raises(ConfigurationError, match=r"motors\.yaml: missing coulomb_speed"):
        load_motors("a1")


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
    meter = PowerMeter(MOTORS, 0.001)
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
    parameters = replace(MOTORS, thermal_time=1.0)
    meter = PowerMeter(parameters, 0.001)
    tau = np.full(12, 10.0)
    for _ in range(200):
        for _ in range(50):
            meter.add(tau, np.zeros(12))
        meter.settle(50)
    np.testing.assert_allclose(meter.temperature, AMBIENT + 0.38 * 100.0, rtol=1e-3)
