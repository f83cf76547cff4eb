"""Value networks of R runs, fitted to returns by Adam.

The networks predict normalised returns, because a walk of 400 steps earns hundreds. When mean and
deviation of the returns move, the last layer is rescaled so that no prediction changes ("PopArt":
van Hasselt et al., "Learning values across many orders of magnitude", NeurIPS 2016).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.networks import Linearisation, StackedMlp
from safe_locomotion.training.gait.learners.streams import Streams

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8
LEAST_DEVIATION = 1e-2  #: of returns; costs that never occur must not be scaled up


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueSettings:
    """How values are fitted.

    Attributes:
        hidden: widths of the hidden layers, as the policy's.
        rate: of Adam; 1e-3 and 10 epochs are the defaults of TRPO in sb3-contrib.
        epochs: number of times that the fit sees each sample.
        minibatches: number of Adam steps per epoch. sb3-contrib takes 128 samples a step; 4 steps
            of 1,000 samples are ours, because small steps keep no GPU busy.
        memory: share of the old mean and square of the returns that one batch leaves. Ours.
    """

    hidden: tuple[int, int] = (64, 64)
    rate: float = 1e-3
    epochs: int = 10
    minibatches: int = 4
    memory: float = 0.9


class Adam:
    """Kingma and Ba, "Adam", ICLR 2015, for one tensor of parameters that changes in place.

    Attributes:
        steps: number of steps so far.
    """

    def __init__(self, parameters: Tensor, rate: float) -> None:
        self._parameters = parameters
        self._rate = rate
        self._first = torch.zeros_like(parameters)
        self._second = torch.zeros_like(parameters)
        self.steps = 0

    def descend(self, gradient: Tensor, moves: Tensor | None = None) -> None:
        """One step against the gradient.

        Args:
            gradient: of the loss.
            moves: (R, 1) 1 for the runs that step, 0 for those that rest; None: all step.
        """
        self.steps += 1
        self._first.lerp_(gradient, 1.0 - BETA1)
        self._second.lerp_(gradient.square(), 1.0 - BETA2)
        scale = (1.0 - BETA2**self.steps) ** 0.5
        step = self._first / (self._second.sqrt() + EPSILON * scale)
        step *= -self._rate * scale / (1.0 - BETA1**self.steps)
        self._parameters += step if moves is None else step * moves

    def state_dict(self) -> dict[str, Any]:
        """Moments and number of steps."""
        return {"first": self._first, "second": self._second, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._first.copy_(state["first"])
        self._second.copy_(state["second"])
        self.steps = int(state["steps"])


class ValueNetworks:
    """V(o) of R runs.

    Attributes:
        weights: (R, P).
        mean: (R, 1) of the returns.
        deviation: (R, 1) of the returns.
    """

    def __init__(self, settings: ValueSettings, *, observations: int, streams: Streams) -> None:
        self._settings = settings
        self._mlp = StackedMlp(observations, settings.hidden, 1)
        self.weights = self._mlp.initial(streams, last_gain=0.1)
        self._adam = Adam(self.weights, settings.rate)
        self.mean = torch.zeros(len(self.weights), 1, device=self.weights.device)
        self.deviation = torch.ones_like(self.mean)
        self._square = torch.zeros_like(self.mean)
        self._fits = 0

    def predict(self, x: Tensor) -> Tensor:
        """Values (R, S) for normalised observations (R, S, O)."""
        return self._mlp.forward(self.weights, x)[..., 0] * self.deviation + self.mean

    def fit(self, x: Tensor, returns: Tensor, weights: Tensor, streams: Streams) -> None:
        """Reduce the mean squared error.

        Args:
            x: (R, S, O) normalised observations.
            returns: (R, S).
            weights: (R, S) of the samples.
            streams: decide the order of the samples.
        """
        self._rescale(returns, weights)
        targets = (returns - self.mean) / self.deviation
        for order in streams.permutations(self._settings.epochs, x.shape[1]):
            for part in order.chunk(self._settings.minibatches):
                self._step(x[:, part], targets[:, part], weights[:, part])

    def state_dict(self) -> dict[str, Any]:
        """Weights, moments and the scale of the returns."""
        return {
            "weights": self.weights,
            "adam": self._adam.state_dict(),
            "mean": self.mean,
            "deviation": self.deviation,
            "square": self._square,
            "fits": self._fits,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        self.weights.copy_(state["weights"])
        self._adam.load_state_dict(state["adam"])
        self.mean.copy_(state["mean"])
        self.deviation.copy_(state["deviation"])
        self._square.copy_(state["square"])
        self._fits = int(state["fits"])

    def _step(self, x: Tensor, targets: Tensor, weights: Tensor) -> None:
        network = Linearisation(self._mlp, self.weights, x)
        error = network.outputs[..., 0] - targets
        share = weights / weights.sum(dim=1, keepdim=True).clamp(min=EPSILON)
        self._adam.descend(network.gradient((2.0 * share * error)[..., None]))

    def _rescale(self, returns: Tensor, weights: Tensor) -> None:
        """Move mean and deviation of the returns, and no prediction but those before any fit."""
        total = weights.sum(dim=1, keepdim=True)
        mean = (weights * returns).sum(dim=1, keepdim=True) / total
        square = (weights * returns.square()).sum(dim=1, keepdim=True) / total
        keep = self._settings.memory if self._fits else 0.0
        self._fits += 1
        new_mean = keep * self.mean + (1.0 - keep) * mean
        self._square = keep * self._square + (1.0 - keep) * square
        variance = self._square - new_mean.square()
        new_deviation = variance.clamp(min=LEAST_DEVIATION**2).sqrt()
        if keep:
            matrix, bias = self._mlp.split(self.weights)[-1]
            ratio = (self.deviation / new_deviation)[..., None]
            shift = ((self.mean - new_mean) / new_deviation)[..., None]
            matrix.mul_(ratio)
            bias.copy_(bias * ratio + shift)
        self.mean.copy_(new_mean)
        self.deviation.copy_(new_deviation)
