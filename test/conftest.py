"""What every test gets: a deterministic hypothesis, DDS on this machine only, and domains that no other test run uses."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Before any test imports rclpy or starts a process that does.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

# 0 and 1 are the robot's and its simulator's; the ports of those past 101 are handed out by Linux to other programs.
DOMAINS = range(2, 102)


@contextmanager
def claim_domain() -> Iterator[int]:
    """Yields a DDS domain that is this process's own until the block ends, also against test runs beside this one."""
    folder = Path(tempfile.gettempdir()) / f"safe_locomotion_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    first = os.getpid() % len(DOMAINS)
    for domain in (*DOMAINS[first:], *DOMAINS[:first]):
        with (folder / str(domain)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
    raise RuntimeError(f"all DDS domains {DOMAINS} are taken, see the locks in {folder}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a domain start processes and hold them to deadlines: they are marked, so that they can run one at a time."""
    for item in items:
        if {"ros_domain", "wire_domain"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("wire")


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain of the test's own, set in the environment that the processes it starts inherit."""
    with claim_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain


@pytest.fixture
def wire_domain() -> Iterator[int]:
    """A domain of the test's own for the Unitree wire, never the one of `ros_domain`."""
    with claim_domain() as domain:
        yield domain
