"""A backlog over the real wire: states that arrive while an old one is answered."""

from math import inf

import numpy as np
import pytest
from states import is_damping, resting_state, servo_command

pytest.importorskip("unitree_sdk2py")
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowState_
from wire_ends import STOP_KD, taken, until

from safe_locomotion.backends.backend import POS_STOP
from safe_locomotion.backends.dds import RawReader, RawWriter, join_domain
from safe_locomotion.backends.robot_link import SETTLE_S, RobotLink
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.sdk2_codec import LowStateCodec
from safe_locomotion.backends.unitree_sdk2 import STATE_TOPIC, UnitreeSdk2
from safe_locomotion.commands import damping_command
from safe_locomotion.types import LowCommand, LowState

Ends = tuple[UnitreeSdk2, RobotWire]
BURST = 50


class Clock:
    """A clock that stands until the test moves it."""

    now = 100.0

    def __call__(self) -> float:
        """Time [s]."""
        return self.now


def damp(state: LowState) -> LowCommand:
    """Damping for a state, as `stop` sends it."""
    return damping_command(state.stamp_ns, STOP_KD, q=np.full(12, POS_STOP))


def link(backend: UnitreeSdk2, clock: Clock) -> RobotLink:
    """An active link for which no state is old by the clock of the machine."""
    made = RobotLink(lambda: backend, damp, silence_s=5.0, age_s=inf, damping_s=0.0, clock=clock)
    made.open()
    made.activate()
    return made


def damped(robot: RobotWire) -> list[bool]:
    """For each command that the robot got, whether it was damping."""
    return [is_damping(command, STOP_KD) for command in taken(robot)]


def test_the_first_state_of_a_backlog_is_not_answered(ends: Ends) -> None:
    """The first of 50 states is read and the rest arrive: the robot gets damping alone.

    The next read takes the newest of them. It is answered when the transport had time to deliver.
    """
    backend, robot = ends
    clock = Clock()
    made = link(backend, clock)
    robot.publish(resting_state(1))
    first = made.read()
    for k in range(1, BURST):
        robot.publish(resting_state(1 + 2 * k))
    until(lambda: backend.behind_s() == 0.098)
    made.write(servo_command())
    assert damped(robot) == [True] and made.late == 1
    second = made.read()
    assert first is not None and first.tick == 1
    assert second is not None and second.tick == 2 * BURST - 1
    assert backend.counters.received == 2 and backend.counters.dropped == BURST - 2
    made.write(servo_command())
    assert damped(robot) == [True]
    clock.now += SETTLE_S
    robot.publish(resting_state(2 * BURST + 1))
    assert made.read() is not None
    made.write(servo_command())
    assert damped(robot) == [False] and made.late == 2


@pytest.mark.parametrize(("newer_ms", "old"), [(2, False), (20, False), (21, True), (-21, True)])
def test_a_state_is_old_when_one_waits_that_is_20_ms_newer(
    ends: Ends, newer_ms: int, old: bool
) -> None:
    """A tick far back counts too: the robot's time is not what it was."""
    backend, robot = ends
    made = link(backend, Clock())
    robot.publish(resting_state(1000))
    assert made.read() is not None and backend.behind_s() == 0.0
    robot.publish(resting_state(1000 + newer_ms))
    until(lambda: backend.behind_s() > 0.0)
    made.write(servo_command())
    assert damped(robot) == [old]


def test_what_a_look_takes_is_read_and_counted_once(ends: Ends, domain: int) -> None:
    """A message of the wrong size has no time, a spoiled one has, and both are no states."""
    backend, robot = ends
    writer = RawWriter(join_domain(domain, "lo"), STATE_TOPIC, LowState_)
    witness = RawReader(join_domain(domain, "lo"), STATE_TOPIC, LowState_)
    until(lambda: writer.matched_subscribers() == 2)
    robot.publish(resting_state(1))
    assert backend.read(5.0) is not None
    raw = LowStateCodec().encode(resting_state(41))
    writer.write(spoiled_at(41))
    until(lambda: backend.behind_s() == 0.04)
    writer.write(LowStateCodec().encode(resting_state(900)) + bytes(4))
    until(lambda: any(len(sample) > len(raw) for sample in witness.take()))
    assert backend.behind_s() == 0.04
    writer.write(spoiled_at(43))
    until(lambda: backend.behind_s() == 0.042)
    assert backend.read(0.0) is None and backend.behind_s() == 0.0
    writer.write(raw)
    until(lambda: backend.behind_s() == 0.04)
    state = backend.read(0.0)
    assert state is not None and state.tick == 41 and backend.behind_s() == 0.0
    counters = backend.counters
    assert (counters.crc_errors, counters.malformed, counters.dropped) == (2, 1, 0)
    assert counters.received == 2 and backend.read(0.01) is None


def spoiled_at(tick: int) -> bytes:
    """A state with this tick and a wrong checksum."""
    raw = LowStateCodec().encode(resting_state(tick))
    return raw[:200] + bytes([raw[200] ^ 1]) + raw[201:]


def test_without_the_robots_clock_nothing_is_behind(domain: int) -> None:
    """A simulator that leaves the tick out has no time of its own."""
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain, tolerate="tick")
    robot = RobotWire(domain=domain)
    until(lambda: robot.listeners() == 1)
    robot.publish(resting_state(1))
    assert backend.read(5.0) is not None
    for _ in range(BURST):
        robot.publish(resting_state(1))
    assert backend.behind_s() == 0.0
    backend.close()
    robot.close()
