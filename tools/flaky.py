"""Run each test of test/unstable.yaml several times and count how often it fails.

    tools/flaky.py [--runs N] [TEST ...]

Every run is a pytest process of its own, and nothing else runs beside it. TEST names tests other
than those of the list. The exit status is 1 when a test failed at least once.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "test/unstable.yaml"
PLUGINS = ("pytest_timeout", "_hypothesis_pytestplugin")
LIMIT_S = 900  # of one run
LAST_FAILED = ROOT / ".pytest_cache/v/cache/lastfailed"


def passes(test: str) -> bool:
    """Whether a test passes in a process of its own; what it says goes to build/flaky."""
    log = ROOT / "build/flaky" / f"{test.replace('/', '.').replace(':', '.')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", *plugins, "-q", "-x", test]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with log.open("a") as file:
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def count(test: str, runs: int) -> int:
    """How many of the runs fail, with a line that grows while they run."""
    print(f"{test}  ", end="", flush=True)
    begin = time.monotonic()
    results = []
    for _ in range(runs):
        results.append(passes(test))
        print("." if results[-1] else "F", end="", flush=True)
    failed = results.count(False)
    print(
        f"  {failed} of {runs} failed, {(time.monotonic() - begin) / runs:.0f} s each", flush=True
    )
    return failed


def failed_just_now(listed: list[str]) -> list[str]:
    """Tests that failed in the last run, all of which must be known to be unstable.

    Exits with status 1 when another test failed, or when no failure is on record.
    """
    failed = list(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else []
    others = [test for test in failed if test.partition("::")[0] not in listed]
    if others or not failed:
        sys.exit(f"not in {LIST.relative_to(ROOT)}: {', '.join(others) or 'no failed test found'}")
    return failed


def main() -> int:
    """Count the failures of all tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", help="tests instead of those in test/unstable.yaml")
    parser.add_argument("--runs", type=int, default=10, help="runs of each test (default: 10)")
    parser.add_argument(
        "--last-failed",
        action="store_true",
        help="only tests that failed in the last run; refuses when one is not in the list",
    )
    arguments = parser.parse_args()
    listed = [entry["test"] for entry in yaml.safe_load(LIST.read_text()) or []]
    tests = arguments.tests or listed
    if arguments.last_failed:
        tests = failed_just_now(listed)
    failed = [test for test in tests if count(test, arguments.runs)]
    print(f"{len(failed)} of {len(tests)} tests failed at least once; logs are in build/flaky")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
