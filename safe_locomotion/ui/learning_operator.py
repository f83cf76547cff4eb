"""An operator that also sees where the robot is, its battery and motors, and its policy's trial."""

from dataclasses import dataclass
from math import inf, nan
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile

from safe_locomotion.operator.learning_flight import Sight
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.ui.remote_operator import RemoteOperator
from safe_locomotion.ui.scene_topics import ESTIMATES, Queue

LINK_ROW = "bridge_node: robot link"
POLICY_ROW = "policy_node: policy"
DIAGNOSTICS = QoSProfile(depth=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Vitals:
    """What `/diagnostics` says of the robot and its policy.

    Attributes:
        voltage: of the battery [V]; NaN where it is unknown.
        hottest: of the motors [deg C]; NaN where it is unknown.
        policy: in force.
        rollbacks: policies that failed their trial since the stack started.
        news: last event of a policy.
    """

    voltage: float = nan
    hottest: float = nan
    policy: str = ""
    rollbacks: int = 0
    news: str = ""


class LearningOperator(RemoteOperator):
    """Sees more than an operator who only drives.

    Attributes:
        vitals: of the newest diagnostics.
    """

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self._odometry = Queue(self._node, Odometry, "odom", ESTIMATES)
        self._diagnostics = Queue(self._node, DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        self._place = (nan, nan, nan)
        self.vitals = Vitals()

    def look(self) -> Sight | None:
        """What is seen now; None before the first verdict."""
        for odometry in self._odometry.messages()[-1:]:
            pose = odometry.pose.pose
            q = pose.orientation
            yaw = rpy_from_quaternion(np.array((q.w, q.x, q.y, q.z)))[2]
            self._place = (pose.position.x, pose.position.y, yaw)
        for array in self._diagnostics.messages():
            self._hear(array)
        if self.mode is None or self.stamp_ns is None:
            return None
        x, y, yaw = self._place
        return Sight(
            stamp_ns=self.stamp_ns,
            mode=self.mode,
            policy=self.policy,
            reasons=self.reasons,
            x=x,
            y=y,
            yaw=yaw,
        )

    def forget(self) -> None:
        """Wait for the first verdict of a stack that was started again."""
        self.mode = None
        self.stamp_ns = None
        self.heard_s = -inf
        self.vitals = Vitals()
        self._place = (nan, nan, nan)

    def _hear(self, array: Any) -> None:
        for row in array.status:
            values = {pair.key: pair.value for pair in row.values}
            if row.name == LINK_ROW:
                self.vitals = Vitals(
                    voltage=_number(values.get("voltage", "")),
                    hottest=_number(values.get("hottest_motor", "")),
                    policy=self.vitals.policy,
                    rollbacks=self.vitals.rollbacks,
                    news=self.vitals.news,
                )
            elif row.name == POLICY_ROW:
                self.vitals = Vitals(
                    voltage=self.vitals.voltage,
                    hottest=self.vitals.hottest,
                    policy=values.get("policy", ""),
                    rollbacks=int(values.get("rollbacks", "0")),
                    news=values.get("news", ""),
                )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan
