"""Policy node: `state_estimate` and `cmd_vel` in, `policy/proposal` out."""

import sys
from dataclasses import dataclass
from time import perf_counter

from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.health import Health, LoopTimes, Stream
from safe_locomotion.nodes.inbox import NEWEST, Inbox
from safe_locomotion.nodes.operator import VelocityTopic
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.runtime import IDLE_S, run
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.pipeline import Divider
from safe_locomotion.policy import PolicyStage
from safe_locomotion.types import Proposal

NOMINAL = "nominal"


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """How the policy node runs.

    Attributes:
        policy: who proposes; `nominal` is the gait of the configuration file.
        cmd_vel_type: TwistStamped or Twist.
        log_dir: folder for the log of its ticks, empty for none.
    """

    policy: str = NOMINAL
    cmd_vel_type: str = "TwistStamped"
    log_dir: str = ""


class PolicyNode(Node):
    """Name, parameters and topics of the policy."""

    def __init__(self) -> None:
        super().__init__("policy_node", **DECLARE_FROM_OVERRIDES)
        self.parameters: NodeParameters[PolicySettings] = read_parameters(self, PolicySettings)
        if self.parameters.settings.policy != NOMINAL:
            raise UnknownNameError("policy", self.parameters.settings.policy, (NOMINAL,))
        self.times = LoopTimes("policy tick")
        self._proposal = self.create_publisher(JointState, "policy/proposal", NEWEST)

    def publish(self, stamp_ns: int, proposal: Proposal | None) -> None:
        """Send the proposal of one tick."""
        self._proposal.publish(conversions.proposal_message(stamp_ns, proposal))


class PolicyLoop:
    """The policy as a process of its own."""

    def __init__(self) -> None:
        self._node = PolicyNode()
        parameters = self._node.parameters
        self._logs = StageLogs(parameters.settings.log_dir)
        self._policy = self._logs.policy(PolicyStage(parameters.robot, parameters.config.policy.gait))
        self._due = Divider(parameters.config.policy.period_ns)
        self._velocity = VelocityTopic(self._node, parameters.config.supervisor.command, parameters.settings.cmd_vel_type)
        self._stream = Stream("state_estimate", timeout_s=0.1)
        self._inbox = Inbox(self._node)
        self._inbox.subscribe(Float64MultiArray, "state_estimate", NEWEST, self._on_estimate, self._stream)
        Health(self._node, [self._stream.status, self._velocity.stream.status, self._node.times.status])
        self.nodes = (self._node,)

    def start(self) -> None:
        """Warm the stages up."""
        self._node.parameters.pipeline().warm_up()

    def step(self) -> None:
        """Take what arrived; each due estimate gives a proposal."""
        self._inbox.wait(IDLE_S)

    def close(self) -> None:
        """Complete the log."""
        self._logs.close()

    def _on_estimate(self, message: Float64MultiArray) -> None:
        start = perf_counter()
        estimate = conversions.estimate_from(message)
        self._stream.hear(estimate.stamp_ns)
        command = self._velocity.current(estimate.stamp_ns)
        if self._due.due(estimate.stamp_ns):
            self._node.publish(estimate.stamp_ns, self._policy.update(estimate, command))
            self._node.times.add(perf_counter() - start)


def main(args: list[str] | None = None) -> int:
    """Run the policy node until it is told to stop."""
    return run(PolicyLoop, args)


if __name__ == "__main__":
    sys.exit(main())
