"""Durations and staleness use steady clocks, which nobody sets: a walk through the code.

The wall clock gives dates only, in the places that are listed here with their reason.
"""

import ast
from collections.abc import Iterator

import pytest
from places import ROOT

SOURCES = sorted(
    path for folder in ("safe_locomotion", "tools") for path in (ROOT / folder).rglob("*.py")
)
WALL_CLOCKS = {"time.time", "time.time_ns", "time.localtime", "time.ctime", "time.gmtime"}
OF_AN_OBJECT = {"now", "utcnow", "today", "get_clock"}  # datetime and the clock of a ROS node
DATES = {
    ("safe_locomotion/backends/unitree_sdk2.py", "time.time_ns"): "anchors the first stamp",
    ("safe_locomotion/backends/legged_sdk.py", "time.time_ns"): "anchors the first stamp",
    ("safe_locomotion/recording/run_description.py", "now"): "date of an episode",
    ("safe_locomotion/nodes/health.py", "get_clock"): "stamp of /diagnostics",
    ("safe_locomotion/nodes/health.py", "now"): "stamp of /diagnostics",
    ("safe_locomotion/ui/remote_operator.py", "get_clock"): "stamp of cmd_vel",
    ("safe_locomotion/ui/remote_operator.py", "now"): "stamp of cmd_vel",
    ("safe_locomotion/ui/viewer/requests.py", "get_clock"): "stamp of cmd_vel",
    ("safe_locomotion/ui/viewer/requests.py", "now"): "stamp of cmd_vel",
    ("safe_locomotion/recording/integrity.py", "time.time"): "age of a file",
    ("safe_locomotion/cli/doctor/machine.py", "time.time"): "age of files, and the two clocks",
}


def wall_clocks(text: str) -> Iterator[str]:
    """Wall clocks that a file uses, timers that wait for one, and clocks imported by name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in WALL_CLOCKS:
                yield name
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{a.name}" for a in node.names if f"time.{a.name}" in WALL_CLOCKS)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _called(node.func.attr, node.keywords)


def _called(method: str, keywords: list[ast.keyword]) -> Iterator[str]:
    """The method, if it reads a wall clock or waits for one."""
    steady = any(k.arg == "clock" and ast.unparse(k.value) == "STEADY" for k in keywords)
    waits = method == "create_rate" or (method == "create_timer" and not steady)
    if waits or method in OF_AN_OBJECT:
        yield method


def test_durations_and_staleness_use_steady_clocks() -> None:
    """No wall clock outside the list of dates, and the list has nothing that is gone."""
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in SOURCES
        for name in wall_clocks(path.read_text())
    }
    assert found == set(DATES)


@pytest.mark.parametrize(
    "text",
    [
        "import time\nend = time.time() + 3",
        "import time\ntime.time_ns()",
        "from time import time\ntime()",
        "from datetime import datetime\ndatetime.now()",
        "end = node.get_clock().now().nanoseconds",
        "node.create_timer(1.0, call)",
        "node.create_timer(1.0, call, clock=node.get_clock())",
        "node.create_rate(10.0)",
        "def f(now=time.time): pass",
    ],
)
def test_a_wall_clock_is_recognised(text: str) -> None:
    """The walk sees what it is there to see."""
    assert list(wall_clocks(text))


@pytest.mark.parametrize(
    "text",
    [
        "from time import monotonic, perf_counter, sleep\nmonotonic()",
        "node.create_timer(1.0, call, clock=STEADY)",
        "import time\ntime.monotonic()",
    ],
)
def test_a_steady_clock_passes(text: str) -> None:
    """Steady clocks are no finding."""
    assert not list(wall_clocks(text))


def test_the_clock_of_timers_is_steady() -> None:
    """The name that the walk trusts is what it says."""
    pytest.importorskip("rclpy")
    from rclpy.clock import ClockType

    from safe_locomotion.nodes.health import STEADY

    assert STEADY.clock_type is ClockType.STEADY_TIME
