"""TRPO (Schulman et al., ICML 2015), which four of the paper's learners share.

They differ in the rewards that they learn from (paper 1, section VI), and in who decides about the
recovery policy, which belongs to the world:

- `TASK`: TRPO, without recovery. The reward alone.
- `TASK_LESS_COST`: TRPO-N, without recovery: R(s, a) - C(s). "It requires a significant effort to
  select a good value of C"; its weight is an argument.
- `ALGORITHM_1`: ours. The learner's own action with the reward less 1 while recovery acts, so that
  recovery is part of the environment (see `safety.intervention.penalised`).
- Recovery RL learns from `TASK`, see `recovery_rl`.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from safe_locomotion.safety.intervention import PENALTY
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import (
    ActorCritic,
    Figures,
    LearnerSettings,
    RewardWeights,
    Samples,
    Shape,
)
from safe_locomotion.training.gait.learners.policy import LinearPolicies
from safe_locomotion.training.gait.learners.trust_region import (
    LineSearch,
    Product,
    TrustRegion,
    conjugate_gradients,
    line_search,
    step_to_radius,
)

TASK = RewardWeights()
TASK_LESS_COST = RewardWeights(cost=1.0)
ALGORITHM_1 = RewardWeights(recovery=PENALTY)
MOST_COST = RewardWeights(task=0.0, cost=-1.0)
"""A policy that seeks falls; Recovery RL's critic learns from its walks before training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrpoSettings(LearnerSettings):
    """Settings of TRPO."""

    region: TrustRegion = field(default_factory=TrustRegion)


class Trpo(ActorCritic):
    """R policies, each improved by one natural step for each batch."""

    def __init__(
        self,
        shape: Shape,
        settings: TrpoSettings | None = None,
        rewards: RewardWeights = ALGORITHM_1,
        *,
        constrained: bool = False,
    ) -> None:
        trpo = settings or TrpoSettings()
        super().__init__(shape, trpo, rewards, constrained=constrained)
        self.region = trpo.region

    def improve(self, batch: Batch, rows: Samples) -> Figures:
        """The step of the paper that maximises the standardised advantage."""
        policy = self.policies.linearise(rows.x)
        product = self.damped_fisher(policy, rows)
        search = self.search(policy, rows, self.reward_step(policy, product, rows))
        self.policies.parameters.copy_(search.parameters)
        return {
            "divergence": search.divergence,
            "gain": search.gain,
            "step_length": search.length,
        }

    def damped_fisher(self, policy: LinearPolicies, rows: Samples) -> Product:
        """Product with H + damping I."""
        return lambda v: policy.fisher(v, rows.weights).add_(v, alpha=self.region.damping)

    def reward_step(self, policy: LinearPolicies, product: Product, rows: Samples) -> Tensor:
        """Full natural step (R, P) towards more reward."""
        gradient = policy.score(rows.weights * rows.advantages, rows.actions)
        direction = conjugate_gradients(product, gradient, self.region)
        return step_to_radius(direction, product, self.region.radius)

    def search(
        self,
        policy: LinearPolicies,
        rows: Samples,
        step: Tensor,
        needs_gain: Tensor | None = None,
    ) -> LineSearch:
        """Line search along the step, on the advantage weighted by the ratio of probabilities."""
        old = policy.distribution
        old_log = old.log_probability(rows.actions)

        def evaluate(parameters: Tensor) -> tuple[Tensor, Tensor]:
            new = self.policies.distribution(rows.x, self.policies.admissible(parameters))
            growth = torch.exp(new.log_probability(rows.actions) - old_log) - 1.0
            gain = (rows.weights * rows.advantages * growth).sum(dim=1)
            return gain, (rows.weights * new.divergence_from(old)).sum(dim=1)

        return line_search(self.policies.parameters, step, evaluate, self.region, needs_gain)
