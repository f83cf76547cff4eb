"""Waiting for both ends of the SDK2 wire."""

import time
from collections.abc import Callable
from typing import Any

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.types import LowCommand

STOP_KD = 3.0


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
