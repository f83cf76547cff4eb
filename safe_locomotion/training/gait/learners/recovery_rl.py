"""Recovery RL (Thananjeyan et al., RA-L 2021) on TRPO: a risk critic decides who acts.

    Q(s, a) = c + gamma_risk (1 - c) Q(s', a'),   recovery acts while Q(s, a_learner) > epsilon

Q is the discounted probability that a violation follows. It is fitted before training to walks of a
policy that seeks violations, and then switches for a learner that gets no penalty.

It departs from the original as follows.

- The learner is TRPO on its own rounds, not SAC on a replay buffer. So only the switching rule
  differs from the other learners, as in paper 1, section VI.
- a' is the action of the recorded walk, not a new one of the current policy. The critic therefore
  belongs to the policy that seeks violations, as paper 1, section II describes it.
- The recursion runs back through whole walks, where the original bootstraps at every step and two
  critics and slow copies keep that stable. Falls are rare here: their risk would need thousands of
  steps to travel back. Only the end of a walk that was cut off is the critic's own opinion.
- The fit is by cross-entropy, whose minimum is the same mean.
- The critic rests during training unless `fit` is called again. The original goes on fitting.
- The recovery policy is that of the other learners, not one that descends on Q.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.training.gait.learners.batch import Batch, samples
from safe_locomotion.training.gait.learners.learner import Shape
from safe_locomotion.training.gait.learners.networks import Linearisation, StackedMlp
from safe_locomotion.training.gait.learners.normaliser import Normalisers
from safe_locomotion.training.gait.learners.streams import Streams
from safe_locomotion.training.gait.learners.switching import Situation
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
        refresh: steps after which the ends of cut-off walks are judged anew. Ours.
        minibatch: samples of a step. Ours.
    """

    hidden: tuple[int, int] = (256, 256)
    discount: float = 0.95
    threshold: float = 0.25
    rate: float = 3e-4
    refresh: int = 50
    minibatch: int = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class SeekingWalks:
    """K walks of each run, in T steps.

    Attributes:
        inputs: (T, R, K, O + A) observations and actions.
        violations: (T, R, K) cost, between 0 and 1.
        alive: (T, R, K) steps that carry information.
        fell: (R, K) walks that ended with a fall; others were cut off.
    """

    inputs: Tensor
    violations: Tensor
    alive: Tensor
    fell: Tensor

    @property
    def counted(self) -> Tensor:
        """(T, R, K) steps whose followers are known: all alive but the end of a cut-off walk."""
        counted = self.alive.clone()
        counted[-1] &= self.fell
        return counted

    def risks(self, ends: Tensor, discount: float) -> Tensor:
        """(T, R, K) discounted violation that followed each step.

        Args:
            ends: (R, K) risk of the last step of a walk that was cut off.
            discount: gamma_risk.
        """
        out = torch.zeros_like(self.violations)
        ahead = torch.zeros_like(ends)
        for t in reversed(range(len(out))):
            violated = self.violations[t]
            value = violated + discount * (1.0 - violated) * ahead
            if t == len(out) - 1:
                value = torch.where(self.fell, value, ends)
            ahead = torch.where(self.alive[t], value, 0.0)
            out[t] = ahead
        return out


def seeking_walks(batches: Sequence[Batch]) -> SeekingWalks:
    """The walks of some rounds; cost above 1 counts as 1."""
    cleaned = [batch.cleaned() for batch in batches]
    return SeekingWalks(
        inputs=torch.cat(
            [torch.cat([batch.observations, batch.actions], dim=3) for batch in cleaned], dim=2
        ),
        violations=torch.cat([batch.costs.clamp(0.0, 1.0) for batch in cleaned], dim=2),
        alive=torch.cat([batch.alive for batch in cleaned], dim=2),
        fell=torch.cat([batch.fell for batch in cleaned], dim=1),
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
        self._fits = 0
        self._normalisers = Normalisers(len(self.weights), width, self.weights.device)

    def risk(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(R, N) Q for observations (R, N, O) and actions (R, N, A)."""
        inputs = torch.cat([observations, actions], dim=2)
        return self._risk(self._normalisers(inputs))

    def fit(self, walks: SeekingWalks, updates: int) -> Tensor:
        """Some Adam steps on the walks; the mean squared error of the last step (R,).

        The first call also fixes the scale of the inputs. Each begins with new moments.
        """
        inputs = samples(walks.inputs)
        counted = samples(walks.counted[..., None])[..., 0].float()
        if not self._fits:
            self._normalisers.update(inputs, counted)
        self._fits += 1
        adam = Adam(self.weights, self.settings.rate)
        x = self._normalisers(inputs)
        ends = self._normalisers(walks.inputs[-1])
        targets = torch.zeros_like(counted)
        error = torch.zeros_like(counted[:, 0])
        for k in range(updates):
            if k % self.settings.refresh == 0:
                risks = walks.risks(self._risk(ends), self.settings.discount)
                targets = samples(risks[..., None])[..., 0]
            part = self._streams.indices(self.settings.minibatch, x.shape[1])
            error = self._step(adam, x[:, part], targets[:, part], counted[:, part])
        return error

    def state_dict(self) -> dict[str, Any]:
        """Weights, the scale of the inputs and the random streams.

        Each fit begins with new moments of Adam, so a checkpoint holds none. They would be a third
        of it, and the critic rests during training.
        """
        return {
            "weights": self.weights,
            "fits": self._fits,
            "normalisers": self._normalisers.state_dict(),
            "streams": self._streams.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""
        self.weights.copy_(state["weights"])
        self._fits = int(state["fits"])
        self._normalisers.load_state_dict(state["normalisers"])
        self._streams.load_state_dict(state["streams"])

    def _risk(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self._mlp.forward(self.weights, x)[..., 0])

    def _step(self, adam: Adam, x: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        """One step; the gradient of the cross-entropy by the logit is Q - target."""
        network = Linearisation(self._mlp, self.weights, x)
        share = counted / counted.sum(dim=1, keepdim=True).clamp(min=1.0)
        error = torch.sigmoid(network.outputs[..., 0]) - targets
        adam.descend(network.gradient((share * error)[..., None]))
        return (share * error.square()).sum(dim=1)


class RiskRule:
    """Recovery acts while the risk of the learner's proposal exceeds epsilon; it has no memory."""

    def __init__(self, critic: RiskCritic) -> None:
        self.critic = critic

    def reset(self, begins: Tensor) -> None:
        """Nothing to forget."""

    def recovers(self, situation: Situation) -> Tensor:
        """(R, N); a risk of NaN counts as too high."""
        risk = self.critic.risk(situation.observations, situation.proposals)
        return ~(risk <= self.critic.settings.threshold)

    def state_dict(self) -> dict[str, Any]:
        """The critic."""
        return self.critic.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.critic.load_state_dict(state)


def risk_rule(shape: Shape, settings: RiskSettings | None = None) -> RiskRule:
    """The rule of Recovery RL for some runs; its critic is to be fitted before training.

    Args:
        shape: of the runs.
        settings: of the critic.
    """
    critic = RiskCritic(
        settings or RiskSettings(),
        observations=shape.observations,
        actions=shape.mask.shape[1],
        streams=Streams(shape.seeds, shape.mask.device),
    )
    return RiskRule(critic)
