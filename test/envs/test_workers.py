"""Workers: answers of the processes, on this machine and on a Ray cluster."""

import sys
from functools import partial

import pytest

from safe_locomotion.envs.workers import workers
from safe_locomotion.errors import ConfigurationError

POWERS = partial(partial, pow, 2)  #: gives the function that does a job


def test_workers_keep_the_order() -> None:
    """Two processes answer as one does."""
    for count in (1, 2):
        with workers(POWERS, count) as answers:
            assert list(answers(range(8))) == [2**k for k in range(8)]


@pytest.mark.timeout(240)
def test_workers_of_a_cluster_answer_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a Ray cluster that starts and ends with this test give the same answers."""
    for name, value in {"AUTH_MODE": "disabled", "USAGE_STATS_ENABLED": "0"}.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    with workers(POWERS, 2, ray="local") as answers:
        assert list(answers(range(8))) == [2**k for k in range(8)]
    assert not ray.is_initialized()


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray the error says how to install it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(
            ConfigurationError, match=r"--ray needs ray: pip install 'safe_locomotion\[ray\]'"
        ),
        workers(POWERS, 2, ray="auto"),
    ):
        raise AssertionError("there are no workers")
