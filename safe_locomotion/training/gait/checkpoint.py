"""Checkpoints of a grid: everything that later updates, figures and exports need, in one file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from safe_locomotion.training.checkpoints import reading

CHECKPOINT = "checkpoint.pt"
KEYS = ("identity", "learner", "rules", "updates", "seen", "history")

Figures = dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]


def write_checkpoint(folder: Path, state: dict[str, Any], history: list[Figures]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        folder: to write to.
        state: with the keys `KEYS`, but for the history.
        history: (R,) figures of each update.
    """
    names = history[0] if history else ()
    table = {name: torch.from_numpy(np.stack([row[name] for row in history])) for name in names}
    new = folder / f"{CHECKPOINT}.new"
    torch.save({**state, "history": table}, new)
    new.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path, device: torch.device) -> tuple[dict[str, Any], list[Figures]]:
    """State and history of a checkpoint.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    path = folder / CHECKPOINT
    with reading(path):
        state = torch.load(path, map_location=device, weights_only=True)
        found = {key: state[key] for key in KEYS}
        table = {name: values.cpu().numpy() for name, values in found.pop("history").items()}
        history = [
            {name: values[k] for name, values in table.items()} for k in range(found["updates"])
        ]
    return found, history
