"""Table and picture of evaluated cells."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from safe_locomotion.evaluation.random_gait import NAME as RANDOM


def table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Table of cells, with intervals of 95 %."""
    shown = Table(box=None)
    for heading in ("policy", "task", "supervisor", "w", "set", "ground", "push"):
        shown.add_column(heading)
    for heading in (
        "falls",
        "of",
        "fall rate [%]",
        "uses",
        "recovery [%]",
        "in set [%]",
        "reward",
        "energy [J]",
    ):
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(
            f"random {row['sigma']:g}" if row["policy"] == RANDOM else row["policy"],
            row["task"],
            row["supervisor"],
            str(row["horizon"] or "-"),
            row["trigger_set"],
            f"{row['terrain']} {row['friction']:g}",
            f"{row['push']:g}" if row["push"] else "-",
            str(row["falls"]),
            str(row["episodes"]),
            _interval(row["falls_interval"], ".1f", 100.0),
            str(row["uses"]),
            f"{100.0 * row['share']:.1f} ({_interval(row['share_interval'], '.1f', 100.0)})",
            f"{100.0 * row['triggered']:.2f}",
            f"{row['reward']:.0f} ({_interval(row['reward_interval'], '.0f')})",
            f"{row['energy_j']:.0f} ({_interval(row['energy_j_interval'], '.0f')})",
        )
    return shown


def _interval(bounds: Sequence[float], form: str, factor: float = 1.0) -> str:
    """Both ends of an interval, in the format `form`."""
    return "..".join(format(factor * bound, form) for bound in bounds)


def draw(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw falls and recovery share of each cell, with intervals of 95 %."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = [label(row) for row in rows]
    figure, axes = plt.subplots(
        1, 2, sharey=True, figsize=(11.0, 1.5 + 0.3 * len(rows)), layout="constrained"
    )
    for axis, interval, values, title in (
        (
            axes[0],
            "falls_interval",
            [row["falls"] / row["episodes"] for row in rows],
            "episodes that fell [%]",
        ),
        (axes[1], "share_interval", [row["share"] for row in rows], "steps under recovery [%]"),
    ):
        low, high = zip(*(row[interval] for row in rows), strict=True)
        errors = [[max(0.0, 100 * (v - a)) for v, a in zip(values, low, strict=True)]]
        errors.append([max(0.0, 100 * (b - v)) for v, b in zip(values, high, strict=True)])
        axis.barh(names, [100 * v for v in values], xerr=errors, capsize=2)
        axis.set_xlabel(title)
    axes[0].invert_yaxis()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


def label(row: Mapping[str, Any]) -> str:
    """Name of a cell's bar, unique among the cells of one policy and ground."""
    words = [row["task"], row["supervisor"], str(row["horizon"] or ""), row["trigger_set"]]
    return " ".join(
        words + [f"{key.rpartition('.')[2]}={value}" for key, value in row["overrides"]]
    )
