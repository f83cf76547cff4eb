"""Training of all runs of a grid side by side, in rounds that can be interrupted and resumed."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.contract import PARITY_PAIRS
from safe_locomotion.safety.trigger_set import TriggerBounds
from safe_locomotion.training.gait.board import open_board
from safe_locomotion.training.gait.checkpoint import (
    CHECKPOINT,
    Figures,
    read_checkpoint,
    write_checkpoint,
)
from safe_locomotion.training.gait.grid import OTHER_RULES, Run
from safe_locomotion.training.gait.grid_learners import learner_group, shape_of
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.learner import Shape
from safe_locomotion.training.gait.learners.recovery_rl import (
    RiskRule,
    risk_rule,
    seeking_walks,
)
from safe_locomotion.training.gait.learners.streams import Streams
from safe_locomotion.training.gait.learners.switching import (
    EllipsoidDwell,
    SwitchingRule,
    inscribed,
)
from safe_locomotion.training.gait.learners.trpo import MOST_COST, Trpo
from safe_locomotion.training.gait.learners.value_filter import FilterSettings, ValueFilter
from safe_locomotion.training.gait.recovery import digest_of
from safe_locomotion.training.gait.walks import OBSERVED, ROBOTS, STEPS, Walks, states_of
from safe_locomotion.training.gait.world.world import WorldOptions

UPDATES = 1360  #: of 10 trajectories: 13,600 trajectories of a run (paper 1, figure 3)
DWELL_STEPS = 125  #: 1 s
FIRST_SEEKING = 500_000  #: number of the first round before training


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What is trained.

    Attributes:
        runs: of the grid, equal learners together.
        world: that the robots walk in.
        updates: of each run.
        robots: trajectories of one update.
        steps: of a trajectory.
        seeking: rounds in which a policy that seeks falls walks for Recovery RL's critic.
        critic_updates: steps of that critic's fit.
    """

    runs: tuple[Run, ...]
    world: WorldOptions = field(default_factory=WorldOptions)
    updates: int = UPDATES
    robots: int = ROBOTS
    steps: int = STEPS
    seeking: int = 20
    critic_updates: int = 2000

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with to be resumed; the number of updates may grow."""
        values = asdict(self)
        values.pop("updates")
        values["world"].pop("device")
        values["world"]["recovery"] = digest_of(self.world.recovery)
        return json.dumps(values, sort_keys=True)


class Trainer:
    """All runs of a grid, round by round.

    Attributes:
        options: what is trained.
        walks: of the robots.
        learner: of all runs.
        seen: (64, R, O) observations of the last round, for the policy files.
        history: a dictionary of (R,) figures for each update so far.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.walks = Walks(options.runs, options.world, robots=options.robots, steps=options.steps)
        self._device = torch.device(options.world.device)
        self.learner = learner_group(options.runs, self._device)
        self._rules = self._other_rules()
        self.seen = torch.zeros(PARITY_PAIRS, len(options.runs), OBSERVED, device=self._device)
        self.history: list[Figures] = []

    @property
    def updates(self) -> int:
        """Updates so far."""
        return len(self.history)

    def prepare(self, tell: Callable[[str], None]) -> None:
        """Let Recovery RL's critics learn from policies that seek falls."""
        critics = [(rule, runs) for rule, runs in self._rules if isinstance(rule, RiskRule)]
        if not critics:
            return
        seekers = Trpo(self._shape(slice(None)), rewards=MOST_COST)
        found: list[list[Batch]] = [[] for _ in critics]
        for number in range(self.options.seeking):
            batch = self.walks.round(seekers, [], FIRST_SEEKING + number)
            seekers.update(batch)
            for (_, runs), kept in zip(critics, found, strict=True):
                kept.append(batch.of_runs(runs).copied())
            falls = int(batch.fell.sum())
            tell(f"walk {number + 1} of {self.options.seeking} that seeks falls: {falls} falls")
        for (rule, _), kept in zip(critics, found, strict=True):
            rule.critic.fit(seeking_walks(kept), self.options.critic_updates)

    def update(self) -> Figures:
        """One round and one update of every run; its figures are (R,) each."""
        batch = self.walks.round(self.learner, self._rules, self.updates)
        self.seen.copy_(_spread(batch, len(self.seen)))
        found = self.learner.update(batch)
        for rule, runs in self._rules:
            if isinstance(rule, ValueFilter):
                own = batch.of_runs(runs)
                rule.fit(own, self._distance(own))
        figures = {name: value.float().cpu().numpy() for name, value in found.items()}
        self.history.append(figures)
        return figures

    def save(self, folder: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "identity": self.options.identity,
            "learner": self.learner.state_dict(),
            "rules": [rule.state_dict() for rule, _ in self._rules],
            "updates": self.updates,
            "seen": self.seen,
        }
        write_checkpoint(folder, state, self.history)

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ConfigurationError: it belongs to another grid, or cannot be read.
        """
        state, history = read_checkpoint(folder, self._device)
        if state["identity"] != self.options.identity:
            raise ConfigurationError(
                f"{folder / CHECKPOINT}: belongs to another grid; "
                "choose an empty folder or the same options"
            )
        self.learner.load_state_dict(state["learner"])
        for (rule, _), kept in zip(self._rules, state["rules"], strict=True):
            rule.load_state_dict(kept)
        self.seen.copy_(state["seen"])
        self.history = history

    def _other_rules(self) -> list[tuple[SwitchingRule, slice]]:
        """Rules that decide about recovery in the place of the supervisor, with their runs."""
        rules: list[tuple[SwitchingRule, slice]] = []
        at = 0
        for name, group in groupby(self.options.runs, key=lambda run: run.learner):
            runs = slice(at, at + len(list(group)))
            at = runs.stop
            if name in OTHER_RULES:
                rules.append((self._rule(name, self._shape(runs)), runs))
        return rules

    def _rule(self, name: str, shape: Shape) -> SwitchingRule:
        if name == "filter":
            streams = Streams(shape.seeds, self._device)
            return ValueFilter(FilterSettings(), observations=OBSERVED, streams=streams)
        if name == "recovery_rl":
            return risk_rule(shape)
        nominal, limits = self._box()
        return EllipsoidDwell(
            inscribed(limits),
            nominal,
            dwell_steps=DWELL_STEPS,
            runs=len(shape.seeds),
            robots=self.options.robots,
        )

    def _shape(self, runs: slice) -> Shape:
        return shape_of(self.options.runs[runs], self._device)

    def _box(self) -> tuple[Tensor, Tensor]:
        """Middle and half widths (5,) of the paper's trigger set."""
        bounds: TriggerBounds = load_config(self.options.world.robot).supervisor.trigger_set.c1
        middle = 0.5 * (bounds.height_min + bounds.height_max)
        half = 0.5 * (bounds.height_max - bounds.height_min)
        limits = (half, bounds.roll, bounds.pitch, bounds.lateral_velocity, bounds.roll_rate)
        nominal = torch.zeros(len(limits), device=self._device)
        nominal[0] = middle
        return nominal, torch.tensor(limits, device=self._device)

    def _distance(self, batch: Batch) -> Tensor:
        """(T, R, N) distance from the nominal state, 1 on the ellipsoid in the trigger set."""
        nominal, limits = self._box()
        shape = batch.rewards.shape
        states = states_of(batch.observations.reshape(-1, OBSERVED))
        return ((states - nominal) / limits).norm(dim=1).view(shape)


def _spread(batch: Batch, count: int) -> Tensor:
    """(count, R, O) observations from all over the walks of each run."""
    rows = batch.cleaned().observations.permute(0, 2, 1, 3).flatten(0, 1)
    places = torch.linspace(0, len(rows) - 1, count, device=rows.device).round().long()
    return rows[places]


def train(
    options: TrainingOptions,
    folder: Path,
    *,
    minutes: float,
    resume: bool,
    tell: Callable[[str], None],
    checkpoint_s: float = 60.0,
) -> Trainer:
    """Train until all updates are done or the time is up.

    Checkpoints are written between two updates alone. An interruption within one leaves the last
    of them, so that a resumed training has the same curve.

    Args:
        options: what is trained.
        folder: of checkpoint and history.
        minutes: of wall-clock time.
        resume: continue from the checkpoint in the folder.
        tell: is told of the progress, line by line.
        checkpoint_s: time between two checkpoints [s].

    Raises:
        ConfigurationError: the checkpoint belongs to another grid.
    """
    began = time.monotonic()
    trainer = Trainer(options)
    folder.mkdir(parents=True, exist_ok=True)
    if resume and (folder / CHECKPOINT).exists():
        trainer.load(folder)
        tell(f"continues after {trainer.updates} updates")
    else:
        trainer.prepare(tell)
        trainer.save(folder)
    saved = time.monotonic()
    board = open_board(folder, options.runs, tell)
    first = trainer.updates
    walking = time.monotonic()
    while trainer.updates < options.updates and time.monotonic() - began <= 60.0 * minutes:
        figures = trainer.update()
        board.write(trainer.updates, figures)
        each = (time.monotonic() - walking) / (trainer.updates - first)
        tell(_line(trainer, figures, each * (options.updates - trainer.updates)))
        if time.monotonic() - saved > checkpoint_s:
            trainer.save(folder)
            saved = time.monotonic()
    board.close()
    trainer.save(folder)
    return trainer


def _line(trainer: Trainer, figures: Figures, left: float) -> str:
    """One update in a line."""
    return (
        f"{trainer.updates:5d} of {trainer.options.updates}"
        f"  reward {float(np.nanmean(figures['episode_reward'])):8.1f}"
        f"  falls {float(np.sum(figures['falls'])):5.0f}"
        f"  recovery {100.0 * float(np.nanmean(figures['recovery_share'])):5.1f} %"
        f"  {left / 60.0:5.1f} min left"
    )
