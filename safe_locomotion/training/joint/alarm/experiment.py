"""Trainings of several variants and seeds, one behind the other, that can be interrupted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.joint.alarm.learning.board import open_board
from safe_locomotion.training.joint.alarm.learning.files import HISTORY
from safe_locomotion.training.joint.alarm.learning.training import (
    Figures,
    TrainingOptions,
    read_history,
    train,
)
from safe_locomotion.training.joint.alarm.learning.world import World
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions
from safe_locomotion.training.joint.alarm.world.world import AlarmWorld

#: Methods and ablations of the paper's figure 3, and what beta does without the hybrid advantage.
FIG3 = (
    "alarm",
    "concurrent",
    "dreamwaq",
    "two_stage",
    "no_en",
    "no_lstm_ac",
    "no_decoder",
    "beta_by_clock",
    "beta_as_written",
)
FIG4 = ("alarm", "no_constraints")
_IDENTITY = "identity.json"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of an experiment.

    Attributes:
        options: what is trained.
        folder: of its files.
    """

    options: TrainingOptions
    folder: Path

    @property
    def done(self) -> bool:
        """All iterations of exactly this training are made."""
        try:
            made = len(read_history(self.folder))
            identity = (self.folder / _IDENTITY).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return False
        return made >= self.options.iterations and identity == self.options.identity

    @property
    def history(self) -> list[Figures]:
        """Figures of its iterations so far."""
        return read_history(self.folder) if (self.folder / HISTORY).exists() else []


def make_world(options: TrainingOptions) -> World:
    """The world in which these options train."""
    share_stream(options.device)
    return AlarmWorld(
        options.envs, options.robot, AlarmOptions(), options.device, seed=options.seed
    )


def runs_of(
    variants: Sequence[str], seeds: int, common: TrainingOptions, folder: Path
) -> list[Run]:
    """Runs of each variant with seeds 0, 1, ...; all variants of a seed before the next seed."""
    return [
        Run(
            options=replace(common, variant=variant, seed=seed),
            folder=folder / f"{variant}_s{seed}",
        )
        for seed in range(seeds)
        for variant in variants
    ]


def train_run(run: Run, *, minutes: float, resume: bool, tell: Callable[[str], None]) -> bool:
    """Train one run until it is done or the time is up; whether it is done."""
    run.folder.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    training = train(
        run.options,
        make_world,
        run.folder,
        minutes=minutes,
        resume=resume,
        tell=tell,
        watch=open_board(run.folder, tell),
    )
    (run.folder / _IDENTITY).write_text(run.options.identity, encoding="utf-8")
    return training.done


def train_runs(
    runs: Sequence[Run], *, minutes: float, resume: bool, tell: Callable[[str], None]
) -> bool:
    """Train runs until all are done or the time is up; whether all are done."""
    began = time.monotonic()
    for number, run in enumerate(runs, 1):
        left = minutes - (time.monotonic() - began) / 60.0
        name = f"{run.options.variant}, seed {run.options.seed}"
        if resume and run.done:
            tell(f"run {number} of {len(runs)}: {name} is done")
            continue
        if left < 0.0:
            return False
        tell(f"run {number} of {len(runs)}: {name}")
        if not train_run(run, minutes=left, resume=resume, tell=tell):
            return False
    return True
