"""Messages of the control path, taken on the thread that computes with them.

rclpy's executor rebuilds its wait set and wraps every message in a task. That costs 260-500 us of
CPU per message, at 500 Hz. So the control path waits on its own small wait set, as
`rclpy.wait_for_message` does. The executor serves services, parameters and timers on a second
thread. Messages are taken as bytes and read by `views`.
"""

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from safe_locomotion.nodes import views
from safe_locomotion.nodes.conversions import MalformedMessageError
from safe_locomotion.nodes.health import Stream

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


class Inbox:
    """Subscriptions of one control loop.

    `wait` hands each new message to its handler, on the calling thread.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = OutOfTheExecutor()
        self._takers: list[tuple[Any, Callable[[Any], None], Stream]] = []
        self._wait_set: Any = None

    def subscribe(
        self,
        message_type: type,
        topic: str,
        qos: QoSProfile,
        handler: Callable[[Any], None],
        stream: Stream,
    ) -> None:
        """Take `topic` from now on.

        Args:
            message_type: ROS type of the topic.
            topic: its name.
            qos: of the subscription.
            handler: called with every message, or with a view of it (`views`).
            stream: counts each `MalformedMessageError` that the handler raises.
        """
        subscription = self._node.create_subscription(
            message_type, topic, handler, qos, callback_group=self._group
        )
        self._takers.append((subscription, handler, stream))
        self._wait_set = rclpy_implementation.WaitSet(
            len(self._takers), 0, 0, 0, 0, 0, self._node.context.handle
        )

    def wait(self, timeout_s: float) -> bool:
        """Hand over the messages that are there, and wait up to `timeout_s` for the first [s].

        Returns:
            Whether a message came.
        """
        wait_set = self._wait_set
        wait_set.clear_entities()
        for subscription, _, _ in self._takers:
            wait_set.add_subscription(subscription.handle)
        wait_set.wait(max(0, int(timeout_s * 1e9)))
        ready = wait_set.get_ready_entities("subscription")
        for subscription, handler, stream in self._takers:
            if subscription.handle.pointer in ready:
                self._take(subscription, handler, stream)
        return bool(ready)

    def _take(self, subscription: Any, handler: Callable[[Any], None], stream: Stream) -> None:
        taken = subscription.handle.take_message(subscription.msg_type, True)
        if taken is None:
            return
        try:
            handler(views.read(taken[0], subscription.msg_type))
        except MalformedMessageError as error:
            stream.reject(str(error))
