"""The robot's remote at the bridge, decoded from each LowState.

Its requests are published when the command of the tick is out.
"""

from collections import deque
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_msgs.msg import String

from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.health import Stream
from safe_locomotion.nodes.operator import REMOTE_REQUEST, REMOTE_VELOCITY, REQUESTS_QOS
from safe_locomotion.operator.driving import DrivingParameters
from safe_locomotion.operator.unitree_remote import RemoteControl
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import LowState, Verdict

TIMEOUT_S = 0.1  #: its bytes are in every LowState; robot time may be slow
TO_TELL = 50  #: most requests that wait to be published; the oldest are dropped
SPEAK_NS = 40_000_000  #: robot time between two velocities


class RemoteListener:
    """Hears the remote and tells the other nodes; the emergency stop needs none of them."""

    def __init__(self, node: Node, parameters: DrivingParameters) -> None:
        self._remote = RemoteControl(parameters)
        self._stream = Stream("remote", timeout_s=TIMEOUT_S, required=False)
        self._velocity = node.create_publisher(TwistStamped, REMOTE_VELOCITY, 1)
        self._request = node.create_publisher(String, REMOTE_REQUEST, REQUESTS_QOS)
        self._speaks = Divider(SPEAK_NS)
        self._drove = False
        self._to_tell: deque[Callable[[], None]] = deque(maxlen=TO_TELL)

    @property
    def stops(self) -> bool:
        """Whether its emergency stop is in force."""
        return self._remote.estop.latched

    def hear(self, state: LowState, verdict: Verdict | None) -> None:
        """Line up the requests of the remote, to be published when the command is out."""
        if not self._remote.update(state, verdict):
            return
        wish = self._remote.wish
        if self._remote.valid:
            self._stream.hear(state.stamp_ns)
        else:
            self._stream.reject("bytes that no remote sends")
        if wish.request:
            self._to_tell.append(lambda: self._request.publish(String(data=wish.request)))
        if (wish.drives and self._speaks.due(state.stamp_ns)) or (self._drove and not wish.drives):
            message = conversions.twist_message(wish.command, state.stamp_ns)
            self._to_tell.append(lambda: self._velocity.publish(message))
        self._drove = wish.drives

    def tell(self) -> None:
        """Publish one request."""
        if self._to_tell:
            self._to_tell.popleft()()

    def status(self) -> DiagnosticStatus:
        """Row of `/diagnostics`."""
        row = self._stream.status()
        wish = self._remote.wish
        said = "emergency stop" if self.stops else "drives" if wish.drives else "at rest"
        row.values += [
            KeyValue(key="says", value=said),
            KeyValue(key="frozen", value=str(wish.frozen)),
        ]
        return row
