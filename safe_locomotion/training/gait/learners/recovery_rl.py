"""Recovery RL (Thananjeyan et al., RA-L 2021) on TRPO: a risk critic decides who acts.

    Q(s, a) = c + gamma_risk (1 - c) Q(s', a'),   recovery acts while Q(s, a_learner) > epsilon

Q is the discounted probability that a violation follows. It is fitted before training to walks of a
policy that seeks violations, and then switches for a learner that gets no penalty.

It departs from the original as follows.

- The learner is TRPO on its own rounds, not SAC on a replay buffer. So only the switching rule
  differs from the other learners, as in paper 1, section VI.
- a' is the action of the recorded walk, not a new one of the current policy. The critic therefore
  belongs to the policy that seeks violations, as paper 1, section II describes it.
- One critic stands for two, trained by cross-entropy on the target, whose minimum is the same mean.
- The critic rests during training unless `fit` is called again. The original goes on fitting.
- The recovery policy is that of the other learners, not one that descends on Q.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.batch import Batch, samples
from safe_locomotion.training.gait.learners.learner import Shape
from safe_locomotion.training.gait.learners.networks import Linearisation, StackedMlp
from safe_locomotion.training.gait.learners.normaliser import Normalisers
from safe_locomotion.training.gait.learners.streams import Streams
from safe_locomotion.training.gait.learners.switching import Situation
from safe_locomotion.training.gait.learners.trpo import TASK, Trpo, TrpoSettings
from safe_locomotion.training.gait.learners.values import Adam


@dataclass(frozen=True, kw_only=True, slots=True)
class RiskSettings:
    """Settings of the risk critic.

    Attributes:
        hidden: widths of the hidden layers; the original has 256.
        discount: gamma_risk. The original takes 0.5 to 0.85 by task. 0.95 is ours: at 125 Hz it
            looks 0.16 s ahead.
        threshold: epsilon. The original takes 0.1 to 0.35 by task.
        rate: of Adam, as in the original.
        mix: share of the critic that its slow copy takes over at each step. The original has
            2e-4 with many more steps; 5e-3 is the usual one of SAC.
        minibatch: samples of a step. Ours.
    """

    hidden: tuple[int, int] = (256, 256)
    discount: float = 0.95
    threshold: float = 0.25
    rate: float = 3e-4
    mix: float = 5e-3
    minibatch: int = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Transitions:
    """M steps of each run: (s, a), the cost, and (s', a') unless the walk ended.

    Attributes:
        inputs: (R, M, O + A) observations and actions.
        next_inputs: (R, M, O + A).
        violations: (R, M) cost, between 0 and 1.
        goes_on: (R, M) 1 if the walk went on.
        counted: (R, M) 1 for steps that carry information.
    """

    inputs: Tensor
    next_inputs: Tensor
    violations: Tensor
    goes_on: Tensor
    counted: Tensor


def transitions(batches: Sequence[Batch]) -> Transitions:
    """Steps of some rounds. The last step of a walk that was cut off has no a', so it is left out.

    Cost above 1 counts as 1.
    """
    parts = []
    for raw in batches:
        batch = raw.cleaned()
        inputs = torch.cat([batch.observations, batch.actions], dim=3)
        after = torch.cat([inputs[1:], torch.zeros_like(inputs[:1])])
        goes_on = torch.cat([batch.alive[1:], torch.zeros_like(batch.alive[:1])])
        final = batch.alive & ~goes_on
        counted = batch.alive & ~(final & ~batch.fell)
        cost = batch.costs.clamp(0.0, 1.0)
        flags = torch.stack([cost, goes_on.float(), counted.float()], dim=3)
        parts.append((samples(inputs), samples(after), samples(flags)))
    inputs = torch.cat([part[0] for part in parts], dim=1)
    after = torch.cat([part[1] for part in parts], dim=1)
    flags = torch.cat([part[2] for part in parts], dim=1)
    return Transitions(
        inputs=inputs,
        next_inputs=after,
        violations=flags[..., 0],
        goes_on=flags[..., 1],
        counted=flags[..., 2],
    )


class RiskCritic:
    """Q(s, a) in (0, 1) of R runs.

    Attributes:
        settings: of the critic.
        weights: (R, P); they change in place.
    """

    def __init__(
        self, settings: RiskSettings, *, observations: int, actions: int, streams: Streams
    ) -> None:
        self.settings = settings
        self._streams = streams
        width = observations + actions
        self._mlp = StackedMlp(width, settings.hidden, 1)
        self.weights = self._mlp.initial(streams, last_gain=0.1)
        self._slow = self.weights.clone()
        self._adam = Adam(self.weights, settings.rate)
        self._normalisers = Normalisers(len(self.weights), width, self.weights.device)

    def risk(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(R, N) Q for observations (R, N, O) and actions (R, N, A)."""
        inputs = torch.cat([observations, actions], dim=2)
        return self._risk(self.weights, self._normalisers(inputs))

    def fit(self, data: Transitions, updates: int) -> Tensor:
        """Some Adam steps on the data; the mean loss of the last step (R,).

        The first call also fixes the scale of the inputs.
        """
        if not self._adam.steps:
            self._normalisers.update(data.inputs, data.counted)
        x = self._normalisers(data.inputs)
        after = self._normalisers(data.next_inputs)
        loss = torch.zeros_like(x[:, 0, 0])
        for _ in range(updates):
            part = self._streams.indices(self.settings.minibatch, x.shape[1])
            loss = self._step(data, x[:, part], after[:, part], part)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Weights, their slow copy, moments and the scale of the inputs."""
        return {
            "weights": self.weights,
            "slow": self._slow,
            "adam": self._adam.state_dict(),
            "normalisers": self._normalisers.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        self.weights.copy_(state["weights"])
        self._slow.copy_(state["slow"])
        self._adam.load_state_dict(state["adam"])
        self._normalisers.load_state_dict(state["normalisers"])

    def _risk(self, weights: Tensor, x: Tensor) -> Tensor:
        return torch.sigmoid(self._mlp.forward(weights, x)[..., 0])

    def _step(self, data: Transitions, x: Tensor, after: Tensor, part: Tensor) -> Tensor:
        """One step; the gradient of the cross-entropy by the logit is Q - target."""
        violated = data.violations[:, part]
        ahead = data.goes_on[:, part] * self._risk(self._slow, after)
        target = violated + self.settings.discount * (1.0 - violated) * ahead
        network = Linearisation(self._mlp, self.weights, x)
        counted = data.counted[:, part]
        share = counted / counted.sum(dim=1, keepdim=True).clamp(min=1.0)
        error = torch.sigmoid(network.outputs[..., 0]) - target
        self._adam.descend(network.gradient((share * error)[..., None]))
        self._slow.lerp_(self.weights, self.settings.mix)
        return (share * error.square()).sum(dim=1)


class RiskRule:
    """Recovery acts while the risk of the learner's proposal exceeds epsilon; it has no memory."""

    def __init__(self, critic: RiskCritic) -> None:
        self._critic = critic

    def reset(self, begins: Tensor) -> None:
        """Nothing to forget."""

    def recovers(self, situation: Situation) -> Tensor:
        """(R, N); a risk of NaN counts as too high."""
        risk = self._critic.risk(situation.observations, situation.proposals)
        return ~(risk <= self._critic.settings.threshold)

    def state_dict(self) -> dict[str, Any]:
        """The critic."""
        return self._critic.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._critic.load_state_dict(state)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryRlSettings(TrpoSettings):
    """Settings of Recovery RL."""

    risk: RiskSettings = field(default_factory=RiskSettings)


class RecoveryRl(Trpo):
    """TRPO on the task's reward, with a critic that decides about recovery.

    Attributes:
        critic: to be fitted before training to walks of a `trpo.MOST_COST` learner.
        rule: the switching rule for the world.
    """

    def __init__(self, shape: Shape, settings: RecoveryRlSettings | None = None) -> None:
        chosen = settings or RecoveryRlSettings()
        super().__init__(shape, chosen, TASK)
        self.critic = RiskCritic(
            chosen.risk,
            observations=shape.observations,
            actions=shape.mask.shape[1],
            streams=self.streams,
        )
        self.rule = RiskRule(self.critic)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later update depends on."""
        return super().state_dict() | {"critic": self.critic.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        super().load_state_dict(state)
        self.critic.load_state_dict(state["critic"])
