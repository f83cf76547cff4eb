"""Requests of a browser to the running stack: the services, the policy parameter, `cmd_vel`.

Answers arrive on the executor's thread, as one line for the user who asked.
"""

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import Twist
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.operator import CMD_VEL_TYPES, HANDS, HANDS_QOS
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.types import VelocityCommand

NAME = "browser"
ESTOP = "estop"

Tell = Callable[[str], None]


class Requests:
    """Clients of the stack's services on one node."""

    def __init__(self, node: Node, cmd_vel_type: str) -> None:
        """Make the clients and publishers.

        Raises:
            UnknownNameError: `cmd_vel_type` is not in `operator.CMD_VEL_TYPES`.
        """
        if cmd_vel_type not in CMD_VEL_TYPES:
            raise UnknownNameError("cmd_vel_type", cmd_vel_type, CMD_VEL_TYPES)
        self._node = node
        self._stamped = CMD_VEL_TYPES[cmd_vel_type] is not Twist
        self._services = {name: node.create_client(Trigger, name) for name in REQUESTS}
        self._parameters = node.create_client(SetParameters, "policy_node/set_parameters")
        self._velocity = node.create_publisher(CMD_VEL_TYPES[cmd_vel_type], "cmd_vel", 1)
        self._hands = node.create_publisher(String, HANDS, HANDS_QOS)

    def take_over(self) -> None:
        """Tell other operators that a browser drives now."""
        self._hands.publish(String(data=NAME))

    def request(self, name: str, tell: Tell) -> None:
        """Request a mode by a name of `REQUESTS`."""
        service = self._services[name]
        if not service.service_is_ready():
            tell(f"{name}: the supervisor does not answer")
            return
        service.call_async(Trigger.Request()).add_done_callback(
            lambda future: tell(_answer(name, future.result()))
        )

    def stop(self) -> str:
        """Request the emergency stop without waiting; why that is not possible, or ""."""
        service = self._services[ESTOP]
        if not service.service_is_ready():
            return f"{ESTOP}: the supervisor does not answer"
        service.call_async(Trigger.Request())
        return ""

    def swap(self, policy: str, tell: Callable[[bool, str], None]) -> None:
        """Request a policy.

        About a second later `tell` hears whether the policy node took it, and a line of text.
        """
        if not self._parameters.service_is_ready():
            tell(False, f"policy {policy}: the policy node does not answer")
            return
        request = SetParameters.Request(
            parameters=[Parameter("policy", value=policy).to_parameter_msg()]
        )
        self._parameters.call_async(request).add_done_callback(
            lambda future: tell(*_verdict(policy, future.result()))
        )

    def drive(self, command: VelocityCommand) -> None:
        """Publish a velocity; the supervisor drops it after its timeout unless it is repeated."""
        message = conversions.twist_message(command, self._node.get_clock().now().nanoseconds)
        self._velocity.publish(message if self._stamped else message.twist)


def _answer(name: str, response: Any) -> str:
    if response is None:
        return f"{name}: no answer"
    return name if response.success else f"{name} refused: {response.message}"


def _verdict(policy: str, response: Any) -> tuple[bool, str]:
    if response is None or not response.results:
        return False, f"policy {policy}: no answer"
    result = response.results[0]
    text = f"policy {policy}" if result.successful else f"policy {policy} refused: {result.reason}"
    return result.successful, text
