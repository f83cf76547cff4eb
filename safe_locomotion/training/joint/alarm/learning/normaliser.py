"""Empirical normalisation: running mean and deviation of everything that was seen."""

import torch
from torch import Tensor, nn

EPSILON = 1e-2  #: added to the deviation, as in rsl_rl; a constant number stays finite


class EmpiricalNormaliser(nn.Module):
    """Mean and deviation (W,) of all rows so far, merged iteration by iteration.

    Both stay fixed while an iteration is collected and used, so its policy is one function. `seen`
    adds rows to sums about the present mean, and `merge` makes these sums the new mean and
    deviation. Sums are float64, because they run over a whole training.

    Attributes:
        mean: (W,); zeros at first.
        deviation: (W,); ones at first.
    """

    mean: Tensor
    deviation: Tensor
    count: Tensor
    squares: Tensor
    added: Tensor
    added_sum: Tensor
    added_squares: Tensor

    def __init__(self, width: int, *, active: bool = True) -> None:
        super().__init__()
        self.active = active
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        for name in ("squares", "added_sum", "added_squares"):
            self.register_buffer(name, torch.zeros(width, dtype=torch.float64))
        for name in ("count", "added"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (..., W) with mean 0 and deviation 1; unchanged when not active."""
        if not self.active:
            return rows
        return (rows - self.mean) / (self.deviation + EPSILON)

    @torch.no_grad()
    def seen(self, rows: Tensor) -> None:
        """Add rows (n, W) to the sums that the next `merge` uses."""
        if not self.active:
            return
        shifted = (rows - self.mean).double()
        self.added.add_(float(rows.shape[0]))
        self.added_sum.add_(shifted.sum(dim=0))
        self.added_squares.add_(shifted.square().sum(dim=0))

    @torch.no_grad()
    def merge(self) -> None:
        """Let mean and deviation follow what was added."""
        if not self.active:
            return
        total = self.count + self.added
        shift = self.added_sum / total.clamp(min=1.0)
        self.squares.add_(self.added_squares - total * shift.square())
        self.mean.add_(shift.float())
        variance = (self.squares / total.clamp(min=1.0)).clamp(min=0.0)
        self.deviation.copy_(torch.where(total > 1.0, variance.sqrt(), 1.0))
        self.count.copy_(total)
        for name in ("added", "added_sum", "added_squares"):
            getattr(self, name).zero_()

    def scale_and_offset(self) -> tuple[Tensor, Tensor]:
        """(W,) each, with normalised = (rows - offset) * scale."""
        if not self.active:
            return torch.ones_like(self.mean), torch.zeros_like(self.mean)
        return 1.0 / (self.deviation + EPSILON), self.mean
