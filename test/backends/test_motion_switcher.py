"""Releasing the vendor's motion service."""

import itertools
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("unitree_sdk2py")

from safe_locomotion.backends.motion_switcher import release
from safe_locomotion.errors import BackendError


class Service:
    """A motion service that answers CheckMode from a script and keeps what it was asked."""

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
    """Where no mode is active nothing is asked of the robot."""
    service = Service(IDLE)
    assert release(service, service, attempts=3, settle_s=0.0) == 0
    assert service.calls == []


def test_released_until_the_name_is_empty() -> None:
    """The robot lies down before each release, and a failed check in between is asked again."""
    service = Service(ACTIVE, FAILED, ACTIVE, IDLE)
    assert release(service, service, attempts=3, settle_s=0.0) == 2
    assert service.calls == ["stand down", "release"] * 2


def test_a_service_that_stays_is_an_error_after_the_cap() -> None:
    """The number of releases is capped and the error says what to do."""
    service = Service(ACTIVE)
    with pytest.raises(
        BackendError, match=r"'normal' is still active after 3 releases.*Unitree app"
    ):
        release(service, service, attempts=3, settle_s=0.0)
    assert service.calls == ["stand down", "release"] * 3


@pytest.mark.parametrize("answer", [FAILED, (0, None), (0, {})])
def test_no_answer_is_not_an_idle_robot(answer: tuple[int, Any]) -> None:
    """A check that fails, or answers without a name, never passes for 'nothing active'."""
    service = Service(answer)
    with pytest.raises(BackendError, match="does not answer"):
        release(service, service, attempts=3, settle_s=0.0)
    assert service.calls == []


ROBOT = """
import json, sys, time
from unitree_sdk2py.core.channel import ChannelFactoryInitialize
from unitree_sdk2py.rpc.server import Server
ChannelFactoryInitialize(int(sys.argv[1]), "lo")
calls = []
class Motion(Server):
    def Init(self):
        self._SetApiVersion("1.0.0.1")
        self._RegistHandler(1001, lambda p: (0, json.dumps({"form": "0", "name": "normal" if calls.count("release") < 2 else ""})), 0)
        self._RegistHandler(1003, lambda p: (calls.append("release"), (0, ""))[1], 0)
class Sport(Server):
    def Init(self):
        self._SetApiVersion("1.0.0.1")
        self._RegistHandler(1005, lambda p: (calls.append("down"), (0, ""))[1], 0)
for server in (Motion("motion_switcher"), Sport("sport")):
    server.Init()
    server.Start()
print("up", flush=True)
sys.stdin.readline()
print(*calls, flush=True)
"""

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
    """Against a real motion_switcher and sport service on DDS, opening the backend releases twice and goes on."""
    domain = "170"
    with subprocess.Popen(
        [sys.executable, "-c", ROBOT, domain],
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
