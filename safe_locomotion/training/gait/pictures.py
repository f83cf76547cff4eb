"""Pictures and page of the experiments of paper 1, drawn from cells alone."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from safe_locomotion.training.gait.comparisons import fewer_falls, interval, values_of
from safe_locomotion.training.gait.grid import TASK_ORDER
from safe_locomotion.training.gait.results import Cell, read

#: Numbers of the paper's figure 4 (a) and (b): falls, uses of recovery, reward, with deviations.
PAPER = {
    "ours, w = 0": ((551, 84), (106_280, 4_921), (1517, 282)),
    "ours, w = 5": ((548, 87), (104_532, 15_496), (1677, 32)),
    "ours, w = 10": ((335, 34), (116_155, 55_715), (1575, 275)),
    "ours, w = 15": ((299, 86), (157_285, 5_085), (1506, 229)),
    "ours, w = 20": ((204, 20), (194_198, 5_114), (1433, 307)),
    "Recovery RL": ((603, 50), (485_633, 325_133), (894, 163)),
    "ours, c1": ((335, 234), (116_155, 55_715), (1575, 275)),
    "ours, c2": ((313, 32), (141_488, 16_536), (1525, 180)),
    "ours, c3": ((275, 137), (246_651, 25_982), (677, 154)),
}
NAMES = {
    "ours": "ours",
    "trpo": "TRPO",
    "trpo_n": "TRPO-N",
    "pcpo": "PCPO",
    "recovery_rl": "Recovery RL",
    "p3o": "P3O",
    "filter": "value filter",
    "ellipsoid": "ellipsoid with dwell",
}
COLOURS = {
    "ours": "#c0392b",
    "trpo": "#7f8c8d",
    "trpo_n": "#d4ac0d",
    "pcpo": "#2471a3",
    "recovery_rl": "#1e8449",
    "p3o": "#7d3c98",
    "filter": "#ca6f1e",
    "ellipsoid": "#117a65",
}
DOTS_PER_INCH = 110
LINEAR_FALLS = 10.0  #: falls up to which the axis of figure 3 is linear

Label = Callable[[Cell], str]


def learner(cell: Cell) -> str:
    """Name of a cell's learner, with what distinguishes settings of our own."""
    words = [NAMES[cell["learner"]]]
    if cell["measures"] == "own":
        words.append(f"own measures, {cell['criterion']}")
    if cell["recovery"] == "learned":
        words.append("learned recovery")
    return ", ".join(words)


def horizon(cell: Cell) -> str:
    """Name of a cell in figure 4 (a)."""
    return f"ours, w = {cell['horizon']}" if cell["learner"] == "ours" else learner(cell)


def box(cell: Cell) -> str:
    """Name of a cell in figure 4 (b)."""
    return f"ours, {cell['trigger_set']}" if cell["learner"] == "ours" else learner(cell)


LABELS: Mapping[str, Label] = {"fig4a": horizon, "fig4b": box}


def groups(cells: Sequence[Cell], label: Label) -> dict[tuple[str, str], list[Cell]]:
    """Cells that differ in their seed alone, by task and label."""
    out: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        out.setdefault((cell["task"], label(cell)), []).append(cell)
    return out


def rewards_against_falls(cells: Sequence[Cell], label: Label = learner) -> Figure:
    """Figure 3: final reward over falls, one panel for each task.

    A large point is the mean of a learner, and a small one is a seed. Falls are spread unevenly
    over the seeds, so that the axis is logarithmic beyond `LINEAR_FALLS`.
    """
    tasks = [task for task in TASK_ORDER if any(cell["task"] == task for cell in cells)]
    figure = Figure(figsize=(4.2 * len(tasks), 4.2), dpi=DOTS_PER_INCH, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(tasks)))
    for axis, task in zip(panels, tasks, strict=True):
        for (of_task, name), members in groups(cells, label).items():
            if of_task == task:
                _points(axis, name, members, _colour(members, label))
        axis.set_title(task)
        axis.set_xlabel("falls in a training")
        axis.set_xscale("symlog", linthresh=LINEAR_FALLS)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlim(left=-1.0)
    panels[0].set_ylabel("reward of a trajectory at the end")
    panels[-1].legend(fontsize="small")
    return figure


def _points(axis: Axes, name: str, members: Sequence[Cell], colour: str | None) -> None:
    falls = values_of(members, "falls")
    reward = values_of(members, "reward")
    (mean,) = axis.plot(falls.mean(), reward.mean(), "o", color=colour, label=name, zorder=3)
    axis.plot(falls, reward, ".", color=mean.get_color(), alpha=0.5, markersize=5)


def _colour(members: Sequence[Cell], label: Label) -> str | None:
    """Colour where labels are learners in the paper's settings; None leaves it to the axes."""
    one = members[0]
    plain = label is learner and one["measures"] != "own" and one["recovery"] == "tuned"
    return COLOURS[one["learner"]] if plain else None


def curves(cells: Sequence[Cell], name: str, title: str, label: Label = learner) -> Figure:
    """Learning curves: mean over seeds and its range, one panel for each task."""
    tasks = [task for task in TASK_ORDER if any(cell["task"] == task for cell in cells)]
    figure = Figure(figsize=(4.2 * len(tasks), 3.4), dpi=DOTS_PER_INCH, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(tasks)))
    for axis, task in zip(panels, tasks, strict=True):
        for (of_task, shown), members in groups(cells, label).items():
            if of_task != task:
                continue
            values = np.array([cell["curves"][name] for cell in members])
            update = np.array(members[0]["curves"]["update"])
            colour = _colour(members, label)
            (line,) = axis.plot(update, values.mean(axis=0), label=shown, color=colour)
            axis.fill_between(
                update, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.15
            )
        axis.set_title(task)
        axis.set_xlabel("update")
    panels[0].set_ylabel(title)
    panels[-1].legend(fontsize="small")
    return figure


def rows(cells: Sequence[Cell], label: Label = learner) -> list[list[str]]:
    """Table: task, learner, falls, uses, steps under recovery, reward, and the paper's numbers."""
    out = [
        [
            "task",
            "learner",
            "seeds",
            "falls",
            "interval of 95 %",
            "uses of recovery",
            "interval of 95 %",
            "steps under recovery",
            "share first, last [%]",
            "reward",
            "paper: falls, uses, reward",
        ]
    ]
    for (task, name), members in groups(cells, label).items():
        paper = PAPER.get(name) if task == "catwalk" and label is not learner else None
        out.append(
            [
                task,
                name,
                str(len(members)),
                _spread(members, "falls"),
                _interval(members, "falls"),
                _spread(members, "uses"),
                _interval(members, "uses"),
                _spread(members, "recovery_steps"),
                f"{100 * values_of(members, 'first_share').mean():.1f}, "
                f"{100 * values_of(members, 'final_share').mean():.1f}",
                _spread(members, "reward", ".1f"),
                "" if paper is None else ", ".join(f"{m:,} ± {d:,}" for m, d in paper),
            ]
        )
    return out


def _spread(members: Sequence[Cell], name: str, form: str = ",.0f") -> str:
    values = values_of(members, name)
    return f"{values.mean():{form}} ± {values.std():{form}}"


def _interval(members: Sequence[Cell], name: str) -> str:
    low, high = interval(members, name)
    return f"{low:,.0f} to {high:,.0f}" if len(members) > 1 else ""


def pictures_of(content: Mapping[str, Any]) -> dict[str, tuple[str, Figure]]:
    """Title and picture of each part of a page, by a word for its file."""
    cells = content["cells"]
    label = LABELS.get(content["figure"], learner)
    return {
        "falls_rewards": ("Final reward against falls", rewards_against_falls(cells, label)),
        "reward": ("Reward of a trajectory", curves(cells, "reward", "reward", label)),
        "recovery": (
            "Share of steps under recovery",
            curves(cells, "share", "share", label),
        ),
        "falls": ("Falls in an update", curves(cells, "falls", "falls", label)),
    }


def write_page(path: Path, folder: Path | None = None) -> Path:
    """Draw the results in a JSON file: a page, and its pictures as PNG files.

    Args:
        path: of the file.
        folder: of the page and the pictures; that of the file when none is given.

    Raises:
        ConfigurationError: the file holds no results.
    """
    content = read(path)
    pictures = pictures_of(content)
    beside = path.parent if folder is None else folder
    for word, (_, picture) in pictures.items():
        (beside / f"{path.stem}_{word}.png").write_bytes(png(picture))
    target = beside / f"{path.stem}.html"
    target.write_text(page(content, pictures), encoding="utf-8")
    return target


def page(
    content: Mapping[str, Any], pictures: Mapping[str, tuple[str, Figure]] | None = None
) -> str:
    """HTML page of the results of one figure; it needs no other file."""
    figure = content["figure"]
    cells = content["cells"]
    label = LABELS.get(figure, learner)
    about = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(str(content[name]))}</td></tr>"
        for name in content
        if name not in ("cells", "figure")
    )
    shown = "".join(
        f'<h2>{escape(title)}</h2><img alt="{escape(title)}" src="data:image/png;base64,'
        f'{b64encode(png(picture)).decode()}">'
        for title, picture in (pictures or pictures_of(content)).values()
    )
    tables = [("All learners", rows(cells, label))]
    if figure == "fig3":
        tables.insert(0, ("Falls against the baselines", fewer_falls(cells)))
    shown += "".join(
        f'<h2>{escape(title)}</h2><div class="wide"><table>{_table(found)}</table></div>'
        for title, found in tables
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(figure)}</title><style>{STYLE}</style>"
        f"<h1>{escape(figure)}</h1><table>{about}</table>{shown}</html>"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of an HTML table."""
    return "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows
    )


STYLE = (
    "body{font-family:sans-serif;margin:1rem auto;max-width:80rem;padding:0 1rem}"
    "img{max-width:100%}table{border-collapse:collapse}td{padding:.2rem .6rem;"
    "border-bottom:1px solid #ddd}.wide{overflow-x:auto}"
)


def png(figure: Figure) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
