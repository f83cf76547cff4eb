"""The last minute as a picture: a row of who drove, and one of who would have driven."""

from collections.abc import Sequence
from html import escape

from safe_locomotion.types import NANOSECONDS
from safe_locomotion.ui.viewer.minute import LENGTH_NS, Kind, Passage

COLORS: dict[Kind, str] = {
    "learner": "#33bf59",
    "recovery": "#f08c00",
    "stopped": "#e03131",
    "rest": "#ced4da",
}
"""Colours of who drives; those of the letters over the picture, and grey where nobody walks."""
WIDTH = 600.0
ROW = 22.0  #: height
LEAST = 1.5  #: width of the shortest passage, so that it is seen
TICKS = ((60, "start"), (45, "middle"), (30, "middle"), (15, "middle"), (0, "end"))
TEXT = 13.0  #: size of the letters


def strip(
    end_ns: int, flown: Sequence[Passage], if_changed: Sequence[Passage] = (), at_ns: int = 0
) -> str:
    """An SVG picture of the minute before a stamp.

    Args:
        end_ns: the right end.
        flown: who drove.
        if_changed: who would have driven; no row for none.
        at_ns: stamp that a line marks; 0 for none.
    """
    rows = [_row(flown, end_ns, 0.0)]
    height = ROW
    if if_changed:
        rows.append(_row(if_changed, end_ns, ROW + 4.0))
        height += ROW + 4.0
    line = ""
    if at_ns:
        x = _x(at_ns, end_ns)
        line = (
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='0' y2='{height}' stroke='#111' stroke-width='4'/>"
        )
    seconds = "".join(
        f"<text x='{_x(end_ns - ago * NANOSECONDS, end_ns):.0f}' y='{height + TEXT + 3}'"
        f" font-size='{2 * TEXT}' text-anchor='{anchor}' fill='#495057'"
        f" dominant-baseline='middle'>{-ago or 0}</text>"
        for ago, anchor in (
            (60, "start"),
            (45, "middle"),
            (30, "middle"),
            (15, "middle"),
            (0, "end"),
        )
    )
    return (
        f"<svg viewBox='0 0 {WIDTH} {height + 2 * TEXT + 6}' style='width:100%;display:block'>"
        f"{''.join(rows)}{line}{seconds}</svg>"
    )


def legend(names: Sequence[tuple[Kind, str]]) -> str:
    """Colours and their meaning."""
    return " ".join(
        f"<span style='white-space:nowrap'><span style='color:{COLORS[kind]}'>&#9632;</span>"
        f" {escape(name)}</span>"
        for kind, name in names
    )


def _row(passages: Sequence[Passage], end_ns: int, y: float) -> str:
    back = f"<rect x='0' y='{y}' width='{WIDTH}' height='{ROW}' fill='#f1f3f5'/>"
    return back + "".join(
        _rect(passage, end_ns, y)
        for passage in sorted(passages, key=lambda p: p.kind == "recovery")
        if passage.end_ns >= end_ns - LENGTH_NS
    )


def _rect(passage: Passage, end_ns: int, y: float) -> str:
    begin = max(0.0, _x(passage.begin_ns, end_ns))
    width = max(LEAST, _x(passage.end_ns, end_ns) - begin)
    return (
        f"<rect x='{begin:.1f}' y='{y}' width='{width:.1f}' height='{ROW}'"
        f" fill='{COLORS[passage.kind]}'/>"
    )


def _x(stamp_ns: int, end_ns: int) -> float:
    return WIDTH * (1.0 - (end_ns - stamp_ns) / LENGTH_NS)
