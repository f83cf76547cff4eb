"""Mean roll rate over a window of time, as measured and as predicted.

The mean is the angle rolled within the window, divided by the length of the window. Only the
integral of the roll rate is therefore stored.
"""

from array import array
from bisect import bisect_right
from functools import cache
from math import ceil, isfinite

import numpy as np

from safe_locomotion.types import NANOSECONDS, Array

#: Longest window [s]: a whole stride of every gait from 1 Hz on.
HISTORY = 1.0
#: Number of older samples that are dropped at once: somewhat more than a second at 500 Hz.
FORGET = 600


class RollHistory:
    """Integral of the roll rate over at least the last `HISTORY` seconds.

    Attributes:
        times: stamps of the samples, since the first one [s].
        rolled: integral of the roll rate up to each sample [rad].
    """

    def __init__(self) -> None:
        self.times = array("d")
        self.rolled = array("d")
        self._first_ns = 0

    def add(self, stamp_ns: int, rate: float) -> None:
        """Add a sample of the roll rate [rad/s].

        The history begins anew after a gap, a step back in time and a rate that is not finite.
        """
        now = (stamp_ns - self._first_ns) / NANOSECONDS
        times = self.times
        rolled = self.rolled
        if not times or not times[-1] <= now <= times[-1] + HISTORY or not isfinite(rolled[-1]):
            self._first_ns = stamp_ns
            self.times = array("d", (0.0,))
            self.rolled = array("d", (0.0,))
            return
        rolled.append(rolled[-1] + rate * (now - times[-1]))
        times.append(now)
        if len(times) > 2 * FORGET and times[FORGET] < now - HISTORY:
            del times[:FORGET]
            del rolled[:FORGET]

    def mean(self, window: float) -> float:
        """Mean roll rate over the last `window` [s].

        The robot counts as at rest before the first sample. One sample alone has the mean 0.
        """
        return (self.rolled[-1] - self.rolled_at(self.times[-1] - window)) / window

    def predicted_means(self, rolling: Array, dt: float, window: float) -> Array:
        """Mean roll rates (..., W) over the windows that end at predicted states.

        Args:
            rolling: (..., W) angle rolled from now to each state [rad].
            dt: time between two states [s].
            window: length of the windows [s].
        """
        steps = rolling.shape[-1]
        now = self.times[-1]
        # The windows of so many states begin in the past.
        within = min(steps, ceil(window / dt))
        way = self.rolled[-1] + rolling
        way[..., :within] -= self.rolled_at_each(now + _ends(within, dt) - window)
        if within < steps:
            way[..., within:] -= self.rolled[-1] + rolling[..., : steps - within]
        means: Array = way / window
        return means

    def rolled_at(self, time: float) -> float:
        """Integral [rad] at the newest sample up to `time`, else at the first sample."""
        return self.rolled[max(0, bisect_right(self.times, time) - 1)]

    def rolled_at_each(self, times: Array) -> Array:
        """`rolled_at` of many times.

        `np.frombuffer` shares memory with the samples. They must not grow while its result exists.
        """
        newest = np.frombuffer(self.times).searchsorted(times, side="right") - 1
        return np.frombuffer(self.rolled).take(newest, mode="clip")


@cache
def _ends(steps: int, dt: float) -> Array:
    """Times (steps,) at which steps of `dt` end [s]."""
    return dt * np.arange(1.0, steps + 1.0)
