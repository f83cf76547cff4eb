"""Runs of `safe-locomotion sim` in processes of their own, as a user starts them."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


def command(*arguments):
    """Command line of safe-locomotion with the running Python."""
    return [sys.executable, "-m", "safe_locomotion.cli.main", *map(str, arguments)]


def environment():
    """Children import what this process imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run(*arguments):
    """Run safe-locomotion to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def children_of(pid):
    """Running processes whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A run that has ended.

    Attributes:
        report: as it was written.
        folder: of the recording and the saved states.
        shown, said: what stood on the terminal, and the errors.
        scheduling: pairs that were seen: whether a child is the controller, and whether it ran
            under SCHED_FIFO.
    """

    report: dict
    folder: Path
    shown: str
    said: str
    scheduling: set


def watched_walk(folder, *arguments):
    """Run the simulation to its end, and look at the scheduling of its processes meanwhile."""
    options = ("--report", folder / "report.json", *arguments)
    seen = set()
    with (folder / "out").open("w+") as shown, (folder / "err").open("w+") as said:
        process = subprocess.Popen(
            command("sim", "--headless", *options),
            env=environment(),
            stdout=shown,
            stderr=said,
        )
        while process.poll() is None:
            seen.update(filter(None, map(scheduling_of, children_of(process.pid))))
            time.sleep(0.2)  # controller and robot run for seconds
    words = {name: (folder / name).read_text() for name in ("out", "err")}
    assert process.returncode == 0, words["err"]
    return Walk(
        report=json.loads((folder / "report.json").read_text()),
        folder=folder,
        shown=words["out"],
        said=words["err"],
        scheduling=seen,
    )


def scheduling_of(pid):
    """Whether a process is the controller, and whether it runs under SCHED_FIFO; None: it ended."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text()
        fifo = os.sched_getscheduler(pid) == os.SCHED_FIFO
        if words:  # a process that has just ended has none
            return "nodes.composed" in words, fifo
    return None
