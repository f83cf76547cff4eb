"""Adam on one flat vector for each part of the networks, with a clipped gradient and a rate.

All of it stays in its place and waits for nothing, so that a graph can replay it: the rates and the
number of steps are tensors. Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8
NORM_EPSILON = 1e-6  #: keeps the factor of a gradient of 0 finite


class Adam:
    """One step of every part: m and v are running means of the gradient and of its square.

    x <- x - rate * (m / (1 - beta1^k)) / (sqrt(v / (1 - beta2^k)) + epsilon).

    Attributes:
        parts: parameters by name of the part.
        rates: (scalar) of each part.
        gradient: largest norm of the gradient of a part; a longer one is shortened to it.
    """

    def __init__(
        self,
        parts: Mapping[str, Sequence[nn.Parameter]],
        rates: Mapping[str, Tensor],
        gradient: float,
    ) -> None:
        self.parts = {name: list(part) for name, part in parts.items() if part}
        self.rates = dict(rates)
        self.gradient = gradient
        sizes = {name: sum(x.numel() for x in part) for name, part in self.parts.items()}
        device = next(iter(self.parts.values()))[0].device
        self._mean = {name: torch.zeros(size, device=device) for name, size in sizes.items()}
        self._square = {name: torch.zeros(size, device=device) for name, size in sizes.items()}
        self._powers = torch.ones(2, device=device)

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of a loss."""
        for part in self.parts.values():
            for value in part:
                value.grad = None
        loss.backward()
        self._apply()

    @torch.no_grad()
    def _apply(self) -> None:
        self._powers[0].mul_(BETAS[0])
        self._powers[1].mul_(BETAS[1])
        for name, part in self.parts.items():
            found = [torch.zeros_like(x) if x.grad is None else x.grad for x in part]
            flat = torch.cat([gradient.flatten() for gradient in found])
            norm = torch.linalg.vector_norm(flat)
            flat = flat * (self.gradient / (norm + NORM_EPSILON)).clamp(max=1.0)
            mean = self._mean[name].lerp_(flat, 1.0 - BETAS[0])
            square = self._square[name].lerp_(flat.square(), 1.0 - BETAS[1])
            spread = (square / (1.0 - self._powers[1])).sqrt() + EPSILON
            change = self.rates[name] * (mean / (1.0 - self._powers[0])) / spread
            for value, moved in zip(part, change.split([x.numel() for x in part]), strict=True):
                value.sub_(moved.view_as(value))

    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on, beside the parameters."""
        return {
            "mean": self._mean,
            "square": self._square,
            "powers": self._powers,
            "rates": self.rates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        self._powers.copy_(state["powers"])
        for own, kept in (
            (self._mean, state["mean"]),
            (self._square, state["square"]),
            (self.rates, state["rates"]),
        ):
            for name, tensor in own.items():
                tensor.copy_(kept[name])
