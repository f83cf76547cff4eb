"""Table and picture of evaluated cells."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from safe_locomotion.envs.random_gait import NAME as RANDOM

WIDE = 120  #: columns that the table with intervals needs


def table(rows: Iterable[Mapping[str, Any]], *, short: bool = False) -> Table:
    """Table of cells, with intervals of 95 %.

    Args:
        rows: of the results.
        short: what is the same in all rows stands above the table, and intervals are left out, so
            that it fits 80 columns.
    """
    listed = list(rows)
    what = [_what(row) for row in listed]
    found = [_found(row, short=short) for row in listed]
    same = [key for key in what[0] if len({w[key] for w in what}) == 1] if short and what else []
    title = ", ".join(f"{key} {what[0][key]}" for key in same)
    shown = Table(box=None, title=title or None, title_justify="left")
    for key in what[0] if what else ():
        if key not in same:
            shown.add_column(key)
    for key in found[0] if found else ():
        shown.add_column(key, justify="right")
    for w, f in zip(what, found, strict=True):
        shown.add_row(*(text for key, text in w.items() if key not in same), *f.values())
    return shown


def _what(row: Mapping[str, Any]) -> dict[str, str]:
    """What was simulated, by heading."""
    return {
        "policy": f"random {row['sigma']:g}" if row["policy"] == RANDOM else row["policy"],
        "task": row["task"],
        "supervisor": row["supervisor"],
        "w": str(row["horizon"] or "-"),
        "set": row["trigger_set"],
        "ground": f"{row['terrain']} {row['friction']:g}",
        "push": f"{row['push']:g}" if row["push"] else "-",
    }


def _found(row: Mapping[str, Any], *, short: bool) -> dict[str, str]:
    """What was found, by heading."""

    def mean(key: str, form: str, factor: float = 1.0) -> str:
        text = format(factor * row[key], form)
        return text if short else f"{text} ({_interval(row[f'{key}_interval'], form, factor)})"

    rate = {} if short else {"fall rate [%]": _interval(row["falls_interval"], ".1f", 100.0)}
    return {
        "falls": str(row["falls"]),
        "of": str(row["episodes"]),
        **rate,
        "uses": str(row["uses"]),
        "share [%]" if short else "recovery [%]": mean("share", ".1f", 100.0),
        "in set [%]": f"{100.0 * row['triggered']:.2f}",
        "reward": mean("reward", ".0f"),
        "energy [J]": mean("energy_j", ".0f"),
    }


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
