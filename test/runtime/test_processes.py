"""Processes of a stack: whose end is the end of it, and whose is not."""

import stat
from pathlib import Path

from safe_locomotion.runtime.processes import MOST_RESTARTS, RunningStack
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


def test_a_watcher_that_fails_is_started_again_and_the_user_is_told(tmp_path: Path) -> None:
    """Some times, then it stays off; one that ended in order, or is essential, stays as it is.

    Each start adds to the log, which keeps the last words of the one before.
    """
    failing = "safe_locomotion.no_such_module"
    processes = [
        Process(name="robot", executable="", module=failing),
        Process(name="ended", executable="", module="this", essential=False),
        Process(name="viewer", executable="", module=failing, essential=False),
    ]
    with RunningStack(processes, output=tmp_path) as running:
        said = []
        for _ in range(MOST_RESTARTS + 3):
            for process in running.running.values():
                process.wait(20)
            said.append(running.revive())
        again = ("viewer ended with status 1: started again",)
        assert said[:MOST_RESTARTS] == [again] * MOST_RESTARTS
        assert said[MOST_RESTARTS:] == [
            ("viewer ended with status 1 too often: stays off",),
            (),
            (),
        ]
    log = (tmp_path / "viewer.log").read_text()
    assert log.count("No module named") == MOST_RESTARTS + 1


def test_a_stack_that_keeps_itself_up_starts_the_robot_again_too(tmp_path: Path) -> None:
    """However it ended; a watcher that ended in order stays off."""
    processes = [
        Process(name="robot", executable="", module="this"),
        Process(name="ended", executable="", module="this", essential=False),
    ]
    with RunningStack(processes, output=tmp_path, revives_all=True, most_restarts=1) as running:
        said = []
        for _ in range(3):
            for process in running.running.values():
                process.wait(20)
            said.append(running.revive())
    assert said == [
        ("robot ended with status 0: started again",),
        ("robot ended with status 0 too often: stays off",),
        (),
    ]
