"""Draw falls against recovery, from the runs of `tools/supervised_falls.py` that docs/data keeps.

.venv/bin/python tools/falls_picture.py docs/media/supervised_falls.png
.venv/bin/python tools/falls_picture.py docs/media/falls_rules.png --show rules
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import yaml
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
SHIPPED = "shipped"
RULES = "rules"  #: value of `handover` in the runs whose settings form curves
SHARES = (10, 12, 15, 20, 25, 30, 40, 60)  #: that the axis of the curves names [%]
RATES = (0.05, 150.0)  #: ends of the curves' other axis [falls/h]
Row = dict[str, Any]
Settings = dict[str, Any]
PAPER: Settings = {
    "intervention.capture": False,
    "trigger_set.lookahead": 0.0,
    "trigger_set.roll_rate": "raw",
    "trigger_set.attitude": "vertical",
    "trigger_set.height": "odom",
}
W = "intervention.horizon"
AHEAD = "trigger_set.lookahead"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Settings that differ in one knob.

    Attributes:
        title: in the legend; says what the numbers at the points are.
        knob: key of the configuration below `supervisor`.
        shipped: its value where a setting does not name it.
        fixed: what all settings of the curve name.
        colour, marker: of the curve.
    """

    title: str
    knob: str
    shipped: float | str
    fixed: Settings = field(default_factory=dict)
    colour: str
    marker: str

    def value(self, settings: Settings) -> float | str | None:
        """The knob's value in some settings, or None if they are not of this curve."""
        others = {key: value for key, value in settings.items() if key != self.knob}
        fixed = {key: value for key, value in self.fixed.items() if key != self.knob}
        if others != fixed:
            return None
        chosen: float | str = (self.fixed | settings).get(self.knob, self.shipped)
        return chosen


CURVES = (
    Rule(title="look-ahead [s]", knob=AHEAD, shipped=0.05, colour="tab:green", marker="s"),
    Rule(title="horizon w", knob=W, shipped=10, colour="tab:blue", marker="o"),
    Rule(
        title="capture margin",
        knob="intervention.capture_margin",
        shipped=0.0,
        colour="tab:orange",
        marker="^",
    ),
    Rule(
        title="look-ahead 0.1 s, capture margin",
        knob="intervention.capture_margin",
        shipped=0.0,
        fixed={AHEAD: 0.1},
        colour="tab:red",
        marker="D",
    ),
    Rule(
        title="naive (w = 0), look-ahead [s]",
        knob=AHEAD,
        shipped=0.05,
        fixed={W: 0},
        colour="tab:purple",
        marker="P",
    ),
    Rule(
        title="dwell [s]",
        knob="intervention.dwell_time",
        shipped=1.0,
        fixed={"intervention.criterion": "dwell", W: 0},
        colour="tab:brown",
        marker="v",
    ),
    Rule(title="paper's settings, w", knob=W, shipped=10, fixed=PAPER, colour="black", marker="X"),
    Rule(
        title="planning, w",
        knob=W,
        shipped=10,
        fixed={"intervention.criterion": "planning"},
        colour="tab:cyan",
        marker="<",
    ),
    Rule(title="box", knob="trigger_set.use", shipped="c1", colour="tab:pink", marker=">"),
)


def interval(falls: int, hours: float) -> tuple[float, float]:
    """95 % of a Poisson rate [falls/h]; exact, by Garwood."""
    low = 0.5 * chi2.ppf(0.025, 2 * falls) if falls else 0.0
    return low / hours, 0.5 * chi2.ppf(0.975, 2 * falls + 2) / hours


def label_of(name: str) -> str:
    """A setting's name without the words that all share."""
    for word in SHORT:
        name = name.replace(word, "")
    return name


def settings_in(name: str) -> Settings:
    """The keys and values that the name of a setting consists of; empty for `shipped`."""
    pairs = (part.partition("=") for part in name.split(",") if "=" in part)
    return {key: yaml.safe_load(value) for key, _, value in pairs}


def points_of(rule: Rule, rows: list[Row]) -> list[tuple[float | str, Row]]:
    """The settings of a curve, in the order of its knob."""
    found = [(rule.value(settings_in(row["name"])), row) for row in rows if row["name"] != ALONE]
    return sorted(((v, row) for v, row in found if v is not None), key=lambda point: point[0])


def place(row: Row) -> tuple[float, float, float, float]:
    """Share of recovery [%], falls per hour, and the ends of their interval.

    Without a fall the upper end stands for the rate, because the axis is logarithmic.
    """
    low, high = interval(row["falls"], row["hours"])
    rate = row["falls"] / row["hours"]
    return 100.0 * row["recovery"], rate or high, low if rate else high, high


def draw_rule(axes: Axes, rule: Rule, rows: list[Row], labelled: set[str]) -> None:
    """One curve with intervals; a hollow mark is the upper end where no robot fell.

    Args:
        axes: to draw into.
        rule: of the curve.
        rows: of one task.
        labelled: names of settings that have a label; those of this curve are added.
    """
    points = points_of(rule, rows)
    if len(points) < 2 and not rule.fixed:
        return
    side = (4, 3) if CURVES.index(rule) % 2 else (4, -9)
    places = [place(row) for _, row in points]
    axes.plot([p[0] for p in places], [p[1] for p in places], color=rule.colour, lw=1.2)
    for (value, row), (share, rate, low, high) in zip(points, places, strict=True):
        axes.errorbar(
            share,
            rate,
            [[rate - low], [high - rate]],
            color=rule.colour,
            marker=rule.marker,
            mfc=rule.colour if row["falls"] else "none",
            ms=5,
            capsize=2,
            elinewidth=0.7,
        )
        if row["name"] in labelled:
            continue
        labelled.add(row["name"])
        axes.annotate(
            f"{value:g}" if isinstance(value, float | int) else value,
            (share, rate),
            side,
            textcoords="offset points",
            fontsize=8,
            color=rule.colour,
        )


def draw(axes: Axes, run: dict[str, Any], colour: str, marker: str) -> None:
    """One point with its interval per setting."""
    for number, row in enumerate(row for row in run["rows"] if row["name"] != ALONE):
        share, rate, low, high = place(row)
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


def panel(axes: Axes, runs: list[dict[str, Any]], show: str) -> None:
    """What one task's runs say."""
    if show == RULES:
        rows = [row for run in runs if run["handover"] == RULES for row in run["rows"]]
        labelled = {SHIPPED}
        for rule in CURVES:
            draw_rule(axes, rule, rows, labelled)
        for row in (row for row in rows if row["name"] == SHIPPED):
            axes.plot(*place(row)[:2], "o", mfc="none", mec="black", ms=13, mew=1.2)
        axes.set(xscale="log", yscale="log", ylim=RATES)
        axes.set_xticks(SHARES, labels=map(str, SHARES))
        axes.xaxis.minorticks_off()
        return
    for run in runs:
        if run["handover"] in STYLES:
            draw(axes, run, *STYLES[run["handover"]])


def main() -> None:
    """Draw all tasks into one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--show", choices=("handovers", RULES), default="handovers")
    a = parser.parse_args()
    runs = json.loads(DATA.read_text(encoding="utf-8"))["runs"]
    figure, panels = plt.subplots(
        2,
        len(TASKS) // 2,
        figsize=(12, 11) if a.show == RULES else (11, 8.5),
        sharex=a.show == RULES,
        sharey=True,
        layout="constrained",
    )
    for axes, task in zip(panels.flat, TASKS, strict=True):
        panel(axes, [run for run in runs if run["task"] == task], a.show)
        axes.set(title=task, xlabel="steps under recovery [%]")
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    for axes in panels[:, 0]:
        axes.set_ylabel("falls per hour of walking")
    if a.show == RULES:
        for rule in CURVES:
            axes.plot([], [], color=rule.colour, marker=rule.marker, label=rule.title)
        axes.plot([], [], "o", mfc="none", mec="black", ms=13, label="as shipped")
        figure.legend(loc="outside lower center", ncols=4)
    else:
        marks = panels[0, 0].get_legend_handles_labels()
        figure.legend(*marks, loc="outside lower center", ncols=3)
    figure.savefig(a.picture, dpi=110)


if __name__ == "__main__":
    main()
