"""Estimator node: `low_state` in, `state_estimate` and `odom` out."""

import sys
from dataclasses import dataclass
from time import perf_counter

from nav_msgs.msg import Odometry
from std_msgs.msg import Float64MultiArray

from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.robot_frames import BaseFrame
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.stage_loop import StageLoop, StageNode, StageSettings
from safe_locomotion.nodes.subscriptions import NEWEST
from safe_locomotion.nodes.tick_feed import OnDemand
from safe_locomotion.types import STATE_PERIOD_NS, Estimate


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings(StageSettings):
    """How the estimator runs.

    Attributes:
        publish_tf: send odom to base_link on /tf with each odometry; false where another node
            says where the base is.
    """

    publish_tf: bool = True


class EstimatorNode(StageNode[EstimatorSettings]):
    """Name, parameters and topics of the estimator."""

    def __init__(self) -> None:
        super().__init__("estimator", EstimatorSettings)
        self._estimate = self.create_publisher(Float64MultiArray, "state_estimate", NEWEST)
        self._odometry = OnDemand(self.create_publisher(Odometry, "odom", NEWEST))
        settings = self.parameters.settings
        self._frame = BaseFrame(self, self.parameters.robot.name, publish_tf=settings.publish_tf)

    def publish(self, estimate: Estimate) -> None:
        """Send one estimate; the array first, others wait for it."""
        self._estimate.publish(encode.state_estimate(estimate))
        if self._odometry.wanted(estimate.stamp_ns):
            self._odometry.publish(encode.odometry(estimate))
        self._frame.publish(estimate)


class EstimatorLoop(StageLoop[EstimatorNode]):
    """The estimator as a process of its own."""

    def __init__(self) -> None:
        super().__init__(EstimatorNode())
        parameters = self._node.parameters
        self._estimator = StateEstimator(parameters.robot, parameters.config.estimator)
        self._states = self._listen(
            Float64MultiArray, "low_state", self._on_state, period_ns=STATE_PERIOD_NS
        )
        self._tell_health()

    def _on_state(self, message: Float64MultiArray) -> None:
        start = perf_counter()
        state = conversions.low_state_from(message)
        ready = perf_counter()
        estimate = self._estimator.update(state)
        self._node.logs.observe("estimator", estimate, perf_counter() - ready)
        self._node.publish(estimate)
        self._states.hear(state.stamp_ns)
        self._node.times.add(perf_counter() - start)


def main(args: list[str] | None = None) -> int:
    """Run the estimator node until it is told to stop."""
    return run(EstimatorLoop, args)


if __name__ == "__main__":
    sys.exit(main())
