"""Both ends of the SDK2 wire over real DDS on the loopback interface."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from states import is_damping, resting_state, servo_command, spoiled

pytest.importorskip("unitree_sdk2py")
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowState_
from wire_ends import STOP_KD, taken, until

from safe_locomotion.backends.dds import RawWriter, join_domain
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.sdk2_codec import LowStateCodec
from safe_locomotion.backends.unitree_sdk2 import STATE_TOPIC, UnitreeSdk2
from safe_locomotion.errors import BackendError, UnknownNameError
from safe_locomotion.types import LowCommand


def test_state_and_command_cross_the_wire(ends: tuple[UnitreeSdk2, RobotWire]) -> None:
    """State and command arrive unchanged, and the command names the state that it answers."""
    backend, robot = ends
    for tick in (1, 3, 5):
        state = resting_state(tick)
        robot.publish(state)
        seen = backend.read(5.0)
        assert seen is not None and seen.tick == tick
        np.testing.assert_array_equal(seen.q, state.q)
        np.testing.assert_array_equal(seen.accelerometer, state.accelerometer)
        backend.write(servo_command(seen.stamp_ns))
        command = robot.take_command(5.0)
        assert command is not None and command.stamp_ns == state.stamp_ns
        np.testing.assert_array_equal(command.kp, servo_command().kp)
        np.testing.assert_array_equal(command.tau, servo_command().tau)
    assert backend.counters.received == backend.counters.written == 3


def test_stamps_grow_by_the_ticks_and_read_as_unix_time(
    ends: tuple[UnitreeSdk2, RobotWire],
) -> None:
    """Differences of stamps come from the tick of the wire, their origin from our clock."""
    backend, robot = ends
    stamps = []
    for tick in (2**32 - 2, 2):
        robot.publish(resting_state(tick))
        state = backend.read(5.0)
        assert state is not None
        stamps.append(state.stamp_ns)
    assert stamps[1] - stamps[0] == 4_000_000
    assert abs(stamps[0] - time.time_ns()) < 60e9


def test_only_the_newest_state_is_read(ends: tuple[UnitreeSdk2, RobotWire]) -> None:
    """Of several waiting states only the last one is read; the others are counted."""
    backend, robot = ends
    for tick in range(1, 11):
        robot.publish(resting_state(tick))
    time.sleep(0.3)
    state = backend.read(5.0)
    assert state is not None and state.tick == 10
    assert backend.counters.dropped == 9
    assert backend.read(0.01) is None


def test_spoiled_and_repeated_states_are_not_handed_out(
    ends: tuple[UnitreeSdk2, RobotWire], domain: int
) -> None:
    """A wrong checksum and a repeated tick are counted and not returned.

    A jump back is counted, and the stamp jumps back too.
    """
    backend, _ = ends
    writer = RawWriter(join_domain(domain, "lo"), STATE_TOPIC, LowState_)
    until(lambda: writer.matched_subscribers() == 1)
    raw = LowStateCodec().encode(resting_state(100))
    writer.write(raw)
    first = backend.read(5.0)
    writer.write(raw[:200] + bytes([raw[200] ^ 1]) + raw[201:])
    writer.write(raw)
    assert backend.read(0.3) is None
    writer.write(LowStateCodec().encode(resting_state(90)))
    back = backend.read(5.0)
    assert first is not None and back is not None and back.stamp_ns - first.stamp_ns == -10_000_000
    counters = backend.counters
    assert (
        counters.crc_errors,
        counters.repeated_ticks,
        counters.tick_jumps,
        counters.received,
    ) == (1, 1, 1, 2)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39])
def test_nan_never_reaches_the_wire(ends: tuple[UnitreeSdk2, RobotWire], value: float) -> None:
    """The robot gets damping in place of a command that is not finite."""
    backend, robot = ends
    backend.write(spoiled(servo_command(), value))
    command = robot.take_command(5.0)
    assert command is not None and is_damping(command, STOP_KD)
    assert backend.counters.nonfinite_commands == 1 and not robot.rejected


@pytest.mark.parametrize("how", ["stop", "close"])
def test_the_last_command_is_damping(ends: tuple[UnitreeSdk2, RobotWire], how: str) -> None:
    """After a command, stop and close end with repeated damping."""
    backend, robot = ends
    backend.write(servo_command())
    assert robot.take_command(5.0) is not None
    getattr(backend, how)()
    until(lambda: (command := robot.take_command(0.1)) is not None and is_damping(command, STOP_KD))
    assert all(is_damping(command, STOP_KD) for command in taken(robot))
    assert backend.counters.written == 11


class InterruptedCommand:
    """A command during whose encoding a signal handler runs."""

    def __init__(self, command: LowCommand, handler: Callable[[], None]) -> None:
        self.command = command
        self.handler = handler

    def __getattr__(self, name: str) -> Any:
        if name == "kd":
            self.handler()
        return getattr(self.command, name)


def test_a_stop_during_the_encoding_wins(ends: tuple[UnitreeSdk2, RobotWire]) -> None:
    """A command that `stop` interrupts is not sent; the last command is damping."""
    backend, robot = ends
    backend.write(servo_command())
    backend.write(InterruptedCommand(servo_command(), backend.stop))
    assert backend.counters.refused_commands == 1
    assert is_damping(taken(robot)[-1], STOP_KD)


def test_a_stop_right_before_the_send_wins(
    ends: tuple[UnitreeSdk2, RobotWire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that `stop` interrupts at the transport is followed by damping."""
    backend, robot = ends
    backend.write(servo_command())
    assert len(taken(robot)) == 1
    write = RawWriter.write

    def interrupted_write(writer: RawWriter, raw: bytes) -> bool:
        monkeypatch.setattr(RawWriter, "write", write)
        backend.stop()
        return writer.write(raw)

    monkeypatch.setattr(RawWriter, "write", interrupted_write)
    backend.write(servo_command())
    assert backend.counters.written == 1 + 10 + 1 + 1
    assert is_damping(taken(robot)[-1], STOP_KD)


def test_a_backend_that_only_reads_is_silent(ends: tuple[UnitreeSdk2, RobotWire]) -> None:
    """Before the first command, stop and close send nothing."""
    backend, robot = ends
    backend.stop()
    backend.close()
    backend.close()
    assert robot.take_command(0.2) is None and backend.counters.written == 0


def test_nobody_listening_does_not_hold_up_write(domain: int) -> None:
    """Without a robot every write returns."""
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    for _ in range(1000):
        backend.write(servo_command())
    assert backend.counters.written + backend.counters.write_failures == 1000
    assert backend.read(0.01) is None
    backend.close()


def test_a_simulator_may_leave_out_what_is_tolerated(domain: int) -> None:
    """States without checksum, clock, mode and voltage: refused as they are, read if tolerated.

    Our clock takes the place of the robot's. Unknown is not off: neither a motor nor a battery.
    """
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    tolerant = UnitreeSdk2(stop_kd=STOP_KD, domain=domain, tolerate="crc, tick,mode")
    writer = RawWriter(join_domain(domain, "lo"), STATE_TOPIC, LowState_)
    until(lambda: writer.matched_subscribers() == 2)
    whole = replace(resting_state(0), motors_on=False, voltage=None)
    raw = bytearray(LowStateCodec().encode(whole))
    raw[-4:] = bytes(4)
    stamps = []
    start = time.monotonic_ns()
    for _ in range(3):
        writer.write(bytes(raw))
        state = tolerant.read(5.0)
        assert state is not None
        assert state.motors_on is None and state.voltage is None
        np.testing.assert_array_equal(state.q, np.float32(whole.q))
        stamps.append(state.stamp_ns)
        time.sleep(0.01)
    assert 18_000_000 < stamps[-1] - stamps[0] < time.monotonic_ns() - start
    until(lambda: backend.read(0.0) is None and backend.counters.crc_errors == 3)
    backend.close()
    tolerant.close()


def test_nothing_is_tolerated_from_a_robot(domain: int) -> None:
    """Only loopback may leave something out, and only what is known."""
    with pytest.raises(BackendError, match="tolerate: only a simulator on the interface lo"):
        UnitreeSdk2(stop_kd=STOP_KD, domain=domain, interface=other_interface(), tolerate="tick")
    with pytest.raises(UnknownNameError, match="crc, tick, mode"):
        UnitreeSdk2(stop_kd=STOP_KD, domain=domain, tolerate="everything")


def other_interface() -> str:
    """The name of an interface that is not the loopback."""
    return next((name for _, name in socket.if_nameindex() if name != "lo"), "eth0")


def test_waiting_leaves_the_interpreter_to_others(domain: int) -> None:
    """While read waits, another Python thread runs."""
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    result: list[Any] = []
    reader = threading.Thread(target=lambda: result.append(backend.read(0.5)))
    reader.start()
    rounds = 0
    while reader.is_alive():
        time.sleep(0.001)
        rounds += 1
    assert result == [None] and rounds > 20
    backend.close()


def test_a_second_publisher_is_noticed(ends: tuple[UnitreeSdk2, RobotWire], domain: int) -> None:
    """A second controller and its commands are counted, until it leaves."""
    backend, robot = ends

    def look() -> tuple[int, int]:
        for _ in range(25):
            backend.read(0.0)
        return backend.counters.foreign_publishers, backend.counters.foreign_commands

    backend.write(servo_command())
    assert look() == (0, 0)
    other = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    until(lambda: look()[0] == 1)
    assert look() == (1, 0)
    other.write(servo_command())
    until(lambda: look()[1] == 1)
    assert robot.controllers() == 2
    other.close()
    until(lambda: look()[0] == 0)


def test_wrong_interfaces_and_domains_name_the_choices(domain: int) -> None:
    """Unknown interfaces, domains out of range and NaN damping are refused with the choices."""
    with pytest.raises(BackendError, match=r"'eth77'.*choose one of:.*lo"):
        UnitreeSdk2(stop_kd=STOP_KD, interface="eth77")
    with pytest.raises(BackendError, match=r"not in 0\.\.230"):
        RobotWire(domain=231)
    with pytest.raises(ValueError, match="finite"):
        UnitreeSdk2(stop_kd=float("nan"), domain=domain)


def test_other_state_in_the_same_buffers_does_not_leak(ends: tuple[UnitreeSdk2, RobotWire]) -> None:
    """A state keeps its numbers when the next one arrives."""
    backend, robot = ends
    robot.publish(resting_state(1))
    first = backend.read(5.0)
    assert first is not None
    kept = first.q.copy()
    robot.publish(replace(resting_state(2), q=np.ones(12)))
    assert backend.read(5.0) is not None
    np.testing.assert_array_equal(first.q, kept)
