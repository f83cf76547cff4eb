"""State estimation on motions whose true state is known exactly."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from legged_motion import Motion, Truth, add_noise, robot, walk

from safe_locomotion.bench.estimator_alternatives import ComplementaryEstimator
from safe_locomotion.estimation.base_filter import ZB_, ZP_, ZR_, ZV_
from safe_locomotion.estimation.estimator import EstimatorParameters, StateEstimator
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import Array, Estimate, LowState

MODEL = robot()
BIAS = np.array([0.01, -0.015, 0.01])
SENSORS = {"zero": np.array([-40.0, 40.0, 20.0, -20.0]), "gain": np.array([0.5, 2.0, 1.0, 1.5])}
Run = list[tuple[Estimate, Truth]]


@lru_cache
def exact_states(motion: Motion) -> list[tuple[LowState, Truth]]:
    """States of a motion without noise, computed once."""
    return list(walk(motion, MODEL))


@lru_cache
def states(motion: Motion, noisy: bool) -> list[tuple[LowState, Truth]]:
    """States of a motion, computed once; noisy ones have bias, noise and uncalibrated feet."""
    rng = np.random.default_rng(0)
    clean = exact_states(motion)
    return [(add_noise(s, rng, gyro_bias=BIAS, **SENSORS) if noisy else s, t) for s, t in clean]


def run(
    motion: Motion,
    noisy: bool = False,
    estimator: StateEstimator | ComplementaryEstimator | None = None,
) -> Run:
    """Estimates of a motion, those of the usual estimator computed once."""
    if estimator is None:
        return usual_run(motion, noisy)
    return [(estimator.update(state), truth) for state, truth in states(motion, noisy)]


@lru_cache
def usual_run(motion: Motion, noisy: bool) -> Run:
    return run(motion, noisy, StateEstimator(MODEL, EstimatorParameters()))


def velocity_errors(results: Run, skip: int = 300) -> Array:
    return np.array([e.velocity - t.velocity for e, t in results[skip:]])


def drift(results: Run) -> float:
    """Planar error of the final displacement, as a share of the distance."""
    e, t = results[-1]
    return float(np.hypot(*(e.position - t.position)[:2]) / np.hypot(*t.position[:2]))


MOTIONS = (
    Motion(duration=3.0),
    Motion(duration=3.0, velocity=(1.2, 0.0)),
    Motion(duration=3.0, velocity=(0.3, 0.4), yaw_rate=0.5),
    Motion(duration=3.0, velocity=(0.3, 0.0), slope=0.25),
)


@pytest.mark.parametrize("motion", MOTIONS)
def test_exact_sensors_give_the_exact_state(motion: Motion) -> None:
    """Without noise the velocity is exact to 3 mm/s RMS and the displacement to 0.3 %.

    The feet roll. All contacts are right.
    """
    results = run(motion)
    assert np.sqrt((velocity_errors(results) ** 2).mean(0)).max() < 3e-3
    assert drift(results) < 3e-3
    assert all((e.contact == t.contact).all() for e, t in results[10:])
    assert not any(e.diverged for e, _ in results)


def test_rolling_matters() -> None:
    """An estimator for point feet drifts by more than 5 %, so the feet of the motion do roll."""
    point = StateEstimator(replace(MODEL, foot_radius=1e-6), EstimatorParameters())
    assert drift(run(MOTIONS[0], estimator=point)) > 0.05


@pytest.mark.parametrize("motion", MOTIONS)
def test_ordinary_sensors(motion: Motion) -> None:
    """With ordinary sensors the velocity error is below 0.02 m/s RMS and the drift below 2 %.

    They have noise, a gyro bias and uncalibrated feet.
    """
    results = run(motion, noisy=True)
    assert np.sqrt((velocity_errors(results) ** 2).mean(0)).max() < 0.02
    assert drift(results) < 0.02


def test_better_than_the_complementary_estimator() -> None:
    """Velocity error and drift of the complementary estimator are at least three times as large."""
    ours = run(MOTIONS[0], noisy=True)
    theirs = run(MOTIONS[0], noisy=True, estimator=ComplementaryEstimator(MODEL))
    our_error = np.sqrt((velocity_errors(ours)[:, :2] ** 2).mean())
    their_error = np.sqrt((velocity_errors(theirs)[:, :2] ** 2).mean())
    assert their_error > 3 * our_error
    assert drift(theirs) > 3 * drift(ours)


def test_gyro_bias_is_learnt_at_rest_and_while_walking() -> None:
    """The bias is found to 1.5 mrad/s after 1.2 s of standing, and to 3 mrad/s by a trot of 5 s."""
    rested = StateEstimator(MODEL, EstimatorParameters())
    moving = StateEstimator(MODEL, EstimatorParameters())
    run(Motion(duration=1.2, stand=1.2), noisy=True, estimator=rested)
    np.testing.assert_allclose(rested.attitude.bias, BIAS, atol=1.5e-3)
    run(Motion(duration=5.0, stand=0.0), noisy=True, estimator=moving)
    assert not moving.attitude.at_rest
    np.testing.assert_allclose(moving.attitude.bias, BIAS, atol=3e-3)


@pytest.mark.parametrize("yaw", [0.7, -2.5, 3.1])
def test_yaw_turns_everything_alike(yaw: float) -> None:
    """A turn of the world about the vertical turns position and velocity, nothing else."""
    motion = Motion(duration=1.5, velocity=(0.4, 0.2))
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
    for (a, _), (b, _) in zip(run(motion), run(replace(motion, yaw=yaw)), strict=True):
        np.testing.assert_allclose(turn @ a.position, b.position, atol=1e-6)
        np.testing.assert_allclose(turn @ a.velocity, b.velocity, atol=1e-6)
        np.testing.assert_allclose(turn @ a.ground_normal, b.ground_normal, atol=1e-6)
        np.testing.assert_allclose(a.angular_velocity, b.angular_velocity, atol=1e-6)


def test_covariance_stays_positive_definite_and_honest() -> None:
    """The covariance is symmetric positive definite, and 4 standard deviations cover the error."""
    estimator = StateEstimator(MODEL, EstimatorParameters())
    vertical = [*range(ZR_, ZV_ + 1), ZP_, ZB_]
    horizontal = [i for i in range(len(estimator.filter.covariance)) if i not in vertical]
    for state, truth in states(MOTIONS[0], True):
        estimate = estimator.update(state)
        p = estimator.filter.covariance
        np.testing.assert_allclose(p, p.T, atol=1e-13 * p.max())
        assert np.linalg.eigvalsh(p)[0] > 0.0
        assert not p[np.ix_(horizontal, vertical)].any()
        error = estimate.velocity - truth.velocity
        deviation = np.sqrt(np.diag(estimate.velocity_covariance))
        assert (abs(error) < 4.0 * deviation + 0.02)[:2].all()


def test_slope_is_found() -> None:
    """On a slope of 0.25 the normal is right to 2 degrees and the height to 1.5 cm after 2 s."""
    for estimate, _ in run(MOTIONS[3], noisy=True)[1000:]:
        normal = np.array([-0.25, 0.0, 1.0]) / np.hypot(1.0, 0.25)
        assert estimate.ground_normal @ normal > np.cos(np.radians(2.0))
        assert abs(estimate.position[2] - estimate.ground_height - 0.27) < 0.015


@pytest.mark.parametrize(
    "field", ["q", "dq", "tau", "gyro", "accelerometer", "foot_force", "quaternion_wxyz"]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_reading_is_flagged_and_forgotten(field: str, value: float) -> None:
    """NaN or infinity in any sensor flags that tick only; the later estimates are good."""
    estimator = StateEstimator(MODEL, EstimatorParameters())
    for k, (state, truth) in enumerate(states(Motion(duration=1.0), True)):
        if k in (0, 400):
            broken = np.array(getattr(state, field))
            broken[1] = value
            estimate = estimator.update(replace(state, **{field: broken}))
            assert estimate.diverged and np.isfinite(estimate.position).all()
        else:
            estimate = estimator.update(state)
            assert not estimate.diverged
        assert k < 50 or abs(estimate.velocity - truth.velocity).max() < 0.05


def test_zero_quaternion_is_refused() -> None:
    """A quaternion of zeros, which an IMU sends before it runs, is flagged."""
    estimator = StateEstimator(MODEL, EstimatorParameters())
    state = states(MOTIONS[0], False)[0][0]
    assert estimator.update(replace(state, quaternion_wxyz=np.zeros(4))).diverged
    assert not estimator.update(state).diverged


def test_a_repeated_stamp_gives_the_same_estimate_and_an_old_one_is_flagged() -> None:
    """The same LowState twice gives the same estimate; an older one is flagged and ignored."""
    estimator = StateEstimator(MODEL, EstimatorParameters())
    sequence = [s for s, _ in states(MOTIONS[0], False)[:20]]
    estimates = [estimator.update(s) for s in sequence]
    assert estimator.update(sequence[-1]) is estimates[-1]
    old = estimator.update(sequence[3])
    assert old.diverged and np.array_equal(old.position, estimates[-1].position)


def test_contradicting_sensors_are_flagged() -> None:
    """Legs that move at 2 m/s while the IMU is at rest are flagged within 0.5 s."""
    estimator = StateEstimator(MODEL, EstimatorParameters())
    flagged = []
    for state, _ in states(Motion(duration=1.0, stand=1.0), False):
        moves = state.stamp_ns - 10**18 > 4 * 10**8
        extra = 8.0 * np.tile([0.0, 1.0, 0.0], 4) if moves else 0.0
        estimate = estimator.update(replace(state, dq=state.dq + extra))
        flagged.append(estimate.diverged)
    assert not any(flagged[:200]) and any(flagged[200:450])


def test_flying_blind_is_flagged_at_last() -> None:
    """Without contact the velocity's covariance grows until the estimate is flagged."""
    parameters = replace(EstimatorParameters(), max_velocity_deviation=0.12)
    estimator = StateEstimator(MODEL, parameters)
    sequence = [s for s, _ in states(Motion(duration=2.0, stand=2.0), False)]
    for state in sequence[:100]:
        assert not estimator.update(state).diverged
    air = [replace(s, foot_force=np.zeros(4), tau=np.zeros(12)) for s in sequence[100:]]
    deviations = [estimator.update(s) for s in air]
    assert deviations[-1].velocity_covariance[0, 0] > 4 * deviations[0].velocity_covariance[0, 0]
    assert deviations[-1].diverged


def test_reset_starts_again_at_the_origin() -> None:
    """After a reset the next state is the origin again, and the gyro bias is kept."""
    estimator = StateEstimator(MODEL, EstimatorParameters())
    run(Motion(duration=1.2, stand=1.2), noisy=True, estimator=estimator)
    bias = estimator.attitude.bias
    estimator.reset()
    estimate = estimator.update(states(MOTIONS[0], False)[0][0])
    np.testing.assert_allclose(estimate.position, [0.0, 0.0, 0.27], atol=1e-3)
    assert estimator.attitude.bias == bias


def test_height_is_above_the_ground_on_which_the_robot_stands() -> None:
    """On level ground position minus ground height is the base's height above the ground."""
    estimate = run(Motion(duration=1.0, stand=1.0))[-1][0]
    assert estimate.position[2] - estimate.ground_height == pytest.approx(0.27, abs=1e-3)
    rotation = matrix_from_quaternion(estimate.quaternion_wxyz)
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("motion", MOTIONS)
def test_without_foot_sensors_the_torques_and_the_motion_tell_contact(motion: Motion) -> None:
    """With readings of zero and `foot_sensors` off, the errors are nearly those with sensors."""
    parameters = EstimatorParameters(foot_sensors=False)
    estimator = StateEstimator(MODEL, parameters)
    results = [
        (estimator.update(replace(state, foot_force=np.zeros(4))), truth)
        for state, truth in states(motion, True)
    ]
    known = run(motion, noisy=True)
    assert velocity_errors(results).std() < 1.5 * velocity_errors(known).std() + 0.01
    e, t = results[-1]
    assert abs(e.position[2] - t.position[2]) < 0.03
    contact = np.array([e.contact for e, _ in results[300:]])
    assert 0.5 < contact.mean() < 0.7
