"""Draw falls against recovery, from the runs of `tools/supervised_falls.py` that docs/data keeps.

.venv/bin/python tools/falls_picture.py docs/media/supervised_falls.png
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from scipy.stats import chi2

DATA = Path(__file__).resolve().parents[1] / "docs" / "data" / "supervised_falls.json"
TASKS = ("trot", "catwalk", "pacing", "two_leg")
STYLES = {
    "offsets at their bounded rate": ("tab:gray", "o"),
    "offsets at once": ("tab:green", "s"),
    "offsets at once, planted 50 ms longer": ("tab:red", "v"),
    "offsets at once, every takeover planted": ("tab:blue", "^"),
    "offsets at once, a new stride after planting": ("tab:orange", "D"),
    "offsets at once, swinging feet land at once": ("tab:brown", "P"),
}  #: colour and marker of the hand-overs that are drawn
SHORT = ("intervention.", "trigger_set.", "criterion=", "use=")  #: left out in labels
ALONE = "alone"


def interval(falls: int, hours: float) -> tuple[float, float]:
    """95 % of a Poisson rate [falls/h]; exact, by Garwood."""
    low = 0.5 * chi2.ppf(0.025, 2 * falls) if falls else 0.0
    return low / hours, 0.5 * chi2.ppf(0.975, 2 * falls + 2) / hours


def label_of(name: str) -> str:
    """A setting's name without the words that all share."""
    for word in SHORT:
        name = name.replace(word, "")
    return name


def draw(axes: Axes, run: dict[str, Any], colour: str, marker: str) -> None:
    """One point with its interval per setting."""
    for number, row in enumerate(row for row in run["rows"] if row["name"] != ALONE):
        share = 100.0 * row["recovery"]
        rate = row["falls"] / row["hours"]
        low, high = interval(row["falls"], row["hours"])
        axes.errorbar(
            share,
            rate,
            [[rate - low], [high - rate]],
            color=colour,
            marker=marker,
            capsize=2,
            label=run["handover"] if number == 0 else None,
        )
        axes.annotate(
            label_of(row["name"]), (share, rate), (4, 3), textcoords="offset points", fontsize=7
        )


def main() -> None:
    """Draw all tasks into one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    target = parser.parse_args().picture
    runs = json.loads(DATA.read_text(encoding="utf-8"))["runs"]
    figure, panels = plt.subplots(
        2, len(TASKS) // 2, figsize=(11, 8.5), sharey=True, layout="constrained"
    )
    for axes, task in zip(panels.flat, TASKS, strict=True):
        for run in runs:
            if run["task"] == task and run["handover"] in STYLES:
                draw(axes, run, *STYLES[run["handover"]])
        axes.set(title=task, xlabel="steps under recovery [%]")
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    for axes in panels[:, 0]:
        axes.set_ylabel("falls per hour of walking")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
