"""Tanh networks of R runs as one: batched products, derivatives written out.

    h_0 = x,  h_k+1 = tanh(W_k h_k + b_k),  y = W_n h_n + b_n  (or its tanh, if bounded)

Every run has its own weights, all of one shape. The weights of a run are one row of a (R, P)
tensor, layer after layer, W (outputs, inputs) before b. `training.gait.mlp` has the same order.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.streams import Streams


class StackedMlp:
    """Shape of the networks; weights are arguments, so that a line search can try others.

    Attributes:
        size: P, number of weights of one network.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, bounded: bool = False
    ) -> None:
        self.bounded = bounded
        self._layers = list(pairwise((inputs, *hidden, outputs)))
        self.size = sum((n + 1) * m for n, m in self._layers)

    def split(self, weights: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Views W (R, outputs, inputs) and b (R, 1, outputs) of each layer."""
        parts = []
        at = 0
        for n, m in self._layers:
            matrix = weights[:, at : at + n * m].unflatten(1, (m, n))
            at += n * m
            parts.append((matrix, weights[:, None, at : at + m]))
            at += m
        return parts

    def initial(self, streams: Streams, last_gain: float) -> Tensor:
        """(R, P) weights of deviation 1 / sqrt(inputs), no biases.

        Args:
            streams: of the runs.
            last_gain: factor on the weights of the last layer.
        """
        weights = torch.zeros(len(streams.seeds), self.size, device=streams.seeds.device)
        parts = self.split(weights)
        for matrix, _ in parts:
            matrix.copy_(streams.normal(*matrix.shape[1:]) / matrix.shape[2] ** 0.5)
        parts[-1][0].mul_(last_gain)
        return weights

    def forward(self, weights: Tensor, x: Tensor) -> Tensor:
        """Outputs (R, S, outputs) for inputs (R, S, inputs)."""
        return self.values(weights, x)[-1]

    def values(self, weights: Tensor, x: Tensor) -> list[Tensor]:
        """Inputs and outputs of each layer, (R, S, width) each."""
        values = [x]
        for k, (matrix, bias) in enumerate(self.split(weights)):
            z = torch.baddbmm(bias, values[-1], matrix.transpose(1, 2))
            values.append(z.tanh_() if self.curved(k) else z)
        return values

    def curved(self, layer: int) -> bool:
        """Whether a tanh follows this layer."""
        return self.bounded or layer < len(self._layers) - 1


class Linearisation:
    """The networks at inputs x, and their derivatives with respect to the weights.

    Attributes:
        outputs: (R, S, outputs).
    """

    def __init__(self, mlp: StackedMlp, weights: Tensor, x: Tensor) -> None:
        self._mlp = mlp
        self._layers = mlp.split(weights)
        self._values = mlp.values(weights, x)
        self._slopes = [
            1.0 - value.square() if mlp.curved(k) else None
            for k, value in enumerate(self._values[1:])
        ]
        self.outputs = self._values[-1]

    def tangent(self, direction: Tensor) -> Tensor:
        """Change of the outputs (R, S, outputs) per step along a direction (R, P): J v."""
        change = None
        for (matrix, _), (d_matrix, d_bias), value, slope in zip(
            self._layers, self._mlp.split(direction), self._values[:-1], self._slopes, strict=True
        ):
            z = torch.baddbmm(d_bias, value, d_matrix.transpose(1, 2))
            if change is not None:
                z = z.baddbmm_(change, matrix.transpose(1, 2))
            change = z if slope is None else z.mul_(slope)
        assert change is not None
        return change

    def gradient(self, by_output: Tensor) -> Tensor:
        """Gradient (R, P) of the sum over samples of by_output . outputs: J' u."""
        parts: list[Tensor] = []
        d = by_output
        for k in reversed(range(len(self._layers))):
            slope = self._slopes[k]
            if slope is not None:
                d = d * slope
            parts = [
                torch.bmm(d.transpose(1, 2), self._values[k]).flatten(1),
                d.sum(dim=1),
                *parts,
            ]
            if k > 0:
                d = torch.bmm(d, self._layers[k][0])
        return torch.cat(parts, dim=1)
