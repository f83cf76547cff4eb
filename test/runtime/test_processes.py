"""Processes of a stack: whose end is the end of it, and whose is not."""

import stat
from pathlib import Path

from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.runtime.stack import Process


def test_only_essential_processes_are_reported_as_ended(tmp_path: Path) -> None:
    """A watcher that ends does not end the stack, and stopping the stack gives its status.

    Logs are for this user alone, because that of the viewer holds its token.
    """
    processes = [
        Process(
            name="robot", executable="", module="this"
        ),  # `import this` ends by itself, with status 0
        Process(name="watcher", executable="", module="this", essential=False),
    ]
    with RunningStack(processes, output=tmp_path) as running:
        for process in running.running.values():
            process.wait(20)
        assert running.ended() == {"robot": 0}
    logs = list(tmp_path.glob("*.log"))
    assert len(logs) == 2
    assert {stat.S_IMODE(log.stat().st_mode) for log in logs} == {0o600}
    assert running.stop() == {"robot": 0, "watcher": 0}
