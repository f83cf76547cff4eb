"""Contact from foot sensors with unknown zero and gain."""

import numpy as np
import pytest
from legged_motion import Motion, add_noise, robot, walk

from safe_locomotion.estimation.contacts import (
    ContactDetector,
    ContactParameters,
    TorqueContact,
    TorqueContactParameters,
)
from safe_locomotion.estimation.leg_odometry import LegOdometry
from safe_locomotion.rotations import length
from safe_locomotion.types import Array

WEIGHT = 12.5 * 9.81
ZERO = np.array([-40.0, 40.0, 25.0, -10.0])
GAIN = np.array([0.5, 2.0, 0.7, 1.5])


def trot(
    detector: ContactDetector,
    *,
    seconds: float,
    raw_of_load: object = None,
    torque_error: float = 10.0,
    start: float = 0.0,
) -> tuple[Array, Array]:
    """Contacts (n, 4) as detected and as they are, on a trot with half the weight on each leg.

    Sensors read ZERO + GAIN load with noise, or `raw_of_load` of the load.
    """
    rng = np.random.default_rng(3)
    found = []
    true = []
    for k in range(round(seconds / 0.002)):
        phase = ((start + 0.002 * k) * 2.5 + np.array([0.0, 0.5, 0.5, 0.0])) % 1.0
        standing = phase >= 0.45
        load = np.where(standing, WEIGHT / 2 * np.minimum(1.0, (phase - 0.45) / 0.02), 0.0)
        if callable(raw_of_load):
            raw = raw_of_load(load)
        else:
            raw = ZERO + GAIN * load + rng.normal(0, 2.0, 4)
        speed = np.where(standing, 0.5, 2.0)
        torque_load = load + rng.normal(0, torque_error * (1 + speed), 4)
        found.append(detector.update(raw, torque_load.tolist(), speed.tolist(), 0.002))
        true.append(standing)
    return np.array(found), np.array(true)


def test_zero_and_gain_are_learnt_from_walking() -> None:
    """Zeros of +-40 N and gains of 0.5 to 2 are found within 4 N and 10 % in 10 s of trot."""
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    trot(detector, seconds=10.0)
    np.testing.assert_allclose(detector.zero, ZERO, atol=4.0)
    np.testing.assert_allclose(detector.gain, GAIN, rtol=0.1)


def test_contact_is_right_once_calibrated() -> None:
    """After 5 s less than 2 % of the contacts are wrong, with one touchdown per stride."""
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    trot(detector, seconds=5.0)
    found, true = trot(detector, seconds=4.0)
    assert (found != true).mean() < 0.02
    touchdowns = (found[1:] & ~found[:-1]).sum(0)
    assert (abs(touchdowns - 10) <= 1).all()


def test_a_drifting_zero_is_followed() -> None:
    """A zero that wanders by 20 N in 40 s does not make contact wrong."""
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    trot(detector, seconds=5.0)
    clock = iter(range(10**6))

    def drifting(load: Array) -> Array:
        return ZERO + 0.001 * next(clock) + GAIN * load

    found, true = trot(detector, seconds=40.0, raw_of_load=drifting)
    assert (found != true).mean() < 0.02


def test_clipped_sensors_still_tell_contact() -> None:
    """A sensor that saturates at half of the stance load still gives the right contact."""
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    trot(detector, seconds=5.0, raw_of_load=lambda load: np.minimum(30.0, load))
    found, true = trot(detector, seconds=4.0, raw_of_load=lambda load: np.minimum(30.0, load))
    assert (found != true).mean() < 0.03


@pytest.mark.parametrize("dead", [0.0, 120.0])
def test_a_dead_sensor_drops_out(dead: float) -> None:
    """A sensor stuck at any value leaves contact to the joint torques."""
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    stuck = np.full(4, dead)
    trot(detector, seconds=10.0, raw_of_load=lambda load: stuck, torque_error=1.0)
    found, true = trot(detector, seconds=4.0, raw_of_load=lambda load: stuck, torque_error=1.0)
    assert (found != true).mean() < 0.05


def test_standing_for_long_does_not_lose_contact() -> None:
    """A minute of standing on uncalibrated sensors never ends contact.

    The zero must not drift up to the load.
    """
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    rng = np.random.default_rng(0)
    load = np.full(4, WEIGHT / 4)
    found = []
    for _ in range(30_000):
        raw = ZERO + GAIN * load + rng.normal(0, 2.0, 4)
        torque_load = (load + rng.normal(0, 3.0, 4)).tolist()
        found.append(detector.update(raw, torque_load, [0.0] * 4, 0.002))
    assert np.array(found)[50:].all()


def test_hysteresis_separates_touchdown_from_lift_off() -> None:
    """Contact begins above the threshold and ends below 70 % of it."""
    parameters = ContactParameters(offset_deviation=1e-3, slope_deviation=1e-3)
    detector = ContactDetector(parameters, weight=WEIGHT)
    on = 0.48 * WEIGHT / 4

    def contact(load: float) -> bool:
        return bool(detector.update(np.full(4, load), [load] * 4, [0.0] * 4, 0.002)[0])

    found = [contact(on * share) for share in (0.9, 1.1, 0.9, 0.75, 0.65, 0.9)]
    assert found == [False, True, True, True, False, False]


def test_calibration_survives_noisy_walking() -> None:
    """On the noisy kinematic trot less than 2 % of the contacts are wrong after 2 s."""
    model = robot()
    detector = ContactDetector(ContactParameters(), weight=WEIGHT)
    odometry = LegOdometry(model)
    rng = np.random.default_rng(0)
    wrong = []
    for state, truth in walk(Motion(duration=4.0), model):
        noisy = add_noise(state, rng, gyro_bias=np.zeros(3), zero=ZERO, gain=GAIN)
        legs = odometry.read(noisy.q, noisy.dq, noisy.tau)
        loads = [leg.load for leg in legs]
        speeds = [length(leg.velocity) for leg in legs]
        found = detector.update(noisy.foot_force, loads, speeds, 0.002)
        wrong.append((found != truth.contact).mean())
    assert np.mean(wrong[1000:]) < 0.02


def told(loads, speeds, heights, *, before: int = 5) -> list[bool]:
    """Contact of a robot that has stood for some ticks, after one more reading."""
    detector = TorqueContact(ContactParameters(), TorqueContactParameters(), weight=WEIGHT)
    for _ in range(before):
        detector.update([WEIGHT / 4] * 4, [0.0] * 4, [0.0] * 4, 0.002)
    return detector.update(loads, speeds, heights, 0.002).tolist()


def test_without_sensors_a_foot_that_moves_or_hangs_carries_nothing() -> None:
    """The inertia of a swinging leg looks like a load; standing on a step is standing."""
    still, fast, high, on_a_step = range(4)
    speeds = [0.1, 2.0, 0.4, 0.1]
    heights = [0.0, 0.0, 0.05, 0.1]
    contact = told([WEIGHT / 4] * 4, speeds, heights)
    assert contact[still] and contact[on_a_step]
    assert not contact[fast] and not contact[high]


def test_without_sensors_the_load_still_decides() -> None:
    """A foot at rest without load is in the air; contact ends below the threshold it began at."""
    on = TorqueContactParameters().threshold * WEIGHT / 4
    loads = [1.1 * on, 0.8 * on, 0.6 * on, np.nan]
    assert told(loads, [0.0] * 4, [0.0] * 4) == [True, True, False, False]
    assert told(loads, [0.0] * 4, [0.0] * 4, before=0) == [True, False, False, False]


def test_a_velocity_that_went_astray_does_not_lose_the_feet_for_good() -> None:
    """When all feet seem to slide for 0.15 s, the loads alone count, until the velocity is back."""
    detector = TorqueContact(ContactParameters(), TorqueContactParameters(), weight=WEIGHT)
    found = [
        detector.update([WEIGHT / 4] * 4, [3.0] * 4, [0.0] * 4, 0.002).any() for _ in range(200)
    ]
    assert not any(found[:70])
    assert np.mean(found[80:]) > 0.4


def test_a_tick_without_sensors_leaves_no_load_on_a_foot_without_contact() -> None:
    """The estimator trusts a foot by its load, so that of a swinging foot is zero."""
    detector = TorqueContact(ContactParameters(), TorqueContactParameters(), weight=WEIGHT)
    detector.update([50.0] * 4, [0.0, 9.0, 0.0, 9.0], [0.0] * 4, 0.002)
    assert detector.load == [50.0, 0.0, 50.0, 0.0]
