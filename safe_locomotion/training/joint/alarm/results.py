"""Results of ALARM's experiments as cells of a JSON file: one cell for each training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.training.joint.alarm.experiment import Run
from safe_locomotion.training.joint.alarm.learning.training import Figures
from safe_locomotion.training.joint.alarm.learning.world import COSTS
from safe_locomotion.types import Array

FINAL = 20  #: iterations over which the last figures are averaged
POINTS = 200  #: of each curve that a cell keeps
CURVES = ("reached_with_beta_1", "arrived", "reached", "beta", "level", "reward", "violations")

Cell = dict[str, Any]


def violations(figures: Mapping[str, float]) -> float:
    """Costs per 1,000 policy steps of a robot, all five together.

    A joint that violates its limit counts 1/12, as in the paper.
    """
    return 1000.0 * sum(figures[f"cost_{name}"] for name in COSTS)


def cells(runs: Sequence[Run]) -> list[Cell]:
    """One cell for each run that has begun."""
    found = [(run, run.history) for run in runs]
    return [_cell(run, history) for run, history in found if history]


def _cell(run: Run, history: Sequence[Figures]) -> Cell:
    table = {name: np.array([row[name] for row in history]) for name in history[0]}
    table["violations"] = np.array([violations(row) for row in history])
    last = {name: float(values[-FINAL:].mean()) for name, values in table.items()}
    options = run.options
    return {
        "variant": options.variant,
        "robot": options.robot,
        "seed": options.seed,
        "envs": options.envs,
        "iterations": len(history),
        "steps": int(table["steps"][-1]),
        "minutes": float(table["seconds"].sum() / 60.0),
        "steps_per_s": float(table["steps"][-1] / max(1e-9, table["seconds"].sum())),
        "last": last,
        "curves": {
            "steps": _thinned(table["steps"]),
            **{name: _thinned(table[name]) for name in CURVES},
        },
    }


def _thinned(values: Array) -> list[float]:
    """At most `POINTS` means of equal stretches."""
    parts = np.array_split(values, min(POINTS, len(values)))
    return [float(f"{part.mean():.6g}") for part in parts]


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write results, whole or not at all."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    beside.replace(path)
