"""Times of calls: every stage gets the same items several times, without garbage collection."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np

from safe_locomotion.types import Array

REPLAYS = 4
Call = Callable[[Any], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One thing to time.

    Attributes:
        name: in the report.
        what: what one call does, for the report.
        make: builds a new instance for one replay, and returns the call to time.
        items: arguments of the calls, in the order of the recorded ticks.
        counted: for each item, whether its time counts. The other items only prepare the state
            of the instance. None counts all.
    """

    name: str
    what: str
    make: Callable[[], Call]
    items: Sequence[Any]
    counted: Sequence[bool] | None = None


@contextmanager
def collector_off() -> Iterator[None]:
    """Switch garbage collection off: its time would depend on the recording in memory."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def measure(stages: Sequence[Stage], replays: int = REPLAYS) -> dict[str, dict[str, Any]]:
    """Figures of every stage.

    The stages take turns, so that the load of the machine affects all of them alike.
    """
    spent: dict[str, list[Array]] = {stage.name: [] for stage in stages}
    with collector_off():
        for _ in range(replays):
            for stage in stages:
                spent[stage.name].append(_replay(stage))
    return {
        stage.name: {**figures(np.array(spent[stage.name])), "what": stage.what} for stage in stages
    }


def _replay(stage: Stage) -> Array:
    """Milliseconds of the counted calls of one pass without pauses."""
    call = stage.make()
    spent = np.empty(len(stage.items))
    for i, item in enumerate(stage.items):
        start = perf_counter_ns()
        call(item)
        spent[i] = perf_counter_ns() - start
    counted = slice(None) if stage.counted is None else np.asarray(stage.counted, dtype=bool)
    return spent[counted] * 1e-6


def figures(times: Array) -> dict[str, Any]:
    """Figures of times (replays, n) [ms].

    p50, p99 and max are over all times. The quiet figures are over the best replay of each tick,
    which excludes most of the influence of other programs.
    """
    quiet = times.min(axis=0)
    return {
        "p50_ms": float(np.median(times)),
        "p99_ms": float(np.percentile(times, 99)),
        "max_ms": float(times.max()),
        "n": int(times.size),
        "quiet_p50_ms": float(np.median(quiet)),
        "quiet_p99_ms": float(np.percentile(quiet, 99)),
    }
