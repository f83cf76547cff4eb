"""Running mean and deviation of the observations of each run.

They stay fixed while a batch is collected and used, so the policy of a batch is one function.
"""

from typing import Any

import torch
from torch import Tensor

LEAST_DEVIATION = 1e-3  #: below it an observation counts as constant, and is only centred


class Normalisers:
    """Mean and deviation (R, 1, O) of everything seen, merged batch by batch.

    The merge is that of Chan, Golub and LeVeque, "Algorithms for computing the sample variance",
    The American Statistician 37 (1983). Sums are float64, because they run over whole trainings.

    Attributes:
        mean: (R, 1, O); zeros before the first batch.
        deviation: (R, 1, O); ones before the first batch.
    """

    def __init__(self, runs: int, width: int, device: torch.device | str = "cpu") -> None:
        self.mean = torch.zeros(runs, 1, width, device=device)
        self.deviation = torch.ones(runs, 1, width, device=device)
        self._count = torch.zeros(runs, 1, 1, dtype=torch.float64, device=device)
        self._mean = torch.zeros(runs, 1, width, dtype=torch.float64, device=device)
        self._squares = torch.zeros(runs, 1, width, dtype=torch.float64, device=device)

    def __call__(self, observations: Tensor) -> Tensor:
        """Observations (R, S, O) with mean 0 and deviation 1."""
        return (observations - self.mean) / self.deviation

    @property
    def constant(self) -> Tensor:
        """(R, 1, O) True for observations that were seen and never changed."""
        spread = self._squares / self._count.clamp(min=1.0)
        return (self._count > 0.0) & (spread.sqrt() < LEAST_DEVIATION)

    def update(self, observations: Tensor, counted: Tensor) -> None:
        """Merge the rows of observations (R, S, O) that are counted (R, S)."""
        weight = counted[..., None].double()
        rows = observations.double()
        count = weight.sum(dim=1, keepdim=True)
        mean = (weight * rows).sum(dim=1, keepdim=True) / count.clamp(min=1.0)
        squares = (weight * (rows - mean).square()).sum(dim=1, keepdim=True)
        total = (self._count + count).clamp(min=1.0)
        shift = mean - self._mean
        self._squares += squares + shift.square() * self._count * count / total
        self._mean += shift * count / total
        self._count += count
        self.mean.copy_(self._mean)
        deviation = (self._squares / total).sqrt()
        self.deviation.copy_(torch.where(deviation >= LEAST_DEVIATION, deviation, 1.0))

    def state_dict(self) -> dict[str, Any]:
        """All that a later `update` depends on."""
        return {
            "mean": self.mean,
            "deviation": self.deviation,
            "count": self._count,
            "sum_mean": self._mean,
            "squares": self._squares,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])
