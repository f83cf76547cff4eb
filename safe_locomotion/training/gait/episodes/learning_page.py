"""The page of one learning robot, which grows update by update, with the paper's figure 5."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safe_locomotion.training.gait.pictures import DOTS_PER_INCH, STYLE, png

MARGINS = {"left": 0.04, "right": 0.99, "top": 0.9, "bottom": 0.16}  #: shares of the picture
REFRESH_S = 20  #: after which a browser loads the page again [s]
EFFICIENT_LESS = 0.34  #: energy that the paper's robot saved
#: What the paper says of its figure 5: share of steps under recovery in the first and in the last
#: update, in percent; None where it says nothing.
PAPER_RECOVERY: Mapping[str, tuple[float | None, float | None]] = {
    "efficient": (20.0, 0.0),
    "catwalk": (6.8, None),
    "two_leg": (82.5, 67.5),
}
PAPER_WIDTH = 0.09  #: between left and right feet after the catwalk task [m]
History = Sequence[Mapping[str, float]]
Row = tuple[str, str, float]
#: Name, title and factor of the last panel: what the task is about.
OF_TASK: Mapping[str, Row] = {
    "catwalk": ("width_m", "feet apart [m]", 1.0),
    "two_leg": ("streak_s", "longest time without recovery [s]", 1.0),
}
ENERGY: Row = ("energy_j_per_m", "energy of a metre [J/m]", 1.0)


def learning_page(
    task: str, history: History, rejected: Sequence[Mapping[str, Any]], flight: Mapping[str, Any]
) -> str:
    """HTML page that needs no other file.

    Args:
        task: that is learned.
        history: figures of each update.
        rejected: updates that were thrown away.
        flight: what the driver notes (`flight.json`); may be empty.
    """
    shown = "<p>No update yet.</p>"
    if history:
        picture = b64encode(png(learning_picture(task, history))).decode()
        shown = f'<img alt="learning curves" src="data:image/png;base64,{picture}">'
    thrown = "".join(
        f"<li>{escape(str(row['policy']))}: {escape(str(row['reason']))}</li>" for row in rejected
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(task)}</title><style>{STYLE}</style>"
        f"<h1>A robot learns: {escape(task)}</h1>"
        f"<p>{escape(summary(history, flight))}</p>{shown}"
        "<p>Grey lines: what paper 1 says of its figure 5.</p>"
        f"{'<h2>Updates that were thrown away</h2><ul>' + thrown + '</ul>' if thrown else ''}"
        f'<h2>Updates</h2><div class="wide"><table>{_table(history)}</table></div></html>'
    )


def summary(history: History, flight: Mapping[str, Any]) -> str:
    """Updates, minutes and falls in one line."""
    walked = sum(row.get("walked_s", 0.0) for row in history) / 60.0
    words = [f"{len(history)} updates", f"{walked:.1f} min of walking in them"]
    if flight:
        words.append(f"{float(flight.get('walking_s', 0.0)) / 60.0:.1f} min of walking in all")
        words.append(f"{len(flight.get('falls', ()))} falls")
    return ", ".join(words)


def learning_picture(task: str, history: History) -> Figure:
    """Four panels over the updates: reward, recovery, falls, and what the task is about."""
    name, title, factor = OF_TASK.get(task, ENERGY)
    panels: tuple[Row, ...] = (
        ("reward", "reward of a step", 1.0),
        ("recovery_share", "steps under recovery [%]", 100.0),
        ("falls", "falls", 1.0),
        (name, title, factor),
    )
    figure = Figure(figsize=(4.2 * len(panels), 3.4), dpi=DOTS_PER_INCH)
    figure.subplots_adjust(**MARGINS)  # a layout that is computed takes twice as long
    update = np.arange(1, len(history) + 1)
    axes = figure.subplots(1, len(panels))
    for axis, (key, label, scale) in zip(axes, panels, strict=True):
        values = scale * np.array([row.get(key, np.nan) for row in history])
        axis.plot(update, values, marker="." if len(update) < 40 else "", color="#c0392b")
        axis.set_title(label)
        axis.set_xlabel("update")
    _references(task, axes, history)
    return figure


def _references(task: str, axes: Sequence[Axes], history: History) -> None:
    """Lines at the values of the paper."""
    for value in PAPER_RECOVERY.get(task, ()):
        if value is not None:
            axes[1].axhline(value, color="0.6", linestyle="--")
    if task == "efficient":
        first = history[0].get(ENERGY[0], float("nan"))
        axes[3].axhline((1.0 - EFFICIENT_LESS) * first, color="0.6", linestyle="--")
    if task == "catwalk":
        axes[3].axhline(PAPER_WIDTH, color="0.6", linestyle="--")


def _table(history: History) -> str:
    columns = (
        ("reward", "reward of a step", ".3f"),
        ("recovery_share", "recovery share", ".3f"),
        ("falls", "falls", ".0f"),
        ("power_w", "power [W]", ".1f"),
        ("speed_mps", "speed [m/s]", ".3f"),
        ("energy_j_per_m", "energy [J/m]", ".0f"),
        ("width_m", "width [m]", ".3f"),
        ("streak_s", "without recovery [s]", ".2f"),
        ("deviation", "deviation", ".3f"),
    )
    head = "".join(f"<td>{escape(title)}</td>" for _, title, _ in columns)
    body = "".join(
        f"<tr><td>{number}</td>"
        + "".join(f"<td>{row.get(key, float('nan')):{form}}</td>" for key, _, form in columns)
        + "</tr>"
        for number, row in enumerate(history, start=1)
    )
    return f"<tr><td>update</td>{head}</tr>{body}"
