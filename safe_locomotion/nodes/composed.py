"""All five nodes in one process: the control path is the `Pipeline`, topics are for watching.

Names, parameters, services and topics of the nodes are those of the graph of five processes. On
every LowState the main thread reads, answers and writes. Only when the command is out does it
publish what the stages said: one stage per tick, and all of them `monitor_rate_hz` times per second
of robot time. A recorder that listens gets every tick. A second thread for publishing would
interrupt the ticks, because it needs the interpreter too. Last comes the plan for the next tick.
"""

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rclpy.node import Node

from safe_locomotion.config import StackConfig
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.nodes.bridge_status import clamp_status
from safe_locomotion.nodes.estimator import EstimatorNode
from safe_locomotion.nodes.health import Health, LoopTimes, Stream, robot_time_ns
from safe_locomotion.nodes.mpc import MpcNode
from safe_locomotion.nodes.operator import RequestServices, ScriptedOperator
from safe_locomotion.nodes.policy import PolicyNode
from safe_locomotion.nodes.runtime import run
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.nodes.stage_loop import STREAM_TIMEOUT_S, StatusRow
from safe_locomotion.nodes.supervisor import PROPOSAL_TIMEOUT_S, SupervisorNode
from safe_locomotion.nodes.tick_feed import TickFeed
from safe_locomotion.pipeline import Cycle, Output, Pipeline, StageName
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import NANOSECONDS, STATE_PERIOD_NS, LowState, Verdict


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """Where times, stream health and log of one stage are kept."""

    times: LoopTimes
    logs: StageLogs
    stream: Stream | None = None


class ComposedLoop:
    """The whole stack as one process."""

    def __init__(self) -> None:
        self._bridge = BridgeNode()
        self._estimator = EstimatorNode()
        self._policy = PolicyNode()
        self._supervisor = SupervisorNode()
        self._mpc = MpcNode()
        self._with_logs = (
            self._bridge,
            self._estimator,
            self._policy,
            self._supervisor,
            self._mpc,
        )
        self.nodes: Sequence[Node] = self._with_logs
        self.slow_nodes: Sequence[Node] = (self._policy,)
        parameters = self._bridge.parameters
        self.freeze_garbage = parameters.config.bridge.realtime.freeze_garbage
        self._records = self._make_records()
        self._pipeline = Pipeline(parameters.robot, self._config(), observer=self._observe)
        self._policy.serve(self._pipeline.policy)
        supervisor = self._pipeline.supervisor
        self._operator = ScriptedOperator(
            self._supervisor.parameters.settings.script,
            self._supervisor.velocity,
            supervisor,
            self._request,
        )
        self._to_plan: Cycle | None = None
        self._monitor_due = Divider(round(NANOSECONDS / parameters.settings.monitor_rate_hz))
        self._to_publish: deque[Callable[[], None]] = deque()
        self._foreseen: Verdict | None = None
        self._feed = TickFeed(self._bridge)
        self._requests = RequestServices(
            self._supervisor, self._bridge.mailbox, self._request, self._not_ready
        )
        self._tell_health()

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

    def _make_records(self) -> Mapping[StageName, StageRecord]:
        """Records of the stages; each stream is judged as where it travels on a topic."""
        mpc_period_ns = self._mpc.parameters.config.mpc.period_ns

        def stream(
            topic: str, period_ns: int = STATE_PERIOD_NS, timeout_s: float = STREAM_TIMEOUT_S
        ) -> Stream:
            return Stream(topic, timeout_s=timeout_s, period_ns=period_ns)

        return {
            "estimator": StageRecord(
                times=self._estimator.times,
                logs=self._estimator.logs,
                stream=stream("state_estimate"),
            ),
            "policy": StageRecord(
                times=self._policy.times,
                logs=self._policy.logs,
                stream=stream("policy/proposal", 0, PROPOSAL_TIMEOUT_S),  # its policy says when
            ),
            "supervisor": StageRecord(
                times=self._supervisor.times,
                logs=self._supervisor.logs,
                stream=stream("safety/verdict"),
            ),
            "mpc": StageRecord(
                times=self._mpc.times,
                logs=self._mpc.logs,
                stream=stream("mpc/plan", mpc_period_ns),
            ),
            "command": StageRecord(times=self._bridge.command_times, logs=self._bridge.logs),
        }

    def _observe(self, stage: StageName, output: Output, seconds: float) -> None:
        """Note that a stage is done; the pipeline's observer."""
        record = self._records[stage]
        record.times.add(seconds)
        record.logs.observe(stage, output, seconds)
        if record.stream is not None:
            record.stream.hear(output.stamp_ns)

    def _tell_health(self) -> None:
        """Rows of `/diagnostics`, each once, under a node that has it in the graph of nodes too."""
        self._supervisor.statistics = lambda: self._pipeline.supervisor.statistics

        def heard(*stages: StageName) -> list[StatusRow]:
            streams = [self._records[stage].stream for stage in stages]
            return [stream.status for stream in streams if stream is not None]

        gate = self._pipeline.command.gate
        before: dict[Node, list[StatusRow]] = {
            self._bridge: [*heard("supervisor", "mpc"), lambda: clamp_status(gate)],
            self._supervisor: [
                *heard("estimator", "policy"),
                *self._supervisor.velocity.rows(),
                self._requests.stream.status,
            ],
        }
        for node in self._with_logs:
            Health(
                node,
                [*before.get(node, ()), *node.rows()],
                now_ns=lambda: robot_time_ns([self._bridge.states]),
            )

    def start(self) -> None:
        """Warm the stages up, then reach the configured lifecycle state."""
        self._bridge.ask_for_realtime()
        self._pipeline.warm_up()
        self._bridge.reach(self._bridge.parameters.settings.autostart)

    def step(self) -> None:
        """Serve requests and transitions, then answer one LowState."""
        self._bridge.mailbox.serve()
        state = self._bridge.read()
        if state is None:
            return
        cycle = self._answer(state)
        latency = self._bridge.write(state, cycle.command)
        self._feed.keep(cycle, latency)
        self._follow(cycle)

    def tidy(self) -> None:
        """Publish for one watcher, write the logs, and plan for the next tick."""
        self._bridge.tell()
        if self._to_publish:
            self._to_publish.popleft()()
        self._feed.settle()
        for node in self._with_logs:
            node.logs.settle()
        if self._to_plan is not None:
            self._pipeline.plan(self._to_plan)
            self._to_plan = None

    def close(self) -> None:
        """Leave the robot in damping, then complete the logs."""
        try:
            self._bridge.link.close()
            self._feed.close()
        finally:
            for node in self._with_logs:
                node.logs.close()

    def _answer(self, state: LowState) -> Cycle:
        """Run the control path on one LowState."""
        pipeline = self._pipeline
        topic = self._supervisor.velocity
        self._operator.update(state.stamp_ns)
        velocity = topic.current(state.stamp_ns)
        pipeline.command.gate.report(self._bridge.refusals())
        pipeline.supervisor.report(topic.hazards | self._bridge.hazards)
        return pipeline.act(pipeline.sense(state), velocity)

    def _follow(self, cycle: Cycle) -> None:
        """Tell the nodes what was decided, and line up what the watchers get."""
        verdict = cycle.verdict
        self._to_plan = cycle
        self._bridge.hear(verdict)
        self._bridge.publish_hazards(cycle.state.stamp_ns)
        self._supervisor.publish_feedback(verdict)
        self._supervisor.reasons.update(verdict.reasons)
        self._foreseen = verdict if verdict.predicted is not None else self._foreseen
        if self._monitor_due.due(cycle.state.stamp_ns) and not self._to_publish:
            self._line_up(cycle)

    def _request(self, name: str) -> str | None:
        """Follow a request; a reset concerns the bridge too."""
        refusal = self._pipeline.supervisor.request(name)
        if name == "reset":
            self._bridge.reset()
        return refusal

    def _not_ready(self) -> str | None:
        if not self._bridge.states.alive:
            return "no LowState arrives: is the robot on, the bridge configured?"
        if not self._bridge.link.active:
            return "the bridge is not active: ros2 lifecycle set /bridge_node activate"
        return None

    def _line_up(self, cycle: Cycle) -> None:
        """Line up what the stages said on this tick, one stage for each tick to come."""
        add = self._to_publish.append
        proposal = cycle.proposal
        plan = cycle.plan
        add(lambda: self._bridge.sensors.publish(cycle.state))
        add(lambda: self._estimator.publish(cycle.estimate))
        if proposal is not None:
            add(lambda: self._policy.publish(proposal))
        foreseen = self._foreseen
        self._foreseen = None
        if foreseen is not None and foreseen is not cycle.verdict:  # newest rollout since last time
            add(lambda: self._supervisor.publish(foreseen))
        add(lambda: self._supervisor.publish(cycle.verdict))
        if plan is not None:
            add(lambda: self._mpc.publish(plan))


def main(args: list[str] | None = None) -> int:
    """Run the whole stack in one process until it is told to stop."""
    return run(ComposedLoop, args)


if __name__ == "__main__":
    sys.exit(main())
