"""Start the processes of a stack and stop them again.

The bridge is stopped first, because it leaves the robot in damping.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from safe_locomotion import PARENT
from safe_locomotion.runtime.stack import Process

BRIDGES = ("bridge_node", "composed_node")
PATIENCE = ((signal.SIGINT, 5.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 1.0))
"""Signals that end a process, and the time for each [s]."""
_PR_SET_PDEATHSIG = 1  # prctl(2)

PRIVATE_FILE = 0o600
MOST_RESTARTS = 5  #: of one watcher in a run, unless told otherwise


def follow_parent() -> None:
    """Send SIGTERM to this process when its parent is gone.

    A parent that was killed cannot stop its children itself.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # the parent ended before we asked
        os.kill(os.getpid(), signal.SIGTERM)


def _private(path: str, flags: int) -> int:
    """Open a file for this user alone: the viewer's log holds its token."""
    return os.open(path, flags, PRIVATE_FILE)


class RunningStack:
    """Context manager around the processes of one stack; leaving it stops what still runs."""

    def __init__(
        self,
        processes: Sequence[Process],
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
        *,
        revives_all: bool = False,
        most_restarts: int = MOST_RESTARTS,
    ) -> None:
        """Describe the stack; nothing starts yet.

        Args:
            processes: in the order of their start.
            environment: added to this process's own, e.g. ROS_DOMAIN_ID.
            output: folder for the output of each process, `<name>.log`; None uses our own streams.
            revives_all: `revive` also starts essential processes again.
            most_restarts: of one process.
        """
        self._revives_all = revives_all
        self._most_restarts = most_restarts
        self._processes = tuple(processes)
        self._output = output
        path = os.pathsep.join(filter(None, sys.path))
        self._environment = {
            **os.environ,
            "PYTHONPATH": path,
            PARENT: str(os.getpid()),
            **(environment or {}),
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts: Counter[str] = Counter()

    def __enter__(self) -> "RunningStack":
        for process in self._processes:
            # Each gets a session of its own: Ctrl-C reaches only us, and we stop the bridge first.
            self.running[process.name] = self._start(process)
        return self

    def _start(self, process: Process) -> "subprocess.Popen[bytes]":
        command = [*process.prefix, *process.command()]
        if self._output is None:
            return subprocess.Popen(command, env=self._environment, start_new_session=True)
        mode = "ab" if self._restarts[process.name] else "wb"
        with open(self._output / f"{process.name}.log", mode, opener=_private) as said:
            os.fchmod(said.fileno(), PRIVATE_FILE)  # also where an older version left it
            return subprocess.Popen(
                command,
                env=self._environment,
                start_new_session=True,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ended(self) -> dict[str, int]:
        """Exit status of every essential process that has ended by itself."""
        essential = {process.name for process in self._processes if process.essential}
        running = {name: process for name, process in self.running.items() if name in essential}
        return {
            name: status
            for name, process in running.items()
            if (status := process.poll()) is not None
        }

    def revive(self) -> tuple[str, ...]:
        """Start watchers again that have failed, so many times each as was allowed.

        Essential processes are started again where this was asked for, however they ended.

        Returns:
            A line for the user about each.
        """
        said = []
        for process in self._processes:
            status = self.running[process.name].poll()
            needed = process.essential and self._revives_all
            if status is None or (status == 0 and not needed):
                continue
            if process.essential and not needed:
                continue
            if self._restarts[process.name] < self._most_restarts:
                self._restarts[process.name] += 1
                self.running[process.name] = self._start(process)
                said.append(f"{process.name} ended with status {status}: started again")
            elif self._restarts[process.name] == self._most_restarts:
                self._restarts[process.name] += 1
                said.append(f"{process.name} ended with status {status} too often: stays off")
        return tuple(said)

    def stop(self) -> dict[str, int]:
        """Stop the bridge, then the others; the exit status of each."""
        _stop([process for name, process in self.running.items() if name in BRIDGES])
        _stop([process for name, process in self.running.items() if name not in BRIDGES])
        return {name: process.returncode for name, process in self.running.items()}


def _stop(group: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Send the signals of `PATIENCE` one after the other until all have ended."""
    for number, patience_s in PATIENCE:
        alive = [process for process in group if process.poll() is None]
        for process in alive:
            process.send_signal(number)
        end = time.monotonic() + patience_s
        for process in alive:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
