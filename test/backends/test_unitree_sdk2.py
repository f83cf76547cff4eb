"""Both ends of the SDK2 wire over real DDS on the loopback interface."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from states import is_damping, resting_state, servo_command, spoiled

pytest.importorskip("unitree_sdk2py")
from places import HELPERS
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_
from unitree_sdk2py.utils.crc import CRC

from safe_locomotion.backends.dds import RawWriter, join_domain
from safe_locomotion.backends.robot_wire import RobotWire, TruthReader
from safe_locomotion.backends.sdk2_codec import LowCommandCodec, LowStateCodec
from safe_locomotion.backends.unitree_sdk2 import COMMAND_TOPIC, STATE_TOPIC, UnitreeSdk2
from safe_locomotion.errors import BackendError
from safe_locomotion.types import LowCommand

STOP_KD = 3.0
_domains = itertools.count(140)


@pytest.fixture
def domain() -> int:
    """A DDS domain no other test uses."""
    return next(_domains)


@pytest.fixture
def ends(domain: int) -> Iterator[tuple[UnitreeSdk2, RobotWire]]:
    """Controller and robot that have found each other."""
    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    robot = RobotWire(domain=domain)
    until(lambda: robot.controllers() == 1 and robot.listeners() == 1)
    yield backend, robot
    backend.close()
    robot.close()


def until(condition: Callable[[], Any], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def taken(robot: RobotWire) -> list[LowCommand]:
    """All commands in the order of arrival, until the wire is silent."""
    commands = []
    while (command := robot.take_command(0.2)) is not None:
        commands.append(command)
    return commands


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


def test_bad_commands_are_counted_by_reason(
    ends: tuple[UnitreeSdk2, RobotWire], domain: int
) -> None:
    """The robot ignores invalid commands and counts them by reason."""
    _, robot = ends
    writer = RawWriter(join_domain(domain, "lo"), COMMAND_TOPIC, LowCmd_)
    until(lambda: robot.controllers() == 2)
    raw = LowCommandCodec().encode(servo_command())
    assert raw is not None
    message = LowCmd_.deserialize(raw)
    message.motor_cmd[0].mode = 0
    message.crc = CRC().Crc(message)
    for bad in (message.serialize(), raw[:-1] + bytes([raw[-1] ^ 1])):
        writer.write(bad)
        assert robot.take_command(1.0) is None
    assert robot.rejected == {"mode": 1, "crc": 1}
    writer.write(raw)
    command = robot.take_command(5.0)
    assert command is not None and command.stamp_ns == 0


def test_truth_has_its_own_topic(ends: tuple[UnitreeSdk2, RobotWire], domain: int) -> None:
    """The true motion reaches its reader unchanged and is never read as a state."""
    backend, robot = ends
    reader = TruthReader(domain=domain)
    until(lambda: reader.publishers() == 1)
    position = np.array([1.0, 2.0, 0.25])
    velocity = np.array([0.5, -0.5, 0.0])
    rates = np.array([0.0, 1.0, 0.125])
    quaternion = np.array([0.5, 0.5, 0.5, -0.5])
    force = np.array([1.0, 2.0, 3.0, 4.0])
    for stamp_ns in (1_500_000_000, 1_502_000_000):
        robot.publish_truth(
            stamp_ns=stamp_ns,
            position=position,
            quaternion_wxyz=quaternion,
            velocity=velocity,
            angular_velocity=rates,
            foot_force=force,
        )
    truths = []
    until(lambda: len(truths.__iadd__(reader.take(1.0))) == 2)
    assert [truth.stamp_ns for truth in truths] == [1_500_000_000, 1_502_000_000]
    for field, value in zip(
        ("position", "quaternion_wxyz", "velocity", "angular_velocity", "foot_force"),
        (position, quaternion, velocity, rates, force),
        strict=True,
    ):
        np.testing.assert_array_equal(getattr(truths[0], field), value)
    assert backend.read(0.05) is None
    reader.close()


def test_wrong_interfaces_and_domains_name_the_choices(domain: int) -> None:
    """Unknown interfaces, domains out of range and NaN damping are refused with the choices."""
    with pytest.raises(BackendError, match=r"'eth77'.*choose one of:.*lo"):
        UnitreeSdk2(stop_kd=STOP_KD, interface="eth77")
    with pytest.raises(BackendError, match=r"not in 0\.\.230"):
        RobotWire(domain=231)
    with pytest.raises(ValueError, match="finite"):
        UnitreeSdk2(stop_kd=float("nan"), domain=domain)


SDK_PROGRAM = """
import sys, time
from unitree_sdk2py.core.channel import ChannelFactoryInitialize
from unitree_sdk2py.core.channel import ChannelPublisher, ChannelSubscriber
from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowCmd_
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_
from unitree_sdk2py.utils.crc import CRC
ChannelFactoryInitialize(int(sys.argv[1]), "lo")
publisher = ChannelPublisher("rt/lowcmd", LowCmd_)
publisher.Init()
command = unitree_go_msg_dds__LowCmd_()
command.head = [0xFE, 0xEF]
command.level_flag = 0xFF
for motor in command.motor_cmd:
    motor.mode = 1
    motor.q = 2.146e9
    motor.dq = 16000.0
subscriber = ChannelSubscriber("rt/lowstate", LowState_)
subscriber.Init()
state = subscriber.Read(20)
command.motor_cmd[2].q = state.motor_state[2].q
command.crc = CRC().Crc(command)
for _ in range(50):
    publisher.Write(command)
    time.sleep(0.01)
"""


CRASHING_CONTROLLER = """
import sys
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
sys.path.append(sys.argv[2])
from states import servo_command
backend = UnitreeSdk2(stop_kd=3.0, domain=int(sys.argv[1]))
while backend.read(1.0) is None:
    pass
backend.write(servo_command())
raise RuntimeError("a controller that dies")
"""


def test_a_controller_that_dies_of_an_exception_leaves_damping(domain: int) -> None:
    """After an uncaught exception, without a call of close, the last command is damping."""
    robot = RobotWire(domain=domain)
    commands = []
    program = [sys.executable, "-c", CRASHING_CONTROLLER, str(domain), str(HELPERS)]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as controller:
        for tick in range(1, 3000):
            robot.publish(resting_state(tick))
            command = robot.take_command(0.01)
            commands += [command] if command is not None else []
            if controller.poll() is not None:
                break
        errors = controller.communicate(timeout=20)[1]
    commands += taken(robot)
    robot.close()
    assert "a controller that dies" in errors
    assert len(commands) >= 2 and is_damping(commands[-1], STOP_KD)


def test_a_program_of_the_vendors_sdk_drives_the_robot(domain: int) -> None:
    """A program with the SDK's own channels reads our states, and its commands are accepted."""
    robot = RobotWire(domain=domain)
    with subprocess.Popen([sys.executable, "-c", SDK_PROGRAM, str(domain)]) as program:
        command = None
        for tick in range(1, 2000):
            robot.publish(resting_state(tick))
            command = robot.take_command(0.01)
            if command is not None:
                break
        program.wait(20)
    robot.close()
    assert program.returncode == 0 and command is not None and not robot.rejected
    assert command.q[2] == resting_state().q[2] and command.q[0] == np.float32(2.146e9)


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
