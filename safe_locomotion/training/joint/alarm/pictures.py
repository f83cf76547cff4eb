"""Pictures and pages of ALARM's experiments, drawn from cells and walks alone."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.pictures import DOTS_PER_INCH, STYLE, png
from safe_locomotion.training.joint.alarm.learning.variants import VARIANTS
from safe_locomotion.training.joint.alarm.limits_walk import LimitsWalk
from safe_locomotion.training.joint.alarm.results import Cell
from safe_locomotion.types import JOINTS, Array

SHOWN_JOINTS = ("FR_thigh", "FR_calf")  #: of the paper's figure 4
#: Curves of a page, with the names of their axes.
SHOWN = {
    "reached_with_beta_1": "share with beta = 1 that ever reached the highest level",
    "arrived": "share that arrived there with beta = 1",
    "beta": "mean beta",
    "level": "mean level",
    "reward": "mean reward of a step",
    "violations": "violations per 1,000 steps",
}
Pictures = Sequence[tuple[str, Figure]]


def by_variant(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells that differ in their seed alone, in the order of the variants."""
    out: dict[str, list[Cell]] = {}
    for cell in cells:
        out.setdefault(cell["variant"], []).append(cell)
    return {name: out[name] for name in VARIANTS if name in out}


def curves(cells: Sequence[Cell], name: str) -> Figure:
    """Mean over the seeds of each variant and its deviation, over policy steps."""
    figure = Figure(figsize=(8.0, 4.2), dpi=DOTS_PER_INCH, layout="constrained")
    axis = figure.subplots()
    for variant, members in by_variant(cells).items():
        steps, values = _common(members, name)
        mean = values.mean(axis=0)
        spread = values.std(axis=0)
        (line,) = axis.plot(1e-6 * steps, mean, label=variant)
        axis.fill_between(
            1e-6 * steps, mean - spread, mean + spread, color=line.get_color(), alpha=0.15
        )
    axis.set_xlabel("policy steps [million]")
    axis.set_ylabel(SHOWN[name])
    axis.legend(fontsize="small")
    return figure


def _common(members: Sequence[Cell], name: str) -> tuple[Array, Array]:
    """Steps that all members have taken, and their curves (members, points) there."""
    shortest = min(members, key=lambda cell: cell["steps"])
    steps = np.array(shortest["curves"]["steps"])
    found = [np.interp(steps, c["curves"]["steps"], c["curves"][name]) for c in members]
    return steps, np.array(found)


def joints_beside_limits(walk: LimitsWalk, robot: RobotModel, title: str) -> Figure:
    """Position, speed and torque of two joints with their limits."""
    figure = Figure(figsize=(12.0, 5.6), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(len(SHOWN_JOINTS), 3, sharex=True)
    drawn: Sequence[tuple[str, Array, Array, Array]] = (
        ("position [rad]", walk.q, robot.q_min, robot.q_max),
        ("speed [rad/s]", walk.dq, -robot.dq_max, robot.dq_max),
        ("demanded torque [Nm]", walk.torque, -robot.tau_max, robot.tau_max),
    )
    for row, joint in zip(panels, SHOWN_JOINTS, strict=True):
        place = next(k for k, name in enumerate(JOINTS) if name.startswith(joint))
        for axis, (unit, values, low, high) in zip(row, drawn, strict=True):
            axis.plot(walk.time, values[:, place], linewidth=0.8)
            axis.axhline(low[place], color="#c0392b", linestyle="--")
            axis.axhline(high[place], color="#c0392b", linestyle="--")
            axis.set_ylabel(unit)
            axis.set_title(joint.replace("_", " "), fontsize="small")
    for axis in panels[-1]:
        axis.set_xlabel("time [s]")
    figure.suptitle(title)
    return figure


def table_of(cells: Sequence[Cell]) -> list[list[str]]:
    """What each variant reached at the end, mean and deviation over its seeds."""
    rows = [
        [
            "variant",
            "seeds",
            "million steps",
            *("reached, beta = 1 [%]", "arrived, beta = 1 [%]", "beta", "level"),
            "violations per 1,000 steps",
            "1,000 steps/s",
        ]
    ]
    for variant, members in by_variant(cells).items():
        rows.append(
            [
                variant,
                str(len(members)),
                f"{1e-6 * min(cell['steps'] for cell in members):.1f}",
                _spread(members, lambda c: 100.0 * c["last"]["reached_with_beta_1"]),
                _spread(members, lambda c: 100.0 * c["last"]["arrived"]),
                _spread(members, lambda c: c["last"]["beta"], ".3f"),
                _spread(members, lambda c: c["last"]["level"]),
                _spread(members, lambda c: c["last"]["violations"], ".2f"),
                _spread(members, lambda c: 1e-3 * c["steps_per_s"], ".0f"),
            ]
        )
    return rows


def _spread(members: Sequence[Cell], value: Callable[[Cell], float], form: str = ".1f") -> str:
    values = np.array([value(cell) for cell in members])
    return f"{values.mean():{form}} ± {values.std():{form}}"


def page(title: str, about: Mapping[str, Any], pictures: Pictures, rows: list[list[str]]) -> str:
    """HTML page that needs no other file."""
    shown = "".join(
        f'<h2>{escape(name)}</h2><img alt="{escape(name)}" src="data:image/png;base64,'
        f'{b64encode(png(picture)).decode()}">'
        for name, picture in pictures
    )
    origin = [[str(name), str(value)] for name, value in about.items()]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1>{_html(origin)}{shown}"
        f'<h2>Numbers</h2><div class="wide">{_html(rows)}</div></html>'
    )


def _html(rows: Sequence[Sequence[str]]) -> str:
    lines = ("".join(f"<td>{escape(value)}</td>" for value in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
