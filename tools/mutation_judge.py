"""Judge changes that mutmut has made: mutation_judge.py MODULE TEST...

`mutation.py` runs it in the changed copy. Each change is activated in a forked process. The tests
that run the changed function judge it until one fails. Tests that have noticed other changes come
first, then the fastest ones.
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
PATIENCE = 10  #: factor of the CPU time without a change, and additional seconds


class Results:
    """Result of each change, in mutmut's own file. mutmut drops those of edited functions."""

    def __init__(self, mutants: Path, module: str) -> None:
        self._file = mutants / "safe_locomotion" / f"{module}.py.meta"
        self._known = json.loads(self._file.read_text())
        self.of: dict[str, int | None] = self._known["exit_code_by_key"]

    def save(self, name: str, status: int) -> None:
        """Write one result at once, so that an interruption loses nothing."""
        self.of[name] = status
        self._file.write_text(json.dumps(self._known))

    def lost(self) -> list[str]:
        """Changes that no test noticed."""
        return [name for name, status in self.of.items() if status in (SURVIVED, UNTESTED)]


class Judge:
    """Replaces pytest's loop over the tests."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._noticed: Counter[str] = Counter()  # number of changes, by test

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run every test once unchanged, then under each change those that run its function."""
        runs = _runs(session)
        todo = [
            name
            for name, status in self._results.of.items()
            if status in (None, SURVIVED, UNTESTED)
        ]
        gc.freeze()  # spares the forked processes a search through shared objects
        for i, name in enumerate(todo):
            function = name.rpartition("__mutmut_")[0]
            self._results.save(name, self._judged(session, name, runs[function]))
            lost = len(self._results.lost())
            print(f"\r{i + 1}/{len(todo)}, {lost} not noticed", end="", flush=True)
        return True

    def _judged(self, session: Any, name: str, runs: list[tuple[float, Any]]) -> int:
        """FAILED as soon as a test fails, or the signal that ended the process."""
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
    """Tests that run each function, with their CPU times [s]."""
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
    """Run the tests under a change, report the one that failed, and end this process."""
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
    """Judge all changes without a result; returns the exit status of pytest."""
    sys.path.insert(0, os.getcwd())
    module, *tests = sys.argv[1:]
    without = ("no:terminal", "no:cacheprovider", "no:randomly")
    arguments = ["--rootdir=.", *(f"-p{plugin}" for plugin in without), *tests]
    return int(pytest.main(arguments, plugins=[Judge(Results(Path(), module))]))


if __name__ == "__main__":
    # mutmut reads its settings when it is imported, from the folder of the changed copy.
    import pytest
    from mutmut.mutation.trampoline import set_mutant_under_test
    from mutmut.state import state

    sys.exit(main())
