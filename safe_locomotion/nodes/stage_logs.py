"""What each stage writes on every tick when its node parameter `log_dir` is set; `sim.run_logs` reads it back.

Stamps are nanoseconds of robot time in double precision: exact to a quarter of a microsecond. On the tick itself a value is only
kept; it is packed and written by `settle`, when nobody waits for the stage.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar, cast

from safe_locomotion.runtime.stage_log import StageLog, vector
from safe_locomotion.safety.capture_point import N_MARGINS, margin_row
from safe_locomotion.types import Estimate, LowCommand, LowState, Proposal, StancePlan, Verdict

Stage = TypeVar("Stage")

LOW_STATE = {
    "quaternion_wxyz": 4,
    "gyro": 3,
    "accelerometer": 3,
    "q": 12,
    "dq": 12,
    "tau": 12,
    "foot_force": 4,
    "temperature": 12,
}


class LoggedStage:
    """A stage whose `update` is timed and kept for its log; everything else is the stage's own."""

    def __init__(self, stage: Any, keep: Callable[[Any, float], None]) -> None:
        self._stage = stage
        self._keep = keep
        self._update = stage.update

    def update(self, *inputs: Any) -> Any:
        """The stage's own `update`."""
        start = perf_counter()
        output = self._update(*inputs)
        self._keep(output, 1e3 * (perf_counter() - start))
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)


class StageLogs:
    """The logs of the stages of one process in `folder`; without a folder nothing is logged and no stage is touched."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None
        self._open: list[StageLog] = []
        self._kept: deque[tuple[Callable[..., None], tuple[Any, ...]]] = (
            deque()
        )  # a plan comes from another thread

    def _log(self, name: str, *columns: str) -> StageLog:
        assert self._folder is not None
        log = StageLog(self._folder / f"{name}.log", ("stamp_ns", *columns))
        self._open.append(log)
        return log

    def _later(self, add: Callable[..., None]) -> Callable[..., None]:
        """`add`, to be called by the next `settle`; what it is given does not change any more."""
        return lambda *values: self._kept.append((add, values))

    def settle(self) -> None:
        """Write what was kept."""
        while self._kept:
            add, values = self._kept.popleft()
            add(*values)

    def estimator(self, stage: Stage) -> Stage:
        """Log each estimate."""
        if self._folder is None:
            return stage
        columns = (
            *vector("position", 3),
            *vector("quaternion_wxyz", 4),
            *vector("velocity", 3),
            *vector("angular_velocity", 3),
        )
        log = self._log("estimator", *columns, *vector("contact", 4), *vector("q", 12), "ms")

        def add(e: Estimate, ms: float) -> None:
            log.append(
                e.stamp_ns,
                e.position,
                e.quaternion_wxyz,
                e.velocity,
                e.angular_velocity,
                e.contact,
                e.q,
                ms,
            )

        return cast(Stage, LoggedStage(stage, self._later(add)))

    def policy(self, stage: Stage) -> Stage:
        """Log when a proposal was made."""
        if self._folder is None:
            return stage
        log = self._log("policy", "ms")

        def add(proposal: Proposal, ms: float) -> None:
            log.append(proposal.stamp_ns, ms)

        return cast(Stage, LoggedStage(stage, self._later(add)))

    def supervisor(self, stage: Stage) -> Stage:
        """Log each verdict."""
        if self._folder is None:
            return stage
        log = self._log(
            "supervisor",
            "mode",
            "learner",
            *vector("command", 3),
            "frequency",
            "n_reasons",
            *vector("margin", N_MARGINS),
            "predicted",
            "ms",
        )

        def add(v: Verdict, ms: float) -> None:
            c = v.command
            log.append(
                v.stamp_ns,
                v.mode,
                v.active == "learner",
                c.vx,
                c.vy,
                c.wz,
                v.gait.frequency,
                len(v.reasons),
                *margin_row(v.margins),
                v.predicted is not None,
                ms,
            )

        return cast(Stage, LoggedStage(stage, self._later(add)))

    def mpc(self, stage: Stage) -> Stage:
        """Log each plan."""
        if self._folder is None:
            return stage
        log = self._log("mpc", *vector("stance", 4), *vector("force", 12), "solved", "ms")

        def add(plan: StancePlan, ms: float) -> None:
            log.append(plan.stamp_ns, plan.stance, plan.force, plan.solved, ms)

        return cast(Stage, LoggedStage(stage, self._later(add)))

    def command(self, stage: Stage) -> Stage:
        """Log how long the leg controller and the gate took."""
        if self._folder is None:
            return stage
        log = self._log("command", "ms")
        return cast(
            Stage,
            LoggedStage(stage, self._later(lambda command, ms: log.append(command.stamp_ns, ms))),
        )

    def bridge(self) -> Callable[[LowState, LowCommand, float], None] | None:
        """Logger of each answered LowState: tick, why the gate refused (line of `gate_reasons.txt`, 0: passed), latency."""
        if self._folder is None:
            return None
        log = self._log("bridge", "tick", "reason", "ms")
        reasons = _Numbers(self._folder / "gate_reasons.txt")

        def add(state: LowState, command: LowCommand, seconds: float) -> None:
            log.append(
                state.stamp_ns,
                state.tick,
                reasons[command.reason] if command.reason else 0,
                1e3 * seconds,
            )

        return self._later(add)

    def states(self) -> Callable[[LowState], None]:
        """Logger of whole LowStates."""
        columns = [name for key, size in LOW_STATE.items() for name in vector(key, size)]
        log = self._log("states", "tick", "voltage", *columns)

        def add(state: LowState) -> None:
            voltage = float("nan") if state.voltage is None else state.voltage
            log.append(
                state.stamp_ns, state.tick, voltage, *(getattr(state, name) for name in LOW_STATE)
            )

        return self._later(add)

    def close(self) -> None:
        """Write what is left."""
        self.settle()
        for log in self._open:
            log.close()


class _Numbers(dict[str, int]):
    """Numbers names from 1 in the order in which they come up, and writes each on its line of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_text("")

    def __missing__(self, name: str) -> int:
        with self._path.open("a") as file:
            file.write(name + "\n")
        self[name] = len(self) + 1
        return self[name]
