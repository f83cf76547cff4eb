"""An operator in a process of its own, for command lines that drive the robot.

Velocities go over `cmd_vel`, requests and policies over services. The mode comes from the verdict.
The operator polls the verdict: an executor that serves 500 of them a second costs a quarter of a
core.
"""

from functools import partial
from time import monotonic
from typing import Any

import rclpy
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.operator import HANDS, HANDS_QOS, REMOTE_REQUEST, REQUESTS_QOS
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.types import Mode, VelocityCommand
from safe_locomotion.ui.scene_topics import Queue

DISCOVERY_S = 3.0  #: A request waits so long for a service that ROS has not found yet [s].


class RemoteOperator:
    """Talks to a running stack on one ROS domain.

    Attributes:
        mode, stamp_ns, reasons, policy: of the newest verdict; None or empty before the first.
        heard_s: time of the newest verdict on the monotonic clock [s]; minus infinity before it.
        refusal: why the last request was refused; empty when it was not.
        answers: to swaps of the policy, one line each, oldest first. The caller empties the list.
    """

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(
            context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self._node = rclpy.create_node("operator", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._velocity = self._node.create_publisher(TwistStamped, "cmd_vel", 1)
        self._clients = {name: self._node.create_client(Trigger, name) for name in REQUESTS}
        self._parameters = self._node.create_client(SetParameters, "policy_node/set_parameters")
        self._words = self._node.create_publisher(String, REMOTE_REQUEST, REQUESTS_QOS)
        self._verdicts = Queue(self._node, JointState, "safety/verdict", LATCHED)
        self._hands = Queue(self._node, String, HANDS, HANDS_QOS)
        self.mode: Mode | None = None
        self.stamp_ns: int | None = None
        self.reasons: tuple[str, ...] = ()
        self.policy = ""
        self.refusal = ""
        self.answers: list[str] = []
        self._swaps: list[tuple[str, float]] = []
        self.heard_s = float("-inf")

    def _look(self) -> None:
        """Take the newest verdict; a malformed one, as from another version, counts as silence."""
        packed = self._verdicts.take()
        verdict = self._verdicts.read(packed[-1], decisions.verdict_from) if packed else None
        if verdict is None:
            return
        self.heard_s = monotonic()
        self.mode = verdict.mode
        self.stamp_ns = verdict.stamp_ns
        self.reasons = verdict.reasons
        self.policy = verdict.policy

    def spin(self, seconds: float) -> None:
        """Serve answers for `seconds`, then take the newest verdict."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left)
        self._send_swaps()
        self._look()

    def ask(self, word: str) -> None:
        """Send a request that has no service, as the remote does: `next_policy` or `record`."""
        self._words.publish(String(data=word))

    def drive(self, command: VelocityCommand) -> None:
        """Send a velocity; the supervisor drops it unless it is repeated."""
        self._velocity.publish(
            conversions.twist_message(command, self._node.get_clock().now().nanoseconds)
        )

    def request(self, name: str) -> None:
        """Request a mode; the answer arrives in `spin`."""
        self._clients[name].call_async(Trigger.Request()).add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        response = future.result()
        self.refusal = "" if response is None or response.success else response.message

    def swap(self, policy: str) -> None:
        """Request a policy; the answer arrives in `answers` about a second later, in `spin`."""
        self._swaps.append((policy, monotonic() + DISCOVERY_S))
        self._send_swaps()

    def _send_swaps(self) -> None:
        """Send what waits, in its order, as soon as the policy node is found."""
        while self._swaps:
            policy, until = self._swaps[0]
            if self._parameters.service_is_ready():
                self._call(policy)
            elif monotonic() < until:
                return
            else:
                self.answers.append(f"policy {policy}: /policy_node does not answer")
            del self._swaps[0]

    def _call(self, policy: str) -> None:
        request = SetParameters.Request(
            parameters=[Parameter("policy", value=policy).to_parameter_msg()]
        )
        self._parameters.call_async(request).add_done_callback(partial(self._swapped, policy))

    def _swapped(self, policy: str, future: Any) -> None:
        response = future.result()
        answer = "no answer"
        if response is not None:
            result = response.results[0]
            answer = "taken" if result.successful else result.reason
        self.answers.append(f"policy {policy}: {answer}")

    def taken_over(self) -> bool:
        """Whether another operator has begun to drive since the last call."""
        return bool(self._hands.take())

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)
