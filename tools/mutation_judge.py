"""Judges changes that mutmut has made; run by `mutation.py`, in the changed copy: mutation_judge.py MODULE TEST...

Each change is put in force in a forked process and judged by the tests that run the changed function until one fails: first those that
have noticed other changes, then the fastest.
"""

import gc
import json
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

SURVIVED = 0
FAILED = 1
UNTESTED = 33
PATIENCE = 10  #: times the CPU time that the tests took without a change, and seconds on top


class Results:
    """What the tests said to each change, in mutmut's own file: it forgets those of functions that were edited."""

    def __init__(self, mutants: Path, module: str) -> None:
        self._file = mutants / "safe_locomotion" / f"{module}.py.meta"
        self._known = json.loads(self._file.read_text())
        self.of: dict[str, int | None] = self._known["exit_code_by_key"]

    def save(self, name: str, status: int) -> None:
        """At once: whoever interrupts the run loses nothing."""
        self.of[name] = status
        self._file.write_text(json.dumps(self._known))

    def lost(self) -> list[str]:
        """Changes that no test noticed."""
        return [name for name, status in self.of.items() if status in (SURVIVED, UNTESTED)]


class Judge:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._noticed: Counter[str] = Counter()  # changes, by test

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run every test once unchanged, then under each change those that it can concern."""
        runs = _runs(session)
        todo = [
            name
            for name, status in self._results.of.items()
            if status in (None, SURVIVED, UNTESTED)
        ]
        gc.freeze()  # what all processes share is not looked through in each
        for i, name in enumerate(todo):
            self._results.save(
                name, self._judged(session, name, runs[name.rpartition("__mutmut_")[0]])
            )
            print(
                f"\r{i + 1}/{len(todo)}, {len(self._results.lost())} not noticed",
                end="",
                flush=True,
            )
        return True

    def _judged(self, session: Any, name: str, runs: list[tuple[float, Any]]) -> int:
        """FAILED as soon as a test fails, or the signal at the end of patience."""
        if not runs:
            return UNTESTED
        ordered = sorted(runs, key=lambda run: (-self._noticed[run[1].nodeid], run[0]))
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                _judge_here(session, name, ordered, writing)
            finally:
                os._exit(FAILED)
        os.close(writing)
        with os.fdopen(reading) as by:
            self._noticed.update(by.read().split("\n", 1)[:1])
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _runs(session: Any) -> dict[str, list[tuple[float, Any]]]:
    """By function, the tests that run it, with their CPU times."""
    runs = defaultdict(list)
    set_mutant_under_test("stats")
    for item in session.items:
        begun = time.process_time()
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        for function in state()._stats:
            runs[function].append((time.process_time() - begun, item))
        state()._stats.clear()
    if session.testsfailed:
        sys.exit("tests fail without any change")
    return runs


def _judge_here(session: Any, name: str, runs: list[tuple[float, Any]], writing: int) -> None:
    """Run the tests under a change, say which one failed, and end this process."""
    limit = int(time.process_time() + PATIENCE * (1.0 + sum(seconds for seconds, _ in runs)))
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    set_mutant_under_test(name)
    for _, item in runs:
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.testsfailed:
            os.write(writing, item.nodeid.encode())
            os._exit(FAILED)
    os._exit(SURVIVED)


def main() -> int:
    """Judge what is not judged yet; the exit status is that of pytest."""
    sys.path.insert(0, os.getcwd())
    module, *tests = sys.argv[1:]
    arguments = [
        "--rootdir=.",
        "-p",
        "no:terminal",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        *tests,
    ]
    return int(pytest.main(arguments, plugins=[Judge(Results(Path(), module))]))


if __name__ == "__main__":
    # Here and not above: mutmut reads its settings when it is imported, from the folder in which the changed copy lies.
    import pytest
    from mutmut.mutation.trampoline import set_mutant_under_test
    from mutmut.state import state

    sys.exit(main())
