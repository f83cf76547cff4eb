"""Messages of the control path, taken on the thread that computes with them.

rclpy's executor rebuilds its wait set and wraps every message in a task. That costs 260-500 us of
CPU per message, at 500 Hz. So the control path waits on its own small wait set, as
`rclpy.wait_for_message` does. The executor serves services, parameters and timers on a second
thread.

Every subscription takes bytes, which `views` reads. So a malformed message is counted and dropped,
whoever sent it. rclpy itself would raise the error where nobody catches it, and the node would end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from safe_locomotion.nodes import views
from safe_locomotion.nodes.conversions import MalformedMessageError
from safe_locomotion.nodes.health import Stream
from safe_locomotion.nodes.publishers import STRANGER, Binding, gid_of

NEWEST = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""States and commands: only the newest counts."""

LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""The verdict: must arrive, and a late joiner sees the last one."""


class OutOfTheExecutor(CallbackGroup):
    """A callback group whose members the executor never takes."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing to end."""
        return None


def receiver(
    message_type: type, handler: Callable[[Any], None], stream: Stream
) -> Callable[[bytes], bool]:
    """Callback that hands serialised messages to a handler, and counts malformed ones.

    It returns whether the message was a good one.
    """

    def receive(data: bytes) -> bool:
        try:
            handler(views.read(data, message_type))
        except MalformedMessageError as error:
            stream.reject(str(error))
            return False
        return True

    return receive


def listen(
    node: Node,
    message_type: type,
    topic: str,
    qos: QoSProfile,
    handler: Callable[[Any], None],
    stream: Stream,
) -> None:
    """Take a topic on the executor thread from now on.

    Args:
        node: that subscribes.
        message_type: ROS type of the topic.
        topic: its name.
        qos: of the subscription.
        handler: called with every message, or with a view of it (`views`).
        stream: counts each malformed message.
    """
    node.create_subscription(
        message_type, topic, receiver(message_type, handler, stream), qos, raw=True
    )


class Polled:
    """A topic that anybody may flood: messages wait in the transport until `take`.

    The transport keeps as many as the depth of the subscription and drops the others, without the
    interpreter. So the work of a period is bounded, however many arrive.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        qos: QoSProfile,
        handler: Callable[[Any], None],
        stream: Stream,
    ) -> None:
        """Subscribe; the arguments are those of `listen`."""
        self._most = qos.depth
        self._subscription: Any = node.create_subscription(
            message_type,
            topic,
            receiver(message_type, handler, stream),
            qos,
            callback_group=OutOfTheExecutor(),
            raw=True,
        )

    def take(self) -> None:
        """Hand over the messages that wait, at most the depth of the subscription."""
        subscription = self._subscription
        for _ in range(self._most):
            taken = subscription.handle.take_message(subscription.msg_type, True)
            if taken is None:
                return
            subscription.callback(taken[0])


@dataclass(frozen=True, kw_only=True)
class _Intake:
    """One subscription of an inbox, and whose messages it takes; None for everybody's."""

    subscription: Any
    stream: Stream
    binding: Binding | None

    def take(self) -> None:
        """Hand the message that is there to its handler, if its publisher counts."""
        subscription = self.subscription
        taken = subscription.handle.take_message(subscription.msg_type, True)
        if taken is None:
            return
        binding = self.binding
        if binding is None:
            subscription.callback(taken[0])
            return
        gid = gid_of(taken[1])
        if not binding.admits(gid):
            self.stream.reject(STRANGER)
        elif subscription.callback(taken[0]):
            binding.bind(gid)


class Inbox:
    """Subscriptions of one control loop.

    `wait` hands each new message to its handler, on the calling thread.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = OutOfTheExecutor()
        self._intakes: list[_Intake] = []
        self._wait_set: Any = None

    def subscribe(
        self,
        message_type: type,
        topic: str,
        qos: QoSProfile,
        handler: Callable[[Any], None],
        stream: Stream,
        *,
        bound: bool = False,
    ) -> Binding | None:
        """Take `topic` from now on.

        Args:
            message_type: ROS type of the topic.
            topic: its name.
            qos: of the subscription.
            handler: called with every message, or with a view of it (`views`).
            stream: counts each `MalformedMessageError` that the handler raises.
            bound: only one publisher counts.

        Returns:
            The binding to this publisher, if any.
        """
        receive = receiver(message_type, handler, stream)
        subscription = self._node.create_subscription(
            message_type, topic, receive, qos, callback_group=self._group, raw=True
        )
        binding = Binding(partial(self._node.count_publishers, topic)) if bound else None
        self._intakes.append(_Intake(subscription=subscription, stream=stream, binding=binding))
        self._wait_set = rclpy_implementation.WaitSet(
            len(self._intakes), 0, 0, 0, 0, 0, self._node.context.handle
        )
        return binding

    def wait(self, timeout_s: float) -> bool:
        """Hand over the messages that are there, and wait up to `timeout_s` for the first [s].

        Returns:
            Whether a message came.
        """
        wait_set = self._wait_set
        wait_set.clear_entities()
        for intake in self._intakes:
            wait_set.add_subscription(intake.subscription.handle)
        wait_set.wait(max(0, int(timeout_s * 1e9)))
        ready = wait_set.get_ready_entities("subscription")
        for intake in self._intakes:
            if intake.subscription.handle.pointer in ready:
                intake.take()
        return bool(ready)
