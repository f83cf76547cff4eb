"""Policy node: `state_estimate`, `cmd_vel` and `safety/feedback` in, `policy/proposal` out.

Its parameter `policy` swaps the policy while the robot walks.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import perf_counter

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.health import OK, STEADY, WARN, Stream, status
from safe_locomotion.nodes.operator import VelocityTopic, hear_requests
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.stage_loop import StageLoop, StageNode, StageSettings, StatusRows
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.nodes.tick_feed import OnDemand
from safe_locomotion.policy.file import installed_policies
from safe_locomotion.policy.loader import PolicyLoader
from safe_locomotion.policy.stage import NOMINAL, Learner, PolicyStage
from safe_locomotion.robot_time import Divider
from safe_locomotion.shared_files import find_share
from safe_locomotion.types import STATE_PERIOD_NS, Feedback, Proposal

STEPS = "policy/step"
LATEST_S = 1e-9 * STATE_PERIOD_NS  #: a later proposal delays the answer to the next LowState
TELL_S = 0.1  #: between two looks for news


@dataclass(frozen=True, kw_only=True)
class PolicySettings(StageSettings):
    """How the policy node runs.

    Attributes:
        policy: `nominal` (the gait of the configuration file), or name or path of a policy.
        policy_folder: another folder of policies, besides `models/policies`; empty for none.
        cmd_vel_type: TwistStamped or Twist.
    """

    policy: str = NOMINAL
    policy_folder: str = ""
    cmd_vel_type: str = "TwistStamped"


class PolicyNode(StageNode[PolicySettings]):
    """Name, parameters and topics of the policy.

    A change of `policy` is answered when the policy is loaded, checked and warmed up, or with the
    reason why it is refused. That takes about a second on the thread that serves parameters. The
    control thread only ever finds a policy that is ready.
    """

    def __init__(self) -> None:
        super().__init__("policy", PolicySettings, frozenset({"policy"}))
        settings = self.parameters.settings
        limits = self.parameters.config.bridge.limits
        self._loader = PolicyLoader(
            self.parameters.robot,
            limits,
            _folders(settings.policy_folder),
            self.parameters.config.policy.allowed_policies,
            learning=self.parameters.config.policy.explore,
        )
        self._ready: list[tuple[str, Learner | None]] = []
        self._first = self._loader.load(settings.policy)
        self._parameter_of = {_name(self._first): settings.policy, NOMINAL: NOMINAL}
        self._stage: PolicyStage | None = None
        self._requests: Stream | None = None
        self._told = ""
        self._rollbacks = 0
        self._proposal = self.create_publisher(JointState, "policy/proposal", NEWEST)

    def serve(self, stage: PolicyStage) -> None:
        """Let this node's parameters and the remote choose the policy of `stage` from now on."""
        self._stage = stage
        stage.latest_s = LATEST_S
        if self._first is not None:
            stage.take(self._first)
        if hasattr(self, "add_post_set_parameters_callback"):
            self.add_on_set_parameters_callback(self._load)
            self.add_post_set_parameters_callback(self._hand_over)
        else:  # ROS 2 Humble
            self.add_on_set_parameters_callback(self._load_and_hand_over)
        self.create_timer(TELL_S, self._tell, clock=STEADY)
        self._requests = hear_requests(self, self.follow_remote)

    def rows(self) -> StatusRows:
        """Rows of `/diagnostics`."""
        heard = () if self._requests is None else (self._requests.status,)
        return (self._policy_status, *heard, *super().rows())

    def publish(self, proposal: Proposal) -> None:
        """Send the proposal of one tick."""
        self._proposal.publish(encode.proposal(proposal))

    def _load(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Make a policy ready; called before parameters change, on the thread that serves them."""
        self._ready.clear()
        wanted = [str(change.value) for change in changes if change.name == "policy"]
        if not wanted or self._is_in_force(wanted[-1]):
            return SetParametersResult(successful=True)
        try:
            self._ready.append((wanted[-1], self._loader.load(wanted[-1])))
        except SafeLocomotionError as error:
            self.get_logger().warning(f"policy {wanted[-1]!r} refused: {error}")
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _load_and_hand_over(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """As `_load`, where ROS does not tell when parameters have changed.

        A change of other parameters beside the policy is refused by `read_parameters` only after
        this, so nothing is handed over then.
        """
        result = self._load(changes)
        if all(change.name == "policy" for change in changes):
            self._hand_over(changes)
        return result

    def follow_remote(self, word: str) -> None:
        """Change the parameter `policy` to the next one, if the remote asks for it by `word`."""
        if word != "next_policy":
            return
        chosen = self.parameters.config.driving.policies
        given = chosen or installed_policies(self.parameters.robot.name)
        names = given if NOMINAL in given else (NOMINAL, *given)
        now = str(self.get_parameter("policy").value)
        following = (names.index(now) + 1) % len(names) if now in names else 0
        self.set_parameters([Parameter("policy", value=names[following])])

    def _is_in_force(self, parameter: str) -> bool:
        """Whether the stage went back to this policy by itself, so the parameter only follows."""
        stage = self._stage
        return (
            stage is not None
            and stage.rollbacks != self._rollbacks
            and self._parameter_of.get(stage.name) == parameter
        )

    def _hand_over(self, _: Sequence[Parameter]) -> None:
        """Let the policy that is ready take over; called when parameters have changed."""
        for parameter, learner in self._ready:
            self._parameter_of[_name(learner)] = parameter
            if self._stage is not None:
                self._stage.take(learner)
        self._ready.clear()

    def _tell(self) -> None:
        """Log what happened to policies, and let the parameter say which one is in force."""
        stage = self._stage
        if stage is None or stage.news == self._told:
            return
        self._told = stage.news
        if stage.rollbacks == self._rollbacks:
            self.get_logger().info(f"policy: {stage.news}")
            return
        # This is a call of its own, because rclpy ties each line of code to one severity.
        self.get_logger().warning(f"policy: {stage.news}")
        self.set_parameters(
            [Parameter("policy", value=self._parameter_of.get(stage.name, stage.name))]
        )
        self._rollbacks = stage.rollbacks

    def _policy_status(self) -> DiagnosticStatus:
        stage = self._stage
        if stage is None:
            return status("policy", WARN, "none", {})
        values = {
            "policy": stage.name,
            "fault": stage.fault,
            "rollbacks": stage.rollbacks,
            "news": stage.news,
        }
        level = WARN if stage.fault or stage.rollbacks else OK
        return status("policy", level, stage.fault or stage.news or stage.name, values)


def _name(learner: Learner | None) -> str:
    return NOMINAL if learner is None else learner.contract.name


def _folders(more: str) -> list[Path] | None:
    """Folders of policies; None stands for those of the installation."""
    if not more:
        return None
    try:
        return [find_share("models/policies"), Path(more)]
    except SafeLocomotionError:
        return [Path(more)]


class PolicyLoop(StageLoop[PolicyNode]):
    """The policy as a process of its own."""

    def __init__(self) -> None:
        super().__init__(PolicyNode())
        parameters = self._node.parameters
        policy = parameters.config.policy
        self._policy = PolicyStage(parameters.robot, policy.gait, period_ns=policy.period_ns)
        self._node.serve(self._policy)
        self._due = Divider(policy.period_ns)
        self._steps = OnDemand(self._node.create_publisher(Float64MultiArray, STEPS, NEWEST))
        self._feedback: Feedback | None = None
        self._feedbacks = self._listen(
            JointState, "safety/feedback", self._on_feedback, LATCHED, timeout_s=inf, required=False
        )
        limits = parameters.config.supervisor.command
        cmd_vel_type = parameters.settings.cmd_vel_type
        self._velocity = VelocityTopic(self._node, limits, cmd_vel_type)
        self._stream = self._listen(
            Float64MultiArray, "state_estimate", self._on_estimate, period_ns=STATE_PERIOD_NS
        )
        self._tell_health(*self._velocity.rows())

    def _on_estimate(self, message: Float64MultiArray) -> None:
        start = perf_counter()
        estimate = conversions.estimate_from(message)
        self._stream.hear(estimate.stamp_ns)
        command = self._velocity.current(estimate.stamp_ns)
        if self._due.due(estimate.stamp_ns):
            ready = perf_counter()
            proposal = self._policy.update(estimate, command, self._feedback)
            self._node.logs.observe("policy", proposal, perf_counter() - ready)
            self._node.publish(proposal)
            if (
                self._steps.wanted(proposal.stamp_ns)
                and (step := encode.step(proposal)) is not None
            ):
                self._steps.publish(step)
            self._due.pace(proposal.period_ns, estimate.stamp_ns)
            self._node.times.add(perf_counter() - start)

    def _on_feedback(self, message: JointState) -> None:
        self._feedback = decisions.feedback_from(message)
        self._feedbacks.hear(conversions.stamp_of(message))


def main(args: list[str] | None = None) -> int:
    """Run the policy node until it is told to stop."""
    return run(PolicyLoop, args)


if __name__ == "__main__":
    sys.exit(main())
