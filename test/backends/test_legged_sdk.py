"""The adapter for A1 and Go1 through the vendor's module, against a loopback socket."""

import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from states import servo_command, spoiled

from safe_locomotion.backends import legged_sdk
from safe_locomotion.backends.legged_sdk import LeggedSdk
from safe_locomotion.errors import BackendError, UnknownNameError

COMMAND_BYTES = 614  # LowCmd of v3.8.0, compressed by the vendor


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def robot() -> Iterator[socket.socket]:
    """The robot's end of the link."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        end.settimeout(2.0)
        yield end


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The vendor's module of v3.8, also where that of an A1 is installed."""
    module = pytest.importorskip(
        "unitree_legged_sdk.robot_interface",
        reason="the PyPI wheel of the vendor's module is for Python 3.11",
    )
    monkeypatch.setitem(sys.modules, "robot_interface", module)
    return module


def linked(robot: socket.socket, name: str = "go1", **options: Any) -> LeggedSdk:
    address = {
        "local_port": free_port(),
        "robot_address": "127.0.0.1",
        "robot_port": robot.getsockname()[1],
    }
    return LeggedSdk(robot=name, stop_kd=3.0, **address, **options)


def datagrams(robot: socket.socket) -> list[bytes]:
    """All datagrams until the line is silent."""
    robot.settimeout(0.1)
    received = []
    try:
        while True:
            received.append(robot.recv(4096))
    except TimeoutError:
        return received


def sent_by_vendor(
    vendor: Any,
    robot: socket.socket,
    q: float,
    kp: float,
    kd: float,
    dq: float = 0.0,
    tau: float = 0.0,
) -> bytes:
    """Datagram of the vendor's module for twelve equal set-points."""
    udp = vendor.UDP(0xFF, free_port(), "127.0.0.1", robot.getsockname()[1])
    command = vendor.LowCmd()
    udp.InitCmdData(command)
    for motor in command.motorCmd[:12]:
        motor.mode = 0x0A
        motor.q = q
        motor.dq = dq
        motor.tau = tau
        motor.Kp = kp
        motor.Kd = kd
    udp.SetSend(command)
    udp.Send()
    return datagrams(robot)[-1]


def test_a_command_arrives_compressed(vendor: Any, robot: socket.socket) -> None:
    """One write sends one datagram of the vendor's size, without an answer."""
    backend = linked(robot)
    backend.write(servo_command())
    assert [len(datagram) for datagram in datagrams(robot)] == [COMMAND_BYTES]
    assert backend.counters.written == 1
    backend.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_nan_leaves_as_damping(vendor: Any, robot: socket.socket, value: float) -> None:
    """The robot gets the bytes of damping in place of a command that is not finite."""
    expected = sent_by_vendor(vendor, robot, q=legged_sdk.POS_STOP, kp=0.0, kd=3.0)
    backend = linked(robot)
    backend.write(spoiled(servo_command(), value))
    assert datagrams(robot) == [expected]
    assert backend.counters.nonfinite_commands == 1
    backend.close()


def test_close_leaves_the_robot_damped(vendor: Any, robot: socket.socket) -> None:
    """After a command, close repeats damping and ends with the motors' own damping mode."""
    expected = sent_by_vendor(vendor, robot, q=legged_sdk.POS_STOP, kp=0.0, kd=3.0)
    backend = linked(robot)
    backend.write(servo_command())
    backend.close()
    backend.close()
    received = datagrams(robot)
    assert received[1:-1] == [expected] * 10
    assert received[-1] not in (received[0], expected) and len(received) == 12


def test_a_backend_that_only_read_stays_silent(vendor: Any, robot: socket.socket) -> None:
    """read, stop and close send nothing before the first command."""
    backend = linked(robot)
    assert backend.read(0.01) is None
    backend.stop()
    backend.close()
    assert datagrams(robot) == []


def test_a_robot_that_only_answers_is_greeted_by_damping(vendor: Any, robot: socket.socket) -> None:
    """The greeting is one packet, the same that `stop` repeats."""
    backend = linked(robot)
    backend.greet()
    (greeting,) = datagrams(robot)
    backend.stop()
    assert datagrams(robot) == [greeting] * 10
    backend.close()


def test_noise_on_the_port_is_not_a_state(vendor: Any, robot: socket.socket) -> None:
    """Datagrams that are not LowStates are ignored; those with a wrong checksum are counted."""
    backend = linked(robot)
    backend.write(servo_command())
    _, address = robot.recvfrom(4096)
    for size in (0, 1, 614, 771, 1500):
        robot.sendto(b"\x5a" * size, address)
    robot.sendto(b"\xfe\xef\xff" + bytes(768), address)
    assert backend.read(0.05) is None
    assert backend.counters.crc_errors == 1 and backend.counters.received == 0
    backend.close()


def test_vendor_limits_clamp_positions(vendor: Any, robot: socket.socket) -> None:
    """With a power level, the vendor's position limit changes a target out of range."""
    wild = servo_command()
    wild.q[0] = 9.0
    plain = linked(robot)
    limited = linked(robot, power_level=10)
    plain.write(wild)
    first = datagrams(robot)
    limited.write(wild)
    second = datagrams(robot)
    assert len(first) == len(second) == 1 and first != second
    plain.close()
    limited.close()


def test_a_dead_link_does_not_hold_up_write(vendor: Any) -> None:
    """Without a robot every write returns and is counted as written or failed."""
    backend = LeggedSdk(
        robot="a1",
        stop_kd=3.0,
        local_port=free_port(),
        robot_address="127.0.0.1",
        robot_port=free_port(),
    )
    for _ in range(100):
        backend.write(servo_command())
    assert backend.counters.written + backend.counters.write_failures == 100
    backend.close()


def test_a_busy_port_is_an_error(vendor: Any, robot: socket.socket) -> None:
    """The second controller on one machine gets an error at once."""
    with pytest.raises(BackendError, match="cannot be bound"):
        LeggedSdk(
            robot="go1", stop_kd=3.0, local_port=robot.getsockname()[1], robot_address="127.0.0.1"
        )


def test_a_missing_module_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the vendor's module the error names the version to build for that robot."""
    monkeypatch.setitem(sys.modules, "robot_interface", None)
    monkeypatch.setitem(sys.modules, "unitree_legged_sdk.robot_interface", None)
    with pytest.raises(BackendError, match=r"v3\.3\.1"):
        LeggedSdk(robot="a1", stop_kd=3.0)
    with pytest.raises(BackendError, match="pip install unitree-legged-sdk"):
        LeggedSdk(robot="go1", stop_kd=3.0)
    with pytest.raises(UnknownNameError, match="a1, go1"):
        LeggedSdk(robot="go2", stop_kd=3.0)


class RecordedUdp:
    """The vendor's UDP object with recorded LowStates, because its packet format is not public."""

    def __init__(self, ticks: list[int], cells_mv: int = 0) -> None:
        self.ticks = list(ticks)
        self.cells_mv = cells_mv

    def InitCmdData(self, command: Any) -> None:
        pass

    def Recv(self) -> int:
        return -1

    def GetRecv(self, state: Any) -> None:
        state.tick = self.ticks.pop(0) if len(self.ticks) > 1 else self.ticks[0]
        for index, motor in enumerate(state.motorState):
            motor.q = 0.25 * index
            motor.dq = 0.5
            motor.tauEst = 1.5
            motor.temperature = 40
        state.imu.quaternion = [1.0, 0.0, 0.0, 0.0]
        state.imu.gyroscope = [0.125, 0.25, 0.5]
        state.footForce = [10, 20, 30, 40]
        if self.cells_mv:
            state.bms.cell_vol = [self.cells_mv] * 6 + [0] * (len(state.bms.cell_vol) - 6)


def test_a_state_that_waits_is_seen_before_the_answer(
    vendor: Any, robot: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library keeps it for the next read. What came before it is counted once."""
    udp = RecordedUdp([0, 7, 7, 37])
    codes = iter([5, 5, 5, -1, 5, 5, -1])
    monkeypatch.setattr(vendor, "UDP", lambda *_: udp)
    backend = linked(robot, tick_unit="ms")
    first = backend.read(0.1)
    assert first is not None and first.tick == 7 and backend.behind_s() == 0.0
    monkeypatch.setattr(udp, "Recv", lambda: next(codes, -1))
    assert backend.behind_s() == 0.03
    second = backend.read(0.1)
    assert second is not None and second.tick == 37 and backend.behind_s() == 0.0
    assert backend.read(0.001) is None
    assert backend.counters.received == 2 and backend.counters.dropped == 4
    backend.close()


@pytest.mark.parametrize(
    ("name", "ticks", "step_ns"),
    [("a1", [0, 2**32 - 1000, 1000], 2_000_000), ("go1", [0, 7, 9], 2_000_000)],
)
def test_states_of_the_module_are_read(
    vendor: Any,
    robot: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    ticks: list[int],
    step_ns: int,
) -> None:
    """Values of the vendor's LowState are copied.

    Ticks are microseconds on the A1 and here milliseconds on the Go1; tick 0 is not a state.
    """
    monkeypatch.setattr(vendor, "UDP", lambda *_: RecordedUdp(ticks))
    backend = linked(robot, name, tick_unit="us" if name == "a1" else "ms")
    first = backend.read(0.1)
    second = backend.read(0.1)
    assert first is not None and second is not None and backend.read(0.001) is None
    assert second.stamp_ns - first.stamp_ns == step_ns
    np.testing.assert_array_equal(first.q, 0.25 * np.arange(12))
    np.testing.assert_array_equal(first.gyro, [0.125, 0.25, 0.5])
    np.testing.assert_array_equal(first.foot_force, [10, 20, 30, 40])
    assert (first.temperature == 40).all() and (first.tau == 1.5).all() and first.voltage is None
    backend.close()


def test_battery_voltage_is_the_sum_of_cells(
    vendor: Any, robot: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The voltage is the sum of the cells, which are in millivolts."""
    monkeypatch.setattr(vendor, "UDP", lambda *_: RecordedUdp([7], cells_mv=4000))
    backend = linked(robot, tick_unit="ms")
    state = backend.read(0.1)
    assert state is not None and state.voltage == 24.0
    backend.close()


def test_a_state_without_battery_has_no_voltage(
    vendor: Any, robot: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module of the A1 knows no battery: the voltage is None."""
    whole = vendor.LowState()
    fields = ("imu", "motorState", "footForce", "wirelessRemote")
    bare = SimpleNamespace(tick=0, **{field: getattr(whole, field) for field in fields})
    monkeypatch.setattr(vendor, "UDP", lambda *_: RecordedUdp([2000]))
    monkeypatch.setattr(vendor, "LowState", lambda: bare)
    backend = linked(robot, "a1")
    state = backend.read(0.1)
    assert state is not None and state.voltage is None
    backend.close()


def test_the_power_limit_of_the_a1s_library_is_refused(
    vendor: Any, robot: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can end the process, so a `power_level` on an A1 is an error that says so."""
    monkeypatch.setattr(vendor, "LowState", lambda: SimpleNamespace(tick=0))
    with pytest.raises(BackendError, match=r"power_level: .*can end this process"):
        linked(robot, "a1", power_level=5)
