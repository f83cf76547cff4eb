"""Estimator node: `joint_states` and `imu/data` in, `state_estimate` and `odom` out."""

import sys
from dataclasses import dataclass
from time import perf_counter

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.estimator import StateEstimator
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.health import Health, LoopTimes, Stream
from safe_locomotion.nodes.inbox import NEWEST, Inbox
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.runtime import IDLE_S, run
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.types import Estimate


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings:
    """How the estimator node runs; `log_dir` is a folder for the log of its ticks, empty for none."""

    log_dir: str = ""


class EstimatorNode(Node):
    """Name, parameters and topics of the estimator."""

    def __init__(self) -> None:
        super().__init__("estimator_node", **DECLARE_FROM_OVERRIDES)
        self.parameters: NodeParameters[EstimatorSettings] = read_parameters(self, EstimatorSettings)
        self.times = LoopTimes("estimator tick")
        self._estimate = self.create_publisher(Float64MultiArray, "state_estimate", NEWEST)
        self._odometry = self.create_publisher(Odometry, "odom", NEWEST)

    def publish(self, estimate: Estimate) -> None:
        """Send one estimate; the array first, others wait for it."""
        self._estimate.publish(conversions.estimate_message(estimate))
        self._odometry.publish(conversions.odometry_from(estimate))


class EstimatorLoop:
    """The estimator as a process of its own."""

    def __init__(self) -> None:
        self._node = EstimatorNode()
        parameters = self._node.parameters
        self._logs = StageLogs(parameters.settings.log_dir)
        self._estimator = self._logs.estimator(StateEstimator(parameters.robot, parameters.config.estimator))
        self._joints: JointState | None = None
        self._imu: Imu | None = None
        self._streams = tuple(Stream(name, timeout_s=0.1) for name in ("joint_states", "imu/data"))
        self._inbox = Inbox(self._node)
        self._inbox.subscribe(JointState, "joint_states", NEWEST, self._on_joints, self._streams[0])
        self._inbox.subscribe(Imu, "imu/data", NEWEST, self._on_imu, self._streams[1])
        Health(self._node, [*(s.status for s in self._streams), self._node.times.status])
        self.nodes = (self._node,)

    def start(self) -> None:
        """Warm the stages up."""
        self._node.parameters.pipeline().warm_up()

    def step(self) -> None:
        """Take what arrived; a pair of equal stamps gives an estimate."""
        self._inbox.wait(IDLE_S)

    def close(self) -> None:
        """Complete the log."""
        self._logs.close()

    def _on_joints(self, message: JointState) -> None:
        self._joints = message
        self._estimate_pair()

    def _on_imu(self, message: Imu) -> None:
        self._imu = message
        self._estimate_pair()

    def _estimate_pair(self) -> None:
        joints, imu = self._joints, self._imu
        if joints is None or imu is None or joints.header.stamp != imu.header.stamp:
            return
        start = perf_counter()
        state = conversions.low_state_from(joints, imu)
        self._node.publish(self._estimator.update(state))
        for stream in self._streams:
            stream.hear(state.stamp_ns)
        self._node.times.add(perf_counter() - start)


def main(args: list[str] | None = None) -> int:
    """Run the estimator node until it is told to stop."""
    return run(EstimatorLoop, args)


if __name__ == "__main__":
    sys.exit(main())
