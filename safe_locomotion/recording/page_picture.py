"""The picture on the page of an episode, as PNG: panels over time, and beside them what happened."""

from collections.abc import Sequence
from io import BytesIO
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from safe_locomotion.recording.course import stretches
from safe_locomotion.recording.events import UNITS, Event
from safe_locomotion.recording.measures import planar_velocity, raw_components
from safe_locomotion.recording.page import Page, facts, heading
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import LEGS, NANOSECONDS, Array, Flags, Mode

LEARNER = "#2a9d5c"
RECOVERY = "#f08c00"
OUTSIDE = "#d6336c"
REFUSED = "#c92a2a"
RAW = "#b8c0c8"
MEASURED = "#1c5fa8"
WANTED = "#343a40"
ACHIEVED = "#1c5fa8"
OF_LEG = ("#1c5fa8", "#d9480f", "#2a9d5c", "#862e9c")
OF_MODE = {
    Mode.PASSIVE: "#ced4da",
    Mode.STAND_UP: "#a5d8ff",
    Mode.STAND: "#74c0fc",
    Mode.WALK: "#d3f9d8",
    Mode.SIT: "#a5d8ff",
    Mode.FALLEN: "#ffa8a8",
    Mode.SELF_RIGHT: "#eebefa",
    Mode.FAULT: "#ff6b6b",
}
COLOUR = {"mode": "#495057", "recovery": "#b35900", "hazard": REFUSED, "gate": REFUSED}
POINTS = 4000  #: of a line; what lies between is drawn as its extremes
LINES = 70  #: of text beside the panels
FACTS_AT = 0.185  #: height of the text below them
WIDTH = 42  #: characters of a line of it, behind the times
HEIGHTS = (0.62, *(1.0,) * len(COMPONENTS), *(0.85,) * 3, 1.1, 0.62, 1.0)
DOTS_PER_INCH = 110
SPEEDS = (("vx", "m/s"), ("vy", "m/s"), ("wz", "rad/s"))


def png(page: Page) -> bytes:
    """The picture as a file's bytes."""
    buffer = BytesIO()
    draw(page).savefig(buffer, format="png")
    return buffer.getvalue()


def draw(page: Page) -> Figure:
    """The picture."""
    figure = Figure(figsize=(15.0, 17.5), dpi=DOTS_PER_INCH)
    grid = figure.add_gridspec(
        len(HEIGHTS), 2, height_ratios=HEIGHTS, width_ratios=(4.0, 1.62), left=0.07, right=0.995, top=0.942, bottom=0.03,
        hspace=0.27, wspace=0.02,
    )  # fmt: skip
    panels = [figure.add_subplot(grid[0, 0])]
    panels += [figure.add_subplot(grid[k, 0], sharex=panels[0]) for k in range(1, len(HEIGHTS))]
    text = figure.add_subplot(grid[:, 1])
    control = panels[0]
    rest = panels[1:]
    components, speeds, (forces, contacts, timing) = rest[:5], rest[5:8], rest[8:]
    _draw_control(control, page)
    _draw_components(components, page)
    _draw_speeds(speeds, page)
    _draw_forces(forces, page)
    _draw_contacts(contacts, page)
    _draw_timing(timing, page)
    _finish(panels, page)
    _draw_text(text, page)
    _draw_facts(text, page)
    title, line = heading(page)
    figure.text(0.07, 0.982, title, fontsize=15, weight="bold", va="center")
    figure.text(0.07, 0.963, line, fontsize=10, color="#495057", va="center")
    return figure


def _time(page: Page, stamp_ns: NDArray[np.int64]) -> Array:
    return (stamp_ns - page.record.info.start_ns) / NANOSECONDS


def _line(axes: Axes, page: Page, time: Array, values: Array, **style: Any) -> None:
    """What of a line lies in the window, of at most `POINTS` points: of the stretches between, their least and largest values."""
    first, last = np.searchsorted(time, page.window)
    kept = slice(max(0, int(first) - 1), int(last) + 1)
    time = time[kept]
    values = values[kept]
    n = len(time)
    if n > POINTS:
        cuts = np.linspace(0, n, POINTS // 2 + 1).astype(int)[:-1]
        finite = np.isfinite(values)
        low = np.minimum.reduceat(np.where(finite, values, np.inf), cuts)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), cuts)
        values = np.column_stack((low, high)).ravel()
        values[~np.isfinite(values)] = np.nan
        time = np.repeat(time[cuts], 2)
    axes.plot(time, values, **style)


def _spans(time: Array, flags: Flags) -> list[tuple[float, float]]:
    """(start, length) of each stretch of `flags`, each to the row after it."""
    ends = len(time) - 1
    return [(float(time[a]), float(time[min(b, ends)] - time[a])) for a, b in stretches(flags)]


def _legend(axes: Axes, **style: Any) -> None:
    """Above the panel, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 0.97),
            ncols=4,
            fontsize=8,
            frameon=False,
            borderaxespad=0.0,
            **style,
        )


def _absent(axes: Axes, what: str) -> None:
    axes.text(
        0.5,
        0.5,
        f"{what}: not recorded",
        transform=axes.transAxes,
        ha="center",
        va="center",
        color="#868e96",
    )


def _draw_control(axes: Axes, page: Page) -> None:
    """Two bands: the mode, and who drove while walking."""
    course, (first, last) = page.course, page.window
    time = course.since(page.record.info.start_ns)
    for mode in sorted(set(course.mode.tolist())):
        spans = _spans(time, course.mode == mode)
        axes.broken_barh(spans, (1.05, 0.9), facecolor=OF_MODE[Mode(mode)])
        seen = [(max(start, first), min(start + length, last)) for start, length in spans]
        begin, end = max(seen, key=lambda span: span[1] - span[0])
        if end - begin > 0.05 * (last - first):
            axes.text((begin + end) / 2, 1.5, Mode(mode).name, ha="center", va="center", fontsize=8)
    learner = course.walking & ~course.recovery
    axes.broken_barh(_spans(time, learner), (0.05, 0.9), facecolor=LEARNER, label="learner")
    axes.broken_barh(
        _spans(time, course.walking & course.recovery),
        (0.05, 0.9),
        facecolor=RECOVERY,
        label="recovery",
    )
    commands = page.record.commands
    refused = np.array([bool(reason) for reason in commands.reason], dtype=np.bool_)
    if refused.any():
        spans = _spans(_time(page, commands.stamp_ns), refused)
        axes.broken_barh(spans, (0.0, 0.25), facecolor=REFUSED, label="gate refused")
    axes.set(ylim=(0.0, 2.0), yticks=(0.5, 1.5), yticklabels=("drives", "mode"))
    _legend(axes)


def _draw_components(panels: Sequence[Axes], page: Page) -> None:
    """Each component against its bounds."""
    estimates = page.record.estimates
    values = page.measured.values
    raw = raw_components(estimates) if len(estimates) else np.zeros((0, len(COMPONENTS)))
    raw_time = _time(page, estimates.stamp_ns)
    time = _time(page, page.measured.stamp_ns)
    breaks = np.flatnonzero(np.diff(time) > 0.1) + 1  # between two walks there is no line
    for k, (axes, name) in enumerate(zip(panels, COMPONENTS, strict=True)):
        low = float(page.trigger_set.low[k])
        high = float(page.trigger_set.high[k])
        _line(
            axes,
            page,
            raw_time,
            raw[:, k],
            color=RAW,
            lw=0.7,
            alpha=0.8,
            label="plain estimate",
            zorder=2,
        )
        broken = np.insert(values[:, k], breaks, np.nan)
        _line(axes, page, np.insert(time, breaks, time[breaks] if len(breaks) else 0.0), broken, color=MEASURED, lw=1.2, zorder=3,
              label="as the supervisor measured it")  # fmt: skip
        bottom, top = _limits(values[:, k], low, high)
        axes.axhspan(high, top, color=OUTSIDE, alpha=0.13, lw=0, label="trigger set", zorder=1)
        axes.axhspan(bottom, low, color=OUTSIDE, alpha=0.13, lw=0, zorder=1)
        axes.axhline(high, color=OUTSIDE, lw=0.8)
        axes.axhline(low, color=OUTSIDE, lw=0.8)
        axes.set(ylim=(bottom, top), ylabel=f"{name.replace('_', ' ')}\n[{UNITS[name]}]")
        if not len(estimates):
            _absent(axes, "estimates")
    _legend(panels[0])


def _limits(values: Array, low: float, high: float) -> tuple[float, float]:
    """Of the axis: the bounds with some air, and what was measured, but not more than three widths out."""
    width = high - low
    finite = values[np.isfinite(values)]
    least, largest = (float(finite.min()), float(finite.max())) if len(finite) else (low, high)
    air = 0.2 * width
    return max(min(low, least), low - 1.5 * width) - air, min(
        max(high, largest), high + 1.5 * width
    ) + air


def _draw_speeds(panels: Sequence[Axes], page: Page) -> None:
    """Velocity command in force against the estimated velocity."""
    record = page.record
    course = page.course
    achieved = planar_velocity(record.estimates) if len(record.estimates) else np.zeros((0, 3))
    command = np.where(course.walking[:, None], record.verdicts.command, np.nan)
    for k, (axes, (name, unit)) in enumerate(zip(panels, SPEEDS, strict=True)):
        _line(
            axes,
            page,
            _time(page, record.estimates.stamp_ns),
            achieved[:, k],
            color=ACHIEVED,
            lw=0.9,
            label="estimated",
        )
        _line(
            axes,
            page,
            course.since(record.info.start_ns),
            command[:, k],
            color=WANTED,
            lw=1.3,
            ls="--",
            label="command in force",
        )
        axes.set_ylabel(f"{name}\n[{unit}]")
    _legend(panels[0])


def _draw_forces(axes: Axes, page: Page) -> None:
    plans = page.record.plans
    time = _time(page, plans.stamp_ns)
    for k, leg in enumerate(LEGS):
        _line(
            axes,
            page,
            time,
            plans.force[:, k, 2] if len(plans) else np.zeros(0),
            color=OF_LEG[k],
            lw=0.8,
            label=leg,
        )
    axes.set_ylabel("planned vertical\nfoot force [N]")
    if len(plans):
        _legend(axes)
    else:
        _absent(axes, "plans")


def _draw_contacts(axes: Axes, page: Page) -> None:
    estimates = page.record.estimates
    time = _time(page, estimates.stamp_ns)
    for k in range(len(LEGS)):
        axes.broken_barh(
            _spans(time, estimates.contact[:, k]),
            (len(LEGS) - 1 - k + 0.1, 0.8),
            facecolor=OF_LEG[k],
        )
    axes.set(
        ylim=(0.0, len(LEGS)),
        yticks=np.arange(len(LEGS)) + 0.5,
        yticklabels=LEGS[::-1],
        ylabel="feet on\nthe ground",
    )
    axes.tick_params(axis="y", labelsize=8, length=0)


def _draw_timing(axes: Axes, page: Page) -> None:
    """How long each command took, and the steps between LowStates: gaps stand out of them."""
    commands = page.record.commands
    stamps = page.record.states.stamp_ns
    latency = 1e3 * commands.latency
    known = latency[np.isfinite(latency)]
    if len(known):
        p50, p99 = np.percentile(known, (50, 99))
        label = f"state to command: p50 {p50:.2f}, p99 {p99:.2f}, max {known.max():.2f} ms"
        time = _time(page, commands.stamp_ns)
        _line(
            axes,
            page,
            time,
            latency,
            color=ACHIEVED,
            lw=0,
            marker=".",
            ms=2.0,
            label=label,
            zorder=3,
        )
    steps = np.diff(stamps) * 1e-6
    if len(steps):
        usual = float(np.median(steps))
        gaps = int(np.count_nonzero(steps > 1.5 * usual))
        label = f"step between LowStates: usually {usual:.2f}, longest {steps.max():.2f} ms, {gaps} gaps"
        _line(axes, page, _time(page, stamps[1:]), steps, color="#868e96", lw=1.0, label=label)
    low, high = axes.get_ylim()
    axes.set(
        yscale="log",
        ylabel="timing\n[ms]",
        ylim=(0.08 if low <= 0.1 else min(0.5, low), max(12.0, high)),
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    _legend(axes, markerscale=4)


def _finish(panels: Sequence[Axes], page: Page) -> None:
    """Time axis, grid, and in every panel the times of recovery."""
    course = page.course
    time = course.since(page.record.info.start_ns)
    recovers = course.walking & course.recovery
    for axes in panels:
        axes.grid(axis="x", color="#e9ecef", lw=0.6, zorder=0)
        axes.set_axisbelow(True)
        axes.tick_params(labelbottom=axes is panels[-1], labelsize=8)
        axes.yaxis.label.set_fontsize(9)
        axes.yaxis.set_label_coords(-0.052, 0.5)
        if axes is not panels[0] and recovers.any():
            axes.fill_between(
                time,
                0.0,
                1.0,
                where=recovers,
                transform=axes.get_xaxis_transform(),
                color=RECOVERY,
                alpha=0.16,
                lw=0,
                zorder=0,
            )
    panels[0].set_xlim(*page.window)
    panels[-1].set_xlabel("time since the episode began [s]", fontsize=10)


def _draw_text(axes: Axes, page: Page) -> None:
    """What happened, as much as there is room for; what lasted longest and is no mere take-over goes first."""
    axes.set_axis_off()
    room = LINES
    kept = []
    for event in sorted(page.lines, key=_importance):
        room -= len(event_lines(event))
        if room >= 0:
            kept.append(event)
    rows = [
        (line, _colour(event))
        for event in page.lines
        if event in kept
        for line in event_lines(event)
    ]
    if len(kept) < len(page.lines):
        rows.append((f"and {len(page.lines) - len(kept)} more: see the HTML page", COLOUR["mode"]))
    axes.text(
        0.02, 1.0, "What happened", fontsize=11, weight="bold", va="top", transform=axes.transAxes
    )
    head = "at [s]  for [s]  mode, why recovery took over, hazard"
    for k, (line, colour) in enumerate([(head, "#868e96"), *rows]):
        y = 0.984 - k * 0.0109
        axes.text(
            0.02,
            y,
            line,
            fontsize=7.6,
            family="monospace",
            color=colour,
            va="top",
            transform=axes.transAxes,
        )


def _draw_facts(axes: Axes, page: Page) -> None:
    """What the episode was and came to, below what happened."""
    lines = [
        line
        for key, value in facts(page)
        for line in wrap(f"{key}: {value}", WIDTH + 17, subsequent_indent="  ")
    ]
    axes.text(
        0.02,
        FACTS_AT,
        "The episode",
        fontsize=11,
        weight="bold",
        va="top",
        transform=axes.transAxes,
    )
    text = "\n".join(lines)
    axes.text(
        0.02, FACTS_AT - 0.016, text, fontsize=7.6, family="monospace", color=WANTED, va="top", linespacing=1.35,
        transform=axes.transAxes,
    )  # fmt: skip


def _colour(event: Event) -> str:
    return REFUSED if event.text in (Mode.FALLEN.name, Mode.FAULT.name) else COLOUR[event.kind]


def _importance(event: Event) -> tuple[int, float]:
    return ("mode", "hazard", "gate", "recovery").index(event.kind), -event.duration


def event_lines(event: Event) -> list[str]:
    """An event as lines of text that are not too long."""
    said = {"hazard": f"hazard: {event.text}", "gate": f"gate refused: {event.text}"}.get(
        event.kind, event.text
    )
    first, *more = wrap(said, WIDTH) or [""]
    return [
        f"{event.time:6.2f} {event.duration:8.2f}  {first}",
        *(f"{'':17}{line}" for line in more),
    ]
