"""Estimator node: `joint_states` and `imu/data` in, `state_estimate` and `odom` out."""

import sys
from time import perf_counter

from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.stage_loop import StageLoop, StageNode, StageSettings
from safe_locomotion.nodes.subscriptions import NEWEST
from safe_locomotion.types import STATE_PERIOD_NS, Estimate


class EstimatorNode(StageNode[StageSettings]):
    """Name, parameters and topics of the estimator."""

    def __init__(self) -> None:
        super().__init__("estimator", StageSettings)
        self._estimate = self.create_publisher(Float64MultiArray, "state_estimate", NEWEST)
        self._odometry = self.create_publisher(Odometry, "odom", NEWEST)

    def publish(self, estimate: Estimate) -> None:
        """Send one estimate; the array first, others wait for it."""
        self._estimate.publish(encode.state_estimate(estimate))
        self._odometry.publish(conversions.odometry_from(estimate))


class EstimatorLoop(StageLoop[EstimatorNode]):
    """The estimator as a process of its own."""

    def __init__(self) -> None:
        super().__init__(EstimatorNode())
        parameters = self._node.parameters
        self._estimator = StateEstimator(parameters.robot, parameters.config.estimator)
        self._joints: JointState | None = None
        self._imu: Imu | None = None
        self._listen(JointState, "joint_states", self._on_joints, period_ns=STATE_PERIOD_NS)
        self._listen(Imu, "imu/data", self._on_imu, period_ns=STATE_PERIOD_NS)
        self._tell_health()

    def _on_joints(self, message: JointState) -> None:
        self._joints = message
        self._estimate_pair()

    def _on_imu(self, message: Imu) -> None:
        self._imu = message
        self._estimate_pair()

    def _estimate_pair(self) -> None:
        """A pair of equal stamps gives an estimate."""
        joints = self._joints
        imu = self._imu
        if joints is None or imu is None:
            return
        if conversions.stamp_of(joints) != conversions.stamp_of(imu):
            return
        start = perf_counter()
        state = conversions.low_state_from(joints, imu)
        ready = perf_counter()
        estimate = self._estimator.update(state)
        self._node.logs.observe("estimator", estimate, perf_counter() - ready)
        self._node.publish(estimate)
        for stream in self._streams:
            stream.hear(state.stamp_ns)
        self._node.times.add(perf_counter() - start)


def main(args: list[str] | None = None) -> int:
    """Run the estimator node until it is told to stop."""
    return run(EstimatorLoop, args)


if __name__ == "__main__":
    sys.exit(main())
