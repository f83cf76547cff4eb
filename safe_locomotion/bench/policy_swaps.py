"""Swaps of policies on a walking simulated robot: falls, late control ticks and memory."""

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
from safe_locomotion.types import Array, LowCommand, LowState, Mode, VelocityCommand, Verdict

LOAD_AHEAD = 0.1  #: [s] of robot time before a swap, at which the loading starts
FADE = 0.2  #: [s] after a change of the active policy that count as hand-over
FIRST_SWAP = 2.0  #: [s] after the walk began
STAND_UP_LIMIT = 15.0  #: [s]
BUDGET_MS = 2.0  #: of a control tick
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class TickTimes:
    """Durations in bins, so that the memory does not grow with the number of ticks."""

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
        """p50, p99 and max [ms], number of ticks, and number of late ones by reason."""
        return {
            "p50": self._percentile(0.5),
            "p99": self._percentile(0.99),
            "max": self._most,
            "n": int(self._counts.sum()),
            "late": dict(self._late),
        }

    def _percentile(self, share: float) -> float:
        below = np.cumsum(self._counts)
        return (int(np.searchsorted(below, share * int(below[-1]))) + 1) * self.BIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Time of one control tick.

    Attributes:
        wall_ms: by the wall clock [ms].
        computing_ms: of computing [ms].
        no_core_ms: of waiting for a core [ms].
        waits: how often the thread gave up its core.
    """

    wall_ms: float
    computing_ms: float
    no_core_ms: float
    waits: int

    @property
    def late_by(self) -> str:
        """Why the tick took longer than its budget; an empty text when it did not.

        `computing`: the computation took too long. `no_core`: another thread had the core.
        `waiting`: for the interpreter or a page. `stolen`: the virtual machine stood still.
        """
        if self.wall_ms <= BUDGET_MS:
            return ""
        if self.computing_ms > BUDGET_MS:
            return "computing"
        if self.wall_ms - self.no_core_ms <= BUDGET_MS:
            return "no_core"
        return "waiting" if self.waits else "stolen"


class Stopwatch:
    """Measures the time of this thread from `start` to `stop`.

    The file QUEUE of Linux counts how long the thread waited for a core. Reading a file releases
    the interpreter to other threads. So the file is read outside of the two readings of the clock.
    """

    QUEUE = Path("/proc/thread-self/schedstat")

    def __init__(self, queue: BinaryIO) -> None:
        self._queue = queue.fileno()
        self._queued = 0
        self._waits = 0
        self._wall = 0
        self._computing = 0

    def start(self) -> None:
        """Begin a tick."""
        self._queued, self._waits = self._scheduled()
        self._wall = perf_counter_ns()
        self._computing = thread_time_ns()

    def stop(self) -> Spent:
        """End the tick, and return what it spent."""
        wall = perf_counter_ns() - self._wall
        computing = thread_time_ns() - self._computing
        queued, waits = self._scheduled()
        return Spent(
            wall_ms=1e-6 * wall,
            computing_ms=1e-6 * computing,
            no_core_ms=1e-6 * (queued - self._queued),
            waits=waits - self._waits,
        )

    def _scheduled(self) -> tuple[int, int]:
        queued = int(os.pread(self._queue, 64, 0).split()[1])
        return queued, resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


@dataclass(kw_only=True, slots=True)
class SwapRun:
    """Results of a walk with swaps.

    Attributes:
        swaps: number of policies that took over.
        falls: number of falls.
        rollbacks: number of policies that failed their trial.
        gate_trips: number of commands that the gate refused, by reason.
        robot_time: time walked [s].
        quiet, loading: times of the control ticks without and with a policy that is being loaded.
        torque_step_walking, torque_step_handover: largest change of a commanded torque between
            two ticks [Nm].
        drivers: number of ticks by active policy; the name of recovery is empty.
        memory_mb: resident memory after each tenth of the swaps [MB].
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
        """The results as plain data for JSON."""
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
        """Largest change since the last tick [Nm], and whether a hand-over is under way."""
        torque = commanded_torque(state, command)
        change = 0.0 if self._last is None else float(np.abs(torque - self._last).max())
        if driver != self._driver:
            self._driver = driver
            self._since = time
        self._last = torque
        return change, time - self._since < FADE


class _Walk:
    """A robot that walks, and what is recorded of it.

    Attributes:
        run: results so far.
        elapsed: robot time since the walk began [s].
    """

    def __init__(
        self, robot: SimulatedRobot, pipeline: Pipeline, command: VelocityCommand, clock: Stopwatch
    ) -> None:
        self.run = SwapRun()
        self.elapsed = 0.0
        self._robot = robot
        self._pipeline = pipeline
        self._command = command
        self._clock = clock
        self._torques = _Torques()
        self._began: float | None = None
        pipeline.supervisor.request("walk")

    @property
    def goes_on(self) -> bool:
        """Whether the robot walks, or still has time to stand up."""
        return self._began is not None or self._robot.time_s <= STAND_UP_LIMIT

    def take(self, learner: Learner | None, count: int) -> None:
        """Let a policy take over; `count` is the number of all swaps."""
        self._pipeline.policy.take(learner)
        self.run.swaps += 1
        if self.run.swaps % max(1, count // 10) == 0:
            self.run.memory_mb.append(resident_mb())

    def tick(self, loading: "Future[Learner | None] | None") -> None:
        """One control tick and one step of the simulation, perhaps while a policy is loading."""
        run = self.run
        run.robot_time = self.elapsed
        state = self._robot.low_state()
        self._clock.start()
        cycle = self._pipeline.step(state, self._command)
        spent = self._clock.stop()
        answer = cycle.command
        verdict = cycle.verdict
        if verdict.mode is Mode.WALK:
            (run.quiet if loading is None or loading.done() else run.loading).add(spent)
            self._note_torque(state, answer, verdict)
        if answer.reason:
            run.gate_trips[answer.reason] += 1
        if self._robot.step(answer):
            self._stand_up_again()
        if self._began is None and self._pipeline.supervisor.mode is Mode.WALK:
            self._began = self._robot.time_s
        self.elapsed = 0.0 if self._began is None else self._robot.time_s - self._began

    def _note_torque(self, state: LowState, answer: LowCommand, verdict: Verdict) -> None:
        run = self.run
        run.drivers[verdict.policy] += 1
        driver = (verdict.policy, verdict.joints is not None)
        change, handing = self._torques.step(self._robot.time_s, driver, state, answer)
        if handing:
            run.torque_step_handover = max(run.torque_step_handover, change)
        else:
            run.torque_step_walking = max(run.torque_step_walking, change)

    def _stand_up_again(self) -> None:
        self.run.falls += 1
        self._robot.put_on_feet()
        self._pipeline.supervisor.request("reset")
        self._pipeline.supervisor.request("walk")


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
    """Walk, and swap the policies in turn.

    Another thread loads each policy while the robot walks. The time of the swap is drawn before,
    so that a run in lock-step depends only on its seed.

    Args:
        robot: simulated robot that lies on the ground.
        pipeline: new pipeline.
        policies: each call loads one policy.
        count: number of swaps.
        every: bounds of the time between two swaps [s].
        command: velocity of the walk.
        rng: random numbers for the times.
        between: is called after each tick, outside of its measured time: to wait for the next
            tick or to collect garbage.
    """
    next_at = FIRST_SWAP
    loading: Future[Learner | None] | None = None
    with (
        ThreadPoolExecutor(1, initializer=_ordinary) as worker,
        Stopwatch.QUEUE.open("rb", buffering=0) as queue,
    ):
        walk = _Walk(robot, pipeline, command, Stopwatch(queue))
        while walk.goes_on and (walk.run.swaps < count or walk.elapsed < next_at):
            now = walk.elapsed
            if loading is None and walk.run.swaps < count and now >= next_at - LOAD_AHEAD:
                loading = worker.submit(policies[walk.run.swaps % len(policies)])
            if loading is not None and now >= next_at:
                walk.take(loading.result(), count)
                loading = None
                next_at = now + rng.uniform(*every)
            walk.tick(loading)
            between()
    walk.run.rollbacks = pipeline.policy.rollbacks
    return walk.run


def _ordinary() -> None:
    """Use ordinary scheduling in this thread, so that loading a policy never delays a tick."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def resident_mb() -> float:
    """Resident memory of this process [MB]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB
