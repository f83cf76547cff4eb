"""Events of an episode as lines of text: modes, take-overs, hazards, refusals of the gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from safe_locomotion.recording.course import Course, stretches
from safe_locomotion.recording.episode import EpisodeRecord, VerdictTrace
from safe_locomotion.recording.measures import Measured
from safe_locomotion.recording.stage_values import recorded_course
from safe_locomotion.safety.capture_point import BEYOND, CAPTURE, MARGINS
from safe_locomotion.safety.trigger_set import TriggerSet
from safe_locomotion.types import NANOSECONDS, Flags, Mode

Kind = Literal["mode", "recovery", "hazard", "gate"]
UNITS = {
    "height": "m",
    "roll": "rad",
    "pitch": "rad",
    "lateral_velocity": "m/s",
    "roll_rate": "rad/s",
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event: it began at `time` [s since the episode began] and lasted `duration` [s]."""

    time: float
    kind: Kind
    text: str
    duration: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The event as plain data."""
        return {
            "time_s": self.time,
            "kind": self.kind,
            "text": self.text,
            "duration_s": self.duration,
        }


def events(
    record: EpisodeRecord, trigger_set: TriggerSet | None = None, measured: Measured | None = None
) -> list[Event]:
    """All events, ordered by time.

    Args:
        record: the episode.
        trigger_set: the recorded one. Without it, events name no bounds.
        measured: the recorded components. Without them, events name no values.
    """
    course = recorded_course(record.verdicts)
    start = record.info.start_ns
    time = course.since(start)
    lines = _modes(course, time) + _hazards(record.verdicts, time)
    for a, b in _uses(course):
        why = _why(record.verdicts, course, a, trigger_set, measured)
        lines.append(
            Event(time=_at(time, a), kind="recovery", text=why, duration=_length(time, a, b))
        )
    commands = record.commands
    lines += _refusals(commands.reason, (commands.stamp_ns - start) / NANOSECONDS)
    return sorted(lines, key=lambda event: event.time)


def _uses(course: Course) -> list[tuple[int, int]]:
    """Stretches of recovery that began with a take-over from the learner."""
    learner = course.walking & ~course.recovery
    return [(a, b) for a, b in stretches(course.walking & course.recovery) if a and learner[a - 1]]


def _why(
    verdicts: VerdictTrace,
    course: Course,
    row: int,
    trigger_set: TriggerSet | None,
    measured: Measured | None,
) -> str:
    """Why the recovery policy took over in this row."""
    outside = np.flatnonzero(course.margins[row] < 0.0).tolist()
    if not outside:
        hazards = [name for k, name in enumerate(verdicts.hazards) if verdicts.reasons[row, k]]
        return ", ".join(hazards) or "no usable proposal"
    values = _values_at(measured, int(course.stamp_ns[row]))
    return ", ".join(_bound(k, values, trigger_set) for k in outside)


def _values_at(measured: Measured | None, stamp_ns: int) -> Sequence[float] | None:
    if measured is None or not len(measured.stamp_ns):
        return None
    k = int(np.searchsorted(measured.stamp_ns, stamp_ns, side="right")) - 1
    values: Sequence[float] | None = measured.values[k].tolist() if k >= 0 else None
    return values


def _bound(component: int, values: Sequence[float] | None, trigger_set: TriggerSet | None) -> str:
    """The component outside its bound, such as "roll 0.31 > 0.26 rad"."""
    name = MARGINS[component]
    if name == CAPTURE:
        return BEYOND
    words = name.replace("_", " ")
    if values is None or trigger_set is None:
        return words
    value = values[component]
    low = float(trigger_set.low[component])
    high = float(trigger_set.high[component])
    if low <= value <= high:
        return words  # measured over another window of time, see `measures.measured`
    excess = f"> {high:.3g}" if value > high else f"< {low:.3g}"
    return f"{words} {value:.4g} {excess} {UNITS[name]}"


def _modes(course: Course, time: np.ndarray[Any, Any]) -> list[Event]:
    changes = np.flatnonzero(np.diff(course.mode, prepend=-1)).tolist()
    ends = [*changes[1:], len(time) - 1]
    return [
        Event(
            time=_at(time, a),
            kind="mode",
            text=Mode(int(course.mode[a])).name,
            duration=_length(time, a, b),
        )
        for a, b in zip(changes, ends, strict=True)
    ]


def _hazards(verdicts: VerdictTrace, time: np.ndarray[Any, Any]) -> list[Event]:
    return [
        Event(time=_at(time, a), kind="hazard", text=name, duration=_length(time, a, b))
        for k, name in enumerate(verdicts.hazards)
        for a, b in stretches(verdicts.reasons[:, k])
    ]


def _refusals(reasons: Sequence[str], time: np.ndarray[Any, Any]) -> list[Event]:
    """Stretches of time in which the gate gave the same reason."""
    texts = np.array(reasons, dtype=object)
    lines = []
    for text in sorted(set(reasons) - {""}):
        refused: Flags = np.asarray(texts == text, dtype=np.bool_)
        lines += [
            Event(time=_at(time, a), kind="gate", text=text, duration=_length(time, a, b))
            for a, b in stretches(refused)
        ]
    return lines


def _at(time: np.ndarray[Any, Any], row: int) -> float:
    return round(float(time[row]), 3)


def _length(time: np.ndarray[Any, Any], first: int, end: int) -> float:
    return round(float(time[min(end, len(time) - 1)] - time[first]), 3)
