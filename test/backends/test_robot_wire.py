"""The robot's end of the SDK2 wire: bad commands, the truth, and other programs."""

import subprocess
import sys

import numpy as np
import pytest
from states import is_damping, resting_state, servo_command

pytest.importorskip("unitree_sdk2py")
from places import HELPERS
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_
from unitree_sdk2py.utils.crc import CRC
from wire_ends import STOP_KD, taken, until

from safe_locomotion.backends.dds import RawWriter, join_domain
from safe_locomotion.backends.robot_wire import RobotWire, TruthReader
from safe_locomotion.backends.sdk2_codec import LowCommandCodec
from safe_locomotion.backends.unitree_sdk2 import COMMAND_TOPIC, UnitreeSdk2


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
