"""Mean roll rates of many robots: `safety.mean_roll_rate` as Warp functions.

A robot is sampled once per period, so the number of a sample gives its time. Times and integrals
are double. A window often ends exactly on a sample, and in single precision the sample beside it
would count.
"""

from math import ceil
from typing import Any

import warp as wp

from safe_locomotion.safety.mean_roll_rate import HISTORY
from safe_locomotion.training.gait.world.arrays import Array4, Doubles2, Integers1
from safe_locomotion.types import NANOSECONDS

SECOND = wp.constant(wp.float64(NANOSECONDS))
LONGEST = wp.constant(wp.float64(HISTORY))
ROLL = wp.constant(0)  # column of a centroidal state


@wp.struct
class RollHistories:
    """Integrals of the roll rate over the latest samples.

    Attributes:
        samples: (B,) number of samples since a history began.
        rolled: (B, S) integral of the roll rate up to each sample [rad]; sample n is in column
            n modulo S.
        period_ns: time between two samples [ns].
    """

    samples: Integers1
    rolled: Doubles2
    period_ns: wp.float64


def roll_histories(robots: int, period_ns: int, device: str) -> Any:
    """Empty histories of so many robots, long enough for every window."""
    length = ceil(HISTORY * NANOSECONDS / period_ns) + 2
    out = RollHistories()
    out.samples = wp.zeros(robots, dtype=int, device=device)
    out.rolled = wp.zeros((robots, length), dtype=wp.float64, device=device)
    out.period_ns = wp.float64(period_ns)
    return out


@wp.func
def sample_time(histories: RollHistories, sample: int) -> wp.float64:
    """Time of a sample since the first one [s]."""
    return wp.float64(sample) * histories.period_ns / SECOND


@wp.func
def sampled(histories: RollHistories, robot: int, sample: int) -> wp.float64:
    """Integral of the roll rate up to a sample [rad]."""
    return histories.rolled[robot, sample % histories.rolled.shape[1]]


@wp.func
def add_roll_rate(histories: RollHistories, robot: int, rate: float) -> None:
    """Add a sample [rad/s]; the history begins anew after a rate that is not finite."""
    sample = histories.samples[robot]
    rolled = wp.float64(0.0)
    if sample > 0:
        rolled = sampled(histories, robot, sample - 1)
    if sample == 0 or not wp.isfinite(rolled):
        histories.samples[robot] = 1
        histories.rolled[robot, 0] = wp.float64(0.0)
        return
    elapsed = sample_time(histories, sample) - sample_time(histories, sample - 1)
    column = sample % histories.rolled.shape[1]
    histories.rolled[robot, column] = rolled + wp.float64(rate) * elapsed
    histories.samples[robot] = sample + 1


@wp.func
def rolled_at(histories: RollHistories, robot: int, time: wp.float64) -> wp.float64:
    """Integral [rad] at the newest sample up to `time`, else at the oldest one."""
    newest = histories.samples[robot] - 1
    oldest = wp.max(0, newest + 1 - histories.rolled.shape[1])
    sample = int(wp.floor(time * SECOND / histories.period_ns))
    if sample_time(histories, sample) > time:
        sample -= 1
    if sample_time(histories, sample + 1) <= time:
        sample += 1
    return sampled(histories, robot, wp.clamp(sample, oldest, newest))


@wp.func
def mean_roll_rate(histories: RollHistories, robot: int, window: wp.float64) -> float:
    """Mean over the last `window` [s]; 0 after one sample."""
    newest = histories.samples[robot] - 1
    start = sample_time(histories, newest) - window
    way = sampled(histories, robot, newest) - rolled_at(histories, robot, start)
    return float(way / window)


@wp.func
def predicted_mean(
    histories: RollHistories,
    robot: int,
    states: Array4,
    row: int,
    step: int,
    dt: wp.float64,
    window: wp.float64,
) -> float:
    """Mean over the window that ends at a predicted state.

    Args:
        histories: of all robots.
        robot: which one.
        states: (B, H, W + 1, 12) predicted centroidal states, the first of a row now.
        row: which prediction.
        step: number of the state in its row, at least 1.
        dt: time between two states [s].
        window: its length [s].
    """
    newest = histories.samples[robot] - 1
    way = wp.float64(states[robot, row, step, ROLL]) - wp.float64(states[robot, row, 0, ROLL])
    within = int(wp.ceil(window / dt))
    if step <= within:
        start = sample_time(histories, newest) + dt * wp.float64(step) - window
        way += sampled(histories, robot, newest) - rolled_at(histories, robot, start)
    else:
        before = states[robot, row, step - within, ROLL]
        way -= wp.float64(before) - wp.float64(states[robot, row, 0, ROLL])
    return float(way / window)


@wp.func
def averaging_window(share: wp.float64, frequency: float) -> wp.float64:
    """Share of a gait cycle [s], no longer than a history."""
    return wp.min(share / wp.float64(frequency), LONGEST)
