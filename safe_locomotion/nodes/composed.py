"""All five nodes in one process: the control path is `Pipeline.step`, topics are for watching.

Same node names, parameters, services and topics as the graph of five processes. On every LowState the main thread reads, steps
and writes; only when the command is out does it publish what the stages said, one stage per tick and a round `monitor_rate_hz` times
per second of robot time; a recorder that listens gets every tick. Another thread publishing would take the interpreter in the middle of
a tick. Last comes the plan for the next tick; where `realtime.plan_beside` asks for it, on a thread beside the main one: it has the
interpreter for itself then, and needs none while it solves.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy

from rclpy.node import Node

from safe_locomotion.config import StackConfig
from safe_locomotion.control.planner import PATIENCE, Planner, PlansBeside, PlansInTurn
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.nodes.estimator import EstimatorNode
from safe_locomotion.nodes.health import Health, Stream
from safe_locomotion.nodes.mpc import MpcNode
from safe_locomotion.nodes.operator import RequestServices, ScriptedOperator
from safe_locomotion.nodes.policy import PolicyNode
from safe_locomotion.nodes.runtime import LOCK_STEP_WAIT_S, run
from safe_locomotion.nodes.stage_loop import STREAM_TIMEOUT_S, watched
from safe_locomotion.nodes.supervisor import PROPOSAL_TIMEOUT_S, SupervisorNode
from safe_locomotion.nodes.tick_feed import TickFeed
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import NANOSECONDS, STATE_PERIOD_NS, LowCommand, LowState, Verdict


class ComposedLoop:
    """The whole stack as one process."""

    def __init__(self) -> None:
        self._bridge, self._estimator, self._policy = BridgeNode(), EstimatorNode(), PolicyNode()
        self._supervisor, self._mpc = SupervisorNode(), MpcNode()
        self.nodes: Sequence[Node] = (
            self._bridge,
            self._estimator,
            self._policy,
            self._supervisor,
            self._mpc,
        )
        self.slow_nodes: Sequence[Node] = (self._policy,)
        self._planner = self._make_planner()
        self._pipeline = Pipeline(
            self._bridge.parameters.robot, self._config(), planner=self._planner
        )
        self.freeze_garbage = self._bridge.parameters.config.bridge.realtime.freeze_garbage
        self._policy.attach(self._pipeline.policy)
        self._log_stages()
        self._watch_stages()
        self._plan_due = False
        self._monitor_due = Divider(
            round(NANOSECONDS / self._bridge.parameters.settings.monitor_rate_hz)
        )
        self._to_publish: deque[Callable[[], None]] = deque()
        self._foreseen: Verdict | None = None
        self._feed = TickFeed(self._bridge)
        supervisor = self._pipeline.supervisor
        self._operator = ScriptedOperator(
            self._supervisor.parameters.settings.script, self._supervisor.velocity, supervisor
        )
        self._bridge.attach(
            self._respond,
            self._pipeline.command,
            lambda: self._pipeline.cycle.verdict,
            self._feed.sent,
        )
        RequestServices(self._supervisor, self._bridge.mailbox, supervisor.request, self._not_ready)
        self._tell_health()

    def _make_planner(self) -> Planner:
        settings = self._bridge.parameters.settings
        wishes = self._bridge.parameters.config.bridge.realtime
        cores = (
            len(wishes.cores)
            if settings.use_realtime and wishes.cores
            else len(os.sched_getaffinity(0))
        )
        if not wishes.plans_beside(lock_step=settings.lock_step, cores=cores):
            return PlansInTurn()
        return PlansBeside(LOCK_STEP_WAIT_S if settings.lock_step else PATIENCE)

    def _config(self) -> StackConfig:
        """Each node's own section, with its own overrides."""
        return StackConfig(
            bridge=self._bridge.parameters.config.bridge,
            estimator=self._estimator.parameters.config.estimator,
            policy=self._policy.parameters.config.policy,
            supervisor=self._supervisor.parameters.config.supervisor,
            mpc=self._mpc.parameters.config.mpc,
            driving=self._bridge.parameters.config.driving,
        )

    def _log_stages(self) -> None:
        """Each stage logs where its own node says."""
        pipeline = self._pipeline
        pipeline.estimator = self._estimator.logs.estimator(pipeline.estimator)
        pipeline.policy = self._policy.logs.policy(pipeline.policy)
        pipeline.supervisor = self._supervisor.logs.supervisor(pipeline.supervisor)
        pipeline.locomotion = self._mpc.logs.mpc(pipeline.locomotion)
        pipeline.command = self._bridge.logs.command(pipeline.command)

    def _watch_stages(self) -> None:
        """Time each stage and count what it says, as its receivers do where it travels on topics."""
        pipeline = self._pipeline
        config = self._config()
        periods = {
            "state_estimate": STATE_PERIOD_NS,
            "policy/proposal": 0,  # the policy in force says
            "safety/verdict": STATE_PERIOD_NS,
            "mpc/plan": config.mpc.period_ns,
        }
        heard = self._heard = {
            topic: Stream(
                topic,
                timeout_s=PROPOSAL_TIMEOUT_S if topic == "policy/proposal" else STREAM_TIMEOUT_S,
                period_ns=period,
            )
            for topic, period in periods.items()
        }
        pipeline.estimator = watched(
            pipeline.estimator, self._estimator.times, heard["state_estimate"]
        )
        pipeline.policy = watched(pipeline.policy, self._policy.times, heard["policy/proposal"])
        pipeline.supervisor = watched(
            pipeline.supervisor, self._supervisor.times, heard["safety/verdict"]
        )
        pipeline.locomotion = watched(pipeline.locomotion, self._mpc.times, heard["mpc/plan"])
        pipeline.command = watched(pipeline.command, self._bridge.command_times)

    def _tell_health(self) -> None:
        """Rows of `/diagnostics`, each once, under a node that has it in the graph of five processes too."""
        self._supervisor.statistics = lambda: self._pipeline.supervisor.statistics
        hears: dict[Node, tuple[str, ...]] = {
            self._bridge: ("safety/verdict", "mpc/plan"),
            self._supervisor: ("state_estimate", "policy/proposal"),
        }
        for node in (self._bridge, self._estimator, self._policy, self._supervisor, self._mpc):
            asked = (self._supervisor.velocity.stream.status,) if node is self._supervisor else ()
            Health(
                node,
                [
                    *(self._heard[topic].status for topic in hears.get(node, ())),
                    *asked,
                    *node.rows(),
                ],
            )

    def start(self) -> None:
        """Warm the stages up, then reach the configured lifecycle state."""
        self._bridge.ask_for_realtime()
        self._pipeline.warm_up()
        self._bridge.start()

    def step(self) -> None:
        """Serve requests and transitions, then answer one LowState."""
        self._bridge.mailbox.serve()
        self._bridge.link.step()

    def tidy(self) -> None:
        """Tell those who watch, one stage per tick, and those who record, write the logs, and plan for the next tick."""
        self._bridge.remote.tell()
        if self._to_publish:
            self._to_publish.popleft()()
        self._feed.settle()
        for node in self.nodes:
            node.logs.settle()
        if self._plan_due:
            self._pipeline.plan()
            self._plan_due = False

    def close(self) -> None:
        """Leave the robot in damping, then complete the logs."""
        try:
            self._bridge.link.close()
            self._feed.close()
        finally:
            self._planner.close()
            for node in self.nodes:
                node.logs.close()

    def _respond(self, state: LowState) -> LowCommand:
        velocity = self._supervisor.velocity
        self._operator.update(state.stamp_ns)
        command = velocity.current(state.stamp_ns)
        self._bridge.publish_hazards(state.stamp_ns)
        self._pipeline.supervisor.report(velocity.hazards | self._bridge.hazards)
        self._pipeline.sense(state)
        answer = self._pipeline.act(command)
        self._plan_due = True
        self._feed.keep(self._pipeline.cycle)
        verdict = self._pipeline.cycle.verdict
        if verdict is not None:
            self._supervisor.publish_feedback(verdict)
            self._supervisor.reasons.update(verdict.reasons)
            self._foreseen = verdict if verdict.predicted is not None else self._foreseen
        if self._monitor_due.due(state.stamp_ns) and not self._to_publish:
            self._watch()
        return answer

    def _not_ready(self) -> str | None:
        if not self._bridge.states.alive:
            return "no LowState arrives: is the robot on, the bridge configured?"
        return (
            None
            if self._bridge.link.active
            else "the bridge is not active: ros2 lifecycle set /bridge_node activate"
        )

    def _watch(self) -> None:
        """Line up what the stages said on this tick, to be published when there is time."""
        cycle = copy(self._pipeline.cycle)
        add = self._to_publish.append
        state = cycle.state
        estimate = cycle.estimate
        proposal = cycle.proposal
        verdict = cycle.verdict
        plan = cycle.plan
        if state is not None:
            add(lambda: self._bridge.publish(state))
        if estimate is not None:
            add(lambda: self._estimator.publish(estimate))
        if proposal is not None:
            add(lambda: self._policy.publish(proposal))
        if verdict is not None:
            foreseen = self._foreseen
            self._foreseen = None
            if (
                foreseen is not None and foreseen is not verdict
            ):  # the newest with a rollout since the last round
                add(lambda: self._supervisor.publish(foreseen))
            add(lambda: self._supervisor.publish(verdict))
        if plan is not None:
            add(lambda: self._mpc.publish(plan))


def main(args: list[str] | None = None) -> int:
    """Run the whole stack in one process until it is told to stop."""
    return run(ComposedLoop, args)


if __name__ == "__main__":
    sys.exit(main())
