"""Listen on the wire without publishing: who commands the motors, and the robot's clock."""

import time

from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_

from safe_locomotion.backends.dds import RawReader, join_domain
from safe_locomotion.backends.sdk2_codec import LowStateCodec
from safe_locomotion.backends.unitree_sdk2 import COMMAND_TOPIC, STATE_TOPIC

DISCOVERY_S = 1.0  # participants announce themselves to a new one at once
HEARD_S = 0.6  # of listening; 300 states


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


def state_ticks(
    domain: int, interface: str, wait_s: float = DISCOVERY_S, hear_s: float = HEARD_S
) -> tuple[tuple[float, int], ...]:
    """Arrival times and ticks of LowStates.

    Args:
        domain: DDS domain.
        interface: network interface.
        wait_s: wait for the first state [s].
        hear_s: time from the first state until the end [s].

    Returns:
        (monotonic time [s], tick [ms]) of each state; empty when no state came.

    Raises:
        BackendError: unknown or busy interface or domain.
    """
    reader = RawReader(join_domain(domain, interface), STATE_TOPIC, LowState_)
    codec = LowStateCodec()
    heard: list[tuple[float, int]] = []
    end = time.monotonic() + wait_s
    while reader.wait(end - time.monotonic()):
        for raw in reader.take():
            tick = codec.load(raw)
            if isinstance(tick, int):
                if not heard:
                    end = time.monotonic() + hear_s
                heard.append((time.monotonic(), tick))
    return tuple(heard)
