"""The text on the picture of an episode: what happened, and what the episode was."""

from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes

from safe_locomotion.recording.events import Event
from safe_locomotion.recording.page import Page, facts
from safe_locomotion.types import Mode

RED = "#c92a2a"
GREY = "#868e96"
BLACK = "#343a40"
COLORS = {"mode": "#495057", "recovery": "#b35900", "hazard": RED, "gate": RED}
IMPORTANCE = ("mode", "hazard", "gate", "recovery")  #: kinds of event, the most important first
LINES = 70  #: of text beside the panels
WIDTH = 42  #: characters of a line, behind the times
LEFT = 0.02  #: of the text, as a share of its axes
FIRST_LINE = 0.984  #: height of the first line, as a share of the axes
PITCH = 0.0109  #: from line to line
FACTS_AT = 0.185  #: height of the title over the facts
HEAD = "at [s]  for [s]  mode, reason of take-over, hazard"


def draw_lines(axes: Axes, page: Page) -> None:
    """Write the events, one below the other; the picture has room for the most important ones."""
    axes.set_axis_off()
    kept = _that_fit(page)
    rows = [(HEAD, GREY)]
    for event in page.lines:
        if event in kept:
            rows += [(line, _color(event)) for line in event_lines(event)]
    left_out = len(page.lines) - len(kept)
    if left_out:
        rows.append((f"and {left_out} more: see the HTML page", COLORS["mode"]))
    _write_title(axes, 1.0, "What happened")
    for number, (line, color) in enumerate(rows):
        _write(axes, FIRST_LINE - number * PITCH, line, color)


def draw_facts(axes: Axes, page: Page) -> None:
    """Write what the episode was, below what happened."""
    lines = [
        line
        for key, value in facts(page)
        for line in wrap(f"{key}: {value}", WIDTH + 17, subsequent_indent="  ")
    ]
    _write_title(axes, FACTS_AT, "The episode")
    _write(axes, FACTS_AT - 0.016, "\n".join(lines), BLACK, linespacing=1.35)


def event_lines(event: Event) -> list[str]:
    """An event as lines of text that fit beside the panels."""
    heads = {"hazard": "hazard: ", "gate": "gate refused: "}
    first, *more = wrap(heads.get(event.kind, "") + event.text, WIDTH) or [""]
    times = f"{event.time:6.2f} {event.duration:8.2f}  "
    return [times + first, *(" " * len(times) + line for line in more)]


def _that_fit(page: Page) -> list[Event]:
    """Events for which there is room: the most important kinds first, the longest of them first."""
    kept = []
    room = LINES
    for event in sorted(page.lines, key=_importance):
        room -= len(event_lines(event))
        if room >= 0:
            kept.append(event)
    return kept


def _importance(event: Event) -> tuple[int, float]:
    return IMPORTANCE.index(event.kind), -event.duration


def _color(event: Event) -> str:
    return RED if event.text in (Mode.FALLEN.name, Mode.FAULT.name) else COLORS[event.kind]


def _write_title(axes: Axes, height: float, text: str) -> None:
    place = axes.transAxes
    axes.text(LEFT, height, text, fontsize=11, weight="bold", va="top", transform=place)


def _write(axes: Axes, height: float, text: str, color: str, **style: Any) -> None:
    axes.text(
        LEFT,
        height,
        text,
        fontsize=7.6,
        family="monospace",
        color=color,
        va="top",
        transform=axes.transAxes,
        **style,
    )
