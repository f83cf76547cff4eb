"""What the bridge tells of the robot to those who watch: sensors, battery, and robot time.

The control path takes none of these topics. Our own nodes need no `clock` either, because they take
time from the stamps of LowStates.
"""

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState, Imu, JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.messages import encode
from safe_locomotion.messages.cdr import stamp_head
from safe_locomotion.nodes.conversions import battery_from
from safe_locomotion.nodes.health import STEADY
from safe_locomotion.nodes.subscriptions import NEWEST
from safe_locomotion.nodes.tick_feed import OnDemand
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import LowState

CLOCK = "clock"
CLOCK_NS = 10_000_000  #: robot time between two messages of `clock`
#: As rclpy and rclcpp subscribe to it.
CLOCK_QOS = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
BATTERY_S = 1.0


class SensorTopics:
    """Publishers of one bridge.

    Attributes:
        newest: the LowState that came last.
    """

    def __init__(self, node: Node, *, clock: bool) -> None:
        """Publish nothing yet.

        Args:
            node: publishes.
            clock: whether robot time goes out on `clock`, in the namespace of the node.
        """
        self.newest: LowState | None = None
        self._joints = OnDemand(node.create_publisher(JointState, "joint_states", NEWEST))
        self._imu = OnDemand(node.create_publisher(Imu, "imu/data", NEWEST))
        self._feet = OnDemand(node.create_publisher(Float64MultiArray, "foot_forces", NEWEST))
        self._battery = node.create_publisher(BatteryState, "battery_state", 1)
        self._clock = OnDemand(node.create_publisher(Clock, CLOCK, CLOCK_QOS)) if clock else None
        self._clock_due = Divider(CLOCK_NS)
        node.create_timer(BATTERY_S, self._publish_battery, clock=STEADY)

    def publish(self, state: LowState) -> None:
        """Send one LowState to those who listen; call it when the command is out."""
        for topic, packed in (
            (self._joints, encode.joint_states),
            (self._imu, encode.imu),
            (self._feet, encode.foot_forces),
        ):
            if topic.wanted(state.stamp_ns):
                topic.publish(packed(state))

    def tell_time(self) -> None:
        """Send the time of the newest LowState, if it is due and somebody listens."""
        clock = self._clock
        if clock is None or self.newest is None:
            return
        stamp_ns = self.newest.stamp_ns
        if self._clock_due.due(stamp_ns) and clock.wanted(stamp_ns):
            clock.publish(stamp_head(stamp_ns))

    def _publish_battery(self) -> None:
        if self.newest is not None:
            self._battery.publish(battery_from(self.newest))
