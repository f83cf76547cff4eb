"""Requests to the operating system, so that every tick of the control thread comes on time.

Each request is granted or refused by itself. A refusal comes with the command that mends it, and
the robot walks without it. Call `apply` on the control thread before the link to the robot is
opened. Threads inherit scheduling, so the threads of the link, which hand over each LowState, get
it too. Threads that exist already (services, diagnostics) stay as they are.
"""

import ctypes
import errno
import gc
import getpass
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safe_locomotion.errors import ConfigurationError

LIMITS_FILE = "/etc/security/limits.d/safe_locomotion.conf"
HIGHEST_PRIORITY = 99
MCL_CURRENT = 1  #: mlockall(2); the three are the same on x86-64 and ARM
MCL_FUTURE = 2
MCL_ONFAULT = 4
CAP_IPC_LOCK = 14  #: capabilities(7)
COLLECT_EACH = 50  #: steps between two collections of young garbage
COLLECT_ALL_EACH = 5000  #: steps between two collections of all garbage since the start


@dataclass(frozen=True, kw_only=True)
class RealtimeParameters:
    """Requests of the process that answers LowStates.

    Attributes:
        priority: of SCHED_FIFO for the control thread and the threads of the link, 1 to 99; 0
            leaves the ordinary scheduling.
        cores: cores of these threads; empty for all. The threads of the link need another core than
            the control thread.
        lock_memory: keep pages in memory once they are used.
        freeze_garbage: collect garbage between two ticks only, and never look again at objects that
            live since the start.
    """

    priority: int
    cores: tuple[int, ...]
    lock_memory: bool
    freeze_garbage: bool

    def __post_init__(self) -> None:
        """Refuse values that no kernel has."""
        if not 0 <= self.priority <= HIGHEST_PRIORITY:
            raise ConfigurationError(
                f"realtime: priority: must lie within 0 and {HIGHEST_PRIORITY}"
                f" (found {self.priority})"
            )
        if len(set(self.cores)) != len(self.cores) or not all(core >= 0 for core in self.cores):
            raise ConfigurationError(
                f"realtime: cores: must be different numbers from 0 on (found {list(self.cores)})"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One request and its answer.

    Attributes:
        name: priority, cores or memory.
        text: what holds now, or why it was refused.
        mend: the command that mends a refusal; empty where it was granted.
    """

    name: str
    text: str
    mend: str = ""

    @property
    def granted(self) -> bool:
        """Nothing needs mending."""
        return not self.mend


class Kernel(Protocol):
    """The calls of the operating system that are used here; a refusal is an OSError."""

    def set_priority(self, priority: int) -> None:
        """SCHED_FIFO for the calling thread."""
        ...

    def set_cores(self, cores: Iterable[int]) -> None:
        """Cores of the calling thread."""
        ...

    def cores(self) -> set[int]:
        """Cores on which the calling thread may run."""
        ...

    def lock_memory(self) -> None:
        """Keep all pages, those of the future too, in memory once they are used."""
        ...


class Linux:
    """The operating system itself."""

    def set_priority(self, priority: int) -> None:
        """Raise the user's own limit as far as allowed, then call sched_setscheduler(2)."""
        _raise_to_hard(resource.RLIMIT_RTPRIO)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))

    def set_cores(self, cores: Iterable[int]) -> None:
        """Call sched_setaffinity(2)."""
        os.sched_setaffinity(0, cores)

    def cores(self) -> set[int]:
        """Call sched_getaffinity(2)."""
        return os.sched_getaffinity(0)

    def lock_memory(self) -> None:
        """Call mlockall(2), unless there is a limit.

        Under a limit the first allocation beyond it would fail, while the robot walks.
        """
        _raise_to_hard(resource.RLIMIT_MEMLOCK)
        if not may_lock_all():
            raise OSError(
                errno.EPERM,
                f"RLIMIT_MEMLOCK is {resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]} bytes",
            )
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _raise_to_hard(limit: int) -> None:
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (hard, hard))


def may_lock_all(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process may lock all its memory.

    Either its limit allows that, or the capability that root has outside of containers.
    """
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] == resource.RLIM_INFINITY:
        return True
    rows = dict(row.partition(":")[::2] for row in status.read_text().splitlines())
    return bool(int(rows.get("CapEff", "0"), 16) >> CAP_IPC_LOCK & 1)


def limit_remedy(item: str, value: object) -> str:
    """The command that raises a limit of this user for good."""
    return (
        f"echo '{user()} - {item} {value}' | sudo tee -a {LIMITS_FILE}, then log in again;"
        f" in a container: docker run --ulimit {item}={-1 if value == 'unlimited' else value}"
    )


def user() -> str:
    """Name of the user who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for this number
        return str(os.getuid())


def apply(parameters: RealtimeParameters, kernel: Kernel | None = None) -> tuple[Setting, ...]:
    """Ask for all of `parameters`, for the calling thread and the threads that it will start.

    A refusal is an answer, not an OSError.
    """
    system = kernel or Linux()
    settings = list[Setting]()
    if parameters.lock_memory:
        settings.append(_lock(system))
    if parameters.cores:
        settings.append(_pin(system, parameters.cores))
    if parameters.priority:
        settings.append(_raise_priority(system, parameters.priority))
    return tuple(settings)


def _lock(kernel: Kernel) -> Setting:
    try:
        kernel.lock_memory()
    except OSError as error:
        return Setting(
            name="memory",
            text=f"not locked: {error.strerror or error}",
            mend=limit_remedy("memlock", "unlimited"),
        )
    return Setting(name="memory", text="locked")


def _pin(kernel: Kernel, cores: tuple[int, ...]) -> Setting:
    there = kernel.cores()
    wanted = [core for core in cores if core in there]
    absent = [core for core in cores if core not in there]
    text = f"cores {_listed(wanted)}"
    if absent:
        mend = f"set bridge_node: realtime: cores to some of {_listed(sorted(there))}"
        return Setting(
            name="cores", text=f"not pinned: core {_listed(absent)} is not ours", mend=mend
        )
    try:
        kernel.set_cores(wanted)
    except OSError as error:
        return Setting(
            name="cores",
            text=f"not pinned: {error.strerror or error}",
            mend="set bridge_node: realtime: cores to []",
        )
    return Setting(name="cores", text=text)


def _raise_priority(kernel: Kernel, priority: int) -> Setting:
    try:
        kernel.set_priority(priority)
    except OSError as error:
        text = f"ordinary scheduling, SCHED_FIFO {priority} refused: {error.strerror or error}"
        return Setting(name="priority", text=text, mend=limit_remedy("rtprio", priority))
    return Setting(name="priority", text=f"SCHED_FIFO {priority}")


def _listed(cores: Iterable[int]) -> str:
    return ", ".join(map(str, cores))


class Garbage:
    """Collects cyclic garbage between two ticks, and never in the middle of one.

    Without `freeze` the interpreter goes on collecting by itself.
    """

    def __init__(self, *, freeze: bool = True) -> None:
        """Freeze all objects that live now; called after the warm-up."""
        self._frozen = freeze
        self._steps = 0
        if freeze:
            gc.collect()
            gc.freeze()
            gc.disable()

    def collect(self) -> None:
        """Collect when it is due; called after each tick."""
        self._steps += 1
        if self._frozen and self._steps % COLLECT_EACH == 0:
            gc.collect(2 if self._steps % COLLECT_ALL_EACH == 0 else 0)

    def close(self) -> None:
        """Let the interpreter collect by itself again."""
        if self._frozen:
            gc.enable()
            gc.unfreeze()
