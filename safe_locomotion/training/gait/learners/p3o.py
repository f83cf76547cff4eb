"""P3O: penalised proximal policy optimisation (Zhang et al., IJCAI 2022).

    minimise  -E[min(q A, clip(q) A)] + kappa max(0, E[max(q A_C, clip(q) A_C)] + c)

q is the ratio of new to old probability, clip keeps it within 1 -+ epsilon, and
c = (1 - gamma) (J_C - d). The paper normalises both advantages. Here A_C is centred, and A_C and c
are both divided by the deviation of A_C, so that they keep one unit. That deviation has a floor:
otherwise a cost that never occurs would give full weight to the noise of its value.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import (
    ActorCritic,
    Figures,
    LearnerSettings,
    RewardWeights,
    Samples,
    Shape,
)
from safe_locomotion.training.gait.learners.pcpo import Constraint
from safe_locomotion.training.gait.learners.policy import Gaussian
from safe_locomotion.training.gait.learners.trpo import TASK
from safe_locomotion.training.gait.learners.values import Adam


@dataclass(frozen=True, kw_only=True, slots=True)
class P3oSettings(LearnerSettings):
    """Settings of P3O.

    Attributes:
        constraint: limit of the cost.
        kappa: penalty factor; 20 in the paper and in OmniSafe.
        clip: epsilon; 0.2 in the paper.
        rate: of Adam; 3e-4, the default of PPO in stable-baselines3.
        epochs: number of times that the update sees each sample, as there.
        minibatches: number of Adam steps per epoch. Ours.
        least_deviation: floor of the deviation of A_C. Ours: one fall in 4,000 samples gives 0.05.
        radius: divergence [nats] beyond which a run takes no more steps from this batch. The paper
            stops when the policy leaves the trust region; 0.02 is the target of OmniSafe's PPO.
    """

    constraint: Constraint = field(default_factory=Constraint)
    kappa: float = 20.0
    clip: float = 0.2
    rate: float = 3e-4
    epochs: int = 10
    minibatches: int = 4
    least_deviation: float = 0.02
    radius: float = 0.02


class P3o(ActorCritic):
    """R policies, each improved by many small steps for each batch."""

    def __init__(
        self,
        shape: Shape,
        settings: P3oSettings | None = None,
        rewards: RewardWeights = TASK,
    ) -> None:
        p3o = settings or P3oSettings()
        super().__init__(shape, p3o, rewards, constrained=True)
        self.p3o = p3o
        self._adam = Adam(self.policies.parameters, p3o.rate)

    def improve(self, batch: Batch, rows: Samples) -> Figures:
        """Some epochs of Adam on the penalised objective."""
        assert rows.cost_advantages is not None
        p3o = self.p3o
        variance = (rows.weights * rows.cost_advantages.square()).sum(dim=1, keepdim=True)
        unit = variance.sqrt().clamp(min=p3o.least_deviation)
        scaled = replace(rows, cost_advantages=rows.cost_advantages / unit)
        excess = p3o.constraint.excess(batch, self.settings.returns.discount)
        old = self.policies.distribution(rows.x)
        old_log = old.log_probability(rows.actions)
        moves = torch.ones_like(excess)
        divergence = torch.zeros_like(excess[:, 0])
        new = old
        for order in self.streams.permutations(p3o.epochs, rows.x.shape[1]):
            for part in order.chunk(p3o.minibatches):
                self._step(scaled, part, old_log, excess / unit, moves)
            new = self.policies.distribution(rows.x)
            divergence = (rows.weights * new.divergence_from(old)).sum(dim=1)
            moves = moves * (divergence <= p3o.radius)[:, None]
        return {"divergence": divergence, "excess": excess[:, 0]} | self._gain(rows, new, old_log)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later update depends on."""
        return super().state_dict() | {"adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        super().load_state_dict(state)
        self._adam.load_state_dict(state["adam"])

    def _step(
        self, rows: Samples, part: Tensor, old_log: Tensor, excess: Tensor, moves: Tensor
    ) -> None:
        """One Adam step on some of the samples.

        A clipped sample has no gradient. Otherwise d q / d log p = q.
        """
        assert rows.cost_advantages is not None
        actions = rows.actions[:, part]
        policy = self.policies.linearise(rows.x[:, part])
        weights = rows.weights[:, part]
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-8)
        gain = rows.advantages[:, part]
        cost = rows.cost_advantages[:, part]
        ratio = torch.exp(policy.distribution.log_probability(actions) - old_log[:, part])
        near = ratio.clamp(1.0 - self.p3o.clip, 1.0 + self.p3o.clip)
        penalty = (weights * torch.maximum(ratio * cost, near * cost)).sum(dim=1, keepdim=True)
        violated = penalty + excess > 0.0
        by_gain = torch.where(ratio * gain <= near * gain, gain, 0.0)
        by_cost = torch.where(ratio * cost >= near * cost, cost, 0.0)
        slope = self.p3o.kappa * violated * by_cost - by_gain
        self._adam.descend(policy.score(weights * ratio * slope, actions), moves)
        self.policies.admissible(self.policies.parameters)

    def _gain(self, rows: Samples, new: Gaussian, old_log: Tensor) -> Figures:
        growth = torch.exp(new.log_probability(rows.actions) - old_log) - 1.0
        return {"gain": (rows.weights * rows.advantages * growth).sum(dim=1)}
