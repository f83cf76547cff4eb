"""The topics behind a scene, looked at when one is wanted: for processes that only watch.

A subscription that an executor serves costs 13-25 % of a core at 500 Hz. Here nothing wakes up when a message comes: `look` takes what
lies in the queues, still packed, and unpacks only what it needs.
"""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.config import StackConfig
from safe_locomotion.nodes import conversions, decisions, views
from safe_locomotion.nodes.conversions import MalformedMessageError
from safe_locomotion.nodes.health import Stream
from safe_locomotion.nodes.inbox import NEWEST, OutOfTheExecutor
from safe_locomotion.robots import RobotModel
from safe_locomotion.scene import Scene
from safe_locomotion.scene_maker import SceneMaker
from safe_locomotion.types import Estimate, StancePlan, Verdict

DEPTH = 40  #: verdicts, 80 ms at 500 Hz: one in fifty carries a rollout, and none of these shall be missed
FEW = 4  #: estimates, of which the newest counts
NOTED = 2  #: estimates that are unpacked in one look
TIMEOUT_S = 0.5
ESTIMATES = QoSProfile(depth=FEW, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
VERDICTS = QoSProfile(depth=DEPTH, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Best effort: who watches would else acknowledge each verdict, for which the supervisor would have to wake up."""
_PREDICTED = b"predicted/0/"  #: in a packed verdict that carries a rollout


class Queue:
    """A subscription whose messages wait until someone takes them."""

    def __init__(self, node: Node, message_type: type, topic: str, qos: QoSProfile) -> None:
        self._type = message_type
        self._subscription = node.create_subscription(message_type, topic, _ignore, qos, callback_group=OutOfTheExecutor())
        self.stream = Stream(topic, timeout_s=TIMEOUT_S)

    def take(self) -> list[bytes]:
        """Packed messages, oldest first; the queue is empty afterwards."""
        found: list[bytes] = []
        while (taken := self._subscription.handle.take_message(self._type, True)) is not None:
            found.append(taken[0])
        return found

    def read(self, packed: bytes, convert: Callable[[Any], Any]) -> Any:
        """What one message says; None, and counted as rejected, for one that is malformed."""
        try:
            value = convert(views.read(packed, self._type))
        except MalformedMessageError as error:
            self.stream.reject(str(error))
            return None
        self.stream.hear(value.stamp_ns)
        return value


class SceneTopics:
    """Makes scenes from `state_estimate`, `safety/verdict` and `mpc/plan`.

    Attributes:
        maker: of the scenes; `maker.body` is what they draw.
        streams: of the topics, for `/diagnostics`.
    """

    def __init__(self, node: Node, robot: RobotModel, config: StackConfig) -> None:
        self.maker = SceneMaker(robot, config)
        self._estimates = Queue(node, Float64MultiArray, "state_estimate", ESTIMATES)
        self._verdicts = Queue(node, JointState, "safety/verdict", VERDICTS)
        self._plans = Queue(node, MultiDOFJointState, "mpc/plan", NEWEST)
        self.streams = tuple(queue.stream for queue in (self._estimates, self._verdicts, self._plans))
        self.estimate: Estimate | None = None
        self._verdict: Verdict | None = None
        self._plan: StancePlan | None = None

    def look(self) -> Scene | None:
        """The scene now; None when there is no new estimate."""
        estimates = self._new_estimates()
        verdicts = self._new_verdicts()
        plans = self._plans.take()
        if plans:
            self._plan = self._plans.read(plans[-1], decisions.plan_from) or self._plan
        if not estimates:
            return None
        for estimate in estimates[:-1]:
            self.maker.note(estimate)
        self.estimate = estimates[-1]
        return self.maker.update(self.estimate, verdicts, self._plan)

    def _new_estimates(self) -> list[Estimate]:
        """The newest estimate and a few before it, evenly spread."""
        packed = self._estimates.take()
        step = max(1, -(-len(packed) // NOTED))
        chosen = packed[::-1][::step][::-1]
        read = [self._estimates.read(message, conversions.estimate_from) for message in chosen]
        return [estimate for estimate in read if estimate is not None]

    def _new_verdicts(self) -> list[Verdict]:
        """The newest verdict after the newest that carries a rollout; the one of before when there is none."""
        packed = self._verdicts.take()
        foreseen = [message for message in packed[:-1] if _PREDICTED in message][-1:]
        read = [self._verdicts.read(message, decisions.verdict_from) for message in (*foreseen, *packed[-1:])]
        verdicts = [verdict for verdict in read if verdict is not None]
        if verdicts:
            self._verdict = verdicts[-1]
        return verdicts or ([] if self._verdict is None else [self._verdict])


def _ignore(message: Any) -> None:
    """Never called: nobody serves these subscriptions."""
