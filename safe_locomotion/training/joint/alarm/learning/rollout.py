"""One iteration of walks: what is collected, and the parts of a step that a graph can replay."""

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.learning import advantages as adv
from safe_locomotion.training.joint.alarm.learning.aggregation import aggregate
from safe_locomotion.training.joint.alarm.learning.networks import Networks
from safe_locomotion.training.joint.alarm.learning.normaliser import EmpiricalNormaliser
from safe_locomotion.training.joint.alarm.learning.np3o import log_probability
from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.variants import Variant
from safe_locomotion.training.joint.alarm.learning.world import N_ACTIONS, N_COSTS, World

HEADS = 1 + N_COSTS  #: reward and costs


class Rows:
    """What an iteration collects, in tensors that stay in their place.

    Attributes:
        at: (1,) number of the step.
        noise: (T, N, 12) standard normal, drawn before the iteration.
        rows: (T, N, W) normalised observations, explicit states and full states.
        latent: (T, N, L) of the student, (e^, i^).
        actions, means: (T, N, 12).
        log_probability: (T, N).
        values, rewards, terminal: (T, N, 6) V_t, rewards with scaled costs, and values of the
            states in which episodes ended.
        ended, timed_out: (T, N) bool.
        last: (N, W) the same after the window.
        first: memories (2, N, cells) at the beginning of the window, by network.
        beta: (N,) in force during the iteration.
        flagged: (N,) bool at the beginning of the iteration.
        level: (N,) of the terrain before the step.
        arrived: (N,) bool: robots that ever arrived at the highest level in their present stage,
            with beta 1 where beta rises.
    """

    def __init__(self, networks: Networks, settings: Settings, robots: int, device: str) -> None:
        steps = settings.horizon
        widths = networks.widths

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        self.at = zeros(1, dtype=torch.long)
        self.noise = zeros(steps, robots, N_ACTIONS)
        self.rows = zeros(steps, robots, widths.row)
        self.latent = zeros(steps, robots, widths.latent)
        self.actions = zeros(steps, robots, N_ACTIONS)
        self.means = zeros(steps, robots, N_ACTIONS)
        self.log_probability = zeros(steps, robots)
        self.values = zeros(steps, robots, HEADS)
        self.rewards = zeros(steps, robots, HEADS)
        self.terminal = zeros(steps, robots, HEADS)
        self.ended = zeros(steps, robots, dtype=torch.bool)
        self.timed_out = zeros(steps, robots, dtype=torch.bool)
        self.last = zeros(robots, widths.row)
        self.first = memories_of(networks, robots, device)
        self.beta = zeros(robots)
        self.flagged = zeros(robots, dtype=torch.bool)
        self.level = zeros(robots, dtype=torch.long)
        self.arrived = zeros(robots, dtype=torch.bool)

    def write(self, name: str, values: Tensor) -> None:
        """Keep values (N, ...) of this step."""
        getattr(self, name).index_copy_(0, self.at, values[None])


def memories_of(networks: Networks, robots: int, device: str) -> dict[str, Tensor]:
    """Memories (2, N, cells) of new episodes, by network."""
    return {
        "student": networks.student.memory_of(robots, device),
        "actor": networks.actor.memory_of(robots, device),
        "critic": networks.critic.net.memory_of(robots, device),
    }


class Collector:
    """Walks of all robots, step by step, without a gradient and without a wait for the device.

    `propose` chooses actions, the world takes a step, `record` keeps what came of it, and `finish`
    computes the advantages. Each of the three can be captured as a graph.

    Attributes:
        rows: of the iteration.
        action: (N, 12) that the world takes next.
        memories: (2, N, cells) of the present step, by network.
        advantages, returns: (T, N, 6).
        normal: (T, N, 6) normalised advantages.
        mu, sigma: (6,) of this iteration.
        violated: (5,) second term of equation 6.
        kappa: (5,) weights of the constraints.
        hybrid: (2,) hybrid advantage, normalised by the previous iteration and as written.
        in_stages: robots count as arrived whatever their beta is.
        explores: actions are drawn; otherwise they are the means.
    """

    def __init__(
        self,
        world: World,
        networks: Networks,
        normaliser: EmpiricalNormaliser,
        settings: Settings,
        variant: Variant,
    ) -> None:
        self.world = world
        self.networks = networks
        self.normaliser = normaliser
        self.settings = settings
        robots = world.observation.shape[0]
        device = str(world.observation.device)
        self.rows = Rows(networks, settings, robots, device)
        self.action = torch.zeros(robots, N_ACTIONS, device=device)
        self.memories = memories_of(networks, robots, device)
        shape = self.rows.values.shape
        self.advantages = torch.zeros(shape, device=device)
        self.returns = torch.zeros(shape, device=device)
        self.normal = torch.zeros(shape, device=device)
        self.mu = torch.zeros(HEADS, device=device)
        self.sigma = torch.ones(HEADS, device=device)
        self.violated = torch.zeros(N_COSTS, device=device)
        scale = 1.0 - settings.gamma
        floors = [adv.SIGMA_FLOOR, *[scale * settings.sigma_floor] * N_COSTS]
        kappa = settings.kappa if variant.constrained else 0.0
        self.floor = torch.tensor(floors, device=device)
        self.limits = torch.tensor(settings.limits, device=device)
        self.kappa = torch.full((N_COSTS,), kappa, device=device)
        self.hybrid = torch.zeros(2, device=device)
        self._scale = scale
        self.in_stages = variant.beta == "stages"
        self.explores = True
        self.rows.level.copy_(world.level)

    @torch.no_grad()
    def begin(self, generator: torch.Generator) -> None:
        """Begin an iteration: draw its noise and keep what holds at its beginning."""
        rows = self.rows
        rows.at.zero_()
        if self.explores:
            rows.noise.normal_(generator=generator)
        else:
            rows.noise.zero_()
        rows.flagged.copy_(self.world.reached_highest)
        for name, memory in self.memories.items():
            rows.first[name].copy_(memory)

    @torch.no_grad()
    def propose(self) -> None:
        """Actions for what the robots see, with everything that the update needs of them."""
        rows = self.rows
        nets = self.networks
        raw = self._raw()
        self.normaliser.seen(raw)
        row = self.normaliser(raw)
        latent, student = nets.student.step(nets.observed(row), self.memories["student"])
        latent = latent[:, : nets.widths.latent]
        mean, actor = nets.actor.step(self._seen(row, latent), self.memories["actor"])
        values, critic = nets.critic.step(nets.full(row), self.memories["critic"])
        deviation = nets.log_deviation.exp()
        action = mean + deviation * rows.noise.index_select(0, rows.at)[0]
        rows.write("rows", row)
        rows.write("latent", latent)
        rows.write("means", mean)
        rows.write("actions", action)
        rows.write("log_probability", log_probability(action, mean, nets.log_deviation))
        rows.write("values", values)
        self.action.copy_(action)
        for name, memory in (("student", student), ("actor", actor), ("critic", critic)):
            self.memories[name].copy_(memory)

    @torch.no_grad()
    def record(self) -> None:
        """Rewards, costs and ends of the step that the world took."""
        rows = self.rows
        world = self.world
        values, _ = self.networks.critic.step(self._terminal(), self.memories["critic"])
        rows.write("terminal", values)
        rows.write("rewards", torch.cat((world.reward[:, None], self._scale * world.costs), dim=1))
        rows.write("ended", world.ended)
        rows.write("timed_out", world.timed_out)
        going = (~world.ended).float()[None, :, None]
        for memory in self.memories.values():
            memory.mul_(going)
        highest = world.level >= self.settings.highest
        arrives = highest & (rows.level < self.settings.highest)
        rows.arrived.logical_or_(arrives & (self.in_stages | (rows.beta >= 1.0)))
        rows.level.copy_(world.level)
        rows.at.add_(1)

    @torch.no_grad()
    def finish(self) -> None:
        """Advantages, returns and their moments, the violations, and the hybrid advantage."""
        rows = self.rows
        settings = self.settings
        row = self.normaliser(self._raw())
        rows.last.copy_(row)
        last, _ = self.networks.critic.step(self.networks.full(row), self.memories["critic"])
        after = adv.values_after(rows.values, last, rows.terminal, rows.ended, rows.timed_out)
        found = adv.generalised_advantages(
            rows.rewards, rows.values, after, rows.ended, gamma=settings.gamma, lam=settings.lam
        )
        self.advantages.copy_(found)
        self.returns.copy_(found + rows.values)
        mu, sigma = adv.moments(found, self.floor)
        by_previous = adv.hybrid_advantage(found, self.mu, self.sigma, self.kappa)
        as_written = adv.hybrid_advantage(found, mu, sigma, self.kappa)
        self.hybrid.copy_(torch.stack((by_previous, as_written)))
        self.mu.copy_(mu)
        self.sigma.copy_(sigma)
        self.normal.copy_((found - mu) / sigma)
        violated = adv.violations(
            self.returns[..., 1:], mu[1:], sigma[1:], self.limits, gamma=settings.gamma
        )
        self.violated.copy_(violated)

    def _raw(self) -> Tensor:
        """Rows (N, W) as the world has them."""
        world = self.world
        return torch.cat((world.observation, world.explicit, world.privileged), dim=1)

    def _terminal(self) -> Tensor:
        """Normalised full states (N, S) in which the last step ended."""
        world = self.world
        raw = torch.cat((world.observation, world.explicit, world.terminal_privileged), dim=1)
        return self.networks.full(self.normaliser(raw))

    def _seen(self, row: Tensor, latent: Tensor) -> Tensor:
        """Inputs (N, O + L) of the actor: observations and aggregated latents."""
        nets = self.networks
        truth = torch.cat((nets.explicit(row), nets.implicit_of(nets.full(row))), dim=1)
        return torch.cat((nets.observed(row), aggregate(truth, latent, self.rows.beta)), dim=1)
