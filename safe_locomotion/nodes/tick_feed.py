"""The recorder's feed: what only it wants is published only while it listens, and never before the command is out.

Whether somebody listens is looked up once in `LOOK_EACH` ticks, because the question costs as much as an answer.
"""

from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import UInt8MultiArray

from safe_locomotion.nodes import tick_bytes
from safe_locomotion.nodes.inbox import NEWEST
from safe_locomotion.pipeline import Cycle
from safe_locomotion.recording.ticks import TickBatch
from safe_locomotion.recording.topics import TICKS
from safe_locomotion.types import LowCommand, Proposal, StancePlan

LOW_COMMAND = "low_command"
LOOK_EACH = 50  # ticks
TICKS_EACH = 10  # in one message: 20 ms, and 35 kB of the 64 kB from which a transport cuts messages up
TICKS_QOS = QoSProfile(depth=100, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
NOT_MEASURED = float("nan")


class OnDemand:
    """A publisher of serialised messages that knows whether anybody listens."""

    def __init__(self, node: Node, message_type: type, topic: str, qos: QoSProfile) -> None:
        self._publisher: Any = node.create_publisher(message_type, topic, qos)
        self._looked, self._wanted = 0, False

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
                self._out.publish(tick_bytes.low_command(command, seconds))
        self._kept.clear()


class TickFeed:
    """All that the composed graph says at full rate, ten ticks to a message."""

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node, UInt8MultiArray, TICKS, TICKS_QOS)
        self._batch, self._ticks = TickBatch(), 0
        self._plan_bytes = tick_bytes.PlanBytes()
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
        cycle, latency = self._cycle, self._latency
        self._cycle, self._latency = None, NOT_MEASURED
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
            add("joint_states", c.state.stamp_ns, tick_bytes.joint_states(c.state))
            add("imu/data", c.state.stamp_ns, tick_bytes.imu(c.state))
        if c.estimate is not None:
            add("state_estimate", c.estimate.stamp_ns, tick_bytes.state_estimate(c.estimate))
        if c.proposal is not None and c.proposal is not self._proposal:
            self._proposal = c.proposal
            add("policy/proposal", c.proposal.stamp_ns, tick_bytes.proposal(c.proposal))
            if (step := tick_bytes.step(c.proposal)) is not None:
                add("policy/step", c.proposal.stamp_ns, step)
        if c.verdict is not None:
            add("safety/verdict", c.verdict.stamp_ns, tick_bytes.verdict(c.verdict))
        if c.plan is not None and c.plan is not self._plan:
            self._plan = c.plan
            add("mpc/plan", c.plan.stamp_ns, self._plan_bytes(c.plan))
        if c.command is not None:
            add(LOW_COMMAND, c.command.stamp_ns, tick_bytes.low_command(c.command, latency))
