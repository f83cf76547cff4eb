"""Feeds for recorder and displays: published while a subscriber is there, after the command is out.

The recorder wants each tick. Displays want a few dozen messages a second, and each one more would
cost them time. A feed looks for subscribers once in `LOOK_NS`, because the question costs as much
as a message.
"""

from collections.abc import Iterator
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
LOOK_NS = 100_000_000  #: robot time between two looks for subscribers
TICKS_EACH = 10  #: in one message: 20 ms and 35 kB; transports split messages from 64 kB on
TICKS_QOS = QoSProfile(
    depth=100, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
DISPLAY = "display/ticks"
DISPLAY_NS = 20_000_000  #: robot time between two messages; the composed graph uses the same rate
DISPLAY_QOS = QoSProfile(
    depth=16, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
NOT_MEASURED = float("nan")


class OnDemand:
    """A publisher of serialised messages that knows whether it has a subscriber."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._look_due = Divider(LOOK_NS)
        self._wanted = False

    def wanted(self, stamp_ns: int) -> bool:
        """Whether to publish what has this stamp; asked before each message."""
        if self._look_due.due(stamp_ns):
            self._wanted = self._publisher.get_subscription_count() > 0
        return self._wanted

    def publish(self, data: bytes) -> None:
        """Send one message."""
        self._publisher.publish(data)


class CommandFeed:
    """The commands that the bridge of the five processes has sent, tick by tick."""

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node.create_publisher(JointState, LOW_COMMAND, NEWEST))
        self._kept: list[tuple[LowCommand, float]] = []

    def keep(self, command: LowCommand, latency: float | None) -> None:
        """Keep a command and its latency [s]; None says that it was not sent."""
        if latency is not None:
            self._kept.append((command, latency))

    def settle(self) -> None:
        """Publish what was kept."""
        for command, latency in self._kept:
            if self._out.wanted(command.stamp_ns):
                self._out.publish(encode.low_command(command, latency))
        self._kept.clear()


class DisplayFeed:
    """Estimate, verdict and plan for displays of the five processes, 50 times per robot second.

    The newest verdict with a rollout comes with them, so no rollout is lost between two messages.
    """

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node.create_publisher(UInt8MultiArray, DISPLAY, DISPLAY_QOS))
        self._batch = TickBatch()
        self._due = Divider(DISPLAY_NS)
        self._plan_bytes = encode.PlanBytes()
        self._foreseen: Any = None

    def foresee(self, verdict: Any) -> None:
        """Keep a `safety/verdict` message if it carries a rollout."""
        if len(verdict.velocity):  # rollouts and joint targets have one
            self._foreseen = verdict

    def settle(self, estimate: Estimate, verdict: Verdict, plan: StancePlan) -> None:
        """Publish one tick, if a message is due."""
        if not self._out.wanted(estimate.stamp_ns) or not self._due.due(estimate.stamp_ns):
            return
        add = self._batch.add
        foreseen = self._foreseen
        self._foreseen = None
        add("state_estimate", estimate.stamp_ns, encode.state_estimate(estimate))
        if foreseen is not None:
            before = decisions.verdict_from(foreseen)
            if before.stamp_ns != verdict.stamp_ns:
                add("safety/verdict", before.stamp_ns, encode.verdict(before))
        add("safety/verdict", verdict.stamp_ns, encode.verdict(verdict))
        add("mpc/plan", plan.stamp_ns, self._plan_bytes(plan))
        self._out.publish(self._batch.take())


class CycleMessages:
    """The messages of each cycle by topic; proposals and plans only when they are new."""

    def __init__(self) -> None:
        self._plan_bytes = encode.PlanBytes()
        self._proposal: Proposal | None = None
        self._plan: StancePlan | None = None

    def of(self, c: Cycle, latency: float) -> Iterator[tuple[str, int, bytes]]:
        """Topic, stamp [ns] and bytes of each message; `latency` is that of the command [s]."""
        yield "joint_states", c.state.stamp_ns, encode.joint_states(c.state)
        yield "imu/data", c.state.stamp_ns, encode.imu(c.state)
        yield "foot_forces", c.state.stamp_ns, encode.foot_forces(c.state)
        yield "state_estimate", c.estimate.stamp_ns, encode.state_estimate(c.estimate)
        if c.proposal is not None and c.proposal is not self._proposal:
            self._proposal = c.proposal
            yield "policy/proposal", c.proposal.stamp_ns, encode.proposal(c.proposal)
            step = encode.step(c.proposal)
            if step is not None:
                yield "policy/step", c.proposal.stamp_ns, step
        yield "safety/verdict", c.verdict.stamp_ns, encode.verdict(c.verdict)
        if c.plan is not None and c.plan is not self._plan:
            self._plan = c.plan
            yield "mpc/plan", c.plan.stamp_ns, self._plan_bytes(c.plan)
        yield LOW_COMMAND, c.command.stamp_ns, encode.low_command(c.command, latency)


class TickFeed:
    """All that the composed graph says at full rate, ten ticks to a message."""

    def __init__(self, node: Node) -> None:
        self._out = OnDemand(node.create_publisher(UInt8MultiArray, TICKS, TICKS_QOS))
        self._batch = TickBatch()
        self._messages = CycleMessages()
        self._ticks = 0
        self._kept: tuple[Cycle, float] | None = None

    def keep(self, cycle: Cycle, latency: float | None) -> None:
        """Keep a tick and the latency of its command [s]; None says that it was not sent."""
        self._kept = (cycle, NOT_MEASURED if latency is None else latency)

    def settle(self) -> None:
        """Pack the tick that was kept, and publish when there are enough."""
        kept = self._kept
        self._kept = None
        if kept is None or not self._out.wanted(kept[0].state.stamp_ns):
            return
        for topic, stamp_ns, data in self._messages.of(*kept):
            self._batch.add(topic, stamp_ns, data)
        self._ticks += 1
        if self._ticks == TICKS_EACH:
            self.close()

    def close(self) -> None:
        """Publish what is left."""
        if self._ticks:
            self._ticks = 0
            self._out.publish(self._batch.take())
