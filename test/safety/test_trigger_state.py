"""How the components of the trigger set are measured, and what is predicted from there."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import START_NS, TICK_NS, estimate

from safe_locomotion.config import load_config
from safe_locomotion.rotations import multiply, quaternion_from_rotation_vector, quaternion_from_rpy
from safe_locomotion.safety.trigger_set import COMPONENTS, TriggerSet, TriggerState
from safe_locomotion.types import Estimate

SHIPPED = load_config("a1").supervisor.trigger_set
RAW = replace(SHIPPED, roll_rate="raw", attitude="vertical", height="odom", lookahead=0.0)
TROT_HZ = 2.5


def rolling_at(rate: float, tick: int) -> Estimate:
    """Estimate on a tick of a body that rolls at this rate."""
    stamp_ns = START_NS + tick * TICK_NS
    return estimate(stamp_ns=stamp_ns, angular_velocity=np.array((rate, 0.0, 0.0)))


def test_before_the_first_estimate_nothing_is_known() -> None:
    """A state that is not known is not safe."""
    assert TriggerSet(SHIPPED.c1, 0.1).triggers(TriggerState(RAW).values) == COMPONENTS


def test_raw_components_are_what_the_estimate_says() -> None:
    """They are height in odom, roll and pitch, velocity across the heading, and rate about x."""
    for yaw in (0.0, 1.0, -2.5):
        across = 0.3 * np.array((-math.sin(yaw), math.cos(yaw), 0.0)) + 0.7 * np.array(
            (math.cos(yaw), math.sin(yaw), 0.0)
        )
        values = TriggerState(RAW).update(
            estimate(
                quaternion_wxyz=quaternion_from_rpy(0.1, -0.2, yaw),
                velocity=across,
                angular_velocity=np.array((0.4, 5.0, 5.0)),
                position=np.array((9.0, 9.0, 0.28)),
                ground_height=0.02,
            ),
            TROT_HZ,
        )
        assert values == pytest.approx((0.28, 0.1, -0.2, 0.3, 0.4))


def test_a_body_that_stands_upright_on_its_end_is_pitched_by_a_right_angle() -> None:
    """This holds if rounding makes the vertical longer than 1, and NaN gives NaN."""
    state = TriggerState(replace(RAW, attitude="ground"))
    for x, pitch in (
        (1.0, -90.0),
        (-1.0, 90.0),
        (math.nextafter(1.0, 2.0), -90.0),
        (math.nextafter(-1.0, -2.0), 90.0),
    ):
        values = state.update(estimate(ground_normal=np.array((x, 0.0, 0.0))), TROT_HZ)
        assert math.degrees(values[2]) == pytest.approx(pitch)
    unknown = TriggerState(RAW).update(estimate(quaternion_wxyz=np.full(4, math.nan)), TROT_HZ)
    assert [math.isnan(value) for value in unknown] == [False, True, True, True, False]
    assert TriggerSet(SHIPPED.c1, 0.1).triggers(unknown) == ("roll", "pitch", "lateral_velocity")


def test_on_a_slope_attitude_and_height_can_be_those_above_the_feet() -> None:
    """On a slope of 15 degrees a body parallel to it leans by 0 or by 15 degrees."""
    lean = math.radians(15.0)
    uphill = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.0, -lean, 0.0),
        ground_normal=np.array((-math.sin(lean), 0.0, math.cos(lean))),
        position=np.array((0.0, 0.0, 1.27)),
        ground_height=1.0,
    )
    against_ground = TriggerState(replace(RAW, attitude="ground", height="feet")).update(
        uphill, TROT_HZ
    )
    against_vertical = TriggerState(RAW).update(uphill, TROT_HZ)
    assert against_ground == pytest.approx((0.27, 0.0, 0.0, 0.0, 0.0), abs=1e-12)
    assert against_vertical == pytest.approx((1.27, 0.0, -lean, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(("measure", "share"), [("half_cycle", 0.5), ("whole_cycle", 1.0)])
def test_a_mean_over_the_cycle_sees_through_a_wobble(measure: Any, share: float) -> None:
    """A wobble of that period has no mean. A steady roll is seen after one window."""
    state = TriggerState(replace(RAW, roll_rate=measure))
    frequency = share * 5.0
    for k in range(500):
        time = k * TICK_NS * 1e-9
        rate = 3.0 * math.sin(2 * math.pi * 5.0 * time) + (0.4 if time >= 0.5 else 0.0)
        values = state.update(rolling_at(rate, k), frequency)
        if 0.2 < time < 0.5:
            assert abs(values[4]) < 0.05
        if time > 0.72:
            assert values[4] == pytest.approx(0.4, abs=0.05)


def test_the_mean_starts_over_after_a_gap_and_after_nan() -> None:
    """Old samples and NaN are forgotten, and the mean with a rate of NaN is NaN."""
    state = TriggerState(replace(RAW, roll_rate="half_cycle"))

    def at(ticks: int, rate: float) -> float:
        return state.update(rolling_at(rate, ticks), TROT_HZ)[4]

    for k in range(200):
        at(k, 1.0)
    assert at(200, 1.0) == pytest.approx(1.0)
    assert at(1200, 1.0) == 0.0
    assert at(700, 1.0) == 0.0  # a stamp that jumps back
    assert math.isnan(at(701, math.nan))
    assert [at(702 + k, 0.0) for k in range(3)] == [0.0, 0.0, 0.0]


def states_rolling_at(rate: float, steps: int, dt: float) -> np.ndarray:
    """Centroidal states (steps, 12) of a body that rolls at this rate."""
    states = np.zeros((steps, 12))
    states[:, 0] = rate * dt * np.arange(1, steps + 1)
    states[:, 6] = rate
    return states


def test_a_look_ahead_carries_height_and_tilt_on_at_their_rates() -> None:
    """Measured and predicted components are extrapolated by the same time."""
    state = TriggerState(replace(RAW, lookahead=0.1))
    rates = np.array((1.0, -0.5, 0.7))
    now = estimate(velocity=np.array((0.0, 0.2, -0.4)), angular_velocity=rates)
    assert state.update(now, TROT_HZ) == pytest.approx((0.23, 0.1, -0.05, 0.2, 1.0))
    turned = quaternion_from_rpy(0.2, 0.3, 0.0)
    before = TriggerState(RAW)
    step = 1e-6
    still = before.update(estimate(quaternion_wxyz=turned), TROT_HZ)
    moved = before.update(
        estimate(quaternion_wxyz=multiply(turned, quaternion_from_rotation_vector(step * rates))),
        TROT_HZ,
    )
    ahead = state.update(estimate(quaternion_wxyz=turned, angular_velocity=rates), TROT_HZ)
    for i in (1, 2):
        assert (ahead[i] - still[i]) / 0.1 == pytest.approx((moved[i] - still[i]) / step, rel=1e-4)
    x0 = np.zeros(12)
    states = np.zeros((1, 12))
    states[0, [11, 6, 7]] = (-1.0, 0.5, 0.25)
    change = state.predicted(x0, states, 0.016)[0] - np.array(state.values)
    np.testing.assert_allclose(change, (-0.1, 0.05, 0.025, 0.0, 0.5), atol=1e-12)


def test_predicted_components_go_on_from_the_measured_ones() -> None:
    """Changes of the model's state are added to the measurement, column by column."""
    state = TriggerState(RAW)
    state.update(estimate(angular_velocity=np.array((0.1, 0.0, 0.0))), TROT_HZ)
    x0 = np.zeros(12)
    states = np.zeros((2, 12))
    columns = [5, 0, 1, 10, 6]
    x0[columns] = (0.25, 0.01, 0.02, 0.03, 0.04)
    changes = np.array([[0.1], [0.2]])
    states[:, columns] = x0[columns] + changes
    measured = np.array((0.27, 0.0, 0.0, 0.0, 0.1))
    np.testing.assert_allclose(state.predicted(x0, states, 0.016), measured + changes, atol=1e-12)


@pytest.mark.parametrize("steps", [5, 20, 40])
def test_a_predicted_mean_is_the_one_that_will_be_measured(steps: int) -> None:
    """This holds for windows that begin in the past or in the prediction, and for batches."""
    dt = 0.016
    rate_before = 0.1
    rate_after = 0.4
    measures = replace(RAW, roll_rate="half_cycle")
    predicting = TriggerState(measures)
    measuring = TriggerState(measures)
    for k in range(300):
        predicting.update(rolling_at(rate_before, k), TROT_HZ)
        measuring.update(rolling_at(rate_before, k), TROT_HZ)
    ahead = states_rolling_at(rate_after, steps, dt)
    predicted = predicting.predicted(np.zeros(12), np.stack((ahead, ahead)), dt)[..., 4]
    later = []
    for k in range(300, 300 + 8 * steps):
        later.append(measuring.update(rolling_at(rate_after, k), TROT_HZ)[4])
    np.testing.assert_allclose(predicted[0], later[7::8], atol=0.016)
    np.testing.assert_array_equal(predicted[0], predicted[1])


def test_a_predicted_mean_is_over_the_stride_of_the_gait_to_come() -> None:
    """After 0.25 s at 0.4 rad/s the mean over 0.25 s is 0.4, and the mean over 0.5 s is 0.2."""
    state = TriggerState(replace(RAW, roll_rate="whole_cycle"))
    for k in range(300):
        rate = 0.4 if k > 300 - 125 else 0.0
        state.update(rolling_at(rate, k), 4.0)
    still = np.zeros((1, 12))
    for frequency, expected in ((None, 0.4), (4.0, 0.4), (2.0, 0.2)):
        mean = float(state.predicted(np.zeros(12), still, 0.002, frequency)[0, 4])
        assert mean == pytest.approx(expected, abs=0.01), frequency
