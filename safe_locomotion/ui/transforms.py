"""Frames of the links on `/tf`, so that RViz draws the robot without robot_state_publisher.

This needs `tf2_msgs`, which comes with a ROS 2 distribution but not from PyPI. `safety/markers`
does not need it. The estimator says where the base is in odom.
"""

import numpy as np
from rclpy.node import Node

from safe_locomotion.messages.layouts import BASE_FRAME
from safe_locomotion.messages.transforms import TransformBytes
from safe_locomotion.nodes.robot_frames import frames_topic
from safe_locomotion.nodes.tick_feed import OnDemand
from safe_locomotion.types import Estimate
from safe_locomotion.ui.robot_body import RobotBody


class LinkFrames:
    """Frames of the links of a robot below `base_link`."""

    def __init__(self, body: RobotBody) -> None:
        self._body = body
        links = body.links
        self._bytes = TransformBytes(
            [(BASE_FRAME, links[0]), *zip(body.parents, links[1:], strict=True)]
        )

    def message(self, estimate: Estimate) -> bytes:
        """A serialised tf2_msgs/TFMessage for an estimate."""
        joints = self._body.joint_poses(estimate.q)
        return self._bytes(estimate.stamp_ns, joints.position, joints.quaternion_wxyz)


class Transforms:
    """Publisher of these frames."""

    def __init__(self, topic: OnDemand, body: RobotBody) -> None:
        self._topic = topic
        self._frames = LinkFrames(body)

    def publish(self, estimate: Estimate) -> None:
        """Send the frames, if somebody listens."""
        if self._topic.wanted(estimate.stamp_ns) and np.isfinite(estimate.q).all():
            self._topic.publish(self._frames.message(estimate))


def transforms(node: Node, body: RobotBody) -> Transforms | None:
    """The publisher, or None where `tf2_msgs` is not installed."""
    topic = frames_topic(node)
    return None if topic is None else Transforms(topic, body)
