"""Writes the results of one figure of ALARM: a JSON file, a picture and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.file import pack
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.pictures import png
from safe_locomotion.training.joint.alarm.experiment import Run
from safe_locomotion.training.joint.alarm.learning.export import read_alarm
from safe_locomotion.training.joint.alarm.limits_walk import LimitsWalk, walk_up_stairs
from safe_locomotion.training.joint.alarm.pictures import (
    SHOWN,
    curves,
    joints_beside_limits,
    page,
    table_of,
)
from safe_locomotion.training.joint.alarm.results import cells, write


def write_figure(
    figure: str, runs: Sequence[Run], about: Mapping[str, Any], out: Path, walk_s: float
) -> Path | None:
    """The page of a figure; None when no run has begun.

    Args:
        figure: "alarm-fig3" or "alarm-fig4".
        runs: that it shows.
        about: where the results come from.
        out: folder of the files.
        walk_s: time of the walk of each policy up stairs, for alarm-fig4 [s].
    """
    found = cells(runs)
    if not found:
        return None
    path = out / f"{figure.replace('-', '_')}.html"
    drawn = [(SHOWN[name], curves(found, name)) for name in SHOWN]
    rows = table_of(found)
    content: dict[str, Any] = {**about, "figure": figure, "cells": found}
    if figure == "alarm-fig4":
        drawn = [drawn[-1]]
        walked, more = _walks([run for run in runs if run.history], walk_s)
        drawn += walked
        content["walks"] = more
        rows += [["walk up stairs of 16 cm", *_words(walk)] for walk in more]
    path.with_suffix(".png").write_bytes(png(drawn[0][1]))
    write(path.with_suffix(".json"), content)
    path.write_text(page(figure, about, drawn, rows), encoding="utf-8")
    return path


def _walks(
    runs: Sequence[Run], seconds: float
) -> tuple[list[tuple[str, Figure]], list[dict[str, Any]]]:
    """Pictures of one walk of each run, and their numbers."""
    pictures = []
    numbers = []
    for run in runs:
        options = run.options
        name = f"{options.variant}, seed {options.seed}"
        robot = load_robot(options.robot)
        try:
            data, contract = pack(*read_alarm(run.folder, f"{options.variant}_s{options.seed}"))
            walk = walk_up_stairs(contract, data, seconds=seconds)
        except PolicyRefusedError as error:
            numbers.append({"variant": options.variant, "seed": options.seed, "why": str(error)})
            continue
        if not len(walk.time):
            numbers.append({"variant": options.variant, "seed": options.seed, "why": "never stood"})
            continue
        pictures.append((name, joints_beside_limits(walk, robot, name)))
        numbers.append(_numbers(run, walk))
    return pictures, numbers


def _numbers(run: Run, walk: LimitsWalk) -> dict[str, Any]:
    return {
        "variant": run.options.variant,
        "seed": run.options.seed,
        "falls": walk.falls,
        "distance": round(walk.distance, 3),
        **walk.violations(load_robot(run.options.robot)),
    }


def _words(walk: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in walk.items()]
