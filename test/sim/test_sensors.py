"""Sensor errors have the size they claim."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import (
    ACCELEROMETER,
    FOOT,
    GYRO,
    POSITION,
    TILT,
    TORQUE,
    VELOCITY,
    SensorErrors,
    SensorNoise,
)

NOISE = SensorNoise()
CONSTANT = SensorNoise(gyro_walk=0.0, foot_walk=0.0, yaw_walk=0.0, tilt_time=1e9)


def rows(noise: SensorNoise, n: int, seed: int = 0) -> np.ndarray:
    errors = SensorErrors(noise, np.random.default_rng(seed))
    out = []
    for _ in range(n):
        out.append(errors.row.copy())
        errors.advance()
    return np.array(out)


@pytest.mark.parametrize(
    ("channel", "sigma"),
    [
        (GYRO, NOISE.gyro),
        (ACCELEROMETER, NOISE.accelerometer),
        (POSITION, NOISE.position),
        (VELOCITY, NOISE.velocity),
        (TORQUE, NOISE.torque),
        (FOOT, NOISE.foot),
    ],
)
def test_white_noise_has_its_standard_deviation(channel, sigma) -> None:
    """Over 4,000 readings the scatter of every channel is its sigma within 6 %.

    Neighbouring readings are uncorrelated.
    """
    values = rows(CONSTANT, 4000)[:, channel]
    values = values - values.mean(axis=0)
    np.testing.assert_allclose(values.std(axis=0), sigma, rtol=0.06)
    assert np.all(np.abs((values[1:] * values[:-1]).mean(axis=0)) < 0.08 * sigma**2)


def test_biases_scatter_over_units() -> None:
    """Over 400 robots the gyro bias has its standard deviation, and each axis differs."""
    biases = np.array(
        [
            SensorErrors(SensorNoise(gyro=0.0), np.random.default_rng(seed)).row[GYRO]
            for seed in range(400)
        ]
    )
    np.testing.assert_allclose(biases.std(axis=0), NOISE.gyro_bias, rtol=0.15)
    assert np.all(np.abs(biases.mean(axis=0)) < 0.15 * NOISE.gyro_bias + 1e-3)


def test_tilt_error_stays_bounded_and_wanders() -> None:
    """Over 200 s the attitude error keeps its standard deviation within 25 %.

    It loses its correlation within a few tilt times.
    """
    tilt = rows(NOISE, 100_000)[:, TILT]
    np.testing.assert_allclose(tilt.std(axis=0), NOISE.tilt, rtol=0.25)
    lag = round(5 * NOISE.tilt_time / 0.002)
    assert np.all(np.abs((tilt[lag:] * tilt[:-lag]).mean(axis=0)) < 0.4 * NOISE.tilt**2)


def test_foot_readings_are_integers_with_an_offset_and_a_gain_each() -> None:
    """Prone feet read whole numbers that differ between feet; the four gains differ."""
    robot = SimulatedRobot(SimulationOptions(seed=5))
    readings = []
    for _ in range(100):
        robot.step(None)
        readings.append(robot.low_state().foot_force)
    assert np.all(np.rint(readings) == readings)
    assert np.ptp(np.mean(readings, axis=0)) > 5.0
    gains = SensorErrors(SensorNoise(), np.random.default_rng(5)).foot_scale
    assert len(set(gains)) == 4


def test_orientation_stays_a_unit_quaternion() -> None:
    """The noisy orientation has norm 1 to 1e-12."""
    robot = SimulatedRobot(SimulationOptions(noise=SensorNoise(tilt=0.3)))
    for _ in range(200):
        robot.step(None)
        assert abs(np.linalg.norm(robot.low_state().quaternion_wxyz) - 1.0) < 1e-12


def test_reading_twice_changes_nothing() -> None:
    """low_state() is a view of one instant: a second call gives the same numbers."""
    robot = SimulatedRobot(SimulationOptions())
    robot.step(None)
    first = robot.low_state()
    second = robot.low_state()
    np.testing.assert_array_equal(first.q, second.q)
    np.testing.assert_array_equal(first.foot_force, second.foot_force)
    assert first.tick == second.tick == 2


def test_ideal_sensors_tell_the_truth() -> None:
    """Without noise the readings are the simulator's own state."""
    robot = SimulatedRobot(SimulationOptions(noise=None))
    for _ in range(50):
        robot.step(None)
    state = robot.low_state()
    truth = robot.truth()
    np.testing.assert_array_equal(state.q, truth.q)
    np.testing.assert_array_equal(state.dq, truth.dq)
    np.testing.assert_allclose(state.gyro, truth.angular_velocity, atol=1e-12)
    np.testing.assert_allclose(state.quaternion_wxyz, truth.quaternion_wxyz, atol=1e-12)
