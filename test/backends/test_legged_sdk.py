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
def vendor() -> Any:
    return pytest.importorskip(
        "unitree_legged_sdk.robot_interface",
        reason="the PyPI wheel of the vendor's module is for Python 3.11",
    )


def linked(robot: socket.socket, name: str = "go1", **options: Any) -> LeggedSdk:
    address = {
        "local_port": free_port(),
        "robot_address": "127.0.0.1",
        "robot_port": robot.getsockname()[1],
    }
    return LeggedSdk(robot=name, stop_kd=3.0, **address, **options)


def datagrams(robot: socket.socket) -> list[bytes]:
    """Everything that arrives until the line is silent."""
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
    """The datagram the vendor's module itself makes of twelve equal set-points."""
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
    """One write is one datagram of the vendor's size, sent without anybody having to answer."""
    backend = linked(robot)
    backend.write(servo_command())
    assert [len(datagram) for datagram in datagrams(robot)] == [COMMAND_BYTES]
    assert backend.counters.written == 1
    backend.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_nan_leaves_as_damping(vendor: Any, robot: socket.socket, value: float) -> None:
    """Where a command is not finite the robot gets the very bytes of a damping command, which the vendor's module would not see to."""
    expected = sent_by_vendor(vendor, robot, q=legged_sdk.POS_STOP, kp=0.0, kd=3.0)
    backend = linked(robot)
    backend.write(spoiled(servo_command(), value))
    assert datagrams(robot) == [expected]
    assert backend.counters.nonfinite_commands == 1
    backend.close()


def test_close_leaves_the_robot_damped(vendor: Any, robot: socket.socket) -> None:
    """After a command, close repeats damping and ends on the motors' own damping mode."""
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
    """One packet, the one that `stop` repeats from then on until the robot is heard."""
    backend = linked(robot)
    backend.greet()
    (greeting,) = datagrams(robot)
    backend.stop()
    assert datagrams(robot) == [greeting] * 10
    backend.close()


def test_noise_on_the_port_is_not_a_state(vendor: Any, robot: socket.socket) -> None:
    """Datagrams that are no LowState are ignored, and the ones with a wrong checksum counted."""
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
    """With a power level the vendor's position limit is armed: a wild target no longer leaves as it is."""
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
    """With nobody at the other end every write returns and is counted, one way or the other."""
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
    """Two controllers on one machine: the second is told so at once."""
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
    """The receiving half of the vendor's UDP object over a list of its own LowStates: its packet format is not public."""

    def __init__(self, ticks: list[int]) -> None:
        self.ticks = ticks

    def Recv(self) -> int:
        return -1

    def GetRecv(self, state: Any) -> None:
        state.tick = self.ticks.pop(0) if len(self.ticks) > 1 else self.ticks[0]
        for index, motor in enumerate(state.motorState):
            motor.q = 0.25 * index
            motor.dq = 0.5
            motor.tauEst = 1.5
            motor.temperature = 40
        state.imu.quaternion, state.imu.gyroscope = [1.0, 0.0, 0.0, 0.0], [0.125, 0.25, 0.5]
        state.footForce = [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("name", "ticks", "step_ns"),
    [("a1", [0, 2**32 - 1000, 1000], 2_000_000), ("go1", [0, 7, 9], 2_000_000)],
)
def test_states_of_the_module_are_read(
    vendor: Any, robot: socket.socket, name: str, ticks: list[int], step_ns: int
) -> None:
    """Values of the vendor's LowState object reach ours; ticks are microseconds on the A1, milliseconds on the Go1; 0 is no state."""
    backend = linked(robot, name)
    backend._udp = RecordedUdp(ticks)
    first = backend.read(0.1)
    second = backend.read(0.1)
    assert first is not None and second is not None and backend.read(0.001) is None
    assert second.stamp_ns - first.stamp_ns == step_ns
    np.testing.assert_array_equal(first.q, 0.25 * np.arange(12))
    np.testing.assert_array_equal(first.gyro, [0.125, 0.25, 0.5])
    np.testing.assert_array_equal(first.foot_force, [10, 20, 30, 40])
    assert (first.temperature == 40).all() and (first.tau == 1.5).all() and first.voltage is None
    backend.close()


def test_battery_voltage_is_the_sum_of_cells() -> None:
    """Cells in millivolts add up; a state without a battery reads NaN."""
    assert (
        legged_sdk._battery_voltage(SimpleNamespace(bms=SimpleNamespace(cell_vol=[4000] * 6)))
        == 24.0
    )
    assert legged_sdk._battery_voltage(SimpleNamespace()) is None
