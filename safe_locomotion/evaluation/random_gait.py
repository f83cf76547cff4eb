"""An untrained learner: a random walk of the gait parameters, as wild as exploration gets. For evaluating supervisors.

On every policy step frequency, swing ratio and phase offsets move by independent normal steps; the first two stay within bounds,
the offsets wrap. The feet's lateral positions stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from safe_locomotion.types import Estimate, GaitParameters, Proposal, VelocityCommand

NAME = "random"


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomWalk:
    """How far the gait wanders.

    Attributes:
        sigma: deviation of one step (8 ms) of swing ratio [-] and offsets [strides]; the frequency's is `frequency_scale` times that [Hz].
        frequency, swing_ratio: bounds [Hz, -].
    """

    sigma: float = 0.03
    frequency_scale: float = 5.0
    frequency: tuple[float, float] = (1.5, 4.0)
    swing_ratio: tuple[float, float] = (0.3, 0.7)


class RandomGait:
    """Proposes like `PolicyRuntime`, whatever the robot does.

    Attributes:
        hazard: always "": its proposals can be executed, wise or not.
    """

    def __init__(self, start: GaitParameters, seed: int, walk: RandomWalk | None = None) -> None:
        """Start from a gait.

        Args:
            start: of every episode.
            seed: of the walk; each `reset` goes on with other numbers.
            walk: its size.
        """
        self._start, self._walk = start, walk or RandomWalk()
        self._rng = np.random.default_rng(seed)
        self.hazard = ""
        self.reset()

    def reset(self) -> None:
        """Back to the first gait: at the start of an episode, a change of mode and a swap."""
        self._gait = self._start

    def remember(self) -> tuple[GaitParameters, Mapping[str, Any]]:
        """What `recall` needs to go on from here."""
        return self._gait, self._rng.bit_generator.state

    def recall(self, kept: tuple[GaitParameters, Mapping[str, Any]]) -> None:
        """Go on from where `remember` was called."""
        self._gait, self._rng.bit_generator.state = kept

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal:
        """The proposal on this estimate."""
        walk = self._walk
        gait = self._gait
        steps: list[float] = (walk.sigma * self._rng.standard_normal(5)).tolist()
        fl, rr, rl = (
            (x + step) % 1.0 % 1.0 for x, step in zip(gait.phase_offsets, steps[2:], strict=True)
        )
        self._gait = GaitParameters(
            frequency=_within(gait.frequency + walk.frequency_scale * steps[0], walk.frequency),
            swing_ratio=_within(gait.swing_ratio + steps[1], walk.swing_ratio),
            phase_offsets=(fl, rr, rl),
            foot_y=gait.foot_y,
        )
        return Proposal(stamp_ns=estimate.stamp_ns, policy=NAME, kind="gait", gait=self._gait)


def _within(value: float, bounds: tuple[float, float]) -> float:
    lower, upper = bounds
    return min(upper, max(lower, value))
