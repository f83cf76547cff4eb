"""A two-layer tanh network (paper 1, section VI) in numpy.

It is so small that training moves all its weights at once.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True)
class MlpShape:
    """Sizes of action = tanh(W3 tanh(W2 tanh(W1 (o - mean) / deviation + b1) + b2) + b3)."""

    observation: int
    hidden: tuple[int, int]
    action: int

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        sizes = (self.observation, *self.hidden, self.action)
        return list(pairwise(sizes))

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum((inputs + 1) * outputs for inputs, outputs in self.layers)

    def split(self, weights: Array) -> list[tuple[Array, Array]]:
        """Views (W (outputs, inputs), b (outputs,)) of each layer into the flat vector."""
        parts = []
        at = 0
        for inputs, outputs in self.layers:
            matrix = weights[at : at + inputs * outputs].reshape(outputs, inputs)
            at += inputs * outputs
            parts.append((matrix, weights[at : at + outputs]))
            at += outputs
        return parts


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """Mean and deviation (O,) of the observations; part of the network from the first step."""

    mean: Array
    deviation: Array


class Mlp:
    """The network with one set of weights."""

    def __init__(self, shape: MlpShape, normaliser: Normaliser, weights: Array) -> None:
        self.shape = shape
        self.normaliser = normaliser
        self.weights = weights
        self._layers = shape.split(weights)

    def act(self, observation: NDArray[np.floating]) -> Array:
        """Action (..., A) in (-1, 1) for observations (..., O)."""
        x = (observation - self.normaliser.mean) / self.normaliser.deviation
        for matrix, bias in self._layers:
            x = np.tanh(x @ matrix.T + bias)
        return x

    def activations(self, observation: Array) -> list[Array]:
        """Normalised input and output of each layer, for the gradient of `imitation`."""
        values = [(observation - self.normaliser.mean) / self.normaliser.deviation]
        for matrix, bias in self._layers:
            values.append(np.tanh(values[-1] @ matrix.T + bias))
        return values


def random_weights(shape: MlpShape, rng: np.random.Generator) -> Array:
    """Weights of deviation 1 / sqrt(inputs), no biases."""
    weights = np.zeros(shape.size)
    for matrix, _ in shape.split(weights):
        matrix[:] = rng.standard_normal(matrix.shape) / np.sqrt(matrix.shape[1])
    return weights
