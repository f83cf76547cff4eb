"""The course of an episode: which policy drove when, margins to the trigger set, and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.types import NANOSECONDS, Array, Flags, Mode


@dataclass(frozen=True, kw_only=True)
class Course:
    """One row per verdict, recorded or replayed.

    Attributes:
        stamp_ns: (n,) of the LowState, increasing.
        mode: (n,) numbers of `types.Mode`.
        recovery: (n,) whether the recovery policy drove, in WALK.
        margins: (n, 6) in the order of `capture_point.MARGINS`, negative inside the trigger set;
            NaN where they were not measured.
    """

    stamp_ns: NDArray[np.int64]
    mode: NDArray[np.int64]
    recovery: Flags
    margins: Array

    @property
    def walking(self) -> Flags:
        """(n,) whether the mode was WALK."""
        walking: Flags = self.mode == Mode.WALK
        return walking

    @property
    def falls(self) -> int:
        """Number of changes into FALLEN."""
        return len(stretches(self.mode == Mode.FALLEN))

    def since(self, start_ns: int) -> Array:
        """(n,) time since `start_ns` [s]."""
        return (self.stamp_ns - start_ns) / NANOSECONDS


@dataclass(frozen=True, kw_only=True)
class CourseFigures:
    """Figures of a course; times are seconds since the episode began.

    Attributes:
        walked_s: time in WALK [s].
        share: share of that time under the recovery policy; NaN without a walk.
        uses: number of take-overs by the recovery policy from the learner.
        triggers: by component, how often the state entered the trigger set through it.
        first_trigger_s: time of the first entry; None without one.
        take_overs_s: times at which the recovery policy took over from the learner.
        hand_backs_s: times at which the recovery policy handed over to the learner.
        longest_use_s: longest time under recovery after a take-over [s].
    """

    walked_s: float
    share: float
    uses: int
    triggers: Mapping[str, int]
    first_trigger_s: float | None
    take_overs_s: tuple[float, ...]
    hand_backs_s: tuple[float, ...]
    longest_use_s: float

    def as_json(self) -> dict[str, Any]:
        """The figures as plain data; NaN becomes None."""
        return {
            "walked_s": self.walked_s,
            "share": None if isnan(self.share) else self.share,
            "uses": self.uses,
            "triggers": dict(self.triggers),
            "first_trigger_s": self.first_trigger_s,
            "take_overs_s": list(self.take_overs_s),
            "hand_backs_s": list(self.hand_backs_s),
            "longest_use_s": self.longest_use_s,
        }


def course_figures(course: Course, start_ns: int) -> CourseFigures:
    """Figures of a course that began at `start_ns`."""
    walking = course.walking
    recovery = course.walking & course.recovery
    learner = walking & ~course.recovery
    time = course.since(start_ns)
    took_over = time[1:][recovery[1:] & learner[:-1]]
    handed_back = time[1:][learner[1:] & recovery[:-1]]
    entered = _onsets(course.margins < 0.0)
    triggered = np.flatnonzero(entered.any(axis=1))
    return CourseFigures(
        walked_s=_lasted(time, walking),
        share=float(recovery.sum() / walking.sum()) if walking.any() else nan,
        uses=len(took_over),
        triggers={name: int(n) for name, n in zip(MARGINS, entered.sum(axis=0), strict=True)},
        first_trigger_s=_rounded(time[triggered[0]]) if len(triggered) else None,
        take_overs_s=tuple(map(_rounded, took_over)),
        hand_backs_s=tuple(map(_rounded, handed_back)),
        longest_use_s=_longest(time, recovery, took_over),
    )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two courses over the same LowStates agree.

    Attributes:
        ticks: number of ticks that both courses have and on which both walk.
        equal: share of these ticks on which the same policy drove; NaN without ticks.
        first_difference_ns: stamp of the first tick on which it did not; None without one.
        largest_margin_error: greatest difference of margins that both measured; NaN without any.
    """

    ticks: int
    equal: float
    first_difference_ns: int | None
    largest_margin_error: float


def agreement(a: Course, b: Course) -> Agreement:
    """Compare two courses on the stamps that both have."""
    _, i, j = np.intersect1d(a.stamp_ns, b.stamp_ns, assume_unique=True, return_indices=True)
    both = a.walking[i] & b.walking[j]
    same = a.recovery[i][both] == b.recovery[j][both]
    stamps = a.stamp_ns[i][both]
    errors = np.abs(a.margins[i][both] - b.margins[j][both])
    return Agreement(
        ticks=int(both.sum()),
        equal=float(same.mean()) if len(same) else nan,
        first_difference_ns=None if same.all() else int(stamps[np.argmin(same)]),
        largest_margin_error=float(np.nanmax(errors)) if np.isfinite(errors).any() else nan,
    )


def stretches(flags: Flags) -> list[tuple[int, int]]:
    """First row of each unbroken stretch of True, and the row after its last one."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in zip(edges[0::2], edges[1::2], strict=True)]


def _onsets(flags: Flags) -> Flags:
    """(n, k) rows in which a flag becomes True; the first row counts too."""
    before = np.vstack((np.zeros((1, flags.shape[1]), dtype=bool), flags[:-1]))[: len(flags)]
    risen: Flags = flags & ~before
    return risen


def _lasted(time: Array, flags: Flags) -> float:
    """Total length of the stretches of `flags` [s]; each lasts until the row after it."""
    last = len(time) - 1
    return _rounded(sum(float(time[min(b, last)] - time[a]) for a, b in stretches(flags)))


def _longest(time: Array, recovery: Flags, took_over: Array) -> float:
    """Longest stretch of recovery that began with a take-over [s]."""
    last = len(time) - 1
    uses = [(a, b) for a, b in stretches(recovery) if time[a] in took_over]
    lengths = [time[min(b, last)] - time[a] for a, b in uses]
    return _rounded(max(lengths, default=0.0))


def _rounded(seconds: float) -> float:
    return round(float(seconds), 4)
