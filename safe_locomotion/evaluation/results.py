"""Results of an evaluation, cell by cell, and the JSON file that keeps them.

The file is written while the evaluation runs. An evaluation that was interrupted continues from it.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.statistics import bootstrap, wilson

CHECKPOINT_S = 10.0  #: wall-clock time between two writes of the file


@dataclass(frozen=True)
class Job:
    """An episode to walk: index of its cell, seed, and whether it is recorded for a critic."""

    cell: int
    seed: int
    traced: bool = False


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """Result of one episode.

    Attributes:
        seed: of everything that was drawn.
        fell: it ended in a fall, or in a fault that takes the robot down.
        steps: policy steps of 8 ms walked.
        recovery_steps: steps under the recovery policy.
        triggered_steps: steps outside the box of safe states.
        uses: how often the recovery policy took over.
        reward: sum over the steps, each less 1 under recovery.
        energy_j: positive mechanical work of the motors.
        distance: walked [m].
        reasons: hazards at the end of an episode that ended early.
    """

    seed: int
    fell: bool
    steps: int
    recovery_steps: int
    triggered_steps: int
    uses: int
    reward: float
    energy_j: float
    distance: float
    reasons: str = ""


class Evaluation:
    """Cells, their finished episodes, and the file that keeps both.

    Attributes:
        cells: what is evaluated.
        results: by cell, the results by seed.
    """

    def __init__(self, cells: Sequence[Cell], file: Path | None) -> None:
        """Continue from what the file holds of these cells; other cells stay in it as they are.

        Raises:
            ConfigurationError: the file exists, but is not that of an evaluation.
        """
        self.cells = tuple(cells)
        self._file = file
        self.results: list[dict[int, EpisodeResult]] = [{} for _ in cells]
        self._others: list[dict[str, Any]] = []
        self._written = 0.0
        if file is not None and file.exists():
            self._resume(file)

    def jobs(self, groups: Sequence[Sequence[int]], seeds: Sequence[int]) -> Iterator[Job]:
        """Episodes that are left: group after group, and within a group seed by seed.

        The cells of a group thus grow together.
        """
        for group in groups:
            for seed in seeds:
                yield from (Job(cell, seed) for cell in group if seed not in self.results[cell])

    def take(self, job: Job, result: EpisodeResult) -> None:
        """Remember a result; write the file when the last write is old."""
        self.results[job.cell][job.seed] = result
        if time.monotonic() - self._written > CHECKPOINT_S:
            self.write()

    def rows(self) -> list[dict[str, Any]]:
        """Cells with the figures of their episodes; a cell without episodes has no row."""
        pairs = zip(self.cells, self.results, strict=True)
        return [_row(cell, [done[seed] for seed in sorted(done)]) for cell, done in pairs if done]

    def write(self) -> None:
        """Replace the file as a whole."""
        self._written = time.monotonic()
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_name(f".{self._file.name}.new")
        rows = [*self._others, *self.rows()]
        scratch.write_text(json.dumps({"cells": rows}, allow_nan=False) + "\n", encoding="utf-8")
        scratch.replace(self._file)

    def _resume(self, file: Path) -> None:
        known = {cell: index for index, cell in enumerate(self.cells)}
        try:
            for row in json.loads(file.read_text(encoding="utf-8"))["cells"]:
                index = known.get(_cell(row))
                if index is None:
                    self._others.append(row)
                else:
                    self.results[index] |= {result.seed: result for result in _episodes(row)}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{file}: this file holds no evaluation to continue: {error!r}"
            ) from error


def _cell(row: dict[str, Any]) -> Cell:
    """The cell of a row of the file."""
    values = {f.name: row[f.name] for f in fields(Cell)}
    values["overrides"] = tuple((key, value) for key, value in row["overrides"])
    return Cell(**values)


def _episodes(row: dict[str, Any]) -> Iterator[EpisodeResult]:
    """The episodes of a row of the file."""
    columns = row["results"]
    for values in zip(*columns.values(), strict=True):
        yield EpisodeResult(**dict(zip(columns, values, strict=True)))


def _row(cell: Cell, done: Sequence[EpisodeResult]) -> dict[str, Any]:
    """One cell of the file."""
    columns = {f.name: [getattr(result, f.name) for result in done] for f in fields(EpisodeResult)}
    steps = columns["steps"]
    falls = sum(columns["fell"])
    return {
        **asdict(cell),
        "episodes": len(done),
        "falls": falls,
        "falls_interval": wilson(falls, len(done)),
        "uses": sum(columns["uses"]),
        "uses_interval": bootstrap(columns["uses"]),
        "share": sum(columns["recovery_steps"]) / sum(steps),
        "share_interval": bootstrap(columns["recovery_steps"], steps),
        "triggered": sum(columns["triggered_steps"]) / sum(steps),
        "reward": float(np.mean(columns["reward"])),
        "reward_interval": bootstrap(columns["reward"]),
        "energy_j": float(np.mean(columns["energy_j"])),
        "energy_j_interval": bootstrap(columns["energy_j"]),
        "seeds": columns["seed"],
        "results": columns,
    }
