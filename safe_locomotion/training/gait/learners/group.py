"""Several learners as one: each owns a range of the runs of a grid."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Figures, Learner
from safe_locomotion.training.gait.mlp import Mlp


class LearnerGroup:
    """Learners side by side, in the order of their runs.

    Attributes:
        parts: the learners with the number of runs of each.
    """

    def __init__(self, parts: Sequence[tuple[Learner, int]]) -> None:
        self.parts = list(parts)
        self._ranges: list[slice] = []
        at = 0
        for _, runs in parts:
            self._ranges.append(slice(at, at + runs))
            at += runs

    def prime(self, observations: Tensor) -> None:
        """Let the normalisers see observations (R, S, O) before the first round."""
        for part, runs in self._each():
            part.prime(observations[runs])

    def draw_noise(self, steps: int, robots: int) -> Tensor:
        """Noise (T, R, N, A) of a round."""
        return torch.cat([part.draw_noise(steps, robots) for part, _ in self.parts], dim=1)

    def act(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Actions (R, N, A); changes nothing."""
        return torch.cat([part.act(observations[k], noise[k]) for part, k in self._each()])

    def update(self, batch: Batch) -> Figures:
        """One update of every learner; a figure that a learner lacks is NaN in its runs."""
        found = [part.update(batch.of_runs(runs)) for part, runs in self._each()]
        names = list(dict.fromkeys(name for figures in found for name in figures))
        return {
            name: torch.cat(
                [
                    figures.get(name, torch.full_like(figures["falls"], float("nan")))
                    for figures in found
                ]
            )
            for name in names
        }

    def state_dict(self) -> dict[str, Any]:
        """States of the learners."""
        return {str(k): part.state_dict() for k, (part, _) in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        for k, (part, _) in enumerate(self.parts):
            part.load_state_dict(state[str(k)])

    def policy_of(self, run: int) -> Mlp:
        """Network of one run of the grid, for export."""
        for part, runs in self._each():
            if run < runs.stop:
                return part.policy_of(run - runs.start)
        raise IndexError(run)

    def _each(self) -> list[tuple[Learner, slice]]:
        return [(part, runs) for (part, _), runs in zip(self.parts, self._ranges, strict=True)]
