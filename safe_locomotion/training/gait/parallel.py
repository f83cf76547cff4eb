"""One grid on several devices: each trains a share of the runs in a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from safe_locomotion.training.devices import enough_memory
from safe_locomotion.training.gait.checkpoint import Figures, read_checkpoint
from safe_locomotion.training.gait.grid import Run
from safe_locomotion.training.gait.trainer import TrainingOptions, train
from safe_locomotion.training.shares import say, train_shares


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one device trains.

    Attributes:
        options: with its share of the runs.
        folder: of its checkpoint.
        minutes: of wall-clock time.
        resume: continue from the checkpoint in the folder.
    """

    options: TrainingOptions
    folder: Path
    minutes: float
    resume: bool


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a grid is.

    Attributes:
        runs: R of them.
        history: (R,) figures of each update that all runs have made.
    """

    runs: tuple[Run, ...]
    history: list[Figures]

    @property
    def updates(self) -> int:
        """Updates that all runs have made."""
        return len(self.history)


def parts_of(
    options: TrainingOptions, devices: Sequence[str], folder: Path, minutes: float, resume: bool
) -> list[Part]:
    """Shares of a grid: run k goes to device k modulo their number, so that learners mix.

    A run among other neighbours meets other errors of the estimator. So its curve depends on the
    number of devices, as it does on the rest of the grid.
    """
    count = min(len(devices), len(options.runs))
    return [
        Part(
            options=replace(
                options,
                runs=options.runs[k::count],
                world=replace(options.world, device=devices[k]),
            ),
            folder=folder / f"part_{k}",
            minutes=minutes,
            resume=resume,
        )
        for k in range(count)
    ]


def train_parts(parts: Sequence[Part]) -> Progress:
    """Train all parts at once and put their histories together.

    Raises:
        ShareFailedError: a process ended by itself; the others have been stopped.
        ConfigurationError: a checkpoint belongs to another grid.
    """
    train_shares(_trainer, parts)
    return merged(parts)


def merged(parts: Sequence[Part]) -> Progress:
    """Histories of all parts as that of the whole grid, up to the update that all have made."""
    histories = [read_checkpoint(part.folder, torch.device("cpu"))[1] for part in parts]
    runs: dict[int, Run] = {}
    for k, part in enumerate(parts):
        runs |= {k + len(parts) * place: run for place, run in enumerate(part.options.runs)}
    order = np.argsort([place for k in range(len(parts)) for place in _places(parts, k)])
    updates = min(len(history) for history in histories)
    whole = [
        _joined([history[update] for history in histories], order) for update in range(updates)
    ]
    return Progress(runs=tuple(runs[place] for place in sorted(runs)), history=whole)


def _places(parts: Sequence[Part], k: int) -> list[int]:
    """Numbers in the whole grid of the runs of one part."""
    return [k + len(parts) * place for place in range(len(parts[k].options.runs))]


def _joined(
    figures: Sequence[Figures], order: "np.ndarray[tuple[int], np.dtype[np.intp]]"
) -> Figures:
    """Figures of an update of all parts; one that a part lacks is NaN in its runs."""
    names = list(dict.fromkeys(name for part in figures for name in part))
    return {
        name: np.concatenate(
            [part.get(name, np.full_like(part["falls"], np.nan)) for part in figures]
        )[order]
        for name in names
    }


def _trainer() -> Callable[[Part], int]:
    """The function that trains a part in its process; it returns the updates made."""
    return _train


def _train(part: Part) -> int:
    device = part.options.world.device
    tell = partial(say, device)
    with enough_memory(device):
        trained = train(
            part.options, part.folder, minutes=part.minutes, resume=part.resume, tell=tell
        )
    return trained.updates
