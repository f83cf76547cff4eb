"""A training of one variant and seed, in iterations that can be interrupted and resumed."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.training.checkpoints import reading
from safe_locomotion.training.joint.alarm.learning.agent import Agent
from safe_locomotion.training.joint.alarm.learning.files import (
    CHECKPOINT,
    HISTORY,
    WEIGHTS,
    read_arrays,
    write_arrays,
)
from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.variants import variant_named
from safe_locomotion.training.joint.alarm.learning.weights import policy_arrays
from safe_locomotion.training.joint.alarm.learning.world import World

STEPS = 500_000_000  #: of a training (section III of the paper)
ENVS = 8192

Figures = dict[str, float]
History = dict[str, NDArray[np.float64]]
Watch = Callable[[int, Figures], None]


class DivergedError(SafeLocomotionError):
    """Numbers of a training are not finite."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What is trained.

    Attributes:
        variant: name out of `VARIANTS`.
        robot: that walks.
        seed: of everything that is drawn.
        envs: robots that walk at once.
        steps: policy steps of all robots together, after which the training ends.
        settings: of the learner.
        device: of torch.
        capture: replay graphs on a GPU.
        command: as typed; policy files name it.
    """

    variant: str = "alarm"
    robot: str = "a1"
    seed: int = 0
    envs: int = ENVS
    steps: int = STEPS
    settings: Settings = field(default_factory=Settings)
    device: str = "cuda:0"
    capture: bool = True
    command: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        variant_named(self.variant)
        for name in ("envs", "steps"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name}: must be at least 1")

    @property
    def iterations(self) -> int:
        """Iterations in which every robot takes a horizon of steps."""
        return math.ceil(self.steps / (self.envs * self.settings.horizon))

    @property
    def first_stage(self) -> int | None:
        """Iterations of the first stage; None for variants of one stage."""
        if variant_named(self.variant).beta != "stages":
            return None
        return round(self.settings.first_stage * self.iterations)

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with to be resumed; the number of steps may grow."""
        values = asdict(self)
        for name in ("steps", "device", "capture", "command"):
            values.pop(name)
        return json.dumps({**values, "first_stage": self.first_stage}, sort_keys=True)


MakeWorld = Callable[[TrainingOptions], World]


class Training:
    """One training, iteration by iteration.

    Attributes:
        options: what is trained.
        agent: that learns.
        history: figures of each iteration so far.
    """

    def __init__(self, options: TrainingOptions, make_world: MakeWorld) -> None:
        self.options = options
        self.agent = Agent(
            make_world(options),
            variant_named(options.variant),
            options.settings,
            seed=options.seed,
            capture=options.capture,
        )
        self.history: list[Figures] = []

    @property
    def iterations(self) -> int:
        """Iterations so far."""
        return len(self.history)

    @property
    def steps(self) -> int:
        """Policy steps so far, of all robots together."""
        return self.iterations * self.options.envs * self.options.settings.horizon

    @property
    def done(self) -> bool:
        """All iterations are made."""
        return self.iterations >= self.options.iterations

    def iterate(self) -> Figures:
        """One iteration and its figures.

        Raises:
            DivergedError: a figure is not finite.
        """
        if self.iterations == self.options.first_stage:
            self.agent.imitate()
        began = time.monotonic()
        self.agent.collect()
        figures = self.agent.update()
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise DivergedError(
                f"iteration {self.iterations + 1}: {', '.join(bad)} not finite; the last"
                " checkpoint is whole, choose another seed or a smaller rate"
            )
        figures["steps"] = float(self.steps + self.options.envs * self.options.settings.horizon)
        figures["seconds"] = time.monotonic() - began
        self.history.append(figures)
        return figures

    def table(self) -> History:
        """(K,) figures of all iterations so far."""
        if not self.history:
            return {}
        return {name: np.array([row[name] for row in self.history]) for name in self.history[0]}

    def save(self, folder: Path) -> None:
        """Write history, weights and checkpoint, each whole or not at all."""
        state = {
            "identity": self.options.identity,
            "iterations": self.iterations,
            "agent": self.agent.state_dict(),
        }
        arrays = policy_arrays(self.agent.networks, self.agent.normaliser) | {
            "robot": np.array(self.options.robot),
            "command": np.array(self.options.command),
            "seed": np.array(self.options.seed),
            "steps": np.array(self.steps),
        }
        _replace(folder / HISTORY, lambda file: write_arrays(file, self.table()))
        _replace(folder / WEIGHTS, lambda file: write_arrays(file, arrays))
        _replace(folder / CHECKPOINT, lambda file: torch.save(state, file))

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ConfigurationError: it belongs to another training, or cannot be read.
        """
        path = folder / CHECKPOINT
        with reading(path):
            state = torch.load(path, map_location=self.options.device, weights_only=True)
            identity = state["identity"]
            history = read_history(folder, state["iterations"])
        if identity != self.options.identity:
            raise ConfigurationError(
                f"{path}: belongs to another training; choose an empty folder or the same options"
            )
        self.agent.load_state_dict(state["agent"])
        self.history = history


def _replace(path: Path, write: Callable[[Any], object]) -> None:
    """Write beside `path` and move the file there; a reader never finds half a file."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        write(file)
    beside.replace(path)


def read_history(folder: Path, iterations: int | None = None) -> list[Figures]:
    """Figures of the first iterations; a history may be longer than its checkpoint.

    Raises:
        OSError, ValueError: there is none, or it is shorter.
    """
    columns = read_arrays(folder / HISTORY)
    found = len(columns["steps"]) if columns else 0
    wanted = found if iterations is None else iterations
    if wanted > found:
        raise ValueError(f"the history has {found} of {wanted} iterations")
    return [{name: float(column[k]) for name, column in columns.items()} for k in range(wanted)]


def train(
    options: TrainingOptions,
    make_world: MakeWorld,
    folder: Path,
    *,
    minutes: float,
    resume: bool,
    tell: Callable[[str], None],
    watch: Watch | None = None,
    checkpoint_s: float = 60.0,
) -> Training:
    """Train until all steps are taken or the time is up.

    Checkpoints are written between two iterations alone. An interruption within one leaves the
    last of them, so that a resumed training has the same curve.

    Args:
        options: what is trained.
        make_world: makes the world of these options.
        folder: of checkpoint, history and weights.
        minutes: of wall-clock time.
        resume: continue from the checkpoint in the folder.
        tell: is told of the progress, line by line.
        watch: is given the number and the figures of each iteration.
        checkpoint_s: time between two checkpoints [s].

    Raises:
        ConfigurationError: the checkpoint belongs to another training.
        DivergedError: numbers are not finite.
    """
    began = time.monotonic()
    training = _begun(options, make_world, folder, resume=resume, tell=tell)
    saved = time.monotonic()
    first = training.iterations
    walking = saved
    while not training.done and time.monotonic() - began <= 60.0 * minutes:
        figures = training.iterate()
        each = (time.monotonic() - walking) / (training.iterations - first)
        tell(_line(training, figures, each))
        if watch is not None:
            watch(training.iterations, figures)
        if time.monotonic() - saved > checkpoint_s:
            training.save(folder)
            saved = time.monotonic()
    training.save(folder)
    return training


def _begun(
    options: TrainingOptions,
    make_world: MakeWorld,
    folder: Path,
    *,
    resume: bool,
    tell: Callable[[str], None],
) -> Training:
    """A new training, or one that goes on from its checkpoint where there is one."""
    training = Training(options, make_world)
    folder.mkdir(parents=True, exist_ok=True)
    if resume and (folder / CHECKPOINT).exists():
        training.load(folder)
        tell(f"continues after {training.iterations} iterations")
    else:
        training.save(folder)
    return training


def _line(training: Training, figures: Figures, each: float) -> str:
    """One iteration in a line."""
    left = each * (training.options.iterations - training.iterations)
    speed = training.options.envs * training.options.settings.horizon / figures["seconds"]
    return (
        f"{training.iterations:5d} of {training.options.iterations}"
        f"  reward {figures['reward']:8.4f}"
        f"  level {figures['level']:4.1f}"
        f"  reached {100.0 * figures['reached']:5.1f} %"
        f"  beta {figures['beta']:5.3f}"
        f"  {1e-3 * speed:6.0f} k steps/s"
        f"  {left / 60.0:5.1f} min left"
    )
