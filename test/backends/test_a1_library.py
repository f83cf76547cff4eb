"""The A1's own library, unitree_legged_sdk v3.3.1, against a robot on the loopback interface.

`make a1-sdk SDK=FOLDER` compiles the module. The tests run where it is on PYTHONPATH.
"""

import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
from fake_a1 import COMMAND_BYTES, FakeA1, state_packet
from states import servo_command

from safe_locomotion.backends.legged_sdk import LeggedSdk
from safe_locomotion.errors import BackendError

module = pytest.importorskip("robot_interface", reason="needs the module of `make a1-sdk`")
if hasattr(module.LowState(), "bms"):
    pytest.skip("this robot_interface is not that of an A1", allow_module_level=True)

PERIOD_US = 2000


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ends() -> Iterator[tuple[LeggedSdk, FakeA1]]:
    """Controller and robot; the robot has had the greeting, so it knows where states go."""
    robot = FakeA1()
    backend = LeggedSdk(
        robot="a1",
        stop_kd=3.0,
        local_port=free_port(),
        robot_address="127.0.0.1",
        robot_port=robot.port,
    )
    backend.greet()
    assert len(robot.command()) == COMMAND_BYTES
    yield backend, robot
    backend.close()
    robot.close()


def test_every_state_is_read_once(ends: tuple[LeggedSdk, FakeA1]) -> None:
    """Values and ticks arrive, in microseconds of our clock, and an A1 tells no voltage."""
    backend, robot = ends
    ticks = []
    stamps = []
    for _ in range(300):
        time.sleep(PERIOD_US * 1e-6)
        ticks.append(time.monotonic_ns() // 1000 % 2**32)
        robot.send(state_packet(ticks[-1], q=0.5))
        state = backend.read(2.0)
        assert state is not None and state.tick == ticks[-1]
        stamps.append(state.stamp_ns)
    np.testing.assert_array_equal(np.diff(stamps), 1000 * np.diff(ticks))
    np.testing.assert_allclose(state.q, np.full(12, 0.5))
    np.testing.assert_allclose(state.dq, np.full(12, 0.25))
    np.testing.assert_allclose(state.gyro, [0.1, 0.2, 0.3], atol=1e-7)
    np.testing.assert_array_equal(state.foot_force, [10, 20, 30, 40])
    assert (state.temperature == 41).all() and state.motors_on and state.voltage is None
    assert backend.counters.received == 300 and backend.counters.crc_errors == 0
    assert backend.read(0.002) is None


def test_a_spoiled_state_is_not_handed_out(ends: tuple[LeggedSdk, FakeA1]) -> None:
    """A flipped bit and a short datagram are no states; the next whole one is."""
    backend, robot = ends
    spoiled = state_packet(PERIOD_US)
    spoiled[100] ^= 1
    robot.send(spoiled)
    robot.send(spoiled[:300])
    assert backend.read(0.05) is None
    robot.send(state_packet(2 * PERIOD_US))
    state = backend.read(2.0)
    assert state is not None and state.tick == 2 * PERIOD_US


def test_a_command_reaches_the_motors(ends: tuple[LeggedSdk, FakeA1]) -> None:
    """Set-points arrive, and closing leaves the motors in the robot's own damping mode."""
    backend, robot = ends
    robot.send(state_packet(PERIOD_US))
    assert backend.read(2.0) is not None
    backend.write(servo_command())
    assert robot.command()[10] == 0x0A
    backend.close()
    assert robot.last_command()[10] == 0x00


def test_the_power_limit_is_refused() -> None:
    """The library's own power limit can end the process."""
    with pytest.raises(BackendError, match="power_level"):
        LeggedSdk(robot="a1", stop_kd=3.0, local_port=free_port(), power_level=5)
