"""One run of the stack on the simulated robot: start, watch, stop, report."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.cli.memory import MemoryWatch
from safe_locomotion.cli.progress import Progress, Watch
from safe_locomotion.cli.settings import SimSettings
from safe_locomotion.cli.sim.viewer_line import ViewerLine
from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.policy.file import installed_policies
from safe_locomotion.robot.models import load_robot
from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.sim.report import (
    intervention_figures,
    motion_figures,
    timing_figures,
    without_nan,
)
from safe_locomotion.sim.run_logs import read_run

ROBOT = "sim_robot"
LOOK_EACH = 0.2  # s
FELL = 3
COMPLETED = 0
INTERRUPTED = 130
FAILED = 1


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


def run(settings: SimSettings, folder: Path, console: Console, *, record: bool = False) -> Outcome:
    """Run the stack until the robot process ends after its duration, or a person interrupts.

    With a duration the script in the supervisor is the operator; without one the person at this terminal is.

    Raises:
        RunFailedError: a process ended by itself; names it and what it said last.
    """
    with claim_domain() as domain, claim_domain() as ros_domain:
        stack = RunningStack(
            settings.processes(folder, domain, record=record), ros_environment(ros_domain), folder
        )
        with interrupts_raise(), stack:
            try:
                if settings.duration is not None:
                    return _watch(stack, folder, console, _wait)
                return _watch_with_person(stack, folder, console, settings, ros_domain)
            finally:
                with undisturbed():
                    stack.stop()


def _wait() -> str:
    sleep(LOOK_EACH)
    return ""


def _watch_with_person(
    stack: RunningStack, folder: Path, console: Console, settings: SimSettings, ros_domain: int
) -> Outcome:
    from safe_locomotion.cli.drive.keyboard import Keyboard
    from safe_locomotion.cli.sim.demonstration import Watcher, demonstration
    from safe_locomotion.ui.remote_operator import RemoteOperator

    console.print(
        f"topics and services: export {' '.join(f'{k}={v}' for k, v in ros_environment(ros_domain).items())}"
    )
    os.environ.update(ros_environment(ros_domain))
    plan = demonstration(
        settings.vx,
        settings.vy,
        settings.wz,
        settings.policy_value,
        installed_policies(settings.robot),
    )
    remote = RemoteOperator(ros_domain)
    try:
        with Keyboard() as keyboard:
            watcher = Watcher(
                remote, keyboard, plan, partial(console.print, markup=False, highlight=False)
            )
            return _watch(stack, folder, console, watcher.act)
    finally:
        remote.close()


def ros_environment(domain: int) -> dict[str, str]:
    """ROS on this machine only, on a domain of this run's own."""
    return {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def _watch(stack: RunningStack, folder: Path, console: Console, act: Callable[[], str]) -> Outcome:
    """Show progress until the robot process ends; `act` takes a moment and says what else to show."""
    watch = Watch(folder)
    started = None
    latest = None
    viewer = ViewerLine(folder)
    memory = MemoryWatch(process.pid for name, process in stack.running.items() if name != ROBOT)
    interrupted = False
    with Live(console=console, auto_refresh=False, transient=True) as live:
        try:
            while ROBOT not in (ended := stack.ended()):
                _require_running(ended, folder)
                latest = watch.look() or latest
                viewer.show(console)
                started = started or (monotonic() if latest else None)
                memory.sample(latest.robot_time if latest else 0.0)
                live.update(_line(latest, act()), refresh=True)
        except KeyboardInterrupt:
            interrupted = True
    if not interrupted and ended[ROBOT] != 0:
        raise RunFailedError(_last_words(folder, ROBOT, ended[ROBOT]))
    return Outcome(
        wall_s=monotonic() - (started or monotonic()),
        memory_mb=memory.figures(),
        interrupted=interrupted,
    )


def _line(progress: Progress | None, more: str) -> Text:
    return Text("starting" if progress is None else f"{progress}  {more}")


def _require_running(ended: dict[str, int], folder: Path) -> None:
    for name, status in ended.items():
        raise RunFailedError(_last_words(folder, name, status))


def _last_words(folder: Path, name: str, status: int) -> str:
    lines = [
        line
        for line in (folder / f"{name}.log").read_text(errors="replace").splitlines()
        if line.strip()
    ]
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
        raise RunFailedError(
            f"the robot did not stand up within {record.summary['robot_time_s']:.0f} s of robot time"
        )
    summary = record.summary
    duration = float(log.time[-1] - log.time[0])
    mass = load_robot(settings.robot).mass + settings.payload
    report: dict[str, Any] = {
        "duration_s": duration,
        "wall_s": summary["wall_s"],
        "real_time_factor": summary["real_time_factor"],
        "stood_at_s": summary["stood_at_s"],
        "falls": summary["falls"],
        "pushes": summary["pushes"],
        "fall_times_s": [time - summary["stood_at_s"] for time in summary["fall_times_s"]],
        **motion_figures(log, cycle=record.cycle, mass=mass),
        **intervention_figures(record.stages["supervisor"], log.recovery, log.time),
        "gate_trips": record.gate_trips,
        **timing_figures(record.stages, duration),
        "reward": None,
        "round_trip_ms": summary["round_trip_ms"],
        "ended_damped": summary["ended_damped"],
        "memory_mb": outcome.memory_mb,
        "interrupted": outcome.interrupted,
        "commands_rejected": summary["commands_rejected"],
        "unanswered_states": summary["unanswered_states"],
        "options": _options(settings),
    }
    clean: dict[str, Any] = without_nan(report)
    return clean


def write_report(path: Path, figures: dict[str, Any]) -> None:
    """Write the report as JSON.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise ConfigurationError(f"--report {path}: {error.strerror}") from error


def _options(settings: SimSettings) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(settings).items()
    }
