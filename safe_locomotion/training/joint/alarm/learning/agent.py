"""One learner: collection and update of an iteration, and its state."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.devices import Captured
from safe_locomotion.training.joint.alarm.learning.aggregation import next_beta
from safe_locomotion.training.joint.alarm.learning.networks import Networks, widths_of
from safe_locomotion.training.joint.alarm.learning.normaliser import EmpiricalNormaliser
from safe_locomotion.training.joint.alarm.learning.rollout import Collector
from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.updates import LOSSES, Updates
from safe_locomotion.training.joint.alarm.learning.variants import Variant
from safe_locomotion.training.joint.alarm.learning.windows import pieces_needed
from safe_locomotion.training.joint.alarm.learning.world import COSTS, World

#: What an iteration tells, beside `LOSSES` and the costs.
MEASURES = (
    "reward",
    "ends",
    "level",
    "reached",
    "reached_with_beta_1",
    "arrived",
    "beta",
    "hybrid",
    "hybrid_as_written",
    "deviation",
    "rate",
    "spare_needed",
)

MEANS = ("level", "reached_highest")  #: in a world's progress; `MEASURES` has them


class Agent:
    """Learns one variant in one world.

    Attributes:
        world: in which it walks.
        variant: that it learns.
        settings: its numbers.
        networks, normaliser, collector, updates: its parts.
        imitating: the second stage of `two_stage` has begun.
    """

    def __init__(
        self, world: World, variant: Variant, settings: Settings, *, seed: int, capture: bool = True
    ) -> None:
        """Untrained networks.

        Args:
            world: in which it walks.
            variant: that it learns.
            settings: its numbers.
            seed: of networks and noise.
            capture: replay graphs on a GPU. On the CPU everything simply runs.

        Raises:
            ConfigurationError: the robots cannot be divided into minibatches.
        """
        robots = world.observation.shape[0]
        if robots % settings.minibatches:
            raise ConfigurationError(
                f"envs: must be a multiple of {settings.minibatches} (found {robots})"
            )
        device = str(world.observation.device)
        torch.manual_seed(seed)
        widths = widths_of(variant, world.privileged.shape[1])
        self.world = world
        self.variant = variant
        self.settings = settings
        self.networks = Networks(variant, widths, settings).to(device)
        self.normaliser = EmpiricalNormaliser(widths.row, active=variant.normalised).to(device)
        self.collector = Collector(world, self.networks, self.normaliser, settings, variant)
        self.updates = Updates(self.networks, self.collector, settings, variant)
        self.imitating = False
        self._generator = torch.Generator(device).manual_seed(seed)
        self._hybrid_before = torch.zeros(2, device=device)
        self._capture = device if capture else "cpu"
        self._captured: dict[object, Captured] = {}
        self.collector.rows.beta.fill_(1.0 if variant.beta == "student" else 0.0)
        self._progress = self._read_progress()

    def collect(self) -> None:
        """Walk one horizon with every robot."""
        collector = self.collector
        collector.begin(self._generator)
        for _ in range(self.settings.horizon):
            self._part("propose", collector.propose)()
            self._part("world", partial(self.world.step, collector.action))()
            self._part("record", collector.record)()
        self._part("finish", collector.finish)()

    def update(self) -> dict[str, float]:
        """Learn from what was collected; the figures of the iteration.

        The device is waited for twice: for the number of rows and for the figures.
        """
        updates = self.updates
        order = self._draw_order()
        needed = int(pieces_needed(self._ended_by_minibatch(order)))
        spare = self._spare(needed, order.shape[-1])
        part = updates.imitate if self.imitating else updates.learn
        step = self._part((part.__name__, spare), partial(part, spare))
        updates.begin()
        for epoch in order:
            for chosen in epoch:
                updates.chosen.copy_(chosen)
                updates.code_noise.normal_(generator=self._generator)
                step()
        figures = self._figures(needed)
        self._advance()
        return figures

    def imitate(self) -> None:
        """Begin the second stage of `two_stage`; robots must arrive at the highest level again."""
        self.imitating = True
        self.collector.rows.arrived.zero_()
        self.collector.rows.beta.fill_(1.0)

    def state_dict(self) -> dict[str, Any]:
        """All that later iterations depend on, the world included."""
        collector = self.collector
        return {
            "networks": self.networks.state_dict(),
            "normaliser": self.normaliser.state_dict(),
            "adam": self.updates.adam.state_dict(),
            "memories": collector.memories,
            "beta": collector.rows.beta,
            "level": collector.rows.level,
            "arrived": collector.rows.arrived,
            "mu": collector.mu,
            "sigma": collector.sigma,
            "hybrid_before": self._hybrid_before,
            "imitating": self.imitating,
            "generator": self._generator.get_state(),
            "world": self.world.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        collector = self.collector
        self.networks.load_state_dict(state["networks"])
        self.normaliser.load_state_dict(state["normaliser"])
        self.updates.adam.load_state_dict(state["adam"])
        for name, memory in collector.memories.items():
            memory.copy_(state["memories"][name])
        for name in ("beta", "level", "arrived"):
            getattr(collector.rows, name).copy_(state[name])
        collector.mu.copy_(state["mu"])
        collector.sigma.copy_(state["sigma"])
        self._hybrid_before.copy_(state["hybrid_before"])
        self.imitating = bool(state["imitating"])
        self._generator.set_state(state["generator"].cpu())
        self.world.load_state_dict(state["world"])
        self._progress = self._read_progress()

    def _part(self, key: object, part: Callable[[], None]) -> Captured:
        """The part as a graph that is captured once."""
        if key not in self._captured:
            self._captured[key] = Captured(self._capture, part)
        return self._captured[key]

    def _draw_order(self) -> Tensor:
        """Robots (epochs, minibatches, M) of each minibatch, in an order drawn for each epoch."""
        settings = self.settings
        rows = self.collector.rows
        draws = torch.rand(
            settings.epochs, len(rows.beta), generator=self._generator, device=rows.beta.device
        )
        return draws.argsort(dim=1).view(settings.epochs, settings.minibatches, -1)

    def _ended_by_minibatch(self, order: Tensor) -> Tensor:
        """(T, B, M) ends in the windows of all minibatches."""
        ended = self.collector.rows.ended
        return ended[:, order.flatten()].view(len(ended), -1, order.shape[-1])

    def _spare(self, needed: int, robots: int) -> int:
        """Rows for episodes that begin inside a window: the first size that is enough."""
        sizes = [max(1, int(share * robots)) for share in self.settings.spare]
        return next((size for size in sizes if size >= needed), sizes[-1])

    def _figures(self, needed: int) -> dict[str, float]:
        """Figures of the iteration, read from the device at once."""
        collector = self.collector
        rows = collector.rows
        world = self.world
        reached = world.reached_highest.float()
        arrived = rows.arrived.float().mean()
        measures = (
            rows.rewards[..., 0].mean(),
            rows.ended.float().mean(),
            world.level.float().mean(),
            reached.mean(),
            arrived if collector.in_stages else (reached * (rows.beta >= 1.0)).mean(),
            arrived,
            rows.beta.mean(),
            *collector.hybrid,
            self.networks.log_deviation.detach().exp().mean(),
            self.updates.rates["actor"],
            torch.tensor(float(needed), device=reached.device),
        )
        costs = rows.rewards[..., 1:].mean(dim=(0, 1)) / (1.0 - self.settings.gamma)
        count = self.settings.epochs * self.settings.minibatches
        read = torch.cat((torch.stack(measures), costs, self.updates.sums / count)).tolist()
        names = [*MEASURES, *(f"cost_{name}" for name in COSTS), *LOSSES]
        before = self._progress
        self._progress = self._read_progress()
        steps = self.settings.horizon * len(rows.beta)
        own = {f"world_{name}": (x - before[name]) / steps for name, x in self._progress.items()}
        return dict(zip(names, read, strict=True)) | own

    def _read_progress(self) -> dict[str, float]:
        """Sums of the world since its construction."""
        progress = {name: x for name, x in self.world.progress.items() if name not in MEANS}
        if not progress:
            return {}
        values = torch.stack([value.double() for value in progress.values()]).tolist()
        return dict(zip(progress, values, strict=True))

    @torch.no_grad()
    def _advance(self) -> None:
        """What changes between two iterations: beta and the normaliser."""
        collector = self.collector
        rows = collector.rows
        by_previous, as_written = collector.hybrid
        gains = {
            "hybrid": by_previous,
            "written": as_written - self._hybrid_before[1],
            "clock": torch.ones_like(by_previous),
        }
        if self.variant.beta in gains:
            gain = gains[self.variant.beta]
            rows.beta.copy_(next_beta(rows.beta, rows.flagged, gain, self.settings.delta))
        self._hybrid_before.copy_(collector.hybrid)
        if not self.imitating:
            self.normaliser.merge()
