"""Release of the vendor's own motion service, which would command the same motors.

Services and answers: unitree_sdk2py `comm/motion_switcher` (1001 check, 1003 release) and
`go2/sport` (1005 stand down).
"""

import time
from typing import Any, Final, Protocol

from unitree_sdk2py.comm.motion_switcher.motion_switcher_client import MotionSwitcherClient
from unitree_sdk2py.go2.sport.sport_client import SportClient

from safe_locomotion.backends.dds import join_sdk_channels
from safe_locomotion.errors import BackendError

ATTEMPTS: Final = 5
SETTLE_S: Final = (
    1.5  # for a Go2 to lie down; with the vendor's example, which does not wait, it drops
)
_TIMEOUT_S: Final = 2.0


class Switcher(Protocol):
    """The used part of the SDK's MotionSwitcherClient; each call returns (error code, data)."""

    def CheckMode(self) -> tuple[int, dict[str, Any] | None]:
        """Name of the active motion service."""
        ...

    def ReleaseMode(self) -> tuple[int, Any]:
        """Release the active motion service."""
        ...


class Sport(Protocol):
    """The used part of the SDK's SportClient."""

    def StandDown(self) -> int:
        """Lay the robot down."""
        ...


def release_motion_service(domain: int, interface: str) -> int:
    """Lay the robot down and release its motion service.

    Returns:
        Number of releases; 0 when no service was active.

    Raises:
        BackendError: the service does not answer, or is still active after `ATTEMPTS` releases.
    """
    join_sdk_channels(domain, interface)
    switcher = MotionSwitcherClient()
    sport = SportClient()
    for client in (switcher, sport):
        client.SetTimeout(_TIMEOUT_S)
        client.Init()
    return release(switcher, sport, attempts=ATTEMPTS, settle_s=SETTLE_S)


def active_service(domain: int, interface: str) -> str:
    """Name of the active motion service, empty for none. It asks once and changes nothing.

    Raises:
        BackendError: the service does not answer.
    """
    join_sdk_channels(domain, interface)
    switcher = MotionSwitcherClient()
    switcher.SetTimeout(_TIMEOUT_S)
    switcher.Init()
    return _active_mode(switcher, attempts=1)


def release(switcher: Switcher, sport: Sport, *, attempts: int, settle_s: float) -> int:
    """Call StandDown and ReleaseMode until no mode is active, at most `attempts` times."""
    for releases in range(attempts + 1):
        mode = _active_mode(switcher, attempts)
        if not mode:
            return releases
        if releases < attempts:
            sport.StandDown()
            time.sleep(settle_s)
            switcher.ReleaseMode()
    raise BackendError(
        f"the robot's motion service {mode!r} is still active after {attempts} releases. Switch it"
        " off in the Unitree app or with the remote (L2+A, L2+B on a Go2), or disable the service."
        " Then try again"
    )


def _active_mode(switcher: Switcher, attempts: int) -> str:
    """Name of the active mode, empty for none. A failing CheckMode returns (code, None)."""
    code = 0
    for _ in range(attempts):
        code, data = switcher.CheckMode()
        if code == 0 and data is not None and "name" in data:
            return str(data["name"])
    raise BackendError(
        f"the robot's motion switcher does not answer (error {code}, {attempts} tries). Check the"
        " cable and the interface, and that the robot has finished booting. Without its answer,"
        " another program may command the same motors"
    )
