"""Who publishes on the topics of the control path: one program each, and a second is a hazard.

Every message carries the GID of its publisher. A subscription of the control path is bound to the
first publisher that sends it a good message. Messages of others are dropped and counted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from safe_locomotion.errors import BackendError
from safe_locomotion.safety.robot_watch import NO_HAZARDS

CONTROL_TOPICS = (
    "safety/verdict",
    "mpc/plan",
    "state_estimate",
    "policy/proposal",
    "safety/hazards",
    "safety/feedback",
    "low_state",
)
"""Topics through which the five processes control the robot."""
SECOND = frozenset({"second_publisher"})
HELD = 50  #: states for which a second publisher is reported, so that every listener receives it
STRANGER = "from a second publisher"


def gid_of(info: Mapping[str, Any]) -> bytes:
    """GID of the publisher of a message; empty where the client library does not tell."""
    gid = info.get("publisher_gid")
    return bytes(gid["data"]) if gid else b""


class Binding:
    """The one publisher whose messages count on a topic.

    Attributes:
        strangers: how many messages of others were dropped.
    """

    def __init__(self, connected: Callable[[], int]) -> None:
        """Bound to nobody yet.

        Args:
            connected: number of publishers that are connected at present.
        """
        self._connected = connected
        self._gid: bytes | None = None
        self.strict = False
        self.strangers = 0

    def admits(self, gid: bytes) -> bool:
        """Whether a message of this publisher counts.

        A node that was started again may take the place of one that has left, unless the binding
        is `strict`.
        """
        if self._gid in (None, gid) or (not self.strict and self._connected() <= 1):
            return True
        self.strangers += 1
        return False

    def bind(self, gid: bytes) -> None:
        """Count on this publisher from now on; it has sent a good message."""
        self._gid = gid

    def release(self) -> None:
        """Bound to nobody again."""
        self._gid = None

    @property
    def shared(self) -> bool:
        """Whether two publishers are connected."""
        return self._connected() > 1


class PublisherWatch:
    """Looks for second publishers on the topics of the control path, for the bridge.

    Its own subscriptions are looked at on every tick, and one of the other topics in turn. So a
    second publisher is seen within as many ticks as there are topics.
    """

    def __init__(self, bindings: Sequence[Binding], count: Callable[[str], int]) -> None:
        """Nothing was seen yet.

        Args:
            bindings: of the bridge's own subscriptions.
            count: number of publishers of a topic.
        """
        self._bindings = bindings
        self._count = count
        self._strangers = 0
        self._turn = 0
        self._held = 0

    def update(self, *, bound: bool) -> frozenset[str]:
        """The hazard of a second publisher, or none; called on every LowState.

        Args:
            bound: the publishers of the bridge's own topics may not change any more.
        """
        for binding in self._bindings:
            binding.strict = bound
        strangers = sum(binding.strangers for binding in self._bindings)
        self._turn = (self._turn + 1) % len(CONTROL_TOPICS)
        if (
            strangers > self._strangers
            or any(binding.shared for binding in self._bindings)
            or self._count(CONTROL_TOPICS[self._turn]) > 1
        ):
            self._held = HELD
        self._strangers = strangers
        if self._held == 0:
            return NO_HAZARDS
        self._held -= 1
        return SECOND

    def require_one_each(self) -> None:
        """Bind anew; the publishers of this moment count.

        Raises:
            BackendError: two publishers share a topic of the control path.
        """
        for binding in self._bindings:
            binding.release()
        shared = [topic for topic in CONTROL_TOPICS if self._count(topic) > 1]
        if shared:
            raise BackendError(
                f"not activated: two programs publish on {', '.join(shared)};"
                " stop one of them (ros2 topic info --verbose TOPIC names them),"
                " or use graph:=composed"
            )
