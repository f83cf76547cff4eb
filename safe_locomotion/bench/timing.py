"""Times of calls: the same items given to every stage several times over, garbage collection off, as timeit does."""

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
        what: what one call comprises.
        make: builds a fresh instance, and the call to time, for one replay.
        items: its arguments, in the order of the recorded ticks.
        counted: for each item, whether its time counts; the others only bring the instance into its state.
    """

    name: str
    what: str
    make: Callable[[], Call]
    items: Sequence[Any]
    counted: Sequence[bool]


@contextmanager
def collector_off() -> Iterator[None]:
    """No garbage collection inside: it would charge a stage for the recording that this program holds."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def measure(stages: Sequence[Stage], replays: int = REPLAYS) -> dict[str, dict[str, Any]]:
    """Figures of every stage; the stages take turns, so that all share what else the machine does."""
    spent: dict[str, list[Array]] = {stage.name: [] for stage in stages}
    with collector_off():
        for _ in range(replays):
            for stage in stages:
                spent[stage.name].append(_replay(stage))
    return {
        stage.name: {**figures(np.array(spent[stage.name])), "what": stage.what} for stage in stages
    }


def _replay(stage: Stage) -> Array:
    """Milliseconds of the counted calls of one pass, back to back."""
    call = stage.make()
    spent = np.empty(len(stage.items))
    for i, item in enumerate(stage.items):
        start = perf_counter_ns()
        call(item)
        spent[i] = perf_counter_ns() - start
    return spent[np.asarray(stage.counted, dtype=bool)] * 1e-6


def figures(times: Array) -> dict[str, Any]:
    """Of times (replays, n) [ms]: p50, p99, max of all; quiet: of the best replay of each tick, without other programs."""
    quiet = times.min(axis=0)
    return {
        "p50_ms": float(np.median(times)),
        "p99_ms": float(np.percentile(times, 99)),
        "max_ms": float(times.max()),
        "n": int(times.size),
        "quiet_p50_ms": float(np.median(quiet)),
        "quiet_p99_ms": float(np.percentile(quiet, 99)),
    }
