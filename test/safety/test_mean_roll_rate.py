"""Mean roll rate, number for number.

At 512 Hz every time and every angle is exact in binary.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import START_NS, estimate

from safe_locomotion.config import load_config
from safe_locomotion.safety.mean_roll_rate import HISTORY, RollHistory
from safe_locomotion.safety.trigger_set import TriggerSetParameters, TriggerState

TICK_NS = 1_953_125  #: 1/512 s
TICKS = 512  #: ticks in a second
SHIPPED = load_config("a1").supervisor.trigger_set


def measures(roll_rate: Any) -> TriggerSetParameters:
    return replace(SHIPPED, roll_rate=roll_rate, attitude="vertical", height="odom", lookahead=0.0)


class Rolling:
    """Measures a body whose roll rates are given tick by tick, over a window of `window` ticks."""

    def __init__(self, window: float, roll_rate: Any = "whole_cycle") -> None:
        share = {"half_cycle": 0.5, "whole_cycle": 1.0}[roll_rate]
        self.state = TriggerState(measures(roll_rate))
        self.frequency = share * TICKS / window
        self.stamp_ns = START_NS

    def tick(self, rate: float, step_ns: int = TICK_NS) -> float:
        self.stamp_ns += step_ns
        now = estimate(stamp_ns=self.stamp_ns, angular_velocity=np.array((rate, 0.0, 0.0)))
        return self.state.update(now, self.frequency)[4]


#: Roll rates before a prediction. The first sample only begins the time.
PAST = [float(k % 7 - 3 + k % 2) for k in range(40)]


@pytest.mark.parametrize("roll_rate", ["half_cycle", "whole_cycle"])
@pytest.mark.parametrize("window", [1, 8, 32])
def test_the_mean_is_over_the_samples_of_the_window(roll_rate: Any, window: int) -> None:
    """The robot counts as at rest before the first sample, which only begins the time."""
    rolling = Rolling(window, roll_rate)
    for k, rate in enumerate(PAST):
        counted = [0.0, *PAST[1 : k + 1]][-window:]
        assert rolling.tick(rate) == sum(counted) / window


def test_a_window_between_two_samples_begins_at_the_older() -> None:
    """A window of two and a half ticks contains the last three samples."""
    rolling = Rolling(2.5)
    for k, rate in enumerate(PAST):
        assert rolling.tick(rate) == pytest.approx(
            sum([0.0, *PAST[1 : k + 1]][-3:]) / 2.5, abs=1e-12
        )


def test_a_slow_gait_is_averaged_over_the_longest_window() -> None:
    """A stride of two seconds is cut to one second, measured and predicted."""
    rolling = Rolling(2 * TICKS)
    still = np.zeros((1, 12))
    for k in range(2 * TICKS):
        mean = rolling.tick(1.0 if k < TICKS else 3.0)
    assert mean == 3.0
    for _ in range(TICKS // 2):
        mean = rolling.tick(1.0)
    assert mean == 2.0
    for frequency in (None, 0.5, 1.0):
        assert (
            rolling.state.predicted(np.zeros(12), still, 1.0 / TICKS, frequency)[0, 4]
            == 2.0 - 3.0 / TICKS
        )


def predicted_by_hand(rates: list[float], dt: int, window: int) -> list[float]:
    """Mean at the end of each step of `dt` ticks; `rates` has one rate per step."""
    ticks = [*PAST, *(rate for rate in rates for _ in range(dt))]
    return [
        sum(ticks[end - window : end]) / window for end in range(len(PAST) + dt, len(ticks) + 1, dt)
    ]


@pytest.mark.parametrize(("dt", "window"), [(4, 8), (8, 8), (4, 16), (2, 32)])
@pytest.mark.parametrize("stride", ["present", "to_come"])
def test_a_predicted_mean_counts_the_same_samples(dt: int, window: int, stride: str) -> None:
    """They are those of the past within the window and those of the prediction, in a batch too."""
    rolling = Rolling(window if stride == "present" else 4)
    for rate in PAST:
        rolling.tick(rate)
    batch = [[1.0, -2.0, 4.0, 0.5, 3.0, -1.0], [0.0, 5.0, -1.0, 2.0, 2.0, 7.0]]
    x0 = np.zeros(12)
    states = np.zeros((2, 6, 12))
    x0[0] = 0.25
    states[..., 0] = 0.25 + np.cumsum(batch, axis=1) * dt / TICKS
    frequency = None if stride == "present" else TICKS / window
    means = rolling.state.predicted(x0, states, dt / TICKS, frequency)[..., 4]
    assert means.tolist() == [predicted_by_hand(rates, dt, window) for rates in batch]


def test_a_predicted_window_between_two_samples_begins_at_the_older() -> None:
    """With steps of 3 ticks and a window of 8, the third window lies in the prediction alone."""
    rolling = Rolling(8)
    for rate in PAST:
        rolling.tick(rate)
    states = np.zeros((4, 12))
    states[:, 0] = 3.0 * np.array((1.0, 3.0, 6.0, 10.0)) / TICKS
    way = 3.0 * np.array((1.0, 3.0, 6.0, 10.0)) + np.array(
        (sum(PAST[-5:]), sum(PAST[-2:]), 0.0, -3.0)
    )
    np.testing.assert_array_equal(
        rolling.state.predicted(np.zeros(12), states, 3.0 / TICKS)[:, 4], way / 8.0
    )


GAP_NS = round(HISTORY * 1e9)


@pytest.mark.parametrize(
    ("step_ns", "mean", "next_mean"),
    [
        (0, 4.0 / TICKS, 7.0 / TICKS),
        (GAP_NS, 2.0, 2.0 + 3.0 / TICKS),
        (GAP_NS + 1, 0.0, 3.0 / TICKS),
        (-1, 0.0, 3.0 / TICKS),
    ],
)
def test_a_gap_in_time_longer_than_the_history_begins_anew(
    step_ns: int, mean: float, next_mean: float
) -> None:
    """This holds to the nanosecond, and for a step back in time."""
    rolling = Rolling(TICKS)
    for _ in range(5):
        rolling.tick(1.0)
    assert rolling.tick(2.0, step_ns) == mean
    assert rolling.tick(3.0) == next_mean


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_rate_that_is_not_finite_gives_nan_and_is_forgotten(bad: float) -> None:
    """The mean is NaN while it lasts, also on the first sample. The next number begins anew."""
    rolling = Rolling(4)
    assert math.isnan(rolling.tick(bad))
    assert [rolling.tick(rate) for rate in (4.0, 8.0)] == [1.0, 3.0]
    assert [math.isnan(rolling.tick(bad)) for _ in range(3)] == [True] * 3
    rolling.tick(1.0)
    assert [rolling.tick(rate) for rate in (4.0, 8.0)] == [1.0, 3.0]


@pytest.mark.parametrize("rate_hz", [512, 2048])
def test_nothing_that_the_window_needs_is_forgotten(rate_hz: int) -> None:
    """This holds if a second has fewer or more samples than are dropped at once."""
    rolling = Rolling(TICKS)
    step_ns = round(1e9 / rate_hz)
    rates = [float(k % 5) for k in range(rate_hz + 2000)]
    means = [rolling.tick(rate, step_ns) for rate in rates]
    for k in range(rate_hz + 1, len(rates), 97):
        assert means[k] == pytest.approx(sum(rates[k - rate_hz + 1 : k + 1]) / rate_hz, abs=0.01)


def test_the_history_does_not_grow() -> None:
    """Hours of walking keep somewhat more than a second of samples."""
    history = RollHistory()
    for k in range(5000):
        history.add(START_NS + k * 2_000_000, 0.2)
    assert history.mean(1.0) == pytest.approx(0.2)
    assert len(history.times) == len(history.rolled) < 1300


def test_begins_of_windows_are_looked_up_alike_one_by_one_and_together() -> None:
    """Each is the newest sample up to that time, or the first one before that."""
    history = RollHistory()
    random = np.random.default_rng(0)
    for k in range(200):
        history.add(START_NS + k * 2_000_000, float(random.normal()))
    times = np.concatenate((random.uniform(-0.1, 0.5, size=200), history.times))
    assert history.rolled_at_each(times).tolist() == [history.rolled_at(time) for time in times]
