"""Listen on the wire without publishing: who commands the motors, and the robot's clock."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was heard of a robot.

    Attributes:
        states: arrival time on the monotonic clock [s] and tick [ms] of each valid LowState.
        refused: how many messages were none, by reason: `size` or `crc`.
    """

    states: tuple[tuple[float, int], ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)


def hear_states(
    domain: int, interface: str, wait_s: float = DISCOVERY_S, hear_s: float = HEARD_S
) -> Heard:
    """Listen to LowStates.

    Args:
        domain: DDS domain.
        interface: network interface.
        wait_s: wait for the first message [s].
        hear_s: time from the first message until the end [s].

    Raises:
        BackendError: unknown or busy interface or domain.
    """
    reader = RawReader(join_domain(domain, interface), STATE_TOPIC, LowState_)
    codec = LowStateCodec()
    states: list[tuple[float, int]] = []
    refused: Counter[str] = Counter()
    end = time.monotonic() + wait_s
    while reader.wait(end - time.monotonic()):
        if not states and not refused:
            end = time.monotonic() + hear_s
        for raw in reader.take():
            tick = codec.load(raw)
            if isinstance(tick, int):
                states.append((time.monotonic(), tick))
            else:
                refused[tick] += 1
    return Heard(states=tuple(states), refused=refused)
