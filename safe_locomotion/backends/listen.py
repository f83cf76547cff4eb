"""Listening for other programs that command the motors, without publishing anything."""

import time

from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_

from safe_locomotion.backends.dds import RawReader, join_domain
from safe_locomotion.backends.unitree_sdk2 import COMMAND_TOPIC

DISCOVERY_S = 1.0  # participants announce themselves at once to a newcomer


def command_publishers(domain: int, interface: str, wait_s: float = DISCOVERY_S) -> int:
    """Number of publishers of low commands found within `wait_s`.

    Raises:
        BackendError: unknown or busy interface or domain.
    """
    reader = RawReader(join_domain(domain, interface), COMMAND_TOPIC, LowCmd_)
    deadline = time.monotonic() + wait_s
    while (found := reader.matched_publishers()) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    return found
