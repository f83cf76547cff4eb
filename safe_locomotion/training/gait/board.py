"""Learning curves in TensorBoard, where it is installed."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from safe_locomotion.training.board import open_writer
from safe_locomotion.training.gait.checkpoint import Figures
from safe_locomotion.training.gait.grid import Run


class Board(Protocol):
    """Takes the figures of each update."""

    def write(self, update: int, figures: Figures) -> None:
        """Take (R,) figures of an update."""

    def close(self) -> None:
        """Write what is left."""


class NoBoard:
    """Takes figures and drops them; they are in the history anyway."""

    def write(self, update: int, figures: Figures) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoard:
    """Writes means over the seeds of each run."""

    def __init__(self, writer: Any, runs: Sequence[Run]) -> None:
        self._writer = writer
        numbered = sorted(enumerate(runs), key=lambda pair: pair[1].name)
        self._members = {
            name: [k for k, _ in group]
            for name, group in groupby(numbered, key=lambda pair: pair[1].name)
        }

    def write(self, update: int, figures: Figures) -> None:
        """One curve for each figure and run; figures that a learner lacks are left out."""
        for name, members in self._members.items():
            for figure, values in figures.items():
                value = float(np.mean(values[members]))
                if np.isfinite(value):
                    self._writer.add_scalar(f"{figure}/{name}", value, update)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def open_board(folder: Path, runs: Sequence[Run], tell: Callable[[str], None]) -> Board:
    """A board in a folder; without TensorBoard one line says so."""
    writer = open_writer(folder, tell)
    return NoBoard() if writer is None else TensorBoard(writer, runs)
