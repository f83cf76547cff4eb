"""Releasing the vendor's motion service."""

import itertools
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("unitree_sdk2py")
from places import VENDOR_SERVICES

from safe_locomotion.backends.motion_switcher import release
from safe_locomotion.errors import BackendError


class Service:
    """A motion service that answers CheckMode from a script and keeps the calls."""

    def __init__(self, *answers: tuple[int, dict[str, Any] | None]) -> None:
        self.answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.calls: list[str] = []

    def CheckMode(self) -> tuple[int, dict[str, Any] | None]:
        return next(self.answers)

    def ReleaseMode(self) -> tuple[int, Any]:
        self.calls.append("release")
        return 0, None

    def StandDown(self) -> int:
        self.calls.append("stand down")
        return 0


ACTIVE = (0, {"form": "0", "name": "normal"})
IDLE = (0, {"form": "0", "name": ""})
FAILED = (3102, None)


def test_an_idle_robot_is_left_alone() -> None:
    """Without an active mode nothing is requested from the robot."""
    service = Service(IDLE)
    assert release(service, service, attempts=3, settle_s=0.0) == 0
    assert service.calls == []


def test_released_until_the_name_is_empty() -> None:
    """The robot lies down before each release, and a failed check is repeated."""
    service = Service(ACTIVE, FAILED, ACTIVE, IDLE)
    assert release(service, service, attempts=3, settle_s=0.0) == 2
    assert service.calls == ["stand down", "release"] * 2


def test_a_service_that_stays_is_an_error_after_the_cap() -> None:
    """The number of releases is limited, and the error says what to do."""
    service = Service(ACTIVE)
    with pytest.raises(
        BackendError, match=r"'normal' is still active after 3 releases.*Unitree app"
    ):
        release(service, service, attempts=3, settle_s=0.0)
    assert service.calls == ["stand down", "release"] * 3


@pytest.mark.parametrize("answer", [FAILED, (0, None), (0, {})])
def test_no_answer_is_not_an_idle_robot(answer: tuple[int, Any]) -> None:
    """A failed check or an answer without a name never counts as 'nothing active'."""
    service = Service(answer)
    with pytest.raises(BackendError, match="does not answer"):
        release(service, service, attempts=3, settle_s=0.0)
    assert service.calls == []


CONTROLLER = """
import sys
from safe_locomotion.backends import motion_switcher
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
motion_switcher.SETTLE_S = 0.0
backend = UnitreeSdk2(stop_kd=2.0, domain=int(sys.argv[1]), interface="lo", release_motion=True)
backend.read(0.01)
backend.close()
"""


def test_over_the_sdks_own_calls() -> None:
    """With real motion_switcher and sport services on DDS, opening the backend releases twice."""
    domain = "170"
    with subprocess.Popen(
        [sys.executable, str(VENDOR_SERVICES), domain, "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as robot:
        assert robot.stdin is not None and robot.stdout is not None
        while robot.stdout.readline() != "up\n":
            pass
        command = [sys.executable, "-c", CONTROLLER, domain]
        controller = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False
        )
        robot.stdin.write("\n")
        robot.stdin.close()
        calls = robot.stdout.read().split("\n")[-2]
    assert controller.returncode == 0, controller.stderr
    assert calls == "down release down release"
