"""Gaussian policies of R runs: mean from a tanh network, one deviation for each action.

    a = mask (mu(o) + sigma n),  n standard normal,  mu in (-1, 1)

The mean ends in a tanh, as in the policies that the robot flies (`training.gait.mlp`): an output
beyond the limit of the contract cannot occur. A masked action is 0. It counts neither in the
log-probability nor in the divergence, so its weights never move.
"""

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.networks import Linearisation, StackedMlp
from safe_locomotion.training.gait.learners.streams import Streams


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicySettings:
    """Size and noise of a policy.

    Attributes:
        hidden: widths of the two hidden layers. Paper 1, section VI says "two-layer MLP" without
            widths; 64 is the default of OmniSafe and stable-baselines3.
        bounded: the mean ends in a tanh.
        deviation: sigma at first, in units of the output. The paper gives none; 0.3 is ours.
        least_deviation: sigma never falls below it, so the learner never stops exploring. Ours.
        last_gain: factor on the weights of the last layer at first. 0.01 is the choice of
            Andrychowicz et al., "What matters in on-policy reinforcement learning?", ICLR 2021.
    """

    hidden: tuple[int, int] = (64, 64)
    bounded: bool = True
    deviation: float = 0.3
    least_deviation: float = 0.02
    last_gain: float = 0.01


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Distributions of the actions at S samples of R runs.

    Attributes:
        mean: (R, S, A).
        log_deviation: (R, 1, A).
        mask: (R, 1, A) 1 for the actions that count.
    """

    mean: Tensor
    log_deviation: Tensor
    mask: Tensor

    def log_probability(self, actions: Tensor) -> Tensor:
        """(R, S) logarithm of the density of the actions (R, S, A)."""
        z = (actions - self.mean) * torch.exp(-self.log_deviation)
        each = -0.5 * z.square() - self.log_deviation - 0.5 * log(2.0 * pi)
        return (each * self.mask).sum(dim=2)

    def divergence_from(self, old: "Gaussian") -> Tensor:
        """(R, S) Kullback-Leibler divergence KL(old, self) in nats."""
        gain = torch.exp(-2.0 * self.log_deviation)
        spread = torch.exp(2.0 * (old.log_deviation - self.log_deviation))
        shift = (self.mean - old.mean).square() * gain
        each = self.log_deviation - old.log_deviation + 0.5 * (spread + shift - 1.0)
        return (each * self.mask).sum(dim=2)


class GaussianPolicies:
    """The policies of R runs.

    Attributes:
        mask: (R, 1, A) 1 for free actions, 0 for masked ones.
        parameters: (R, P + A) weights of the mean, then log sigma. They change in place, so a
            captured graph that reads them stays valid.
    """

    def __init__(
        self, settings: PolicySettings, *, observations: int, mask: Tensor, streams: Streams
    ) -> None:
        self.mask = mask[:, None].float()
        self.settings = settings
        actions = mask.shape[1]
        self.mlp = StackedMlp(observations, settings.hidden, actions, bounded=settings.bounded)
        weights = self.mlp.initial(streams, settings.last_gain)
        last = self.mlp.split(weights)[-1][0]
        last.mul_(self.mask.transpose(1, 2))
        deviation = torch.full((len(mask), actions), log(settings.deviation), device=mask.device)
        self.parameters = torch.cat([weights, deviation], dim=1)

    def act(self, x: Tensor, noise: Tensor) -> Tensor:
        """Actions (R, N, A) for normalised observations (R, N, O) and noise (R, N, A)."""
        now = self.distribution(x)
        return (now.mean + torch.exp(now.log_deviation) * noise) * self.mask

    def distribution(self, x: Tensor, parameters: Tensor | None = None) -> Gaussian:
        """Distributions for normalised observations (R, S, O), under other parameters if given."""
        weights, log_deviation = self._parts(parameters)
        return Gaussian(self.mlp.forward(weights, x), log_deviation, self.mask)

    def admissible(self, parameters: Tensor) -> Tensor:
        """The parameters with no sigma below the least; changes them in place."""
        parameters[:, self.mlp.size :].clamp_(min=log(self.settings.least_deviation))
        return parameters

    def linearise(self, x: Tensor) -> "LinearPolicies":
        """The policies and their derivatives at normalised observations (R, S, O)."""
        weights, log_deviation = self._parts(None)
        network = Linearisation(self.mlp, weights, x)
        return LinearPolicies(network, Gaussian(network.outputs, log_deviation, self.mask))

    def _parts(self, parameters: Tensor | None) -> tuple[Tensor, Tensor]:
        given = self.parameters if parameters is None else parameters
        return given[:, : self.mlp.size], given[:, None, self.mlp.size :]


class LinearPolicies:
    """Derivatives of the policies with respect to their parameters.

    Attributes:
        distribution: at these observations.
    """

    def __init__(self, network: Linearisation, distribution: Gaussian) -> None:
        self._network = network
        self.distribution = distribution
        self._precision = torch.exp(-2.0 * distribution.log_deviation) * distribution.mask

    def score(self, factors: Tensor, actions: Tensor) -> Tensor:
        """Gradient (R, P + A) of the sum of factors (R, S) times log-probability.

        d log p / d mu = (a - mu) / sigma^2,  d log p / d log sigma = (a - mu)^2 / sigma^2 - 1
        """
        error = actions - self.distribution.mean
        scaled = error * self._precision
        factor = factors[..., None]
        by_deviation = (factor * (scaled * error - self.distribution.mask)).sum(dim=1)
        return torch.cat([self._network.gradient(factor * scaled), by_deviation], dim=1)

    def fisher(self, direction: Tensor, weights: Tensor) -> Tensor:
        """Product (R, P + A) of the Fisher matrix with a direction (R, P + A).

        A Gaussian has the exact Gauss-Newton form J' diag(1 / sigma^2) J for the mean. For log
        sigma the matrix is 2 I. The two do not couple.

        Args:
            direction: v.
            weights: (R, S) of the samples; they add up to 1 in each run.
        """
        size = direction.shape[1] - self._precision.shape[2]
        change = self._network.tangent(direction[:, :size])
        change.mul_(self._precision).mul_(weights[..., None])
        by_deviation = 2.0 * direction[:, size:] * self.distribution.mask[:, 0]
        return torch.cat([self._network.gradient(change), by_deviation], dim=1)
