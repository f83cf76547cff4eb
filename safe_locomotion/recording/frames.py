"""Frames of the robot in an episode, so that Foxglove and RViz draw it without another program.

`/tf` in an episode is made from the recorded estimates, whether or not a node publishes it.
"""

import numpy as np

from safe_locomotion.messages import cdr
from safe_locomotion.messages.layouts import BASE_FRAME, ODOM_FRAME
from safe_locomotion.messages.transforms import TransformBytes
from safe_locomotion.robot.description import robot_description
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import Estimate
from safe_locomotion.ui.robot_body import RobotBody

FRAMES_NS = 20_000_000  #: robot time between two messages


class RobotFrames:
    """Messages of `/tf` and `robot_description`.

    Attributes:
        description: a serialised std_msgs/String with the URDF.
    """

    def __init__(self, robot: str) -> None:
        """Read the URDF of a robot.

        Raises:
            UnknownNameError: no such robot.
        """
        self._body = RobotBody(robot)
        links = self._body.links
        self._bytes = TransformBytes(
            [
                (ODOM_FRAME, BASE_FRAME),
                (BASE_FRAME, links[0]),
                *zip(self._body.parents, links[1:], strict=True),
            ]
        )
        self._due = Divider(FRAMES_NS)
        self.description = cdr.string_message(robot_description(robot))

    def due(self, stamp_ns: int) -> bool:
        """Whether the frames of this stamp belong into the episode."""
        return self._due.due(stamp_ns)

    def message(self, estimate: Estimate) -> bytes:
        """A serialised tf2_msgs/TFMessage with all frames of an estimate."""
        joints = self._body.joint_poses(estimate.q)
        return self._bytes(
            estimate.stamp_ns,
            np.vstack((estimate.position, joints.position)),
            np.vstack((estimate.quaternion_wxyz, joints.quaternion_wxyz)),
        )
