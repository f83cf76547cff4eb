"""Write tables and pictures of docs/experiments_paper1.md from the results in docs/data.

    .venv/bin/python tools/paper1_docs.py

The names of the tables are keys of `TABLES`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from evidence import markdown
from page_tables import blocks, refilled

from safe_locomotion.training.gait.comparisons import (
    BASELINES,
    interval,
    ours_of,
    values_of,
)
from safe_locomotion.training.gait.grid import PAPER_TASKS
from safe_locomotion.training.gait.pictures import (
    LABELS,
    NAMES,
    PAPER,
    groups,
    learner,
    pictures_of,
    png,
)
from safe_locomotion.training.gait.results import Cell, read

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/experiments_paper1.md"
FLIGHTS = ROOT / "docs/data/paper1_flights.json"
BLOCK = blocks("paper1")
#: Pictures of the page, by figure.
PICTURES = {
    "fig3": ("falls_rewards", "recovery"),
    "fig4b": ("recovery",),
    "recovery": ("falls",),
}


def cells_of(figure: str) -> list[Cell]:
    """Cells of a figure."""
    found: list[Cell] = read(ROOT / f"docs/data/paper1_{figure}.json")["cells"]
    return found


def fig3() -> str:
    """Each learner on each task: falls of each seed, use of recovery, and reward."""
    heads = (
        "task",
        "learner",
        "falls of the five seeds",
        "mean",
        "uses of recovery",
        "steps under recovery, first and last 20 updates",
        "reward at the end",
    )
    cells = cells_of("fig3")
    members = groups(sorted(cells, key=lambda cell: PAPER_TASKS.index(cell["task"])), learner)
    return markdown(heads, [_learner_line(task, found) for (task, _), found in members.items()])


def _learner_line(task: str, members: Sequence[Cell]) -> list[str]:
    recovers = any(cell["uses"] for cell in members)
    first = 100.0 * values_of(members, "first_share").mean()
    last = 100.0 * values_of(members, "final_share").mean()
    reward = values_of(members, "reward")
    return [
        f"`{task}`",
        learner(members[0]),
        ", ".join(f"{falls:,}" for falls in sorted(cell["falls"] for cell in members)),
        f"{values_of(members, 'falls').mean():,.1f}",
        f"{values_of(members, 'uses').mean():,.0f}" if recovers else "none",
        f"{first:.1f} %, {last:.1f} %" if recovers else "none",
        f"{reward.mean():.1f} ± {reward.std():.1f}",
    ]


def against() -> str:
    """Falls of ours and of the 20 runs of the baselines, by mean and by median."""
    heads = (
        "task",
        "ours: mean, median",
        "baselines: mean, median",
        "fewer than their mean",
        "fewer than their median",
    )
    cells = cells_of("fig3")
    lines = []
    shares = []
    for task in PAPER_TASKS:
        ours = values_of(ours_of(cells, task), "falls")
        others = values_of(_baselines(cells, task), "falls")
        middle = float(np.median(others))
        shares.append(100.0 * (1.0 - ours.mean() / others.mean()))
        fewer = 100.0 * (1.0 - float(np.median(ours)) / middle)
        lines.append(
            (
                f"`{task}`",
                f"{ours.mean():.1f}, {np.median(ours):.0f}",
                f"{others.mean():.1f}, {middle:.1f}",
                f"{shares[-1]:.1f} %",
                f"{fewer:.0f} %",
            )
        )
    return markdown(heads, [*lines, ("mean", "", "", f"**{np.mean(shares):.1f} %**", "")])


def _baselines(cells: Sequence[Cell], task: str) -> list[Cell]:
    return [cell for cell in cells if cell["task"] == task and cell["learner"] in BASELINES]


def ablation(figure: str) -> str:
    """Settings of ours on the catwalk beside the paper's numbers."""
    heads = (
        "setting",
        "falls",
        "uses of recovery",
        "interval of 95 %",
        "steps under recovery",
        "reward at the end",
        "paper: falls, uses, reward",
    )
    lines = []
    for (_, name), members in groups(cells_of(figure), LABELS[figure]).items():
        low, high = interval(members, "uses")
        reward = values_of(members, "reward")
        falls, uses, rewards = (mean for mean, _ in PAPER[name])
        lines.append(
            (
                name,
                f"{values_of(members, 'falls').mean():.1f}",
                f"{values_of(members, 'uses').mean():,.0f}",
                f"{low:,.0f} to {high:,.0f}",
                f"{100.0 * values_of(members, 'share').mean():.2f} %",
                f"{reward.mean():.1f} ± {reward.std():.1f}",
                f"{falls}, {uses:,}, {rewards:,}",
            )
        )
    return markdown(heads, lines)


def flights() -> str:
    """What the policies did over the wire."""
    heads = ("learner, seed", "figure", "measured", "compared with", "wanted", "holds")
    lines = []
    for row in json.loads(FLIGHTS.read_text(encoding="utf-8"))["rows"]:
        beside = ""
        if row["against"] and row["reference"] is not None:
            beside = f"{_amount(row['reference'], row['unit'])} ({row['against']})"
        measured = _amount(row["value"], row["unit"])
        holds = "yes" if row["met"] else "**no**"
        by = f"{NAMES[row['learner']]}, {row['seed']}"
        lines.append((by, row["figure"], measured, beside, row["wanted"], holds))
    return markdown(heads, lines)


def _amount(value: float | None, unit: str) -> str:
    """A number with its unit; JSON has null for one that is not finite."""
    return "none" if value is None else f"{value:.3g} {unit}".strip()


TABLES: dict[str, Callable[[], str]] = {
    "fig3": fig3,
    "against": against,
    "fig4a": lambda: ablation("fig4a"),
    "fig4b": lambda: ablation("fig4b"),
    "flights": flights,
}


def filled(text: str) -> str:
    """The page with its tables made anew."""
    return refilled(text, BLOCK, lambda name: TABLES[name]())


def draw() -> None:
    """Draw the pictures of the page."""
    for figure, words in PICTURES.items():
        name = f"paper1_{figure}"
        pictures = pictures_of(read(ROOT / f"docs/data/{name}.json"))
        for word in words:
            (ROOT / f"docs/media/{name}_{word}.png").write_bytes(png(pictures[word][1]))


if __name__ == "__main__":
    draw()
    PAGE.write_text(filled(PAGE.read_text()))
