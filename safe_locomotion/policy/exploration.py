"""Exploration: noise that a robot adds to the actions of its gait policy while it learns.

The noise belongs to the file of the policy, so an episode says from which distribution each action
was drawn. A stack takes such a file only where it was started for learning, so nobody flies one by
mistake. The noise is bounded, and what comes of it stays within the bounds of the contract.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from safe_locomotion.policy.refusal import STRICT, Numbers, refuse
from safe_locomotion.types import Array

MOST = 1.0  #: deviation; the limit of a gait action
BOUND = 3.0  #: of the noise, in deviations
STEPS = 16384  #: after which the noise repeats; two minutes at 125 Hz, an update has 32 s


@dataclass(frozen=True, kw_only=True, slots=True)
class Exploration:
    """Normal noise of each number of the action, cut at `BOUND` deviations.

    Attributes:
        deviation: (A,) standard deviations, in units of the action.
        seed: of the noise. Equal seeds give equal noise, so a walk can be repeated.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    deviation: Numbers
    seed: int

    def __post_init__(self) -> None:
        """Refuse impossible numbers, NaN included."""
        if not all(0.0 <= value <= MOST for value in self.deviation):
            raise refuse("exploration: deviation", f"numbers within 0..{MOST:g}", self.deviation)
        if not 0 <= self.seed < 2**63:
            raise refuse("exploration: seed", "a number from 0 up", self.seed)


class Noise:
    """The noise of a policy, step by step.

    Attributes:
        step: number of the next row; `reset` of a policy does not change it.
    """

    def __init__(self, exploration: Exploration) -> None:
        deviation = np.array(exploration.deviation)
        rng = np.random.default_rng(exploration.seed)
        rows = rng.standard_normal((STEPS, len(deviation)))
        self._rows: Array = deviation * np.clip(rows, -BOUND, BOUND)
        self.step = 0

    def draw(self) -> Array:
        """(A,) noise of this step."""
        row: Array = self._rows[self.step % STEPS]
        self.step += 1
        return row


def check_may_explore(exploration: Exploration | None, *, learning: bool) -> None:
    """Refuse a policy that explores where nobody asked for it.

    Args:
        exploration: of the contract.
        learning: whether the stack was started for learning.

    Raises:
        PolicyRefusedError: it was not.
    """
    if exploration is not None and not learning:
        expected = "a policy without exploration, or a stack that learns (policy.explore: true)"
        raise refuse("exploration", expected, "one that explores")
