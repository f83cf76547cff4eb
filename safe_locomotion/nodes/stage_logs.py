"""What each stage writes on every tick when its node parameter `log_dir` is set.

`sim.run_logs` reads the files. Stamps are nanoseconds of robot time in double precision, exact to a
quarter of a microsecond. A tick only keeps its values. `settle` packs them when the command of the
tick is out, and a thread writes them. So neither a full disk nor a slow one hurts the controller.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from safe_locomotion.nodes.health import OK, WARN, status
from safe_locomotion.pipeline import Output, StageName
from safe_locomotion.runtime.disk import DiskThread
from safe_locomotion.runtime.stage_log import GATE_REASONS, StageLog, vector
from safe_locomotion.safety.capture_point import N_MARGINS, margin_row
from safe_locomotion.types import LowCommand, LowState, Verdict

MEGABYTE = 1_000_000  #: [byte]
JOBS = 30  #: blocks that may wait for a slow disk; a second of each log is one
CLOSE_S = 5.0  #: longest wait for the disk at the end
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


@dataclass(frozen=True)
class Layout:
    """Columns of a stage's log between stamp and computing time, and their values."""

    columns: tuple[str, ...]
    values: Callable[[Any], tuple[object, ...]]


def _verdict_values(v: Verdict) -> tuple[object, ...]:
    command = (v.command.vx, v.command.vy, v.command.wz)
    learner = v.active == "learner"
    margins = margin_row(v.margins)
    predicted = v.predicted is not None
    return v.mode, learner, *command, v.gait.frequency, len(v.reasons), *margins, predicted


LAYOUTS: dict[StageName, Layout] = {
    "estimator": Layout(
        (
            *vector("position", 3),
            *vector("quaternion_wxyz", 4),
            *vector("velocity", 3),
            *vector("angular_velocity", 3),
            *vector("contact", 4),
            *vector("q", 12),
        ),
        lambda e: (
            e.position,
            e.quaternion_wxyz,
            e.velocity,
            e.angular_velocity,
            e.contact,
            e.q,
        ),
    ),
    "policy": Layout((), lambda proposal: ()),
    "supervisor": Layout(
        (
            "mode",
            "learner",
            *vector("command", 3),
            "frequency",
            "n_reasons",
            *vector("margin", N_MARGINS),
            "predicted",
        ),
        _verdict_values,
    ),
    "mpc": Layout(
        (*vector("stance", 4), *vector("force", 12), "solved"),
        lambda plan: (plan.stance, plan.force, plan.solved),
    ),
    "command": Layout((), lambda command: ()),
}


class StageLogs:
    """The log of one stage in `folder`; an empty folder means that nothing is logged."""

    def __init__(self, folder: str, stage: StageName, most_mb: float = inf) -> None:
        """Create the files.

        Args:
            folder: for them.
            stage: whose ticks are logged.
            most_mb: largest size of each log; its newer half is kept [MB].
        """
        self._folder = Path(folder) if folder else None
        self._stage = stage
        self._most_bytes = most_mb * MEGABYTE
        self._disk = DiskThread(JOBS) if folder else None
        self._logs: dict[str, StageLog] = {}
        self._kept: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._log = self._open(stage, *LAYOUTS[stage].columns, "ms")

    def rows(self) -> Sequence[Callable[[], DiagnosticStatus]]:
        """Rows of `/diagnostics`: one, if there are logs."""
        return (self._status,) if self._logs else ()

    def _status(self) -> DiagnosticStatus:
        """What could not be written, and what was deleted."""
        logs = self._logs
        faults = [log.fault for log in logs.values() if log.fault]
        lost = sum(log.lost for log in logs.values())
        deleted = [name for name, log in logs.items() if log.rotations > 1]
        turned = {f"older rows of {name} deleted": logs[name].rotations - 1 for name in deleted}
        text = f"cannot write {faults[0]}; this log ends here" if faults else ""
        text = text or (f"{lost} rows lost: the disk is too slow" if lost else "")
        text = text or (f"{', '.join(deleted)}: only the newest rows are kept" if deleted else "")
        level = WARN if faults or lost else OK
        return status("log", level, text or "written", {"rows lost": lost, **turned})

    def observe(self, stage: StageName, output: Output, seconds: float) -> None:
        """Keep what the stage has computed; an observer of the pipeline."""
        if self._log is not None and stage == self._stage:
            self._kept.append((self._write, (self._log, output, seconds)))

    def settle(self) -> None:
        """Write what was kept."""
        for write, values in self._kept:
            write(*values)
        self._kept.clear()

    def close(self) -> None:
        """Write what is left."""
        self.settle()
        for log in self._logs.values():
            log.close()
        if self._disk is not None:
            with suppress(OSError):  # a log knows its own faults
                self._disk.close(CLOSE_S)

    def _open(self, name: str, *columns: str) -> StageLog | None:
        if self._folder is None:
            return None
        path = self._folder / f"{name}.log"
        columns = ("stamp_ns", *columns)
        log = StageLog(path, columns, most_bytes=self._most_bytes, disk=self._disk)
        self._logs[name] = log
        return log

    def _write(self, log: StageLog, output: Output, seconds: float) -> None:
        log.append(output.stamp_ns, *LAYOUTS[self._stage].values(output), 1e3 * seconds)


class BridgeLogs(StageLogs):
    """The logs of the bridge: command stage, answers, and LowStates where they are asked for."""

    def __init__(self, folder: str, *, states: bool, most_mb: float = inf) -> None:
        super().__init__(folder, "command", most_mb)
        self._answers = self._open("bridge", "tick", "reason", "ms")
        columns = [name for key, size in LOW_STATE.items() for name in vector(key, size)]
        self._states = self._open("states", "tick", "voltage", *columns) if states else None
        path = None if self._folder is None else self._folder / GATE_REASONS
        self._reasons = _Numbers(path, self._disk)

    def received(self, state: LowState) -> None:
        """Keep a LowState."""
        if self._states is not None:
            self._kept.append((self._write_state, (self._states, state)))

    def answered(self, state: LowState, command: LowCommand, seconds: float) -> None:
        """Keep an answer and its latency [s].

        Its reason is a line number of `GATE_REASONS`. 0 means that the gate let the command pass.
        """
        if self._answers is not None:
            self._kept.append((self._write_answer, (self._answers, state, command, seconds)))

    def _write_state(self, log: StageLog, state: LowState) -> None:
        voltage = float("nan") if state.voltage is None else state.voltage
        values = [getattr(state, name) for name in LOW_STATE]
        log.append(state.stamp_ns, state.tick, voltage, *values)

    def _write_answer(
        self, log: StageLog, state: LowState, command: LowCommand, seconds: float
    ) -> None:
        reason = self._reasons[command.reason] if command.reason else 0
        log.append(state.stamp_ns, state.tick, reason, 1e3 * seconds)


class _Numbers(dict[str, int]):
    """Numbers of names, from 1 in the order of appearance; each name is a line of a file."""

    def __init__(self, path: Path | None, disk: DiskThread | None) -> None:
        self._path = path
        self._disk = disk
        if path is not None:
            path.write_text("")

    def __missing__(self, name: str) -> int:
        if self._disk is not None:
            self._disk.add(lambda: self._write(name))
        self[name] = len(self) + 1
        return self[name]

    def _write(self, name: str) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(name + "\n")
