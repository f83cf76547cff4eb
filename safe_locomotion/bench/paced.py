"""The whole control cycle at 500 Hz by the clock, with and without the settings of `realtime`.

Two processes hold the same recorded walk and take turns, so both see the same machine. One is an
ordinary process, the other asks for the real-time settings of the robot's configuration. Each walks
the recording alone, and again beside one busy process per core, like the other programs of a robot.

A tick is released every 2 ms. Its response ends when the control thread is free for the next tick,
so waking up late counts. A response that takes longer than the period is a miss. A state that a
newer one overtakes is never answered, so it is a miss too.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic_ns, sleep
from typing import Any

import numpy as np

from safe_locomotion.bench.recording import Recording
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.runtime.realtime import Garbage, apply
from safe_locomotion.types import STATE_PERIOD_NS

LEAD_NS = 5_000_000  # from the order to the first release
LONGEST = 3  # times the walk; a process that is hopelessly late is stopped there
ORDINARY = "ordinary"
REALTIME = "realtime"
ROWS = {
    "paced": (ORDINARY, False),
    "paced_realtime": (REALTIME, False),
    "paced_loaded": (ORDINARY, True),
    "paced_loaded_realtime": (REALTIME, True),
}
PACED = tuple(ROWS)
WHAT = {False: "pipeline at 500 Hz by the clock", True: "the same beside one busy process per core"}
BUSY = "while True: pass"


def measure_paced(
    recording: Recording, names: Sequence[str], blocks: int
) -> dict[str, dict[str, Any]]:
    """Figures of some of `ROWS`; each walks the recording through `blocks` times.

    Returns:
        By row: p50_ms, p99_ms, p999_ms and max_ms of the n responses; misses, and the number of
        released states; `what`; `realtime`, the settings that were granted or refused.

    Raises:
        RuntimeError: a process ended before it answered.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    kinds = sorted({ROWS[name][0] for name in names})
    with (
        tempfile.TemporaryDirectory(prefix="safe_locomotion_bench_") as folder,
        ExitStack() as stack,
    ):
        file = Path(folder) / "walk.pickle"
        file.write_bytes(pickle.dumps(recording_of(recording)))
        workers = {kind: stack.enter_context(_worker(kind, file)) for kind in kinds}
        for _ in range(blocks):
            for name in names:
                kind, loaded = ROWS[name]
                with _load() if loaded else ExitStack():
                    found[name].append(_ask(workers[kind]))
    return {name: _figures(name, answers) for name, answers in found.items()}


def recording_of(recording: Recording) -> dict[str, Any]:
    """Data for a worker: robot, configuration, the ticks, and the first tick that walks."""
    ticks = [(tick.state, tick.command, tick.requests) for tick in recording.ticks]
    return {
        "robot": recording.robot,
        "config": recording.config,
        "ticks": ticks,
        "first": int(np.argmax(recording.walking)),
    }


def _figures(name: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    times = np.concatenate([answer["response_ms"] for answer in answers])
    p50, p99, p999, most = np.percentile(times, (50.0, 99.0, 99.9, 100.0))
    misses = sum(answer["misses"] for answer in answers)
    overtaken = misses - np.count_nonzero(times >= STATE_PERIOD_NS * 1e-6)
    kind, loaded = ROWS[name]
    return {
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "p999_ms": float(p999),
        "max_ms": float(most),
        "n": len(times),
        "misses": misses,
        "released": len(times) + int(overtaken),
        "what": WHAT[loaded],
        "realtime": [] if kind == ORDINARY else answers[0]["settings"],
    }


@contextmanager
def _worker(kind: str, file: Path) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "safe_locomotion.bench.paced", kind, str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _ask(worker: "subprocess.Popen[str]") -> dict[str, Any]:
    """One walk of a worker.

    Raises:
        RuntimeError: the worker ended before it answered.
    """
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write("\n")
        worker.stdin.flush()
        answer: dict[str, Any] = json.loads(worker.stdout.readline())
    except (OSError, ValueError):
        raise RuntimeError("a paced process ended before it answered") from None
    return answer


@contextmanager
def _load() -> Iterator[None]:
    """One busy process on each core of this process."""
    with ExitStack() as stack:
        for _ in os.sched_getaffinity(0):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(busy.kill)
        yield


def main(kind: str, file: Path) -> None:
    """Run a worker: each line that comes in asks for one walk, answered by a line of JSON."""
    walk = pickle.loads(file.read_bytes())
    parameters = walk["config"].bridge.realtime
    settings = () if kind == ORDINARY else apply(parameters)
    Pipeline(walk["robot"], walk["config"]).warm_up()
    garbage = Garbage(freeze=kind != ORDINARY and parameters.freeze_garbage)
    said = [f"{setting.name} {setting.text}" for setting in settings]
    for _ in sys.stdin:
        response_ms, misses = respond(walk, garbage)
        answer = {"response_ms": response_ms, "misses": misses, "settings": said}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def respond(walk: dict[str, Any], garbage: Garbage) -> tuple[list[float], int]:
    """Response times [ms] and misses of one walk; the ticks before the first step are not paced."""
    pipeline = Pipeline(walk["robot"], walk["config"])
    responses = list[float]()
    misses = 0
    ticks = walk["ticks"]
    first = walk["first"]
    for tick in ticks[:first]:
        _step(pipeline, tick)
    release = monotonic_ns() + LEAD_NS
    end = release + LONGEST * STATE_PERIOD_NS * (len(ticks) - first)
    for tick in ticks[first:]:
        sleep(max(0, release - monotonic_ns()) * 1e-9)
        _step(pipeline, tick)
        now = monotonic_ns()
        garbage.collect()
        responses.append((now - release) * 1e-6)
        late = (now - release) // STATE_PERIOD_NS
        misses += late
        release += STATE_PERIOD_NS * max(1, late)
        if now > end:
            break
    return responses, misses


def _step(pipeline: Pipeline, tick: Any) -> None:
    state, command, requests = tick
    for name in requests:
        pipeline.supervisor.request(name)
    pipeline.step(state, command)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
