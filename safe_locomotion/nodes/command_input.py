"""`cmd_vel`: the newest wish of the operator, dead after a timeout."""

from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.nodes.conversions import velocity_command_from
from safe_locomotion.nodes.health import Stream
from safe_locomotion.types import NANOSECONDS, VelocityCommand

TYPES = {"TwistStamped": TwistStamped, "Twist": Twist}
STOP = VelocityCommand()


class CommandInput:
    """Velocity command with an age, counted in robot time so that a slow simulator does not shorten it.

    The age runs from the first tick after the message arrived. Non-finite numbers are handed on as they are: the supervisor turns
    them into a hazard.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_ns = round(timeout_s * NANOSECONDS)
        self._command: VelocityCommand | None = None
        self._since_ns: int | None = None
        self.stream = Stream("cmd_vel", timeout_s=timeout_s)

    def receive(self, message: Any) -> None:
        """Take a Twist or TwistStamped."""
        command = velocity_command_from(message)
        self.stream.hear(0)
        if not abs(command.vx) + abs(command.vy) + abs(command.wz) < float("inf"):
            self.stream.reject(f"not finite: vx {command.vx}, vy {command.vy}, wz {command.wz}")
        self._command, self._since_ns = command, None

    def current(self, stamp_ns: int) -> VelocityCommand:
        """The command that holds at `stamp_ns`; zero before the first one and after the timeout."""
        command = self._command
        if command is None:
            return STOP
        since_ns = stamp_ns if self._since_ns is None else self._since_ns
        self._since_ns = since_ns
        if 0 <= stamp_ns - since_ns <= self._timeout_ns:
            return command
        return STOP

    def listen(self, node: Node, type_name: str) -> None:
        """Subscribe to `cmd_vel` on the executor thread.

        Raises:
            UnknownNameError: `type_name` is neither TwistStamped nor Twist.
        """
        if type_name not in TYPES:
            raise UnknownNameError("cmd_vel_type", type_name, TYPES)
        node.create_subscription(TYPES[type_name], "cmd_vel", self.receive, 1)
