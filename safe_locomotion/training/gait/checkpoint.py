"""Checkpoints of a grid: everything that later updates and exports depend on, in two files."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from safe_locomotion.errors import ConfigurationError

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.npz"
KEYS = ("identity", "learner", "rules", "updates", "seen")

Figures = dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]


def write_checkpoint(folder: Path, state: dict[str, Any], history: list[Figures]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        folder: to write to.
        state: with the keys `KEYS`.
        history: (R,) figures of each update.
    """
    new = folder / f"{CHECKPOINT}.new"
    torch.save(state, new)
    if history:
        table = {name: np.stack([row[name] for row in history]) for name in history[0]}
        with (folder / f"{HISTORY}.new").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **table)
        (folder / f"{HISTORY}.new").replace(folder / HISTORY)
    new.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path, device: torch.device) -> tuple[dict[str, Any], list[Figures]]:
    """State and history of a checkpoint.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    path = folder / CHECKPOINT
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        found = {key: state[key] for key in KEYS}
        return found, _read_history(folder / HISTORY, int(state["updates"]))
    except (OSError, RuntimeError, LookupError, EOFError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a checkpoint ({error})") from error
    except UnpicklingError as error:
        raise ConfigurationError(f"{path}: not a checkpoint") from error


def _read_history(path: Path, updates: int) -> list[Figures]:
    """Figures of the first updates; a history may be longer than its checkpoint."""
    if not updates:
        return []
    table = dict(np.load(path))
    return [{name: values[k] for name, values in table.items()} for k in range(updates)]
