"""Frames and model of the robot for the tools of ROS: `/tf` and `robot_description`.

tf2 itself is not needed. The type of `/tf` comes with each distribution (`tf2_msgs`), but not from
PyPI.
"""

from importlib.util import find_spec

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from safe_locomotion.messages.layouts import BASE_FRAME, ODOM_FRAME
from safe_locomotion.messages.transforms import TransformBytes
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.nodes.tick_feed import OnDemand
from safe_locomotion.robot.description import robot_description
from safe_locomotion.types import Estimate

TF = "/tf"
#: As tf2's broadcaster: its listeners are reliable, and a best-effort publisher would not reach
#: them. A deep history keeps a slow listener from holding up the publisher.
TF_QOS = QoSProfile(
    depth=100, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)


def frames_topic(node: Node) -> OnDemand | None:
    """The publisher of `/tf`, or None where `tf2_msgs` is not installed."""
    if find_spec("tf2_msgs") is None:
        return None
    from tf2_msgs.msg import TFMessage  # noqa: PLC0415 - only in ROS 2 distributions

    return OnDemand(node.create_publisher(TFMessage, TF, TF_QOS))


class BaseFrame:
    """Where the base is, on `/tf` with each `odom`, and the URDF, once for all who come later."""

    def __init__(self, node: Node, robot: str, *, publish_tf: bool) -> None:
        """Publish the model now.

        Args:
            node: publishes.
            robot: name of the robot, for its URDF.
            publish_tf: whether the frame odom comes from here.
        """
        self._frames = frames_topic(node) if publish_tf else None
        self._bytes = TransformBytes([(ODOM_FRAME, BASE_FRAME)])
        self._description = node.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=robot_description(robot)))

    def publish(self, estimate: Estimate) -> None:
        """Send the frame, if somebody listens."""
        frames = self._frames
        if frames is not None and frames.wanted(estimate.stamp_ns):
            position = estimate.position[None]
            frames.publish(self._bytes(estimate.stamp_ns, position, estimate.quaternion_wxyz[None]))
