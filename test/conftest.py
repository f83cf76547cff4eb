"""Settings of every test: deterministic hypothesis, one BLAS thread, DDS domains of its own."""

import atexit
import gc
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from safe_locomotion.backends.domains import claim_domain

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Before any test imports rclpy or starts a process that does.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Before any test imports numpy: threads of two test workers would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before any test lists the robots: those of whoever runs the tests are none of its business.
os.environ["SAFE_LOCOMOTION_ROBOTS"] = ""
# The last search for garbage would go through all that the tests imported.
atexit.register(gc.freeze)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Imports make no garbage worth a search, which took a fifth of the time of the collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a browser come first: as the last ones they would keep one core alone busy."""
    items.sort(key=lambda item: item.path.parent.name != "ui")


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain of the test's own, also for the processes that it starts."""
    with claim_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain


@pytest.fixture
def wire_domain() -> Iterator[int]:
    """A domain of the test's own for the Unitree wire, never the one of `ros_domain`."""
    with claim_domain() as domain:
        yield domain
