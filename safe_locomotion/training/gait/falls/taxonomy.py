"""Kinds of falls, by who drove in the last second and by what left its bounds first."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.training.gait.falls.last_seconds import (
    COLUMNS,
    LOADS,
    MEASURED,
    Falls,
    Float32,
    Numbers,
)
from safe_locomotion.training.gait.world.drawn import DrawnRobots
from safe_locomotion.types import Array, Flags

LATE = 0.3
"""Recovery that drove for less than this has hardly put a foot down: most of a stride [s]."""
AIRBORNE = 0.1
"""Without a foot on the ground for this long the robot has jumped [s]."""
KINDS = ("unseen", "late", "handed back", "recovery fell", "new walk")
"""Who drove: `unseen`, recovery never drove in the last second; `late`, it took over less than
`LATE` before the fall; `handed back`, the learner drove again; `recovery fell`, it had longer;
`new walk`, less than half a second after the robot stood."""
NOTHING = "nothing"


class Kind(NamedTuple):
    """A fall.

    Attributes:
        kind: one of `KINDS`.
        first: component of the trigger set that left its bounds first, or the capture point; in
            words of `last_seconds.MEASURED`.
        airborne: no foot was on the ground for `AIRBORNE` within the second.
    """

    kind: str
    first: str
    airborne: bool


def kinds(falls: Falls, low: Array, high: Array) -> list[Kind]:
    """The kind of each fall.

    Args:
        falls: with their traces.
        low, high: (5,) corners of the trigger set.
    """
    bounds = (np.append(low, 0.0), np.append(high, np.inf))
    return [_kind(trace, bounds) for trace in falls.traces]


def _kind(trace: Float32, bounds: tuple[Array, Array]) -> Kind:
    known = trace[np.isfinite(trace[:, COLUMNS.index("recovers")])]
    recovers = known[:, COLUMNS.index("recovers")] > 0.5
    last = _trailing(recovers) / RATE_HZ
    if len(known) < 0.5 * RATE_HZ:
        kind = "new walk"
    elif not recovers.any():
        kind = "unseen"
    elif not recovers[-1]:
        kind = "handed back"
    else:
        kind = "late" if last < LATE else "recovery fell"
    loads = known[:, [COLUMNS.index(name) for name in LOADS[:-1]]]
    flying = np.asarray((loads <= 0.0).all(axis=1))
    return Kind(kind, _first(known, bounds), _longest(flying) >= AIRBORNE * RATE_HZ)


def _first(trace: Float32, bounds: tuple[Array, Array]) -> str:
    """Which measured quantity left its bounds first and stayed beyond them until the fall."""
    values = trace[:, [COLUMNS.index(name) for name in MEASURED]]
    low, high = bounds
    outside = ~((low <= values) & (values <= high))
    stretches = [_trailing(column) for column in outside.T]
    longest = max(stretches)
    return MEASURED[stretches.index(longest)] if longest > 0 else NOTHING


def _trailing(flags: Flags) -> int:
    """How many of the last flags are set, without a gap."""
    unset = np.flatnonzero(~flags)
    return len(flags) - (int(unset[-1]) + 1 if len(unset) else 0)


def _longest(flags: Flags) -> int:
    """Length of the longest stretch of set flags."""
    longest = 0
    run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def shares(found: Sequence[Kind]) -> dict[str, Counter[str]]:
    """How many falls are of each kind, by who drove, what left first, and who flew."""
    return {
        "kind": Counter(one.kind for one in found),
        "first": Counter(one.first for one in found),
        "airborne": Counter("yes" if one.airborne else "no" for one in found),
    }


def rates(robots: Numbers, hours: float, drawn: DrawnRobots) -> dict[str, list[dict[str, float]]]:
    """Falls per hour by thirds of what differs between robots.

    Args:
        robots: (F,) numbers of those that fell, among those of `drawn`.
        hours: that all of these robots walked together.
        drawn: B robots.
    """
    table = {}
    for name in ("friction", "payload", "strength", "delay_ms"):
        values = getattr(drawn, name)
        edges = np.quantile(values, (1.0 / 3.0, 2.0 / 3.0))
        third = np.searchsorted(edges, values)
        rows = []
        for k in range(3):
            members = third == k
            share = float(members.mean())
            count = int(members[robots].sum())
            rows.append(
                {
                    "mean": float(values[members].mean()) if members.any() else float("nan"),
                    "falls": count,
                    "per_hour": count / (hours * share) if share > 0.0 else float("nan"),
                }
            )
        table[name] = rows
    return table
