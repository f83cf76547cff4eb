"""Training of all runs of a grid side by side, in rounds that can be interrupted and resumed."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.trigger_set import TriggerBounds
from safe_locomotion.training.gait.grid import LEARNERS, OTHER_RULES, Run
from safe_locomotion.training.gait.learners.batch import Batch
from safe_locomotion.training.gait.learners.group import LearnerGroup
from safe_locomotion.training.gait.learners.learner import Learner, RewardWeights, Shape
from safe_locomotion.training.gait.learners.p3o import P3o
from safe_locomotion.training.gait.learners.pcpo import Pcpo
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
from safe_locomotion.training.gait.learners.trpo import (
    ALGORITHM_1,
    MOST_COST,
    TASK,
    TASK_LESS_COST,
    Trpo,
)
from safe_locomotion.training.gait.learners.value_filter import FilterSettings, ValueFilter
from safe_locomotion.training.gait.recovery import digest_of
from safe_locomotion.training.gait.walks import OBSERVED, ROBOTS, STEPS, Walks, states_of
from safe_locomotion.training.gait.world.world import WorldOptions

UPDATES = 1360  #: of 10 trajectories: 13,600 trajectories of a run (paper 1, figure 3)
DWELL_STEPS = 125  #: 1 s
FIRST_SEEKING = 500_000  #: number of the first round before training
CHECKPOINT = "checkpoint.pt"
HISTORY = "history.npz"

Figures = dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]


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
        history: a dictionary of (R,) figures for each update so far.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.walks = Walks(options.runs, options.world, robots=options.robots, steps=options.steps)
        self._device = torch.device(options.world.device)
        self.learner = self._learner_group()
        self._rules = self._other_rules()
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
        }
        new = folder / f"{CHECKPOINT}.new"
        torch.save(state, new)
        if self.history:
            names = self.history[0]
            table = {name: np.stack([row[name] for row in self.history]) for name in names}
            with (folder / f"{HISTORY}.new").open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **table)
            (folder / f"{HISTORY}.new").replace(folder / HISTORY)
        new.replace(folder / CHECKPOINT)

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ConfigurationError: it belongs to another grid, or cannot be read.
        """
        path = folder / CHECKPOINT
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            identity = state["identity"]
            history = _read_history(folder / HISTORY, state["updates"])
        except (OSError, RuntimeError, LookupError, EOFError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path}: not a checkpoint ({error})") from error
        except UnpicklingError as error:
            raise ConfigurationError(f"{path}: not a checkpoint") from error
        if identity != self.options.identity:
            raise ConfigurationError(
                f"{path}: belongs to another grid; choose an empty folder or the same options"
            )
        self.learner.load_state_dict(state["learner"])
        for (rule, _), kept in zip(self._rules, state["rules"], strict=True):
            rule.load_state_dict(kept)
        self.history = history

    def _learner_group(self) -> LearnerGroup:
        """Learners in the order of the runs; all that share TRPO's update are one."""
        made: list[tuple[Learner, int]] = []
        for kind, group in groupby(self.options.runs, key=lambda run: _UPDATES[run.learner]):
            runs = list(group)
            at = sum(count for _, count in made)
            shape = self._shape(slice(at, at + len(runs)))
            learner: Learner
            if kind == "pcpo":
                learner = Pcpo(shape)
            elif kind == "p3o":
                learner = P3o(shape)
            else:
                weights = [_REWARDS[run.learner] for run in runs]
                learner = Trpo(shape, rewards=RewardWeights.of_each(weights, self._device))
            made.append((learner, len(runs)))
        return LearnerGroup(made)

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
        return Shape(
            observations=OBSERVED,
            mask=self.walks.free[runs],
            seeds=[run.seed for run in self.options.runs[runs]],
        )

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


def _read_history(path: Path, updates: int) -> list[Figures]:
    """Figures of the first updates; a history may be longer than its checkpoint."""
    if not updates:
        return []
    table = dict(np.load(path))
    return [{name: values[k] for name, values in table.items()} for k in range(updates)]


#: Which update each learner makes.
_UPDATES = {name: name if name in ("pcpo", "p3o") else "trpo" for name in LEARNERS}
_REWARDS = {
    "ours": ALGORITHM_1,
    "trpo": TASK,
    "trpo_n": TASK_LESS_COST,
    "recovery_rl": TASK,
    "filter": ALGORITHM_1,
    "ellipsoid": ALGORITHM_1,
}


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
    first = trainer.updates
    walking = time.monotonic()
    while trainer.updates < options.updates and time.monotonic() - began <= 60.0 * minutes:
        figures = trainer.update()
        each = (time.monotonic() - walking) / (trainer.updates - first)
        tell(_line(trainer, figures, each * (options.updates - trainer.updates)))
        if time.monotonic() - saved > checkpoint_s:
            trainer.save(folder)
            saved = time.monotonic()
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
