"""The topics behind a scene, for processes that only watch.

A subscription that an executor serves costs 13-25 % of a core at 500 Hz. Here no message wakes the
process. `look` takes the packed messages from the queues and unpacks only what it needs.

The transport's own thread still pays for each message, 1,250 a second from five processes. So while
a node publishes `display/ticks`, this process subscribes to nothing else. A recorded walk, or a
stack without its MPC node, has no `display/ticks`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray, UInt8MultiArray

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.messages.ticks import unpack
from safe_locomotion.nodes import conversions, decisions, views
from safe_locomotion.nodes.conversions import MalformedMessageError
from safe_locomotion.nodes.health import Stream
from safe_locomotion.nodes.subscriptions import NEWEST, OutOfTheExecutor
from safe_locomotion.nodes.tick_feed import DISPLAY, DISPLAY_QOS
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import Estimate, StancePlan, Verdict
from safe_locomotion.ui.scene import Scene
from safe_locomotion.ui.scene_builder import SceneMaker

DEPTH = 40  #: verdicts, 80 ms at 500 Hz; one in fifty carries a rollout, and each of these counts
FEW = 16  #: estimates in the queue, of which the newest counts; 10 come in 0.2 s
NOTED = 10  #: estimates that are unpacked in one look, to see feet touch down
CHOOSE_EACH = 10  #: looks between two choices of the topics
TIMEOUT_S = 0.5
ESTIMATES = QoSProfile(
    depth=FEW, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
VERDICTS = QoSProfile(
    depth=DEPTH, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
PROPOSALS = VERDICTS
"""Best effort: acknowledgements of a reliable reader would wake up the supervisor."""
_PREDICTED = b"predicted/0/"  #: these bytes are in each packed verdict that carries a rollout


class Queue:
    """A topic whose messages wait until `take`.

    Attributes:
        stream: counts the messages, for `/diagnostics`.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        qos: QoSProfile,
        *,
        required: bool = True,
    ) -> None:
        self._node = node
        self._type = message_type
        self._topic = topic
        self._qos = qos
        self._handed: list[bytes] = []
        self._subscription: Any = None
        self.stream = Stream(topic, timeout_s=TIMEOUT_S, required=required)
        self.listen(True)

    def listen(self, wanted: bool) -> None:
        """Subscribe, or unsubscribe."""
        if wanted and self._subscription is None:
            group = OutOfTheExecutor()
            self._subscription = self._node.create_subscription(
                self._type, self._topic, self.hand, self._qos, callback_group=group, raw=True
            )
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    @property
    def offered(self) -> bool:
        """Whether this queue is subscribed and the topic has a publisher."""
        return self._subscription is not None and self._node.count_publishers(self._topic) > 0

    def hand(self, packed: bytes) -> None:
        """Add a message; those of other topics come this way."""
        self._handed.append(packed)

    def take(self) -> list[bytes]:
        """Take all packed messages, oldest first."""
        messages = self._handed
        self._handed = []
        if self._subscription is not None:
            while (taken := self._subscription.handle.take_message(self._type, True)) is not None:
                messages.append(taken[0])
        return messages

    def read(self, packed: bytes, convert: Callable[[Any], Any]) -> Any:
        """Unpack one message; a malformed one is counted as rejected and gives None."""
        try:
            value = convert(views.read(packed, self._type))
        except MalformedMessageError as error:
            self.stream.reject(str(error))
            return None
        self.stream.hear(value.stamp_ns)
        return value

    def sound(self, convert: Callable[[Any], Any]) -> list[bytes]:
        """Take all packed messages that can be unpacked, oldest first; others count as rejected."""
        return [packed for packed, _ in self._unpacked(convert)]

    def messages(self) -> list[Any]:
        """Take and unpack all messages, oldest first; malformed ones are counted as rejected."""
        return [message for _, message in self._unpacked(lambda message: message)]

    def _unpacked(self, convert: Callable[[Any], Any]) -> Iterator[tuple[bytes, Any]]:
        for packed in self.take():
            try:
                value = convert(views.read(packed, self._type))
            except MalformedMessageError as error:
                self.stream.reject(str(error))
            else:
                self.stream.hear(0)
                yield packed, value


class Keeper(Protocol):
    """Keeps packed messages, to look back at."""

    def keep(self, topic: str, packed: Sequence[bytes]) -> None:
        """Take the messages of one topic since the last look, oldest first."""


class SceneTopics:
    """Makes scenes from `state_estimate`, `safety/verdict` and `mpc/plan`.

    While a node publishes `display/ticks`, all three come over that topic.

    Attributes:
        maker: makes the scenes; `maker.body` holds the drawn shapes.
        estimate: the newest; None before the first.
        verdict: the newest; None before the first.
        streams: of the topics, for `/diagnostics`.
    """

    def __init__(
        self, node: Node, robot: RobotModel, config: StackConfig, keeper: Keeper | None = None
    ) -> None:
        """Listen.

        Args:
            node: that subscribes.
            robot, config: of the scenes.
            keeper: is handed the packed messages, proposals too; with None nobody listens to them.
        """
        self.maker = SceneMaker(robot, config)
        self._keeper = keeper
        self._proposals = (
            None
            if keeper is None
            else Queue(node, JointState, "policy/proposal", PROPOSALS, required=False)
        )
        self._estimates = Queue(node, Float64MultiArray, "state_estimate", ESTIMATES)
        self._verdicts = Queue(node, JointState, "safety/verdict", VERDICTS)
        self._plans = Queue(node, MultiDOFJointState, "mpc/plan", NEWEST)
        self._display = Queue(node, UInt8MultiArray, DISPLAY, DISPLAY_QOS, required=False)
        self._topics = {
            "state_estimate": self._estimates,
            "safety/verdict": self._verdicts,
            "mpc/plan": self._plans,
        }
        self._looks = 0
        queues = (*self._topics.values(), self._display, self._proposals)
        self.streams = tuple(queue.stream for queue in queues if queue is not None)
        self.estimate: Estimate | None = None
        self.verdict: Verdict | None = None
        self._plan: StancePlan | None = None

    def look(self) -> Scene | None:
        """The scene now; None without a new estimate."""
        self._hear_display()
        estimates = self._new_estimates()
        verdicts = self._new_verdicts()
        if self._keeper is not None and self._proposals is not None:
            self._keeper.keep("policy/proposal", self._proposals.sound(decisions.proposal_from))
        plans = self._plans.take()
        if plans:
            self._plan = self._plans.read(plans[-1], decisions.plan_from) or self._plan
        if not estimates:
            return None
        for estimate in estimates[:-1]:
            self.maker.note(estimate)
        self.estimate = estimates[-1]
        return self.maker.update(self.estimate, verdicts, self._plan)

    def _hear_display(self) -> None:
        """Take messages for displays, and choose the topics on each tenth look."""
        for batch in self._display.take():
            try:
                for topic, _, packed in unpack(batch)[1]:
                    if topic in self._topics:
                        self._topics[topic].hand(packed)
            except SafeLocomotionError as error:
                self._display.stream.reject(str(error))
            else:
                self._display.stream.hear(0)
        if self._looks % CHOOSE_EACH == 0:
            fed = self._display.offered
            for queue in self._topics.values():
                queue.listen(not fed)
        self._looks += 1

    def _new_estimates(self) -> list[Estimate]:
        """The newest estimate and at most `NOTED` before it, evenly spread."""
        packed = self._estimates.take()
        if self._keeper is not None:
            self._keeper.keep("state_estimate", packed)
        step = max(1, -(-len(packed) // NOTED))
        chosen = packed[::-1][::step][::-1]
        read = [self._estimates.read(message, conversions.estimate_from) for message in chosen]
        return [estimate for estimate in read if estimate is not None]

    def _new_verdicts(self) -> list[Verdict]:
        """The newest verdict with a rollout, then the newest one; the last one when none came."""
        packed = self._verdicts.take()
        if self._keeper is not None:
            self._keeper.keep("safety/verdict", packed)
        foreseen = [message for message in packed[:-1] if _PREDICTED in message][-1:]
        read = [
            self._verdicts.read(message, decisions.verdict_from)
            for message in (*foreseen, *packed[-1:])
        ]
        verdicts = [verdict for verdict in read if verdict is not None]
        if verdicts:
            self.verdict = verdicts[-1]
        return verdicts or ([] if self.verdict is None else [self.verdict])
