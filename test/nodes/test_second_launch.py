"""A second stack refuses to command a robot that another one commands, before its first write."""

from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("unitree_sdk2py")

import rclpy
from states import servo_command
from wire_ends import STOP_KD, until

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
from safe_locomotion.errors import BackendError
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot

A1 = load_robot("a1")


class Robot:
    """A robot that sends its state at 500 Hz and keeps the commands that come."""

    def __init__(self, domain):
        self.wire = RobotWire(domain=domain)
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self):
        tick = 0
        while not self._stop.wait(0.002):
            tick += 2
            state = standing_state(A1, tick * 1_000_000)
            self.wire.publish(replace(state, tick=tick, voltage=24.0))

    def close(self):
        """Switch off."""
        self._stop.set()
        self._thread.join()
        self.wire.close()


class FirstStack:
    """Another program on the wire; it commands, or is only connected."""

    def __init__(self, domain, *, commands):
        self.backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
        self._stop = Event()
        self._thread = Thread(target=self._run)
        if commands:
            self._thread.start()

    def _run(self):
        while not self._stop.wait(0.002):
            self.backend.write(servo_command())

    def close(self):
        """Leave."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.backend.close()


@contextmanager
def second_launch(domain, *arguments):
    """The bridge of a second launch, which starts by itself."""
    given = (f"sdk_options.domain:={domain}", *arguments)
    rclpy.init(args=["--ros-args", *[part for text in given for part in ("-p", text)]])
    node = BridgeNode()
    try:
        yield node
    finally:
        node.link.close()
        node.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def on_the_wire(*ends):
    """Ends of the wire that are closed afterwards."""
    try:
        yield ends
    finally:
        for end in reversed(ends):
            end.close()


@pytest.mark.parametrize(
    ("commands", "said"),
    [(True, "sends low commands"), (False, "1 other program.* could send low commands")],
)
def test_a_second_launch_refuses_and_writes_nothing(ros_domain, wire_domain, commands, said):
    """The first one may command, or be silent for the moment; it goes on either way."""
    robot = Robot(wire_domain)
    first = FirstStack(wire_domain, commands=commands)
    with on_the_wire(robot, first), second_launch(wire_domain) as node:
        until(lambda: robot.wire.controllers() == 1)
        with pytest.raises(BackendError, match=said):
            node.reach("active")
        assert not node.link.active and node.link.backend.counters.written == 0
        node.link.close()
        assert first.backend.counters.foreign_commands == 0


def test_a_silent_service_of_the_robot_can_be_allowed(ros_domain, wire_domain):
    """As many as the parameter says, while they send nothing."""
    robot = Robot(wire_domain)
    first = FirstStack(wire_domain, commands=False)
    with on_the_wire(robot, first), second_launch(wire_domain, "silent_publishers:=1") as node:
        until(lambda: robot.wire.controllers() == 1)
        node.reach("active")
        assert node.link.active


def test_alone_the_bridge_activates_with_and_without_a_robot(ros_domain, wire_domain):
    """A simulated robot may start later."""
    with second_launch(wire_domain) as node:
        node.reach("active")
        assert node.link.active
        node.trigger_deactivate()
        with on_the_wire(Robot(wire_domain)):
            node.trigger_activate()
            assert node.link.active and node.failure is None
