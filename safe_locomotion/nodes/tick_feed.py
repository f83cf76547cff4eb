"""Feeds of those who watch: what only they want is published only while they listen, and never before the command is out.

The recorder wants each tick; displays want a few dozen looks a second, and would pay for each message between them. Whether somebody
listens is looked up once in `LOOK_EACH` ticks, because the question costs as much as an answer.
"""

from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import UInt8MultiArray

from safe_locomotion.messages import encode
from safe_locomotion.messages.ticks import TickBatch
from safe_locomotion.messages.topics import TICKS
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import NEWEST
from safe_locomotion.pipeline import Cycle
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import Estimate, LowCommand, Proposal, StancePlan, Verdict

LOW_COMMAND = "low_command"
LOOK_EACH = 50  # ticks
TICKS_EACH = (
    10  # in one message: 20 ms, and 35 kB of the 64 kB from which a transport cuts messages up
)
TICKS_QOS = QoSProfile(
    depth=100, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
DISPLAY = "display/ticks"
DISPLAY_NS = 20_000_000  # robot time between two of them: as often as the composed graph publishes its topics
DISPLAY_QOS = QoSProfile(
    depth=16, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
NOT_MEASURED = float("nan")


class OnDemand:
    """A publisher of serialised messages that knows whether anybody listens."""

    def __init__(self, node: Node, message_type: type, topic: str, qos: QoSProfile) -> None:
        self._publisher: Any = node.create_publisher(message_type, topic, qos)
        self._looked = 0
        self._wanted = False

    def wanted(self) -> bool:
        """Whether to publish on this tick; called on each."""
        if self._looked % LOOK_EACH == 0:
            self._wanted = self._publisher.get_subscription_count() > 0
        self._looked += 1
        return self._wanted

    def publish(self, data: bytes) -> None:
        """Send one message."""
        self._publisher.publish(data)


class CommandFeed:
    """What the bridge of five processes commanded, tick by tick."""

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node, JointState, LOW_COMMAND, NEWEST)
        self._kept: list[tuple[LowCommand, float]] = []

    def sent(self, _: object, command: LowCommand, seconds: float) -> None:
        """The answer is with the transport, so long after its LowState [s]."""
        self._kept.append((command, seconds))

    def settle(self) -> None:
        """Publish what was kept."""
        for command, seconds in self._kept:
            if self._out.wanted():
                self._out.publish(encode.low_command(command, seconds))
        self._kept.clear()


class DisplayFeed:
    """What displays of the graph of five processes show, fifty times a second of robot time: estimate, verdict and plan of one tick.

    With them comes the newest verdict that carries a rollout, so that none of these is lost between two ticks that are shown.
    """

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node, UInt8MultiArray, DISPLAY, DISPLAY_QOS)
        self._batch, self._due = TickBatch(), Divider(DISPLAY_NS)
        self._plan_bytes = encode.PlanBytes()
        self._foreseen: Any = None

    def foresee(self, verdict: Any) -> None:
        """A `safety/verdict`, as it came."""
        if len(verdict.velocity):  # rollouts and joint targets have one
            self._foreseen = verdict

    def settle(self, estimate: Estimate, verdict: Verdict, plan: StancePlan) -> None:
        """One tick, its plan published."""
        if not self._out.wanted() or not self._due.due(estimate.stamp_ns):
            return
        add = self._batch.add
        foreseen = self._foreseen
        self._foreseen = None
        add("state_estimate", estimate.stamp_ns, encode.state_estimate(estimate))
        if (
            foreseen is not None
            and (before := decisions.verdict_from(foreseen)).stamp_ns != verdict.stamp_ns
        ):
            add("safety/verdict", before.stamp_ns, encode.verdict(before))
        add("safety/verdict", verdict.stamp_ns, encode.verdict(verdict))
        add("mpc/plan", plan.stamp_ns, self._plan_bytes(plan))
        self._out.publish(self._batch.take())


class TickFeed:
    """All that the composed graph says at full rate, ten ticks to a message."""

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node, UInt8MultiArray, TICKS, TICKS_QOS)
        self._batch = TickBatch()
        self._ticks = 0
        self._plan_bytes = encode.PlanBytes()
        self._cycle: Cycle | None = None
        self._latency = NOT_MEASURED
        self._proposal: Proposal | None = None
        self._plan: StancePlan | None = None

    def keep(self, cycle: Cycle) -> None:
        """A tick has been answered; what the cycle says stays as it is until `settle`."""
        self._cycle = cycle

    def sent(self, _: object, __: LowCommand, seconds: float) -> None:
        """The answer is with the transport, so long after its LowState [s]."""
        self._latency = seconds

    def settle(self) -> None:
        """Pack what was kept, and publish when enough is there."""
        cycle = self._cycle
        latency = self._latency
        self._cycle = None
        self._latency = NOT_MEASURED
        if cycle is None or not self._out.wanted():
            return
        self._pack(cycle, latency)
        self._ticks += 1
        if self._ticks == TICKS_EACH:
            self.close()

    def close(self) -> None:
        """Publish what is left."""
        if self._ticks:
            self._ticks = 0
            self._out.publish(self._batch.take())

    def _pack(self, c: Cycle, latency: float) -> None:
        add = self._batch.add
        if c.state is not None:
            add("joint_states", c.state.stamp_ns, encode.joint_states(c.state))
            add("imu/data", c.state.stamp_ns, encode.imu(c.state))
        if c.estimate is not None:
            add("state_estimate", c.estimate.stamp_ns, encode.state_estimate(c.estimate))
        if c.proposal is not None and c.proposal is not self._proposal:
            self._proposal = c.proposal
            add("policy/proposal", c.proposal.stamp_ns, encode.proposal(c.proposal))
            if (step := encode.step(c.proposal)) is not None:
                add("policy/step", c.proposal.stamp_ns, step)
        if c.verdict is not None:
            add("safety/verdict", c.verdict.stamp_ns, encode.verdict(c.verdict))
        if c.plan is not None and c.plan is not self._plan:
            self._plan = c.plan
            add("mpc/plan", c.plan.stamp_ns, self._plan_bytes(c.plan))
        if c.command is not None:
            add(LOW_COMMAND, c.command.stamp_ns, encode.low_command(c.command, latency))
