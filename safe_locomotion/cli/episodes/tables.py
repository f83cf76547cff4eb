"""Tables of `safe-locomotion episodes`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from safe_locomotion.recording.comparison import RECORDED, Column, Comparison
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.summary import Summary, TopicCount, clock
from safe_locomotion.safety.switching_rule import PREDICTING

SHOWN_TIMES = 6  #: at most, of a list of times


def listing(rows: Iterable[tuple[str, Summary | str]]) -> Table:
    """One row per episode; a row of an episode that cannot be read holds the reason."""
    table = Table(box=None)
    for heading in ("episode", "started", "robot", "policy"):
        table.add_column(heading, overflow="fold")
    for heading in ("duration [s]", "falls", "uses", "recovery [%]", "distance [m]", "size [MB]"):
        table.add_column(escape(heading), justify="right")
    table.add_column("ended", overflow="fold")
    for name, row in rows:
        if isinstance(row, str):
            table.add_row(escape(name), *[""] * 9, f"[red]{escape(row)}[/]")
            continue
        table.add_row(
            *map(escape, (row.name, clock(row.started), row.robot, row.policy)),
            f"{row.duration_s:.1f}",
            f"[red]{row.falls}[/]" if row.falls else "0",
            str(row.uses),
            _percent(row.share),
            f"{row.distance_m:.1f}",
            _megabytes(row.size_bytes),
            escape(row.end) if row.whole else f"[yellow]{escape(row.end)}[/]",
        )
    return table


def details(summary: Summary, info: EpisodeInfo, changes: Mapping[str, tuple[Any, Any]]) -> Table:
    """Facts of one episode."""
    table = Table(box=None, show_header=False, title=escape(summary.name), title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    whole = "closed properly" if summary.whole else "cut off; read up to its last complete chunk"
    rows = [
        ("robot", summary.robot),
        ("policy", summary.policy),
        *((f"sha256 of {name}", digest) for name, digest in info.policies.items() if digest),
        ("software", info.software),
        ("started", f"{clock(summary.started)} ({info.why})"),
        ("ended", f"{summary.end} (file {whole})"),
        ("duration", f"{summary.duration_s:.2f} s"),
        ("falls", str(summary.falls)),
        ("recovery", f"{_percent(summary.share)} % of the time walked, {summary.uses} take-overs"),
        ("distance", f"{summary.distance_m:.2f} m"),
        ("size", f"{_megabytes(summary.size_bytes)} MB"),
        *((f"set {key}", f"{was} (here: {here})") for key, (was, here) in changes.items()),
    ]
    for key, value in rows:
        table.add_row(key, escape(value))
    return table


def topics(counts: Iterable[TopicCount]) -> Table:
    """Number, rate, drops and longest gap of the messages of each topic."""
    table = Table(box=None, title="topics", title_justify="left")
    table.add_column("topic")
    for heading in ("messages", "per s", "dropped", "longest gap [ms]"):
        table.add_column(escape(heading), justify="right")
    for row in counts:
        gap = "-" if row.longest_gap_ms is None else f"{row.longest_gap_ms:.1f}"
        dropped = f"[red]{row.dropped}[/]" if row.dropped else "0"
        table.add_row(row.name, str(row.messages), f"{row.rate_hz:.1f}", dropped, gap)
    return table


def comparison(result: Comparison) -> list[RenderableType]:
    """The columns side by side, then sentences on how well they agree."""
    table = Table(box=None)
    table.add_column("")
    for heading in result.columns:
        table.add_column(heading, overflow="fold")
    columns = list(result.columns.values())
    for name, cells in _rows(columns):
        table.add_row(
            escape(name), *map(escape, cells), style="bold" if len(set(cells[1:])) > 1 else ""
        )
    return [table, "", *_words(result)]


def _rows(columns: Sequence[Column]) -> list[tuple[str, list[str]]]:
    """Rows of the comparison, by name."""
    rows: list[tuple[str, list[str]]] = [
        ("criterion", [_criterion(c) for c in columns]),
        ("trigger set", [c.config.supervisor.trigger_set.use for c in columns]),
        ("proposals", [c.policy for c in columns]),
        ("walked [s]", [f"{c.figures.walked_s:.2f}" for c in columns]),
        (
            "recovery [%]",
            [_percent(c.figures.share if c.figures.walked_s else None) for c in columns],
        ),
        ("uses", [str(c.figures.uses) for c in columns]),
        ("longest use [s]", [f"{c.figures.longest_use_s:.2f}" for c in columns]),
        ("first trigger [s]", [_time(c.figures.first_trigger_s) for c in columns]),
        ("take-overs at [s]", [_times(c.figures.take_overs_s) for c in columns]),
        ("hand-backs at [s]", [_times(c.figures.hand_backs_s) for c in columns]),
    ]
    for name in columns[0].figures.triggers:
        counts = [str(c.figures.triggers[name]) for c in columns]
        rows.append((f"triggers: {name.replace('_', ' ')}", counts))
    return rows


def _words(result: Comparison) -> list[str]:
    """Sentences on what the replay can and cannot tell."""
    lines = [_agreement("same settings", result, result.same), _estimates(result)]
    if result.begins_walking:
        lines.append(
            "The episode begins in the middle of a walk. The supervisor's memory of the time"
            " before, such as the phase of the stride, is lost."
        )
    if result.gaps:
        lines.append(
            f"{result.gaps} LowStates are missing in the episode. The robot's estimator had them,"
            " the replayed one has not."
        )
    if any(
        c.policy == RECORDED and c.config.supervisor.intervention.rollout == "closed_loop"
        for c in result.columns.values()
    ):
        lines.append(
            "Closed loop: recorded proposals do not tell what the policy would propose in"
            " predicted states. Use --policy again to run the policy."
        )
    if result.other is not None:
        lines.append(_agreement("other settings", result, result.other))
        lines.append(
            "Open loop: after the first decision that differs, the robot would have moved"
            " differently."
        )
    return lines


def _agreement(name: str, result: Comparison, column: Column) -> str:
    agreed = column.agreement
    if agreed is None or not agreed.ticks:
        return f"{name}: the robot never walked, so there was nothing to decide."
    first = result.seconds(agreed.first_difference_ns)
    if first is None:
        return f"{name}: the same policy drives on each of {agreed.ticks} ticks walked."
    return (
        f"{name}: the same policy drives on {100.0 * agreed.equal:.2f} % of {agreed.ticks} ticks"
        f" walked; the first difference is at {first:.3f} s."
    )


def _estimates(result: Comparison) -> str:
    e = result.estimates
    if result.estimates_from == RECORDED:
        return "The supervisor judged the recorded estimates; the estimator did not run again."
    if not e.ticks:
        return "The episode holds no estimates of a walk, so the replayed ones cannot be compared."
    if e.exact:
        return "The replayed estimates of the walk equal the recorded ones to the last digit."
    return (
        "The replayed estimates of the walk differ from the recorded ones by up to"
        f" {1e3 * e.height:.2g} mm in height, {1e3 * e.tilt:.2g} mrad in tilt and"
        f" {1e3 * e.velocity:.2g} mm/s. The robot's estimator had run before the episode began;"
        " the replayed one starts with it. Use --estimates recorded to take the recorded ones."
    )


def _criterion(column: Column) -> str:
    s = column.config.supervisor.intervention
    return f"{s.criterion}, w = {s.horizon}" if s.criterion in PREDICTING else s.criterion


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f}"


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.3f}"


def _times(seconds: Sequence[float]) -> str:
    shown = ", ".join(f"{second:.2f}" for second in seconds[:SHOWN_TIMES])
    more = len(seconds) - SHOWN_TIMES
    return f"{shown}, and {more} more" if more > 0 else shown or "never"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}"
