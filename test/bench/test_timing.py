import gc
from time import perf_counter

import numpy as np
import pytest

from safe_locomotion.bench.machine import cpu_model
from safe_locomotion.bench.timing import Stage, collector_off, figures, measure


def test_figures_of_known_times() -> None:
    """Percentiles are over all replays, the quiet ones over the best replay of each tick."""
    found = figures(np.array([[1.0, 5.0, 3.0], [2.0, 2.0, 9.0]]))
    assert (found["p50_ms"], found["max_ms"], found["n"]) == (2.5, 9.0, 6)
    assert found["quiet_p50_ms"] == 2.0


def test_only_counted_items_are_timed_but_all_are_run() -> None:
    """All items run in order, with a new instance in each replay; only counted ones are timed."""
    seen: list[list[int]] = []

    def make():  # type: ignore[no-untyped-def]
        seen.append([])
        return seen[-1].append

    stage = Stage(name="x", what="appends", make=make, items=[1, 2, 3], counted=[False, True, True])
    assert measure([stage], replays=3)["x"]["n"] == 6
    assert seen == [[1, 2, 3]] * 3


def test_a_slower_stage_reads_slower() -> None:
    """A call that waits 2 ms is measured as at least that."""

    def wait(_: object) -> None:
        end = perf_counter() + 0.002
        while perf_counter() < end:
            pass

    stage = Stage(name="x", what="waits", make=lambda: wait, items=[0] * 5, counted=[True] * 5)
    assert measure([stage], replays=1)["x"]["quiet_p50_ms"] >= 2.0


def test_collector_comes_back_on_after_an_error() -> None:
    """Garbage collection is off inside, and as before afterwards, even after an error."""
    with pytest.raises(ValueError, match="boom"), collector_off():
        assert not gc.isenabled()
        raise ValueError("boom")
    assert gc.isenabled()


def test_cpu_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The name comes from the kernel; without it, it is the architecture."""
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")
    assert cpu_model(file) == "Some CPU @ 2 GHz"
    assert cpu_model(tmp_path / "none")
