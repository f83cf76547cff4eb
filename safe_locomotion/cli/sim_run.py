"""One run of the stack on the simulated robot: start, watch, stop, report."""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from safe_locomotion.cli.domains import claim_domain
from safe_locomotion.cli.memory import MemoryWatch
from safe_locomotion.cli.progress import Progress, Watch
from safe_locomotion.cli.settings import SimSettings
from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.processes import RunningStack
from safe_locomotion.robots import load_robot
from safe_locomotion.sim.report import motion_figures, timing_figures, without_nan
from safe_locomotion.sim.run_logs import RunRecord, read_run

ROBOT = "sim_robot"
LOOK_EACH = 0.2  # s
FELL, COMPLETED, INTERRUPTED, FAILED = 3, 0, 130, 1


class RunFailedError(SafeLocomotionError):
    """A process of the run ended before its time."""


@dataclass(kw_only=True)
class Outcome:
    """How a run ended: wall time between first motion and end [s], memory [MB], and whether a person ended it."""

    wall_s: float
    memory_mb: dict[str, float | None]
    interrupted: bool


@contextmanager
def record_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder for logs: the user's, or one that is thrown away."""
    if wanted is not None:
        try:
            wanted.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--record {wanted}: {error.strerror}") from error
        yield wanted.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="safe_locomotion_"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def interrupts_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP end the run as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not interrupt the way into damping."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_headless(settings: SimSettings, folder: Path, console: Console) -> Outcome:
    """Run the scripted stack until the robot process ends after its duration, or a person interrupts.

    Raises:
        RunFailedError: a process ended by itself; names it and what it said last.
    """
    with claim_domain() as domain, claim_domain() as ros_domain:
        processes = settings.processes(folder, domain, scripted=True)
        stack = RunningStack(processes, ros_environment(ros_domain), folder)
        with interrupts_raise(), stack:
            try:
                return _watch(stack, folder, console)
            finally:
                with undisturbed():
                    stack.stop()


def ros_environment(domain: int) -> dict[str, str]:
    """ROS on this machine only, on a domain of this run's own."""
    return {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def _watch(stack: RunningStack, folder: Path, console: Console) -> Outcome:
    watch, started, latest = Watch(folder), None, None
    memory = MemoryWatch(process.pid for name, process in stack.running.items() if name != ROBOT)
    interrupted = False
    with Live(console=console, auto_refresh=False, transient=True) as live:
        try:
            while ROBOT not in (ended := stack.ended()):
                _require_running(ended, folder)
                latest = watch.look() or latest
                started = started or (monotonic() if latest else None)
                memory.sample(latest.robot_time if latest else 0.0)
                live.update(_line(latest), refresh=True)
                sleep(LOOK_EACH)
        except KeyboardInterrupt:
            interrupted = True
    if not interrupted and ended[ROBOT] != 0:
        raise RunFailedError(_last_words(folder, ROBOT, ended[ROBOT]))
    return Outcome(wall_s=monotonic() - (started or monotonic()), memory_mb=memory.figures(), interrupted=interrupted)


def _line(progress: Progress | None) -> Text:
    return Text("starting" if progress is None else str(progress))


def _require_running(ended: dict[str, int], folder: Path) -> None:
    for name, status in ended.items():
        raise RunFailedError(_last_words(folder, name, status))


def _last_words(folder: Path, name: str, status: int) -> str:
    lines = [line for line in (folder / f"{name}.log").read_text(errors="replace").splitlines() if line.strip()]
    said = lines[-1].removeprefix("error: ").removeprefix("robot: ") if lines else "it said nothing"
    return f"{name} ended with status {status}: {said}"


def build_report(settings: SimSettings, folder: Path, outcome: Outcome) -> dict[str, Any]:
    """The report of a finished run.

    Raises:
        RunFailedError: the robot never stood up.
    """
    record = read_run(folder)
    log = record.log
    if log is None or len(log.time) < 2:
        raise RunFailedError(f"the robot did not stand up within {record.summary['robot_time_s']:.0f} s of robot time")
    summary, duration = record.summary, float(log.time[-1] - log.time[0])
    mass = load_robot(settings.robot).mass + settings.payload
    report: dict[str, Any] = {
        "duration_s": duration,
        "wall_s": summary["wall_s"],
        "real_time_factor": summary["real_time_factor"],
        "falls": summary["falls"],
        "fall_times_s": [time - summary["stood_at_s"] for time in summary["fall_times_s"]],
        **motion_figures(log, cycle=record.cycle, mass=mass),
        "gate_trips": record.gate_trips,
        **timing_figures(record.stages, duration),
        "reward": None,
        "memory_mb": outcome.memory_mb,
        "interrupted": outcome.interrupted,
        "commands_rejected": summary["commands_rejected"],
        "unanswered_states": summary["unanswered_states"],
        "options": _options(settings),
    }
    clean: dict[str, Any] = without_nan(report)
    return clean


def _options(settings: SimSettings) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(settings).items()}
