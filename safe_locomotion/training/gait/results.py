"""Results of a grid as cells of a JSON file: one cell for each run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait.grid import FIGURES, Recovery, Run, runs_of
from safe_locomotion.types import Array

FINAL = 20  #: updates over which the final reward is averaged
POINTS = 100  #: of each learning curve that a cell keeps

#: What tells one cell of a grid from another.
KEY = (
    *("task", "learner", "criterion", "horizon"),
    *("trigger_set", "measures", "recovery", "seed"),
)
Cell = dict[str, Any]
History = Sequence[Mapping[str, "np.ndarray[Any, np.dtype[np.float32]]"]]


def cells(runs: Sequence[Run], history: History, robot: str, robots: int) -> list[Cell]:
    """One cell for each run.

    Args:
        runs: of the grid.
        history: (R,) figures of each update.
        robot: that walked.
        robots: trajectories of an update.
    """
    table = {
        name: np.stack([row[name] for row in history]).astype(np.float64) for name in history[0]
    }
    return [_cell(run, k, table, robot, robots) for k, run in enumerate(runs)]


def _cell(run: Run, k: int, table: Mapping[str, Array], robot: str, robots: int) -> Cell:
    own = {name: values[:, k] for name, values in table.items()}
    updates = len(own["falls"])
    steps = own["steps"]
    recovered = own["recovery_share"] * steps
    return {
        "task": run.task,
        "robot": robot,
        "learner": run.learner,
        "criterion": run.criterion if run.learner == "ours" else "",
        "horizon": run.horizon if run.learner == "ours" else 0,
        "trigger_set": run.trigger_set if run.learner == "ours" else "",
        "measures": run.measures if run.learner == "ours" else "",
        "recovery": run.recovery,
        "seed": run.seed,
        "updates": updates,
        "steps": int(steps.sum()),
        "trajectories": updates * robots,
        "falls": int(own["falls"].sum()),
        "uses": int(own["uses"].sum()),
        "recovery_steps": round(float(recovered.sum())),
        "share": float(recovered.sum() / max(1.0, steps.sum())),
        "first_share": _mean_share(recovered, steps, slice(0, FINAL)),
        "final_share": _mean_share(recovered, steps, slice(-FINAL, None)),
        "reward": float(own["episode_reward"][-FINAL:].mean()),
        "first_reward": float(own["episode_reward"][:FINAL].mean()),
        "curves": {
            "update": _thinned(np.arange(1.0, updates + 1.0)),
            "reward": _thinned(own["episode_reward"]),
            "share": _thinned(own["recovery_share"]),
            "falls": _thinned(own["falls"]),
        },
    }


def _mean_share(recovered: Array, steps: Array, part: slice) -> float:
    return float(recovered[part].sum() / max(1.0, steps[part].sum()))


def _thinned(values: Array) -> list[float]:
    """At most `POINTS` means of equal stretches."""
    parts = np.array_split(values, min(POINTS, len(values)))
    return [float(np.round(np.nanmean(part), 4)) for part in parts]


def write(
    path: Path,
    figure: str,
    found: Sequence[Cell],
    about: Mapping[str, Any],
    recovery: Recovery = "tuned",
) -> None:
    """Write the cells of one figure with what is known about their origin.

    Args:
        path: of the file.
        figure: key of `grid.FIGURES`, or another word for all cells.
        found: cells.
        about: what is known about their origin.
        recovery: as in `grid.runs_of`.
    """
    wanted = {_key(cell) for cell in found} & _wanted(figure, found, recovery)
    content = {**about, "figure": figure, "cells": [c for c in found if _key(c) in wanted]}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def policy_name(cell: Cell) -> str:
    """Name of the policy file of a cell's run: robot, run and seed."""
    own = ("criterion", "horizon", "trigger_set", "measures") if cell["learner"] == "ours" else ()
    names = ("task", "learner", *own, "recovery", "seed")
    run = Run(**{name: cell[name] for name in names})
    return f"{cell['robot']}-{run.name}-s{run.seed}"


def read(path: Path) -> dict[str, Any]:
    """Content of a file that `write` wrote.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: no results ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ConfigurationError(f"{path}: no results (it lists no cells)")
    return cast(dict[str, Any], content)


def _wanted(figure: str, found: Sequence[Cell], recovery: Recovery) -> set[tuple[Any, ...]]:
    """Keys of the cells that belong to a figure."""
    if figure not in FIGURES:
        return {_key(cell) for cell in found}
    seeds = 1 + max(cell["seed"] for cell in found)
    return {_key_of(run) for run in runs_of([figure], seeds, recovery)}


def _key(cell: Cell) -> tuple[Any, ...]:
    return tuple(cell[name] for name in KEY)


def _key_of(run: Run) -> tuple[Any, ...]:
    own: tuple[str | int, ...] = (run.criterion, run.horizon, run.trigger_set, run.measures)
    own = own if run.learner == "ours" else ("", 0, "", "")
    return run.task, run.learner, *own, run.recovery, run.seed
