"""A low command of another program is answered on the very next LowState, whatever the phase."""

from contextlib import contextmanager
from dataclasses import replace
from time import sleep

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("unitree_sdk2py")

import rclpy
from states import servo_command
from wire_ends import STOP_KD, until

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot
from safe_locomotion.safety.robot_watch import RobotWatch

A1 = load_robot("a1")
FOREIGN = "foreign_publisher"
PHASES = 6
DELIVERY_S = 0.03  # the other program's command is in our queue by then


@contextmanager
def bridge_and_robot(domain):
    """An active bridge node and a function that publishes the next LowState and reads it."""
    given = (f"sdk_options.domain:={domain}", "silence_ms:=5000.0")
    rclpy.init(args=["--ros-args", *[part for text in given for part in ("-p", text)]])
    node = BridgeNode()
    robot = RobotWire(domain=domain)
    ticks = iter(range(1, 10_000))

    def read():
        """Hazards of the next LowState, which is 2 ms later in robot time."""
        tick = 2 * next(ticks)
        robot.publish(replace(standing_state(A1, tick * 1_000_000), tick=tick))
        assert node.read() is not None
        return node.hazards

    try:
        node.link.open()
        node.link.activate()
        until(lambda: robot.listeners() == 1)
        yield read, robot
    finally:
        node.link.close()
        robot.close()
        node.destroy_node()
        rclpy.try_shutdown()


def test_each_foreign_command_is_seen_on_the_next_state(ros_domain, wire_domain):
    """In each phase one single command is a hazard of the first state after it."""
    with bridge_and_robot(wire_domain) as (read, robot):
        other = UnitreeSdk2(stop_kd=STOP_KD, domain=wire_domain)
        try:
            until(lambda: robot.controllers() == 2)
            for phase in range(PHASES):
                while FOREIGN in read():
                    pass
                other.write(servo_command())
                assert robot.take_command(5.0) is not None
                sleep(DELIVERY_S)
                assert FOREIGN in read()
                for _ in range(RobotWatch.HELD + phase % 2):
                    read()
        finally:
            other.close()
