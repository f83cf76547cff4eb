"""What every learner has: policies, normalisers, values, and the interface of the training loop.

A round of training is: draw the noise of all steps, walk with `act`, then `update` with the batch.
Between two updates everything that `act` reads stays where it is in memory, and `update` changes it
in place. So a captured graph of the walk stays valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait.learners.advantages import (
    ReturnSettings,
    advantages,
    centred,
    standardised,
)
from safe_locomotion.training.gait.learners.batch import Batch, samples, steps
from safe_locomotion.training.gait.learners.normaliser import Normalisers
from safe_locomotion.training.gait.learners.policy import GaussianPolicies, PolicySettings
from safe_locomotion.training.gait.learners.streams import Streams
from safe_locomotion.training.gait.learners.values import ValueNetworks, ValueSettings
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser

Figures = dict[str, Tensor]


class Learner(Protocol):
    """Learns R policies from batches of R runs."""

    def prime(self, observations: Tensor) -> None:
        """Let the normalisers see observations (R, S, O) before the first round."""

    def draw_noise(self, steps: int, robots: int) -> Tensor:
        """Noise (T, R, N, A) of a round; changes the state of the random streams."""

    def act(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Actions (R, N, A) for observations (R, N, O) and noise (R, N, A)."""

    def update(self, batch: Batch) -> Figures:
        """Improve the policies with a batch that they collected; figures are (R,) each."""

    def state_dict(self) -> dict[str, Any]:
        """All that a later update depends on: tensors that stay in use, and numbers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, bit for bit."""

    def policy_of(self, run: int) -> Mlp:
        """Network of one run without noise, for export."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardWeights:
    """What a learner makes of rewards, costs and the use of recovery.

        r' = task r - recovery z - cost c,   z = 1 where the recovery policy acted

    Attributes:
        task: weight of the task's reward.
        recovery: penalty of a step under recovery.
        cost: penalty of a unit of cost.

    Each is one number, or (R, 1) with one for each run.
    """

    task: float | Tensor = 1.0
    recovery: float | Tensor = 0.0
    cost: float | Tensor = 0.0

    @classmethod
    def of_each(cls, runs: Sequence["RewardWeights"], device: torch.device) -> "RewardWeights":
        """Weights of runs that differ."""

        def column(name: str) -> Tensor:
            return torch.tensor([[float(getattr(run, name))] for run in runs], device=device)

        return cls(task=column("task"), recovery=column("recovery"), cost=column("cost"))

    def apply(self, batch: Batch) -> Tensor:
        """Rewards (T, R, N) to learn from."""
        penalty = self.recovery * batch.recovered + self.cost * batch.costs
        return self.task * batch.rewards - penalty


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnerSettings:
    """Settings that all learners share."""

    policy: PolicySettings = field(default_factory=PolicySettings)
    values: ValueSettings = field(default_factory=ValueSettings)
    returns: ReturnSettings = field(default_factory=ReturnSettings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Sizes of a problem, and its runs.

    Attributes:
        observations: O.
        mask: (R, A) True for the actions that a run's task leaves free.
        seeds: R seeds of the runs.
    """

    observations: int
    mask: Tensor
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        """Refuse a number of seeds that is not the number of runs."""
        if len(self.seeds) != len(self.mask):
            raise ConfigurationError(
                f"learner: {len(self.mask)} runs need as many seeds (found {len(self.seeds)})"
            )


@dataclass(frozen=True, slots=True)
class Samples:
    """A batch as rows of S = T N samples for each run.

    Attributes:
        x: (R, S, O) normalised observations.
        actions: (R, S, A).
        weights: (R, S), which add up to 1 and are 0 after a fall.
        advantages: (R, S) standardised.
        returns: (R, S) targets of the value.
        cost_advantages: (R, S) centred, in units of cost; None without a cost value.
        cost_returns: (R, S).
    """

    x: Tensor
    actions: Tensor
    weights: Tensor
    advantages: Tensor
    returns: Tensor
    cost_advantages: Tensor | None = None
    cost_returns: Tensor | None = None


class ActorCritic:
    """Policies, values and normalisers of R runs; the learners differ in how they `improve`.

    Attributes:
        settings: shared by all learners.
        rewards: what the learner makes of rewards, costs and uses of recovery.
        policies: of the R runs.
        normalisers: of the observations.
        values: of the reward.
        cost_values: of the cost, for learners with a constraint.
        streams: of random numbers.
    """

    def __init__(
        self,
        shape: Shape,
        settings: LearnerSettings,
        rewards: RewardWeights,
        *,
        constrained: bool = False,
    ) -> None:
        device = shape.mask.device
        width = shape.observations
        self.settings = settings
        self.rewards = rewards
        self.streams = Streams(shape.seeds, device)
        self.normalisers = Normalisers(len(shape.seeds), width, device)
        self.policies = GaussianPolicies(
            settings.policy, observations=width, mask=shape.mask, streams=self.streams
        )
        self.values = self._new_values(width)
        self.cost_values = self._new_values(width) if constrained else None

    def draw_noise(self, steps: int, robots: int) -> Tensor:
        """Noise (T, R, N, A) of a round."""
        actions = self.policies.mask.shape[2]
        return self.streams.normal(steps, robots, actions).transpose(0, 1).contiguous()

    def act(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Actions (R, N, A); changes nothing."""
        return self.policies.act(self.normalisers(observations), noise)

    def prime(self, observations: Tensor) -> None:
        """Let the normalisers see observations (R, S, O) before the first round.

        Without it the first round is walked with unscaled observations.
        """
        self.normalisers.update(observations, torch.ones_like(observations[..., 0]))

    def update(self, batch: Batch) -> Figures:
        """One update of the policies, then of the values, then of the normalisers."""
        batch = batch.cleaned()
        rows = self.samples(batch)
        figures = batch.figures() | self.improve(batch, rows)
        self.values.fit(rows.x, rows.returns, rows.weights, self.streams)
        if self.cost_values is not None and rows.cost_returns is not None:
            self.cost_values.fit(rows.x, rows.cost_returns, rows.weights, self.streams)
        self.normalisers.update(samples(batch.observations), rows.weights > 0.0)
        return figures | {"deviation": self._mean_deviation()}

    def improve(self, batch: Batch, rows: Samples) -> Figures:
        """Change the policies' parameters; each learner has its own way."""
        raise NotImplementedError

    def samples(self, batch: Batch) -> Samples:
        """Rows of a cleaned batch with advantages and returns."""
        seen = torch.cat([batch.observations, batch.last_observations[None]])
        x = self.normalisers(samples(seen))
        weights = batch.weights()
        count = weights.shape[1]
        gains, returns = self._estimates(self.values, x, self.rewards.apply(batch), batch)
        rows = (x[:, :count], samples(batch.actions), weights, standardised(gains, weights))
        if self.cost_values is None:
            return Samples(*rows, returns)
        cost_gains, cost_returns = self._estimates(self.cost_values, x, batch.costs, batch)
        return Samples(*rows, returns, centred(cost_gains, weights), cost_returns)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later update depends on."""
        state = {
            "policies": self.policies.parameters,
            "normalisers": self.normalisers.state_dict(),
            "values": self.values.state_dict(),
            "streams": self.streams.state_dict(),
        }
        if self.cost_values is not None:
            state["cost_values"] = self.cost_values.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        self.policies.parameters.copy_(state["policies"])
        self.normalisers.load_state_dict(state["normalisers"])
        self.values.load_state_dict(state["values"])
        self.streams.load_state_dict(state["streams"])
        if self.cost_values is not None:
            self.cost_values.load_state_dict(state["cost_values"])

    def policy_of(self, run: int) -> Mlp:
        """The mean of one run's policy as the network that `training.gait.export` writes.

        An observation that never changed, such as the command of a robot that stands, taught the
        network nothing about its other values. It loses its weights, which had no effect.

        Raises:
            ConfigurationError: the mean does not end in a tanh, as that network does.
        """
        policy = self.settings.policy
        if not policy.bounded:
            raise ConfigurationError("policy: only a bounded policy can be exported")
        mean = self.normalisers.mean[run, 0]
        shape = MlpShape(
            observation=len(mean), hidden=policy.hidden, action=self.policies.mask.shape[2]
        )
        weights = _numbers(self.policies.parameters[run, : shape.size])
        first, _ = shape.split(weights)[0]
        first[:, _numbers(self.normalisers.constant[run, 0]) > 0.0] = 0.0
        normaliser = Normaliser(
            mean=_numbers(mean), deviation=_numbers(self.normalisers.deviation[run, 0])
        )
        return Mlp(shape, normaliser, weights)

    def _new_values(self, width: int) -> ValueNetworks:
        return ValueNetworks(self.settings.values, observations=width, streams=self.streams)

    def _estimates(
        self, networks: ValueNetworks, x: Tensor, rewards: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Advantages and returns (R, S)."""
        values = steps(networks.predict(x), batch.fell.shape[1])
        gains = advantages(rewards, values, batch.alive, batch.fell, self.settings.returns)
        rows = samples(torch.stack([gains, gains + values[:-1]], dim=3))
        return rows[..., 0], rows[..., 1]

    def _mean_deviation(self) -> Tensor:
        """(R,) mean sigma of the free actions."""
        mask = self.policies.mask[:, 0]
        sigma = torch.exp(self.policies.parameters[:, -mask.shape[1] :])
        return (sigma * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)


def _numbers(values: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return values.detach().cpu().numpy().astype(np.float64)
