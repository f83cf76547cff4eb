"""MPC node: `state_estimate` and `safety/verdict` of one stamp in, `mpc/plan` out.

No other node has all three, so this one feeds the displays.
"""

import sys
from collections import deque
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.control.gait import executable
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.conversions import MalformedMessageError
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.stage_loop import StageLoop, StageNode, StageSettings
from safe_locomotion.nodes.subscriptions import NEWEST
from safe_locomotion.nodes.tick_feed import DisplayFeed
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import STATE_PERIOD_NS, Estimate, StancePlan, Verdict

LARGEST = 1e6  #: beyond any position, speed or covariance, in SI units
STAMP = 2  #: first numbers of an estimate


class MpcNode(StageNode[StageSettings]):
    """Name, parameters and topics of the MPC."""

    def __init__(self) -> None:
        super().__init__("mpc", StageSettings)
        self._plan = self.create_publisher(MultiDOFJointState, "mpc/plan", NEWEST)
        self._packed = encode.PlanBytes()

    def publish(self, plan: StancePlan) -> None:
        """Send one plan."""
        self._plan.publish(self._packed(plan))


class MpcLoop(StageLoop[MpcNode]):
    """The MPC as a process of its own."""

    def __init__(self) -> None:
        super().__init__(MpcNode())
        robot = self._node.parameters.robot
        mpc = self._node.parameters.config.mpc
        self._controller = LocomotionController(robot, mpc.locomotion, mpc.swing, mpc.solver)
        self._due = Divider(mpc.period_ns)
        self._display = DisplayFeed(self._node)
        self._estimate: Estimate | None = None
        self._due_stamp_ns = 0
        self._heard: deque[tuple[int, JointState]] = deque(maxlen=2)
        self._estimates = self._listen(
            Float64MultiArray, "state_estimate", self._on_estimate, period_ns=STATE_PERIOD_NS
        )
        self._verdicts = self._listen(
            JointState, "safety/verdict", self._on_verdict, period_ns=STATE_PERIOD_NS
        )
        self._tell_health()

    def _plan_pair(self) -> None:
        """Plan from a due estimate and the verdict of the same stamp.

        The verdict may arrive after the next estimate.
        """
        message = next((m for stamp_ns, m in self._heard if stamp_ns == self._due_stamp_ns), None)
        if self._estimate is None or message is None:
            return
        start = perf_counter()
        estimate = self._estimate
        self._estimate = None
        try:
            verdict = decisions.verdict_from(message)
            _require_possible(_numbers(verdict), "safety/verdict")
        except MalformedMessageError as error:
            self._verdicts.reject(str(error))
            return
        ready = perf_counter()
        plan = self._controller.update(estimate, verdict)
        self._node.logs.observe("mpc", plan, perf_counter() - ready)
        self._node.publish(plan)
        self._node.times.add(perf_counter() - start)
        self._display.settle(estimate, verdict, plan)

    def _on_estimate(self, message: Float64MultiArray) -> None:
        stamp_ns = conversions.estimate_stamp_of(message)
        self._estimates.hear(stamp_ns)
        if self._due.due(stamp_ns):
            _require_possible(np.frombuffer(message.data)[STAMP:], "state_estimate")
            self._estimate = conversions.estimate_from(message)
            self._due_stamp_ns = stamp_ns
            self._plan_pair()

    def _on_verdict(self, message: JointState) -> None:
        stamp_ns = conversions.stamp_of(message)
        self._heard.append((stamp_ns, message))
        self._verdicts.hear(stamp_ns)
        self._display.foresee(message)
        self._plan_pair()


def _numbers(verdict: Verdict) -> list[float]:
    """Numbers of a verdict that the plan multiplies or divides by."""
    gait = verdict.gait
    if not executable(gait):
        raise MalformedMessageError(f"safety/verdict: {gait} is no gait")
    command = (verdict.command.vx, verdict.command.vy, verdict.command.wz)
    shares = (gait.frequency, 1.0 / gait.frequency, 1.0 / gait.swing_ratio)
    return [*command, *shares, *gait.phase_offsets, *gait.foot_y]


def _require_possible(numbers: ArrayLike, topic: str) -> None:
    """Refuse NaN and what no robot reaches: its products would be infinite, and have no cosine."""
    if not np.abs(numbers).max() <= LARGEST:
        raise MalformedMessageError(f"{topic}: a number beyond {LARGEST:g}, or none")


def main(args: list[str] | None = None) -> int:
    """Run the MPC node until it is told to stop."""
    return run(MpcLoop, args)


if __name__ == "__main__":
    sys.exit(main())
