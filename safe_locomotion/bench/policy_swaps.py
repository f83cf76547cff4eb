"""Swaps of policies on a walking simulated robot: does it stay on its feet, does a control tick wait, does memory grow?"""

import os
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any, BinaryIO

import numpy as np

from safe_locomotion.commands import commanded_torque
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.stage import Learner
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Array, LowCommand, LowState, Mode, VelocityCommand

LOAD_AHEAD = 0.1  #: [s] of robot time in which the next policy is loaded beside the ticks
FADE = 0.2  #: [s] after a change of who drives, counted as hand-over
FIRST_SWAP = 2.0  #: [s] after the walk began
STAND_UP_LIMIT = 15.0  #: [s]
BUDGET_MS = 2.0  #: of a control tick
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class TickTimes:
    """Durations in bins: memory must not grow with the ticks where the growth of memory is looked at."""

    BIN = 0.02  #: [ms]
    BINS = 5000

    def __init__(self) -> None:
        self._counts = np.zeros(self.BINS, dtype=np.int64)
        self._most = 0.0
        self._late: Counter[str] = Counter()

    def add(self, tick: "Spent") -> None:
        """Count one tick."""
        self._counts[min(self.BINS - 1, int(tick.wall_ms / self.BIN))] += 1
        self._most = max(self._most, tick.wall_ms)
        if tick.late_by:
            self._late[tick.late_by] += 1

    def figures(self) -> dict[str, Any]:
        """p50, p99, max [ms], number, and how many of them took longer than 2 ms for which reason."""
        below = np.cumsum(self._counts)
        n = int(self._counts.sum())
        p50, p99 = (
            (int(np.searchsorted(below, share * n)) + 1) * self.BIN for share in (0.5, 0.99)
        )
        return {"p50": p50, "p99": p99, "max": self._most, "n": n, "late": dict(self._late)}


@dataclass(frozen=True, slots=True)
class Spent:
    """One control tick: by the clock, computing, ready to run without a core to run on [ms], and how often it gave its core up."""

    wall_ms: float
    computing_ms: float
    no_core_ms: float
    waits: int

    @property
    def late_by(self) -> str:
        """What it overran its budget by; "" when it kept it.

        `computing`; `no_core`, another thread had it; `waiting`, for the interpreter or a page; or `stolen`: the machine, a virtual one,
        stood still.
        """
        if self.wall_ms <= BUDGET_MS:
            return ""
        if self.computing_ms > BUDGET_MS:
            return "computing"
        if self.wall_ms - self.no_core_ms <= BUDGET_MS:
            return "no_core"
        return "waiting" if self.waits else "stolen"


class Stopwatch:
    """What this thread spends, from `start` to `stop`; Linux counts in its QUEUE how long it stood in a core's queue.

    Reading a file lets other threads have the interpreter, so that is done before the clocks are read first, and after they are last.
    """

    QUEUE = Path("/proc/thread-self/schedstat")

    def __init__(self, queue: BinaryIO) -> None:
        self._queue = queue.fileno()
        self._queued = self._waits = self._wall = self._computing = 0

    def start(self) -> None:
        """A tick begins."""
        self._queued, self._waits = self._scheduled()
        self._wall, self._computing = perf_counter_ns(), thread_time_ns()

    def stop(self) -> Spent:
        """It has ended."""
        wall = perf_counter_ns() - self._wall
        computing = thread_time_ns() - self._computing
        queued, waits = self._scheduled()
        return Spent(
            1e-6 * wall, 1e-6 * computing, 1e-6 * (queued - self._queued), waits - self._waits
        )

    def _scheduled(self) -> tuple[int, int]:
        queued = int(os.pread(self._queue, 64, 0).split()[1])
        return queued, resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


@dataclass(kw_only=True, slots=True)
class SwapRun:
    """What happened.

    Attributes:
        swaps: policies that took over.
        falls: of the robot.
        rollbacks: policies that failed their trial.
        gate_trips: commands that the gate refused, by reason.
        robot_time: walked [s].
        quiet, loading: wall time of the control ticks without and with a policy being loaded beside them.
        torque_step_walking, torque_step_handover: largest changes of a commanded torque between two ticks [Nm].
        drivers: ticks by who drove: names of policies, "" recovery.
        memory_mb: resident memory after each tenth of the swaps.
    """

    swaps: int = 0
    falls: int = 0
    rollbacks: int = 0
    gate_trips: Counter[str] = field(default_factory=Counter)
    robot_time: float = 0.0
    quiet: TickTimes = field(default_factory=TickTimes)
    loading: TickTimes = field(default_factory=TickTimes)
    torque_step_walking: float = 0.0
    torque_step_handover: float = 0.0
    drivers: Counter[str] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """The run as JSON."""
        return {
            "swaps": self.swaps,
            "falls": self.falls,
            "rollbacks": self.rollbacks,
            "gate_trips": dict(self.gate_trips),
            "robot_time_s": self.robot_time,
            "tick_ms": {"quiet": self.quiet.figures(), "loading": self.loading.figures()},
            "torque_step_nm": {
                "walking": self.torque_step_walking,
                "handover": self.torque_step_handover,
            },
            "drivers": dict(self.drivers),
            "memory_mb": self.memory_mb,
        }


class _Torques:
    """Follows the commanded torque from tick to tick."""

    def __init__(self) -> None:
        self._last: Array | None = None
        self._driver: tuple[str, bool] | None = None
        self._since = 0.0

    def step(
        self, time: float, driver: tuple[str, bool], state: LowState, command: LowCommand
    ) -> tuple[float, bool]:
        """Largest change since the last tick [Nm], and whether who drives changed a moment ago."""
        torque = commanded_torque(state, command)
        change = 0.0 if self._last is None else float(np.abs(torque - self._last).max())
        if driver != self._driver:
            self._driver = driver
            self._since = time
        self._last = torque
        return change, time - self._since < FADE


def run_swaps(
    robot: SimulatedRobot,
    pipeline: Pipeline,
    policies: Sequence[Callable[[], Learner | None]],
    *,
    count: int,
    every: tuple[float, float],
    command: VelocityCommand,
    rng: np.random.Generator,
    between: Callable[[], None] = lambda: None,
) -> SwapRun:
    """Walk, and take the policies in turns.

    Each is loaded on another thread while the robot goes on, and takes over at a time drawn beforehand: in lock-step a run depends on
    its seed alone.

    Args:
        robot: lying on the ground.
        pipeline: fresh.
        policies: each call loads one.
        count: of swaps.
        every: bounds of the time between two of them [s].
        command: to walk by.
        rng: of the times.
        between: called after each tick, whose time it is not: to wait for the next one, to collect garbage.
    """
    run = SwapRun()
    torques = _Torques()
    pipeline.supervisor.request("walk")
    began = None
    next_at = FIRST_SWAP
    loading = None
    with (
        ThreadPoolExecutor(1, initializer=_ordinary) as worker,
        Stopwatch.QUEUE.open("rb", buffering=0) as queue,
    ):
        clock = Stopwatch(queue)
        while run.swaps < count or robot.time_s - (began or 0.0) < next_at:
            if began is None and pipeline.supervisor.mode is Mode.WALK:
                began = robot.time_s
            if began is None and robot.time_s > STAND_UP_LIMIT:
                break
            elapsed = 0.0 if began is None else robot.time_s - began
            if loading is None and run.swaps < count and elapsed >= next_at - LOAD_AHEAD:
                loading = worker.submit(policies[run.swaps % len(policies)])
            if loading is not None and elapsed >= next_at:
                _take(run, pipeline, loading, count)
                loading = None
                next_at = elapsed + rng.uniform(*every)
            _tick(run, robot, pipeline, command, torques, clock, loading)
            run.robot_time = elapsed
            between()
    run.rollbacks = pipeline.policy.rollbacks
    return run


def _ordinary() -> None:
    """Ordinary scheduling for this thread, whatever it inherited: a policy is never loaded in the place of a tick."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _take(run: SwapRun, pipeline: Pipeline, loading: "Future[Learner | None]", count: int) -> None:
    pipeline.policy.take(loading.result())
    run.swaps += 1
    if run.swaps % max(1, count // 10) == 0:
        run.memory_mb.append(resident_mb())


def _tick(
    run: SwapRun,
    robot: SimulatedRobot,
    pipeline: Pipeline,
    command: VelocityCommand,
    torques: _Torques,
    clock: Stopwatch,
    loading: "Future[Learner | None] | None",
) -> None:
    state = robot.low_state()
    clock.start()
    cycle = pipeline.step(state, command)
    spent = clock.stop()
    answer = cycle.command
    verdict = cycle.verdict
    if verdict.mode is Mode.WALK:
        (run.quiet if loading is None or loading.done() else run.loading).add(spent)
        run.drivers[verdict.policy] += 1
        change, handing = torques.step(
            robot.time_s, (verdict.policy, verdict.joints is not None), state, answer
        )
        if handing:
            run.torque_step_handover = max(run.torque_step_handover, change)
        else:
            run.torque_step_walking = max(run.torque_step_walking, change)
    if answer.reason:
        run.gate_trips[answer.reason] += 1
    if robot.step(answer):
        run.falls += 1
        robot.put_on_feet()
        pipeline.supervisor.request("reset")
        pipeline.supervisor.request("walk")


def resident_mb() -> float:
    """Memory of this process that lies in RAM [MB]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB
