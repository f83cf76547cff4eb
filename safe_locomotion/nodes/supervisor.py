"""Supervisor node: `state_estimate`, `policy/proposal` and `cmd_vel` in, `safety/verdict` out.

It offers the services of the operator.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import monotonic, perf_counter

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.health import OK, WARN, Reasons, status
from safe_locomotion.nodes.mailbox import Mailbox
from safe_locomotion.nodes.operator import (
    BRIDGE_RESET,
    RequestServices,
    ScriptedOperator,
    VelocityTopic,
)
from safe_locomotion.nodes.runtime import IDLE_S, LOCK_STEP_WAIT_S, run
from safe_locomotion.nodes.stage_loop import (
    STREAM_TIMEOUT_S,
    StageLoop,
    StageNode,
    StageSettings,
    StatusRows,
)
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.pipeline import make_supervisor
from safe_locomotion.robot_time import Divider
from safe_locomotion.safety.intervention import InterventionStatistics
from safe_locomotion.types import STATE_PERIOD_NS, Estimate, Feedback, Mode, Proposal, Verdict

PROPOSAL_TIMEOUT_S = 0.5
SPEAK_NS = 40_000_000  #: robot time between velocities of a script on cmd_vel


@dataclass(frozen=True, kw_only=True)
class SupervisorSettings(StageSettings):
    """How the supervisor node runs.

    Attributes:
        cmd_vel_type: TwistStamped or Twist.
        lock_step: the robot waits for us, so wait for the proposal of each due tick.
        proposal_wait_ms: without `lock_step`, longest wait for it [ms of wall clock].
        script: of an operator that is played (`operator.requests.parse_script`); if it is empty,
            the supervisor listens to cmd_vel.
    """

    cmd_vel_type: str = "TwistStamped"
    lock_step: bool = False
    proposal_wait_ms: float = 1.0
    script: str = ""


class SupervisorNode(StageNode[SupervisorSettings]):
    """Name, parameters and topics of the supervisor; the loop adds the services."""

    def __init__(self) -> None:
        super().__init__("supervisor", SupervisorSettings)
        self.velocity = VelocityTopic(
            self, self.parameters.config.supervisor.command, self.parameters.settings.cmd_vel_type
        )
        self.reasons = Reasons("hazards")
        self.statistics: Callable[[], InterventionStatistics] = InterventionStatistics
        self._newest: Verdict | None = None
        self._verdict = self.create_publisher(JointState, "safety/verdict", LATCHED)
        self._feedback = self.create_publisher(JointState, "safety/feedback", LATCHED)
        self._told = Feedback(mode=Mode.PASSIVE)

    def rows(self) -> StatusRows:
        """Rows of `/diagnostics`."""
        return (self.reasons.status, self._supervision, *super().rows())

    def _supervision(self) -> DiagnosticStatus:
        """Row of the driving policy, and the statistics of the recovery policy since the start."""
        verdict = self._newest
        values = self.statistics().figures()
        if verdict is None:
            return status("supervisor", OK, "no verdict yet", values)
        says = {"mode": verdict.mode.name, "active": verdict.active, "policy": verdict.policy}
        recovers = verdict.mode is Mode.WALK and verdict.active == "recovery"
        driver = "recovery drives" if recovers else verdict.policy or "no policy drives"
        text = f"{verdict.mode.name}, {driver}"
        return status("supervisor", WARN if recovers else OK, text, says | values)

    def publish(self, verdict: Verdict) -> None:
        """Send one verdict."""
        self._newest = verdict
        self._verdict.publish(encode.verdict(verdict))

    def publish_feedback(self, verdict: Verdict) -> None:
        """Tell the policy what became of its proposal, when that changed.

        Another topic at 500 Hz would cost the policy a tenth of a core or more.
        """
        feedback = Feedback(mode=verdict.mode, policy=verdict.policy)
        if feedback != self._told:
            self._told = feedback
            self._feedback.publish(decisions.feedback_message(verdict.stamp_ns, feedback))


class SupervisorLoop(StageLoop[SupervisorNode]):
    """The supervisor as a process of its own."""

    def __init__(self) -> None:
        super().__init__(SupervisorNode())
        parameters = self._node.parameters
        settings = self._node.parameters.settings
        config = parameters.config
        self._supervisor = make_supervisor(parameters.robot, config)
        self._node.statistics = lambda: self._supervisor.statistics
        self._bridge_reset = self._node.create_client(Trigger, BRIDGE_RESET)
        self._operator = ScriptedOperator(
            settings.script, self._node.velocity, self._supervisor, self._request
        )
        # The policy node hears the commands of a script. Without one, cmd_vel is the operator's.
        self._cmd_vel = (
            self._node.create_publisher(TwistStamped, "cmd_vel", 1)
            if self._operator.plays
            else None
        )
        self._mailbox = Mailbox()
        self._due = Divider(config.policy.period_ns)
        self._spoken = Divider(SPEAK_NS)
        self._wait_s = LOCK_STEP_WAIT_S if settings.lock_step else settings.proposal_wait_ms * 1e-3
        self._estimate: Estimate | None = None
        self._proposal: Proposal | None = None
        self._proposal_stamp_ns = 0
        self._hazards: frozenset[str] = frozenset()
        # A robot that waits sends no state while another process does not get the processor.
        patience = LOCK_STEP_WAIT_S if settings.lock_step else 0.0
        self._estimates = self._listen(
            Float64MultiArray,
            "state_estimate",
            self._on_estimate,
            timeout_s=STREAM_TIMEOUT_S + patience,
            period_ns=STATE_PERIOD_NS,
        )
        self._proposals = self._listen(
            JointState,
            "policy/proposal",
            self._on_proposal,
            timeout_s=PROPOSAL_TIMEOUT_S + self._wait_s,
        )
        self._hazard_reports = self._listen(
            JointState, "safety/hazards", self._on_hazards, LATCHED, timeout_s=inf, required=False
        )
        requests = RequestServices(self._node, self._mailbox, self._request, self._not_ready)
        self._tell_health(*self._node.velocity.rows(), requests.stream.status)

    def step(self) -> None:
        """Serve the operator, take what arrived, and give a verdict on a new estimate."""
        self._mailbox.serve()
        if self._estimate is None:
            self._inbox.wait(IDLE_S)
        estimate = self._estimate
        self._estimate = None
        if estimate is not None:
            self._judge(estimate)

    def _request(self, name: str) -> str | None:
        """Follow a request, and pass a reset on to the bridge, which keeps faults of its own."""
        refusal = self._supervisor.request(name)
        if name == "reset":
            self._bridge_reset.call_async(Trigger.Request())
        return refusal

    def _judge(self, estimate: Estimate) -> None:
        if self._due.due(estimate.stamp_ns):
            self._await_proposal(estimate.stamp_ns)
        start = perf_counter()
        self._operator.update(estimate.stamp_ns)
        command = self._node.velocity.current(estimate.stamp_ns)
        if self._cmd_vel is not None and self._spoken.due(estimate.stamp_ns):
            self._cmd_vel.publish(conversions.twist_message(command, estimate.stamp_ns))
        self._supervisor.report(self._node.velocity.hazards | self._hazards)
        ready = perf_counter()
        verdict = self._supervisor.update(estimate, self._proposal, command)
        self._node.logs.observe("supervisor", verdict, perf_counter() - ready)
        self._node.publish_feedback(verdict)
        self._node.publish(verdict)
        self._node.reasons.update(verdict.reasons)
        self._node.times.add(perf_counter() - start)
        self._supervisor.look_ahead()

    def _await_proposal(self, stamp_ns: int) -> None:
        """Give the policy time to answer this tick, while it is alive."""
        end = monotonic() + self._wait_s
        while (
            self._proposal_stamp_ns < stamp_ns
            and (left := end - monotonic()) > 0.0
            and self._proposals.expected
        ):
            self._inbox.wait(left)

    def _not_ready(self) -> str | None:
        return (
            None
            if self._estimates.alive
            else "no state estimate arrives: is the robot on, the bridge configured?"
        )

    def _on_estimate(self, message: Float64MultiArray) -> None:
        self._estimate = conversions.estimate_from(message)
        self._estimates.hear(self._estimate.stamp_ns)

    def _on_hazards(self, message: JointState) -> None:
        self._hazards = decisions.hazards_from(message)
        self._hazard_reports.hear(conversions.stamp_of(message))

    def _on_proposal(self, message: JointState) -> None:
        self._proposal = decisions.proposal_from(message)
        self._proposal_stamp_ns = conversions.stamp_of(message)
        self._proposals.hear(self._proposal_stamp_ns)
        if self._proposal is not None:
            self._due.pace(self._proposal.period_ns, self._proposal_stamp_ns)


def main(args: list[str] | None = None) -> int:
    """Run the supervisor node until it is told to stop."""
    return run(SupervisorLoop, args)


if __name__ == "__main__":
    sys.exit(main())
