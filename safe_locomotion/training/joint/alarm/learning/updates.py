"""The update of all networks, minibatch by minibatch, without a wait for the device.

A minibatch is a set of robots with their whole windows. One call makes one step of Adam. All its
shapes are fixed, so that it can be captured as a graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.learning import np3o
from safe_locomotion.training.joint.alarm.learning.adam import Adam
from safe_locomotion.training.joint.alarm.learning.aggregation import aggregate, taught
from safe_locomotion.training.joint.alarm.learning.networks import Networks
from safe_locomotion.training.joint.alarm.learning.rollout import Collector
from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.variants import Variant
from safe_locomotion.training.joint.alarm.learning.windows import Split, split_windows

#: Means over the minibatches of an update, in the order of `Updates.sums`.
LOSSES = (
    "reward_objective",
    "penalty",
    "value_loss",
    "explicit_loss",
    "implicit_loss",
    "reconstruction_loss",
    "kl",
    "kept_share",
)
FASTER = 1.5  #: factor of the rate when the KL divergence is far from its aim
CODE_WEIGHT = 2.0 / 45.0  #: of DreamWaQ's KL divergence beside a mean over 45 numbers


@dataclass(frozen=True, kw_only=True)
class Minibatch:
    """Windows (T, M, ...) of some robots; see `Rows` for the fields of that name.

    Attributes:
        split: of the windows into episodes.
        weight: (T, M) 1 where a step counts.
        going: (T, M) 1 where it counts and the episode goes on after it.
        following: (T, M, O) normalised observations after each step.
        first: memories (2, M, cells) by network.
        beta: (M,).
        flagged: (M,) bool.
    """

    split: Split
    weight: Tensor
    going: Tensor
    rows: Tensor
    following: Tensor
    latent: Tensor
    actions: Tensor
    means: Tensor
    log_probability: Tensor
    values: Tensor
    returns: Tensor
    normal: Tensor
    first: dict[str, Tensor]
    beta: Tensor
    flagged: Tensor


class Updates:
    """Adam on the losses of equations 5 and 16, with one rate for each part of the networks.

    Attributes:
        chosen: (M,) robots of the next minibatch.
        code_noise: (T, M, I) of the variational code of the next minibatch.
        sums: of `LOSSES` over the minibatches since `begin`.
        rates: (scalar) of each part of the networks.
        adam: with these rates.
    """

    def __init__(
        self, networks: Networks, collector: Collector, settings: Settings, variant: Variant
    ) -> None:
        self.networks = networks
        self.collector = collector
        self.settings = settings
        self.variant = variant
        device = collector.action.device
        robots = collector.action.shape[0] // settings.minibatches
        self.chosen = torch.zeros(robots, dtype=torch.long, device=device)
        shape = (settings.horizon, robots, networks.widths.implicit)
        self.code_noise = torch.zeros(shape, device=device)
        self.sums = torch.zeros(len(LOSSES), device=device)
        self.old_log_deviation = networks.log_deviation.detach().clone()
        self.rates = {
            name: torch.tensor(settings.rate, device=device)
            for name in ("actor", "critic", "teacher")
        }
        self.rates["regression"] = torch.tensor(settings.regression_rate, device=device)
        self.adam = Adam(networks.parts(), self.rates, settings.gradient)

    @torch.no_grad()
    def begin(self) -> None:
        """Begin an update: the policy that collected is now the old one."""
        self.sums.zero_()
        self.old_log_deviation.copy_(self.networks.log_deviation)

    def learn(self, spare: int) -> None:
        """One step on NP3O, the values and the regression."""
        batch = self._minibatch(spare)
        student = self.networks.student.window(
            self.networks.observed(batch.rows), batch.first["student"], batch.split
        )
        full = self.networks.full(batch.rows)
        implicit = taught(self.networks.implicit_of(full), batch.flagged)
        policy, told = self._policy_loss(batch, implicit)
        values = self._value_loss(batch)
        regression, errors = self._regression_loss(batch, student, implicit)
        self.adam.step(policy + self.settings.value * values + regression)
        self._tell((*told[:2], values, *errors, told[2], batch.weight.mean()))

    def imitate(self, spare: int) -> None:
        """One step of the second stage: the student mimics the teacher's latents and actions.

        Actor, critic and teacher stay as they are. Both actions come from the same memory.
        """
        nets = self.networks
        batch = self._minibatch(spare)
        for name in ("actor", "critic", "teacher"):
            self.rates[name].zero_()
        observed = nets.observed(batch.rows)
        student = nets.student.window(observed, batch.first["student"], batch.split)
        with torch.no_grad():
            implicit = nets.implicit_of(nets.full(batch.rows))
            truth = torch.cat((observed, nets.explicit(batch.rows), implicit), dim=2)
            wanted = nets.actor.window(truth, batch.first["actor"], batch.split)
        mean = nets.actor.window(
            torch.cat((observed, student), dim=2), batch.first["actor"], batch.split
        )
        regression, errors = self._regression_loss(batch, student, implicit)
        action = np3o.squared_error(mean, wanted, batch.weight)
        self.adam.step(regression + action)
        zero = torch.zeros_like(action)
        self._tell((zero, zero, action, *errors, zero, batch.weight.mean()))

    def _minibatch(self, spare: int) -> Minibatch:
        """Windows of the chosen robots."""
        rows = self.collector.rows
        chosen = self.chosen

        def pick(values: Tensor) -> Tensor:
            return values.index_select(1, chosen)

        seen = pick(rows.rows)
        last = rows.last.index_select(0, chosen)
        ended = pick(rows.ended)
        split = split_windows(ended, spare)
        weight = split.kept.float()
        return Minibatch(
            split=split,
            weight=weight,
            going=weight * (~ended).float(),
            rows=seen,
            following=self.networks.observed(torch.cat((seen[1:], last[None]))),
            latent=pick(rows.latent),
            actions=pick(rows.actions),
            means=pick(rows.means),
            log_probability=pick(rows.log_probability),
            values=pick(rows.values),
            returns=pick(self.collector.returns),
            normal=pick(self.collector.normal),
            first={name: pick(memory) for name, memory in rows.first.items()},
            beta=rows.beta.index_select(0, chosen),
            flagged=rows.flagged.index_select(0, chosen),
        )

    def _policy_loss(self, b: Minibatch, implicit: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Loss of equation 5 and the entropy; objective, penalty and KL divergence.

        The student's latents are those of the collection, so no gradient reaches it.
        """
        nets = self.networks
        settings = self.settings
        truth = torch.cat((nets.explicit(b.rows), implicit), dim=2)
        seen = torch.cat((nets.observed(b.rows), aggregate(truth, b.latent, b.beta)), dim=2)
        mean = nets.actor.window(seen, b.first["actor"], b.split)
        now = np3o.log_probability(b.actions, mean, nets.log_deviation)
        ratio = np3o.probability_ratio(now, b.log_probability)
        reward = np3o.clipped_reward(ratio, b.normal[..., 0], b.weight, settings.clip)
        costs = np3o.clipped_costs(ratio, b.normal[..., 1:], b.weight, settings.clip)
        objective = np3o.np3o_objective(
            reward, costs, self.collector.violated, self.collector.kappa
        )
        kl = self._follow_divergence(mean.detach(), b)
        loss = -objective - settings.entropy * np3o.entropy_of(nets.log_deviation)
        return loss, (reward, reward - objective, kl)

    def _value_loss(self, b: Minibatch) -> Tensor:
        """Squared error of the values of reward and costs."""
        full = self.networks.full(b.rows)
        values = self.networks.critic.window(full, b.first["critic"], b.split)
        return np3o.value_loss(values, b.values, b.returns, b.weight, self.settings.clip)

    def _regression_loss(
        self, b: Minibatch, student: Tensor, implicit: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Equation 16, and its three terms."""
        nets = self.networks
        w = nets.widths
        truth = nets.explicit(b.rows)
        latent = student[..., : w.latent]
        own = latent[..., w.explicit :]
        explicit = np3o.squared_error(latent[..., : w.explicit], truth, b.weight)
        hidden = torch.zeros_like(explicit)
        known = aggregate(torch.cat((truth, implicit), dim=2), latent, b.beta)
        if self.variant.implicit == "teacher":
            hidden = np3o.squared_error(own, implicit.detach(), b.weight)
        elif self.variant.implicit == "context":
            log_variance = student[..., w.latent :]
            hidden = CODE_WEIGHT * np3o.code_divergence(own, log_variance, b.weight)
            code = own + torch.exp(0.5 * log_variance) * self.code_noise
            known = torch.cat((latent[..., : w.explicit], code), dim=2)
        following = torch.zeros_like(explicit)
        if nets.decoder is not None:
            foreseen = nets.decoder(torch.cat((known, nets.observed(b.rows), b.actions), dim=2))
            following = np3o.squared_error(foreseen, b.following, b.going)
        return explicit + hidden + following, (explicit, hidden, following)

    @torch.no_grad()
    def _follow_divergence(self, mean: Tensor, b: Minibatch) -> Tensor:
        """Let the rates of actor, critic and teacher follow the KL divergence."""
        settings = self.settings
        log_deviation = self.networks.log_deviation
        each = np3o.divergence(mean, log_deviation, b.means, self.old_log_deviation)
        kl = np3o.mean_of(each, b.weight)
        rate = self.rates["actor"]
        slow = (rate / FASTER).clamp(min=settings.rates[0])
        fast = (rate * FASTER).clamp(max=settings.rates[1])
        chosen = torch.where(kl < 0.5 * settings.kl, fast, rate)
        rate.copy_(torch.where(kl > 2.0 * settings.kl, slow, chosen))
        self.rates["critic"].copy_(rate)
        flagged = self.collector.rows.flagged.float().mean()
        self.rates["teacher"].copy_(rate * (flagged <= settings.most_flagged))
        return kl

    @torch.no_grad()
    def _tell(self, losses: tuple[Tensor, ...]) -> None:
        self.sums.add_(torch.stack([loss.detach() for loss in losses]))
