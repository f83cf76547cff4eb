"""PCPO: projection-based constrained policy optimisation (Yang et al., ICLR 2020).

First a TRPO step s towards more reward, then the nearest point, in the metric of the divergence,
at which the linearised cost is allowed:

    theta' = theta + s - max(0, (b' s + c) / (b' H^-1 b)) H^-1 b,   c = (1 - gamma) (J_C - h)

b is the gradient of the mean cost advantage. The factor 1 - gamma belongs to it, because J_C is a
sum over steps and b a mean. In the paper the step may leave the trust region if the old policy is
not feasible. Here it is shortened to the radius first. Then a line search checks the divergence,
and asks for a gain in reward only where nothing was projected.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.advantages import episode_returns
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import (
    Figures,
    RewardWeights,
    Samples,
    Shape,
)
from safe_locomotion.training.gait.learners.trpo import TASK, Trpo, TrpoSettings
from safe_locomotion.training.gait.learners.trust_region import (
    SMALLEST,
    conjugate_gradients,
    dot,
    shortened,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """J_C <= h.

    Attributes:
        limit: h, discounted cost of an episode. Paper 1 gives none. 0.01 is ours: a fall after two
            seconds, discounted by 0.99 per step, counts 0.08.
    """

    limit: float = 0.01

    def excess(self, batch: Batch, discount: float) -> Tensor:
        """(R, 1) c: mean cost of a step above what is allowed."""
        cost = episode_returns(batch.costs, discount)
        return ((1.0 - discount) * (cost - self.limit))[:, None]


@dataclass(frozen=True, kw_only=True, slots=True)
class PcpoSettings(TrpoSettings):
    """Settings of PCPO."""

    constraint: Constraint = field(default_factory=Constraint)


def projected(step: Tensor, cost: Tensor, natural_cost: Tensor, excess: Tensor) -> Tensor:
    """The step (R, P), moved in the metric H onto the half-space b' s + c <= 0.

    Args:
        step: s.
        cost: b (R, P).
        natural_cost: H^-1 b (R, P).
        excess: c (R, 1).
    """
    curvature = dot(cost, natural_cost)
    beyond = (dot(cost, step) + excess) / curvature
    return step - torch.where(curvature > SMALLEST, beyond.clamp(min=0.0), 0.0) * natural_cost


class Pcpo(Trpo):
    """R policies, each improved and then projected for each batch."""

    def __init__(
        self,
        shape: Shape,
        settings: PcpoSettings | None = None,
        rewards: RewardWeights = TASK,
    ) -> None:
        pcpo = settings or PcpoSettings()
        super().__init__(shape, pcpo, rewards, constrained=True)
        self.constraint = pcpo.constraint

    def improve(self, batch: Batch, rows: Samples) -> Figures:
        """A natural step, its projection and a line search."""
        assert rows.cost_advantages is not None
        policy = self.policies.linearise(rows.x)
        product = self.damped_fisher(policy, rows)
        wanted = self.reward_step(policy, product, rows)
        cost = policy.score(rows.weights * rows.cost_advantages, rows.actions)
        natural_cost = conjugate_gradients(product, cost, self.region)
        excess = self.constraint.excess(batch, self.settings.returns.discount)
        target = projected(wanted, cost, natural_cost, excess)
        moved = (target != wanted).any(dim=1)
        step = shortened(target, product, self.region.radius)
        search = self.search(policy, rows, step, needs_gain=~moved)
        self.policies.parameters.copy_(search.parameters)
        return {
            "divergence": search.divergence,
            "gain": search.gain,
            "step_length": search.length,
            "excess": excess[:, 0],
            "projected": moved.float(),
        }
