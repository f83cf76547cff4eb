"""Frames of the robot on `tf` and its model on `robot_description`, for RViz's RobotModel.

This needs `tf2_ros`, which comes with a ROS 2 distribution but not from PyPI. `safety/markers`
needs neither.
"""

from importlib.util import find_spec
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from std_msgs.msg import String

from safe_locomotion.messages.layouts import BASE_FRAME, ODOM_FRAME
from safe_locomotion.nodes.conversions import time_message
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.robot.models import robot_file
from safe_locomotion.types import Estimate
from safe_locomotion.ui.robot_body import RobotBody
from safe_locomotion.ui.scene import Scene


class Transforms:
    """Publisher of frames and model."""

    def __init__(self, node: Node, robot: str, body: RobotBody) -> None:
        """Publish the model now.

        Args:
            node: publishes.
            robot: name of the robot, for its URDF.
            body: links of the robot.
        """
        from tf2_ros import TransformBroadcaster  # noqa: PLC0415 - only in ROS 2 distributions

        self._broadcaster: Any = TransformBroadcaster(node)
        self._body = body
        frames = [
            (ODOM_FRAME, BASE_FRAME),
            (BASE_FRAME, body.links[0]),
            *zip(body.parents, body.links[1:], strict=True),
        ]
        self._messages = [TransformStamped(child_frame_id=child) for _, child in frames]
        for message, (parent, _) in zip(self._messages, frames, strict=True):
            message.header.frame_id = parent
        self._description = node.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=robot_file(robot, ".urdf").read_text()))

    def publish(self, scene: Scene, estimate: Estimate) -> None:
        """Send the frames of a scene that was made from this estimate."""
        if not scene.finite:
            return
        joints = self._body.joint_poses(estimate.q)
        stamp = time_message(scene.stamp_ns)
        base = scene.links
        places = [*base.position[:1].tolist(), *joints.position.tolist()]
        turns = [*base.quaternion_wxyz[:1].tolist(), *joints.quaternion_wxyz.tolist()]
        for message, (x, y, z), turn in zip(self._messages, places, turns, strict=True):
            message.header.stamp = stamp
            translation = message.transform.translation
            translation.x = x
            translation.y = y
            translation.z = z
            rotation = message.transform.rotation
            rotation.w, rotation.x, rotation.y, rotation.z = turn
        self._broadcaster.sendTransform(self._messages)


def transforms(node: Node, robot: str, body: RobotBody) -> Transforms | None:
    """The publisher, or None where `tf2_ros` is not installed."""
    return Transforms(node, robot, body) if find_spec("tf2_ros") is not None else None
