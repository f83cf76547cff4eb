"""An untrained learner, for evaluating supervisors: a random walk of the gait parameters.

On every policy step frequency, swing ratio and phase offsets move by independent normal steps.
Frequency and swing ratio stay within bounds; the offsets wrap. The feet's lateral positions do not
change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from safe_locomotion.types import Estimate, GaitParameters, Proposal, VelocityCommand

NAME = "random"
SPEED = 0.3  #: commanded along x [m/s], clipped to the range of the task
SIGMAS = {"trot": 0.05, "catwalk": 0.17, "two_leg": 0.05, "pacing": 0.05}
"""Step size of the random learner by task: at least half of its unsupervised episodes fall."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomWalk:
    """Size of the random walk.

    Attributes:
        sigma: standard deviation of one step (8 ms) of swing ratio [-] and offsets [strides]. That
            of the frequency is `frequency_scale` times as large [Hz].
        frequency, swing_ratio: bounds [Hz, -].
    """

    sigma: float = 0.03
    frequency_scale: float = 5.0
    frequency: tuple[float, float] = (1.5, 4.0)
    swing_ratio: tuple[float, float] = (0.3, 0.7)


class RandomGait:
    """Proposes gaits like `PolicyRuntime`, but does not look at the robot.

    Attributes:
        hazard: always "", because its proposals can always be executed.
    """

    def __init__(self, start: GaitParameters, seed: int, walk: RandomWalk | None = None) -> None:
        """Start every episode from the same gait.

        Args:
            start: of every episode.
            seed: of the random walk; an episode after a `reset` goes on with other numbers.
            walk: its size.
        """
        self._start = start
        self._walk = walk or RandomWalk()
        self._rng = np.random.default_rng(seed)
        self.hazard = ""
        self.reset()

    def reset(self) -> None:
        """Return to the first gait: at the start of an episode, a change of mode and a swap."""
        self._gait = self._start

    def remember(self) -> tuple[GaitParameters, Mapping[str, Any]]:
        """The state that `recall` needs to continue from here."""
        return self._gait, self._rng.bit_generator.state

    def recall(self, kept: tuple[GaitParameters, Mapping[str, Any]]) -> None:
        """Continue from where `remember` was called."""
        gait, numbers = kept
        self._gait = gait
        self._rng.bit_generator.state = numbers

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal:
        """The proposal on this estimate."""
        walk = self._walk
        gait = self._gait
        steps: list[float] = (walk.sigma * self._rng.standard_normal(5)).tolist()
        fl, rr, rl = gait.phase_offsets
        self._gait = GaitParameters(
            frequency=_within(gait.frequency + walk.frequency_scale * steps[0], walk.frequency),
            swing_ratio=_within(gait.swing_ratio + steps[1], walk.swing_ratio),
            phase_offsets=(
                _wrapped(fl + steps[2]),
                _wrapped(rr + steps[3]),
                _wrapped(rl + steps[4]),
            ),
            foot_y=gait.foot_y,
            lifted=gait.lifted,
        )
        return Proposal(stamp_ns=estimate.stamp_ns, policy=NAME, kind="gait", gait=self._gait)


def _wrapped(offset: float) -> float:
    """A phase offset in [0, 1); the second remainder turns a rounded 1.0 into 0.0."""
    return offset % 1.0 % 1.0


def _within(value: float, bounds: tuple[float, float]) -> float:
    lower, upper = bounds
    return min(upper, max(lower, value))
