"""MPC node: `state_estimate` and `safety/verdict` of one stamp in, `mpc/plan` out."""

import sys
from dataclasses import dataclass
from time import perf_counter

from rclpy.node import Node
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.locomotion import LocomotionController
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.health import Health, LoopTimes, Stream
from safe_locomotion.nodes.inbox import LATCHED, NEWEST, Inbox
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.runtime import IDLE_S, run
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.pipeline import Divider
from safe_locomotion.types import StancePlan


@dataclass(frozen=True, kw_only=True)
class MpcSettings:
    """How the MPC node runs; `log_dir` is a folder for the log of its ticks, empty for none."""

    log_dir: str = ""


class MpcNode(Node):
    """Name, parameters and topics of the MPC."""

    def __init__(self) -> None:
        super().__init__("mpc_node", **DECLARE_FROM_OVERRIDES)
        self.parameters: NodeParameters[MpcSettings] = read_parameters(self, MpcSettings)
        self.times = LoopTimes("mpc tick")
        self._plan = self.create_publisher(MultiDOFJointState, "mpc/plan", NEWEST)

    def publish(self, plan: StancePlan) -> None:
        """Send one plan."""
        self._plan.publish(conversions.plan_message(plan))


class MpcLoop:
    """The MPC as a process of its own."""

    def __init__(self) -> None:
        self._node = MpcNode()
        robot, mpc = self._node.parameters.robot, self._node.parameters.config.mpc
        self._logs = StageLogs(self._node.parameters.settings.log_dir)
        self._controller = self._logs.mpc(LocomotionController(robot, mpc.locomotion, mpc.swing, mpc.solver))
        self._due = Divider(mpc.period_ns)
        self._estimate: Float64MultiArray | None = None
        self._estimate_stamp_ns = self._verdict_stamp_ns = 0
        self._verdict: JointState | None = None
        self._estimates, self._verdicts = Stream("state_estimate", timeout_s=0.1), Stream("safety/verdict", timeout_s=0.1)
        self._inbox = Inbox(self._node)
        self._inbox.subscribe(Float64MultiArray, "state_estimate", NEWEST, self._on_estimate, self._estimates)
        self._inbox.subscribe(JointState, "safety/verdict", LATCHED, self._on_verdict, self._verdicts)
        Health(self._node, [self._estimates.status, self._verdicts.status, self._node.times.status])
        self.nodes = (self._node,)

    def start(self) -> None:
        """Warm the stages up."""
        self._node.parameters.pipeline().warm_up()

    def step(self) -> None:
        """Take what arrived; a due pair of equal stamps gives a plan."""
        self._inbox.wait(IDLE_S)

    def close(self) -> None:
        """Complete the log."""
        self._logs.close()

    def _plan_pair(self) -> None:
        if self._estimate is None or self._verdict is None or self._estimate_stamp_ns != self._verdict_stamp_ns:
            return
        start = perf_counter()
        estimate, verdict = conversions.estimate_from(self._estimate), conversions.verdict_from(self._verdict)
        self._estimate = self._verdict = None
        self._node.publish(self._controller.update(estimate, verdict))
        self._node.times.add(perf_counter() - start)

    def _on_estimate(self, message: Float64MultiArray) -> None:
        self._estimate_stamp_ns = conversions.estimate_stamp_of(message)
        self._estimates.hear(self._estimate_stamp_ns)
        self._estimate = message if self._due.due(self._estimate_stamp_ns) else None
        self._plan_pair()

    def _on_verdict(self, message: JointState) -> None:
        self._verdict, self._verdict_stamp_ns = message, conversions.stamp_of(message)
        self._verdicts.hear(self._verdict_stamp_ns)
        self._plan_pair()


def main(args: list[str] | None = None) -> int:
    """Run the MPC node until it is told to stop."""
    return run(MpcLoop, args)


if __name__ == "__main__":
    sys.exit(main())
