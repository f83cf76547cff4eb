"""One run of the stack on the simulated robot: start, watch, stop, report."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from safe_locomotion.backends.domains import FIRST, LAST, DomainInUseError, claim_domain
from safe_locomotion.cli.drive.hearing import ros_domain
from safe_locomotion.cli.missing import require_simulation
from safe_locomotion.cli.sim.memory import MemoryWatch
from safe_locomotion.cli.sim.progress import Progress, Watch
from safe_locomotion.cli.sim.scratch import require_shared_memory, scratch_folder
from safe_locomotion.cli.sim.settings import SimSettings
from safe_locomotion.cli.sim.viewer_line import ViewerLine
from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.policy.file import installed_policies
from safe_locomotion.robot.models import load_robot
from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.sim.feet_figures import feet_figures
from safe_locomotion.sim.report import (
    intervention_figures,
    motion_figures,
    timing_figures,
    without_nan,
)
from safe_locomotion.sim.run_logs import read_run
from safe_locomotion.ui.viewer.access import TOKEN_VARIABLE, new_token

ROBOT = "sim_robot"
LOOK_EACH = 0.2  # s, between two looks at the logs
STAND_UP = 1.4  # s of robot time before the duration begins
FELL = 3
COMPLETED = 0
INTERRUPTED = 130


class RunFailedError(SafeLocomotionError):
    """A process of the run ended too early."""


class NeverStoodError(RunFailedError):
    """The robot did not stand up, so there is nothing to report."""


@dataclass(kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        wall_s: wall time from the first motion to the end [s].
        memory_mb: see `MemoryWatch.figures`.
        interrupted: whether a person ended it.
    """

    wall_s: float
    memory_mb: dict[str, float | None]
    interrupted: bool


@contextmanager
def record_folder(wanted: Path | None) -> Iterator[Path]:
    """The user's folder for logs, or a temporary one that is removed at the end.

    Raises:
        ConfigurationError: the folder cannot be made.
    """
    if wanted is not None:
        try:
            wanted.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--record {wanted}: {error.strerror}") from error
        yield wanted.resolve()
        return
    with scratch_folder() as folder:
        yield folder


@contextmanager
def ending_signals(handler: "signal._HANDLER") -> Iterator[None]:
    """Take SIGINT, SIGTERM and SIGHUP in another way for a while."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def interrupts_raise() -> AbstractContextManager[None]:
    """Let SIGTERM and SIGHUP end the run as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    return ending_signals(interrupt)


def undisturbed() -> AbstractContextManager[None]:
    """Ignore further signals, so that a second Ctrl-C does not interrupt the damping."""
    return ending_signals(signal.SIG_IGN)


def run(settings: SimSettings, folder: Path, console: Console, *, record: bool = False) -> Outcome:
    """Run the stack until the robot process ends after its duration, or a person interrupts it.

    With a duration the supervisor follows a script. Without one, the person at this terminal
    drives.

    Raises:
        RunFailedError: a process ended by itself; the message holds its name and last words.
        ConfigurationError: a library is missing, or shared memory is full.
    """
    require_simulation()
    require_shared_memory()
    with claim_ros_domain() as on_ros, claim_domain() as domain:
        stack = RunningStack(
            settings.processes(folder, domain, record=record),
            {**ros_environment(on_ros), **viewer_token()},
            folder,
        )
        exports = " ".join(f"{name}={value}" for name, value in ros_environment(on_ros).items())
        console.print(f"topics and services: export {exports}", soft_wrap=True)
        with interrupts_raise(), stack:
            try:
                if settings.duration is not None:
                    return _watch(stack, folder, console, _wait, settings.duration)
                return _watch_with_person(stack, folder, console, settings, on_ros)
            finally:
                with undisturbed():
                    stack.stop()


@contextmanager
def claim_ros_domain() -> Iterator[int]:
    """The exported ROS_DOMAIN_ID, or any free domain.

    Raises:
        ConfigurationError: it is no domain, or another run is on it.
    """
    if not os.environ.get("ROS_DOMAIN_ID"):
        with claim_domain() as domain:
            yield domain
        return
    wanted = ros_domain()
    if not FIRST <= wanted <= LAST:  # no run takes it by itself
        yield wanted
        return
    try:
        with claim_domain(wanted, shared=True) as domain:
            yield domain
    except DomainInUseError as error:
        raise ConfigurationError(
            f"ROS_DOMAIN_ID={wanted}: another run is on this domain; export another one, or"
            " unset ROS_DOMAIN_ID for a free one"
        ) from error


def _wait() -> str:
    sleep(LOOK_EACH)
    return ""


def _watch_with_person(
    stack: RunningStack, folder: Path, console: Console, settings: SimSettings, on_ros: int
) -> Outcome:
    from safe_locomotion.cli.drive.keyboard import Keyboard
    from safe_locomotion.cli.sim.demonstration import Watcher, demonstration
    from safe_locomotion.ui.remote_operator import RemoteOperator

    os.environ.update(ros_environment(on_ros))
    plan = demonstration(
        settings.vx,
        settings.vy,
        settings.wz,
        settings.policy_value,
        installed_policies(settings.robot, walking=True),
    )
    remote = RemoteOperator(on_ros)
    try:
        with Keyboard() as keyboard:
            watcher = Watcher(
                remote, keyboard, plan, partial(console.print, markup=False, highlight=False)
            )
            return _watch(stack, folder, console, watcher.act)
    finally:
        remote.close()


def ros_environment(domain: int) -> dict[str, str]:
    """Environment for ROS on this machine only, on a domain that only this run uses."""
    reach = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if os.environ.get("ROS_DISTRO") == "humble":  # newer ones warn of this name
        reach = {"ROS_LOCALHOST_ONLY": "1"}
    return {"ROS_DOMAIN_ID": str(domain), **reach}


def viewer_token() -> dict[str, str]:
    """One token for the whole run, so that a viewer that was started again keeps its users."""
    return {TOKEN_VARIABLE: os.environ.get(TOKEN_VARIABLE) or new_token()}


def _watch(
    stack: RunningStack,
    folder: Path,
    console: Console,
    act: Callable[[], str],
    duration: float = inf,
) -> Outcome:
    """Show progress until the robot process ends; `act` waits a moment and returns more to show."""
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
                for line in stack.revive():
                    console.print(line, markup=False, highlight=False)
                started = started or (monotonic() if latest else None)
                memory.sample(latest.robot_time if latest else 0.0)
                live.update(_line(latest, act(), duration), refresh=True)
        except KeyboardInterrupt:
            interrupted = True
    if not interrupted and ended[ROBOT] != 0:
        raise RunFailedError(_last_words(folder, ROBOT, ended[ROBOT]))
    return Outcome(
        wall_s=monotonic() - (started or monotonic()),
        memory_mb=memory.figures(),
        interrupted=interrupted,
    )


def _line(progress: Progress | None, more: str, duration: float) -> Text:
    """Status line, with the time left where the run has an end."""
    if progress is None:
        return Text("starting")
    left = duration + STAND_UP - progress.robot_time
    if not left < inf or not progress.real_time_factor > 0.0:
        return Text(f"{progress}  {more}")
    return Text(f"{progress}  {max(0.0, left) / progress.real_time_factor:.0f} s left  {more}")


def _require_running(ended: dict[str, int], folder: Path) -> None:
    for name, status in ended.items():
        raise RunFailedError(_last_words(folder, name, status))


def _last_words(folder: Path, name: str, status: int) -> str:
    log = (folder / f"{name}.log").read_text(errors="replace")
    lines = [line for line in log.splitlines() if line.strip()]
    last = lines[-1] if lines else "its log is empty"
    said = last.removeprefix("error: ")
    if status == -signal.SIGBUS:
        said = "there was no room in shared memory (df /dev/shm) or on the disk"
    return f"{name} ended with status {status}: {said}"


def build_report(settings: SimSettings, folder: Path, outcome: Outcome) -> dict[str, Any]:
    """The report of a finished run.

    Raises:
        NeverStoodError: the robot never stood up.
    """
    record = read_run(folder)
    log = record.log
    if log is None or record.feet is None or len(log.time) < 2:
        raise NeverStoodError(
            "the robot did not stand up within"
            f" {record.summary['robot_time_s']:.0f} s of robot time"
        )
    summary = record.summary
    duration = float(log.time[-1] - log.time[0])
    robot = load_robot(settings.robot)
    mass = robot.mass + settings.payload
    report: dict[str, Any] = {
        "duration_s": duration,
        "wall_s": summary["wall_s"],
        "real_time_factor": summary["real_time_factor"],
        "stood_at_s": summary["stood_at_s"],
        "falls": summary["falls"],
        "pushes": summary["pushes"],
        "fall_times_s": [time - summary["stood_at_s"] for time in summary["fall_times_s"]],
        **motion_figures(log, cycle=record.cycle, mass=mass),
        **feet_figures(record.feet, robot),
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


def _options(settings: SimSettings) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(settings).items()
    }
