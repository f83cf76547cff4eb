"""The panels on the picture of an episode, each over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from safe_locomotion.recording.course import stretches
from safe_locomotion.recording.events import UNITS
from safe_locomotion.recording.measures import planar_velocity, raw_components
from safe_locomotion.recording.page import Page
from safe_locomotion.safety.trigger_set import COMPONENTS, N_COMPONENTS
from safe_locomotion.types import LEGS, N_LEGS, NANOSECONDS, Array, Flags, Mode

LEARNER = "#2a9d5c"
RECOVERY = "#f08c00"
OUTSIDE = "#d6336c"
REFUSED = "#c92a2a"
RAW = "#b8c0c8"
MEASURED = "#1c5fa8"
WANTED = "#343a40"
ACHIEVED = "#1c5fa8"
GREY = "#868e96"
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
POINTS = 4000  #: most points of a line; a longer one is drawn by its extremes
GAP_S = 0.1  #: between two measured values of one walk there is less [s]
SPEEDS = (("vx", "m/s"), ("vy", "m/s"), ("wz", "rad/s"))
DRIVE_BAND = (0.05, 0.9)  #: lower edge and height of a band of the panel of control
MODE_BAND = (1.05, 0.9)
REFUSED_BAND = (0.0, 0.25)
SHORTEST_NAMED = 0.05  #: a mode that lasts a smaller share of the window gets no name


def draw_control(axes: Axes, page: Page) -> None:
    """Draw two bands: the mode, and which policy drove in WALK."""
    course = page.course
    time = course.since(page.record.info.start_ns)
    for mode in sorted(set(course.mode.tolist())):
        _draw_mode(axes, page, Mode(mode), _spans(time, course.mode == mode))
    learner = _spans(time, course.walking & ~course.recovery)
    recovery = _spans(time, course.walking & course.recovery)
    axes.broken_barh(learner, DRIVE_BAND, facecolor=LEARNER, label="learner")
    axes.broken_barh(recovery, DRIVE_BAND, facecolor=RECOVERY, label="recovery")
    commands = page.record.commands
    refused = np.array([bool(reason) for reason in commands.reason], dtype=np.bool_)
    if refused.any():
        spans = _spans(_time(page, commands.stamp_ns), refused)
        axes.broken_barh(spans, REFUSED_BAND, facecolor=REFUSED, label="gate refused")
    axes.set(ylim=(0.0, 2.0), yticks=(0.5, 1.5), yticklabels=("active", "mode"))
    _legend(axes)


def _draw_mode(axes: Axes, page: Page, mode: Mode, spans: Sequence[tuple[float, float]]) -> None:
    """Draw the times of one mode, and write its name into the longest of them that is shown."""
    axes.broken_barh(spans, MODE_BAND, facecolor=OF_MODE[mode])
    first, last = page.window
    shown = [(max(start, first), min(start + length, last)) for start, length in spans]
    begin, end = max(shown, key=lambda span: span[1] - span[0])
    if end - begin > SHORTEST_NAMED * (last - first):
        axes.text((begin + end) / 2, 1.5, mode.name, ha="center", va="center", fontsize=8)


def draw_components(panels: Sequence[Axes], page: Page) -> None:
    """Draw each component of the trigger set against its bounds."""
    estimates = page.record.estimates
    raw = raw_components(estimates) if len(estimates) else np.zeros((0, N_COMPONENTS))
    raw_time = _time(page, estimates.stamp_ns)
    time, values = _broken(_time(page, page.measured.stamp_ns), page.measured.values)
    for k, (axes, name) in enumerate(zip(panels, COMPONENTS, strict=True)):
        style = {"color": RAW, "lw": 0.7, "alpha": 0.8, "label": "raw estimate", "zorder": 2}
        _line(axes, page, raw_time, raw[:, k], **style)
        label = "as measured by the supervisor"
        _line(axes, page, time, values[:, k], color=MEASURED, lw=1.2, zorder=3, label=label)
        low = float(page.trigger_set.low[k])
        high = float(page.trigger_set.high[k])
        _draw_bounds(axes, low, high, _limits(page.measured.values[:, k], low, high))
        axes.set_ylabel(f"{name.replace('_', ' ')}\n[{UNITS[name]}]")
        if not len(estimates):
            _say_absent(axes, "estimates")
    _legend(panels[0])


def _broken(time: Array, values: Array) -> tuple[Array, Array]:
    """Times and values (m, 5) with NaN between two walks, so that no line joins them."""
    breaks = np.flatnonzero(np.diff(time) > GAP_S) + 1
    if not len(breaks):
        return time, values
    return np.insert(time, breaks, time[breaks]), np.insert(values, breaks, np.nan, axis=0)


def _draw_bounds(axes: Axes, low: float, high: float, limits: tuple[float, float]) -> None:
    """Shade what lies in the trigger set within the limits of the axis."""
    bottom, top = limits
    axes.axhspan(high, top, color=OUTSIDE, alpha=0.13, lw=0, label="trigger set", zorder=1)
    axes.axhspan(bottom, low, color=OUTSIDE, alpha=0.13, lw=0, zorder=1)
    axes.axhline(high, color=OUTSIDE, lw=0.8)
    axes.axhline(low, color=OUTSIDE, lw=0.8)
    axes.set_ylim(bottom, top)


def _limits(values: Array, low: float, high: float) -> tuple[float, float]:
    """Limits of the axis: the bounds, and what was measured up to 1.5 widths outside them."""
    width = high - low
    finite = values[np.isfinite(values)]
    least = float(finite.min()) if len(finite) else low
    largest = float(finite.max()) if len(finite) else high
    margin = 0.2 * width
    bottom = max(min(low, least), low - 1.5 * width) - margin
    top = min(max(high, largest), high + 1.5 * width) + margin
    return bottom, top


def draw_speeds(panels: Sequence[Axes], page: Page) -> None:
    """Draw the velocity command in force against the estimated velocity."""
    record = page.record
    course = page.course
    time = _time(page, record.estimates.stamp_ns)
    achieved = planar_velocity(record.estimates) if len(record.estimates) else np.zeros((0, 3))
    command_time = course.since(record.info.start_ns)
    command = np.where(course.walking[:, None], record.verdicts.command, np.nan)
    estimated = {"color": ACHIEVED, "lw": 0.9, "label": "estimated"}
    wanted = {"color": WANTED, "lw": 1.3, "ls": "--", "label": "command in force"}
    for k, (axes, (name, unit)) in enumerate(zip(panels, SPEEDS, strict=True)):
        _line(axes, page, time, achieved[:, k], **estimated)
        _line(axes, page, command_time, command[:, k], **wanted)
        axes.set_ylabel(f"{name}\n[{unit}]")
    _legend(panels[0])


def draw_forces(axes: Axes, page: Page) -> None:
    """Draw the planned vertical force of each foot."""
    plans = page.record.plans
    axes.set_ylabel("planned vertical\nfoot force [N]")
    if not len(plans):
        _say_absent(axes, "plans")
        return
    time = _time(page, plans.stamp_ns)
    for k, leg in enumerate(LEGS):
        _line(axes, page, time, plans.force[:, k, 2], color=OF_LEG[k], lw=0.8, label=leg)
    _legend(axes)


def draw_contacts(axes: Axes, page: Page) -> None:
    """Draw when each foot was on the ground, according to the estimator."""
    estimates = page.record.estimates
    time = _time(page, estimates.stamp_ns)
    for k in range(N_LEGS):
        band = (N_LEGS - 1 - k + 0.1, 0.8)
        axes.broken_barh(_spans(time, estimates.contact[:, k]), band, facecolor=OF_LEG[k])
    axes.set(
        ylim=(0.0, N_LEGS),
        yticks=np.arange(N_LEGS) + 0.5,
        yticklabels=LEGS[::-1],
        ylabel="feet on\nthe ground",
    )
    axes.tick_params(axis="y", labelsize=8, length=0)


def draw_timing(axes: Axes, page: Page) -> None:
    """Draw how long each command took, and the steps between LowStates, which show gaps."""
    commands = page.record.commands
    latency = 1e3 * commands.latency
    known = latency[np.isfinite(latency)]
    if len(known):
        p50, p99 = np.percentile(known, (50, 99))
        label = f"state to command: p50 {p50:.2f}, p99 {p99:.2f}, max {known.max():.2f} ms"
        dots = {"color": ACHIEVED, "lw": 0, "marker": ".", "ms": 2.0, "zorder": 3}
        _line(axes, page, _time(page, commands.stamp_ns), latency, label=label, **dots)
    stamps = page.record.states.stamp_ns
    steps = np.diff(stamps) * 1e-6
    if len(steps):
        usual = float(np.median(steps))
        gaps = int(np.count_nonzero(steps > 1.5 * usual))
        label = (
            f"step between LowStates: usually {usual:.2f}, longest {steps.max():.2f} ms,"
            f" {gaps} gaps"
        )
        _line(axes, page, _time(page, stamps[1:]), steps, color=GREY, lw=1.0, label=label)
    low, high = axes.get_ylim()
    bottom = 0.08 if low <= 0.1 else min(0.5, low)
    axes.set(yscale="log", ylabel="timing\n[ms]", ylim=(bottom, max(12.0, high)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    _legend(axes, markerscale=4)


def _time(page: Page, stamp_ns: NDArray[np.int64]) -> Array:
    """Times since the episode began [s]."""
    return (stamp_ns - page.record.info.start_ns) / NANOSECONDS


def _line(axes: Axes, page: Page, time: Array, values: Array, **style: Any) -> None:
    """Draw the part of a line that lies in the window, with at most `POINTS` points.

    A longer line is cut into stretches. Of each stretch the least and the largest value are drawn.
    """
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
    """(start, length) of each stretch of `flags`, which lasts until the row after it."""
    ends = len(time) - 1
    return [(float(time[a]), float(time[min(b, ends)] - time[a])) for a, b in stretches(flags)]


def _legend(axes: Axes, **style: Any) -> None:
    """Put the legend above the panel, where it hides nothing."""
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


def _say_absent(axes: Axes, what: str) -> None:
    """Say in an empty panel that its topic was not recorded."""
    text = f"{what}: not recorded"
    place = axes.transAxes
    axes.text(0.5, 0.5, text, transform=place, ha="center", va="center", color=GREY)
