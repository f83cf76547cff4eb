"""Trainings of several variants and seeds, one behind the other, that can be interrupted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from safe_locomotion.training.devices import enough_memory
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.joint.alarm.learning.board import open_board
from safe_locomotion.training.joint.alarm.learning.files import HISTORY
from safe_locomotion.training.joint.alarm.learning.training import (
    DivergedError,
    Figures,
    TrainingOptions,
    read_history,
    train,
)
from safe_locomotion.training.joint.alarm.learning.world import World
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions
from safe_locomotion.training.joint.alarm.world.world import AlarmWorld
from safe_locomotion.training.shares import say, train_shares

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

Tell = Callable[[str], None]


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


@dataclass(frozen=True, kw_only=True)
class Share:
    """Runs that one process trains.

    Attributes:
        runs: in their order.
        minutes: of wall-clock time for all of them.
        resume: continue from the checkpoints.
    """

    runs: tuple[Run, ...]
    minutes: float
    resume: bool


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


def train_run(run: Run, *, minutes: float, resume: bool, tell: Tell) -> bool:
    """Train one run until it is done or the time is up; whether it is done."""
    run.folder.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    with enough_memory(run.options.device):
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


def train_runs(share: Share, *, tell: Tell) -> bool:
    """Train runs one behind the other until all are done or the time is up; whether all are done.

    A run that diverges is told and left as it is; the others go on.
    """
    began = time.monotonic()
    done = True
    for number, run in enumerate(share.runs, 1):
        left = share.minutes - (time.monotonic() - began) / 60.0
        name = f"run {number} of {len(share.runs)}: {run.options.variant}, seed {run.options.seed}"
        if share.resume and run.done:
            tell(f"{name} is done")
            continue
        if left < 0.0:
            return False
        tell(name)
        try:
            done &= train_run(run, minutes=left, resume=share.resume, tell=tell)
        except DivergedError as error:
            tell(f"{name}: {error}")
            done = False
    return done


def shares_of(share: Share, devices: Sequence[str]) -> list[Share]:
    """Run k goes to device k modulo their number."""
    count = min(len(devices), len(share.runs))
    placed = [
        replace(run, options=replace(run.options, device=devices[k % count]))
        for k, run in enumerate(share.runs)
    ]
    return [replace(share, runs=tuple(placed[k::count])) for k in range(count)]


def train_on_devices(share: Share, devices: Sequence[str], *, tell: Tell) -> bool:
    """Train runs on several devices, each in a process of its own; whether all are done.

    Raises:
        ShareFailedError: a process ended by itself.
    """
    shares = shares_of(share, devices)
    if len(shares) == 1:
        return train_runs(shares[0], tell=tell)
    return all(train_shares(_share_trainer, shares))


def _share_trainer() -> Callable[[Share], bool]:
    """The function that trains a share in its process."""
    return _train_share


def _train_share(share: Share) -> bool:
    return train_runs(share, tell=partial(say, share.runs[0].options.device))
