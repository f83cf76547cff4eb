"""Policy node: `state_estimate` and `cmd_vel` in, `policy/proposal` out."""

import sys
from dataclasses import dataclass
from time import perf_counter

from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.inbox import NEWEST
from safe_locomotion.nodes.operator import VelocityTopic
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.stage_loop import StageLoop, StageNode, StageSettings
from safe_locomotion.pipeline import Divider
from safe_locomotion.policy import PolicyStage
from safe_locomotion.types import Proposal

NOMINAL = "nominal"


@dataclass(frozen=True, kw_only=True)
class PolicySettings(StageSettings):
    """How the policy node runs.

    Attributes:
        policy: who proposes; `nominal` is the gait of the configuration file.
        cmd_vel_type: TwistStamped or Twist.
    """

    policy: str = NOMINAL
    cmd_vel_type: str = "TwistStamped"


class PolicyNode(StageNode[PolicySettings]):
    """Name, parameters and topics of the policy."""

    def __init__(self) -> None:
        super().__init__("policy", PolicySettings)
        if self.parameters.settings.policy != NOMINAL:
            raise UnknownNameError("policy", self.parameters.settings.policy, (NOMINAL,))
        self._proposal = self.create_publisher(JointState, "policy/proposal", NEWEST)

    def publish(self, stamp_ns: int, proposal: Proposal | None) -> None:
        """Send the proposal of one tick."""
        self._proposal.publish(decisions.proposal_message(stamp_ns, proposal))


class PolicyLoop(StageLoop[PolicyNode]):
    """The policy as a process of its own."""

    def __init__(self) -> None:
        super().__init__(PolicyNode())
        parameters = self._node.parameters
        self._policy = self._node.logs.policy(PolicyStage(parameters.robot, parameters.config.policy.gait))
        self._due = Divider(parameters.config.policy.period_ns)
        self._velocity = VelocityTopic(self._node, parameters.config.supervisor.command, parameters.settings.cmd_vel_type)
        self._stream = self._listen(Float64MultiArray, "state_estimate", self._on_estimate)
        self._tell_health(self._velocity.stream.status)

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
