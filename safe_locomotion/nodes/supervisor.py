"""Supervisor node: `state_estimate`, `policy/proposal` and `cmd_vel` in, `safety/verdict` out, services for the operator."""

import sys
from dataclasses import dataclass
from math import inf
from time import monotonic, perf_counter

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.health import Health, LoopTimes, Reasons, Stream
from safe_locomotion.nodes.inbox import LATCHED, NEWEST, Inbox
from safe_locomotion.nodes.mailbox import Mailbox
from safe_locomotion.nodes.operator import RequestServices, ScriptedOperator, VelocityTopic
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.runtime import IDLE_S, LOCK_STEP_WAIT_S, run
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.pipeline import Divider, make_supervisor
from safe_locomotion.types import Estimate, Proposal, Verdict

SPEAK_NS = 40_000_000  # robot time between velocities of a script on cmd_vel


@dataclass(frozen=True, kw_only=True)
class SupervisorSettings:
    """How the supervisor node runs.

    Attributes:
        cmd_vel_type: TwistStamped or Twist.
        lock_step: the robot waits for us, so wait for the proposal of each due tick.
        proposal_wait_ms: longest wait for it where the robot does not wait [ms of wall clock].
        script: an operator who follows a plan (`operator_input.parse_script`); empty listens to cmd_vel.
        log_dir: folder for the log of its ticks, empty for none.
    """

    cmd_vel_type: str = "TwistStamped"
    lock_step: bool = False
    proposal_wait_ms: float = 1.0
    script: str = ""
    log_dir: str = ""


class SupervisorNode(Node):
    """Name, parameters and topics of the supervisor; its services belong to whoever owns the `Supervisor`."""

    def __init__(self) -> None:
        super().__init__("supervisor_node", **DECLARE_FROM_OVERRIDES)
        self.parameters: NodeParameters[SupervisorSettings] = read_parameters(self, SupervisorSettings)
        self.velocity = VelocityTopic(self, self.parameters.config.supervisor.command, self.parameters.settings.cmd_vel_type)
        self.times = LoopTimes("supervisor tick")
        self.reasons = Reasons("hazards")
        self._verdict = self.create_publisher(JointState, "safety/verdict", LATCHED)

    def publish(self, verdict: Verdict) -> None:
        """Send one verdict."""
        self._verdict.publish(conversions.verdict_message(verdict))


class SupervisorLoop:
    """The supervisor as a process of its own."""

    def __init__(self) -> None:
        self._node = SupervisorNode()
        parameters, settings = self._node.parameters, self._node.parameters.settings
        config = parameters.config
        self._logs = StageLogs(settings.log_dir)
        self._supervisor = self._logs.supervisor(make_supervisor(parameters.robot, config))
        self._operator = ScriptedOperator(settings.script, self._node.velocity, self._supervisor)
        # The policy node hears what a script commands; without one, cmd_vel belongs to the operator.
        self._cmd_vel = self._node.create_publisher(TwistStamped, "cmd_vel", 1) if self._operator.plays else None
        self._mailbox = Mailbox()
        self._due, self._spoken = Divider(config.policy.period_ns), Divider(SPEAK_NS)
        self._wait_s = LOCK_STEP_WAIT_S if settings.lock_step else settings.proposal_wait_ms * 1e-3
        self._estimate: Estimate | None = None
        self._proposal: Proposal | None = None
        self._proposal_stamp_ns = 0
        self._hazards: frozenset[str] = frozenset()
        self._estimates = Stream("state_estimate", timeout_s=0.1)
        self._proposals = Stream("policy/proposal", timeout_s=0.5 + self._wait_s)
        self._inbox = Inbox(self._node)
        self._inbox.subscribe(Float64MultiArray, "state_estimate", NEWEST, self._on_estimate, self._estimates)
        self._inbox.subscribe(JointState, "policy/proposal", NEWEST, self._on_proposal, self._proposals)
        self._hazard_reports = Stream("safety/hazards", timeout_s=inf, required=False)
        self._inbox.subscribe(JointState, "safety/hazards", LATCHED, self._on_hazards, self._hazard_reports)
        RequestServices(self._node, self._mailbox, self._supervisor.request, self._not_ready)
        streams = (self._estimates, self._proposals, self._hazard_reports, self._node.velocity.stream)
        Health(self._node, [*(s.status for s in streams), self._node.reasons.status, self._node.times.status])
        self.nodes = (self._node,)

    def start(self) -> None:
        """Warm the stages up."""
        self._node.parameters.pipeline().warm_up()

    def step(self) -> None:
        """Serve the operator, take what arrived, and give a verdict on a new estimate."""
        self._mailbox.serve()
        if self._estimate is None:
            self._inbox.wait(IDLE_S)
        estimate, self._estimate = self._estimate, None
        if estimate is not None:
            self._judge(estimate)

    def close(self) -> None:
        """Complete the log; a verdict that is not renewed ages out in the bridge."""
        self._logs.close()

    def _judge(self, estimate: Estimate) -> None:
        if self._due.due(estimate.stamp_ns):
            self._await_proposal(estimate.stamp_ns)
        start = perf_counter()
        self._operator.update(estimate.stamp_ns)
        command = self._node.velocity.current(estimate.stamp_ns)
        if self._cmd_vel is not None and self._spoken.due(estimate.stamp_ns):
            self._cmd_vel.publish(conversions.twist_message(command, estimate.stamp_ns))
        self._supervisor.report(self._node.velocity.hazards | self._hazards)
        verdict = self._supervisor.update(estimate, self._proposal, command)
        self._node.publish(verdict)
        self._node.reasons.update(verdict.reasons)
        self._node.times.add(perf_counter() - start)

    def _await_proposal(self, stamp_ns: int) -> None:
        """Give the policy time to answer this tick, while it is alive."""
        end = monotonic() + self._wait_s
        while self._proposal_stamp_ns < stamp_ns and (left := end - monotonic()) > 0.0 and self._proposals.expected:
            self._inbox.wait(left)

    def _not_ready(self) -> str | None:
        return None if self._estimates.alive else "no state estimate arrives: is the robot on, the bridge configured?"

    def _on_estimate(self, message: Float64MultiArray) -> None:
        self._estimate = conversions.estimate_from(message)
        self._estimates.hear(self._estimate.stamp_ns)

    def _on_hazards(self, message: JointState) -> None:
        self._hazards = conversions.hazards_from(message)
        self._hazard_reports.hear(conversions.stamp_of(message))

    def _on_proposal(self, message: JointState) -> None:
        self._proposal = conversions.proposal_from(message)
        self._proposal_stamp_ns = conversions.stamp_of(message)
        self._proposals.hear(self._proposal_stamp_ns)


def main(args: list[str] | None = None) -> int:
    """Run the supervisor node until it is told to stop."""
    return run(SupervisorLoop, args)


if __name__ == "__main__":
    sys.exit(main())
