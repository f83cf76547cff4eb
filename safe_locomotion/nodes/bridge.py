"""Bridge node: the robot's LowState to topics, plans and verdicts to LowCmd.

A lifecycle node. Unconfigured: nothing is open. Inactive: the bridge reads and publishes states and
writes nothing. Active: the bridge answers every LowState, by damping when anything is wrong. It
damps before it leaves active, by transition, signal or error.
"""

import sys
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic, perf_counter
from typing import Any

from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from safe_locomotion.backends.backend import Backend, Counters, open_backend
from safe_locomotion.backends.commanders import require_sole_commander
from safe_locomotion.backends.robot_link import STATE_OLD, RobotLink
from safe_locomotion.commands import damping_command
from safe_locomotion.errors import (
    BackendError,
    RobotMismatchError,
    SafeLocomotionError,
)
from safe_locomotion.messages import encode
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.bridge_settings import BridgeSettings
from safe_locomotion.nodes.bridge_status import (
    clamp_status,
    latch_status,
    link_status,
    realtime_status,
)
from safe_locomotion.nodes.health import LoopTimes, Reasons, Stream
from safe_locomotion.nodes.link_lifecycle import LinkLifecycle
from safe_locomotion.nodes.operator import ANSWER_S, BRIDGE_RESET
from safe_locomotion.nodes.parameters import NodeParameters, read_parameters
from safe_locomotion.nodes.publishers import PublisherWatch
from safe_locomotion.nodes.remote import RemoteListener
from safe_locomotion.nodes.runtime import LOCK_STEP_LOOK_S, LOCK_STEP_LOOKS, LOCK_STEP_WAIT_S, run
from safe_locomotion.nodes.sensor_topics import SensorTopics
from safe_locomotion.nodes.stage_logs import BridgeLogs
from safe_locomotion.nodes.stage_loop import (
    STREAM_TIMEOUT_S,
    StageLoop,
    StatusRows,
)
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.nodes.tick_feed import CommandFeed
from safe_locomotion.robot.models import robot_names
from safe_locomotion.robot_time import Divider
from safe_locomotion.runtime.realtime import Setting, apply
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.safety.fault_latch import FaultLatch
from safe_locomotion.safety.robot_watch import NO_HAZARDS, RobotWatch
from safe_locomotion.safety.sensor_watch import SensorWatch
from safe_locomotion.types import DAMPED, STATE_PERIOD_NS, LowCommand, LowState, StancePlan, Verdict

LOOK_S = 0.1  #: longest look before activation; a simulated robot may start later than the bridge
LISTEN_S = 0.3  #: before the first write; another stack sends 150 commands in this time
ESTOP = frozenset({"estop"})


class BridgeNode(LinkLifecycle):
    """Name, parameters, topics and robot of the bridge.

    A control loop calls `read`, finds the answer, and calls `write`.

    Attributes:
        verdict: the newest verdict; the loop calls `hear` with each.
        latch: keeps a FAULT until `reset`, whatever later verdicts say.
        second_publisher: the hazard of this name, set by a loop that hears other processes.
        require_publishers: raises BackendError where two publish the same; set by such a loop.
        hazards: what is wrong with the robot or the link, by the last LowState.
    """

    def __init__(self) -> None:
        super().__init__("bridge_node")
        self.parameters: NodeParameters[BridgeSettings] = read_parameters(self, BridgeSettings)
        settings = self.parameters.settings
        self.logs = BridgeLogs(
            settings.log_dir, states=settings.log_states, most_mb=settings.log_mb
        )
        self.link = RobotLink(
            self._open_backend,
            self._stopping,
            silence_s=LOCK_STEP_LOOK_S if settings.lock_step else settings.silence_ms * 1e-3,
            age_s=inf if settings.lock_step else settings.state_age_ms * 1e-3,
            damping_s=settings.damping_s,
        )
        self.verdict: Verdict | None = None
        self.hazards = NO_HAZARDS
        self.second_publisher = NO_HAZARDS
        self.require_publishers: Callable[[], None] = lambda: None
        self.latch = FaultLatch()
        self.states = Stream("lowstate", timeout_s=STREAM_TIMEOUT_S, period_ns=STATE_PERIOD_NS)
        self.times = LoopTimes("state to command")
        self.command_times = LoopTimes("leg control and gate")
        self.gate = Reasons("gate")
        self._seen = Reasons("hazards")
        self._watch = RobotWatch(self.parameters.robot, self.parameters.config.bridge.limits)
        self._sensors = SensorWatch(self.parameters.config.bridge.limits)
        self._read_s = 0.0
        self._patience = LOCK_STEP_LOOKS if settings.lock_step else 1
        self._looks = self._patience
        self._realtime: tuple[Setting, ...] = ()
        self.sensors = SensorTopics(self, clock=settings.clock)
        self._hazards = self.create_publisher(JointState, "safety/hazards", LATCHED)
        self._told = NO_HAZARDS
        self.remote = RemoteListener(self, self.parameters.config.driving)
        self.create_service(Trigger, BRIDGE_RESET, self._serve_reset)

    def read(self) -> LowState | None:
        """Wait for the next LowState and look for hazards in it; None if no state came yet."""
        self._looks -= 1
        if self._looks and self.link.backend and self.link.look(LOCK_STEP_LOOK_S) is None:
            return None
        self._looks = self._patience
        state = self.link.read()
        if state is None:
            if self.link.backend is not None and self.states.received:
                self.gate.update(("lowstate_silent",))
            return None
        self.logs.received(state)
        self._read_s = perf_counter()
        if self.sensors.newest is None:
            self._say_what_is_next(state)
        self.sensors.newest = state
        self.states.hear(state.stamp_ns)
        self.hazards = self._observe(state)
        self.latch.report(self.hazards)
        self._seen.update(tuple(self.hazards))
        return state

    def _say_what_is_next(self, state: LowState) -> None:
        """Tell a newcomer that the robot is heard, and which call comes next."""
        if state.voltage is None:
            self.get_logger().info("the robot's states hold no battery voltage; watch it yourself")
        namespace = self.get_namespace().rstrip("/")
        call = f"ros2 service call {namespace}/stand std_srvs/srv/Trigger"
        if not self.link.active:
            call = f"ros2 lifecycle set {namespace}/{self.get_name()} activate"
        self.get_logger().info(f"{self.parameters.robot.name} is heard; next: {call}")

    def hear(self, verdict: Verdict) -> None:
        """Take the newest verdict of the supervisor."""
        self.verdict = verdict
        self.latch.hear(verdict)
        if verdict.mode in DAMPED:
            self._watch.damped(verdict.stamp_ns)

    def refusals(self) -> frozenset[str]:
        """Hazards for the gate: those that hold, and a FAULT that was not reset."""
        return self.hazards | self.latch.hazards

    def reset(self) -> None:
        """Let verdicts lead out of FAULT again; called after the supervisor was reset."""
        self.latch.reset(0 if self.sensors.newest is None else self.sensors.newest.stamp_ns)

    def _serve_reset(self, _: Any, response: Any) -> Any:
        try:
            self.mailbox.ask(self.reset, ANSWER_S)
            response.success = True
        except SafeLocomotionError as error:
            response.message = str(error)
        return response

    def write(self, state: LowState, command: LowCommand) -> float | None:
        """Answer `state`, if the bridge is active.

        Returns:
            Time from the LowState until the transport has its answer [s]; None if nothing was sent.
        """
        self.times.add(perf_counter() - self._read_s)
        late = self.link.late
        latency = self.link.write(command)
        reason = command.reason if self.link.late == late else STATE_OLD
        self.gate.update((reason,) if reason else ())
        if latency is not None:
            self.logs.answered(state, command, latency)
        return latency

    def _observe(self, state: LowState) -> frozenset[str]:
        """What is wrong with the robot or the link.

        While the bridge only reads, hazards are not reported: activation asks for them. The
        emergency stop of the remote always counts.
        """
        backend = self.link.backend
        counters = Counters() if backend is None else backend.counters
        hazards = self._watch.update(state, counters.foreign_commands, self.link.active)
        hazards |= self._sensors.update(state, counters.state_sources)
        hazards = hazards | self.second_publisher if self.link.active else NO_HAZARDS
        self.remote.hear(state, self.verdict)
        return hazards | ESTOP if self.remote.stops else hazards

    def _open_backend(self) -> Backend:
        parameters = self.parameters
        damping = parameters.config.bridge.limits.damping
        return open_backend(parameters.settings.sdk, stop_kd=damping, **parameters.options)

    def _stopping(self, state: LowState) -> LowCommand:
        damping = self.parameters.config.bridge.limits.damping
        return damping_command(state.stamp_ns, damping, q=state.q, reason="bridge_stopping")

    def tell(self) -> None:
        """Say what time it is, and what the remote asked for; call it when the command is out."""
        self.sensors.tell_time()
        self.remote.tell()

    def publish_hazards(self, stamp_ns: int) -> None:
        """Tell the supervisor, when something changed."""
        if self.hazards != self._told:
            self._told = self.hazards
            self._hazards.publish(decisions.hazards_message(stamp_ns, self.hazards))

    def require_activation(self) -> None:
        """Allow activation of a robot that is ours and would not move at once.

        Raises:
            RobotMismatchError: this is another robot.
            BackendError: the robot would move, or another program commands it.
        """
        verdict = self.verdict
        if verdict is not None and verdict.mode not in DAMPED:
            raise BackendError(
                f"not activated: the mode is {verdict.mode.name}, the robot would move at once;"
                " call estop and reset first"
            )
        silent = self.parameters.settings.silent_publishers
        commanded = self._watch.commanded_by_others
        require_sole_commander(self.link.listen(LISTEN_S), commanded=commanded, silent=silent)
        state = self.link.look(LOOK_S)
        outside = "" if state is None else self._watch.mismatch(state)
        if outside:
            raise RobotMismatchError(
                f"not activated: this is no {self.parameters.robot.name}, or its joints need"
                f" calibration: {outside};"
                f" choose the robot by the parameter robot, one of: {', '.join(robot_names())}"
            )
        self.require_publishers()
        self._watch.begin()

    def ask_for_realtime(self) -> None:
        """Ask the operating system for the scheduling of the calling thread.

        This is the thread that answers LowStates. Call it before the link opens.
        """
        if self.parameters.settings.use_realtime:
            self._realtime = apply(self.parameters.config.bridge.realtime)
        for setting in self._realtime:
            if not setting.granted:
                self.get_logger().warning(
                    f"realtime: {setting.name} {setting.text}. To mend it: {setting.mend}"
                )

    def rows(self) -> StatusRows:
        """Rows of `/diagnostics`."""
        freeze = self.parameters.config.bridge.realtime.freeze_garbage
        return (
            self.states.status,
            self.remote.status,
            self.gate.status,
            self._seen.status,
            self.times.status,
            self.command_times.status,
            lambda: link_status(self.link, self.sensors.newest),
            lambda: latch_status(self.latch),
            lambda: realtime_status(self._realtime, freeze_garbage=freeze),
            *self.logs.rows(),
        )


class BridgeLoop(StageLoop[BridgeNode]):
    """The bridge as a process of its own."""

    def __init__(self) -> None:
        super().__init__(BridgeNode())
        parameters = self._node.parameters
        settings = parameters.settings
        config = parameters.config
        self._command = CommandStage(parameters.robot, config.bridge.gains, config.bridge.limits)
        self._plan_due = Divider(config.mpc.period_ns)
        self._lock_step = settings.lock_step
        self._wait_s = LOCK_STEP_WAIT_S if settings.lock_step else settings.answer_wait_ms * 1e-3
        self.freeze_garbage = config.bridge.realtime.freeze_garbage
        self._plans_heard: deque[StancePlan] = deque(maxlen=2)  # the newest first
        self._plan_stamp_ns: int | None = None
        self._states = self._node.create_publisher(Float64MultiArray, "low_state", NEWEST)
        self._answered: LowState | None = None
        self._verdicts = self._listen(
            JointState, "safety/verdict", self._on_verdict, LATCHED, period_ns=STATE_PERIOD_NS
        )
        self._plans = self._listen(
            MultiDOFJointState, "mpc/plan", self._on_plan, period_ns=config.mpc.period_ns
        )
        self._publishers = PublisherWatch(self._bindings, self._node.count_publishers)
        self._node.require_publishers = self._publishers.require_one_each
        self._feed = CommandFeed(self._node)
        self._tell_health(lambda: clamp_status(self._command.gate))

    def start(self) -> None:
        """Warm the stages up, then reach the configured lifecycle state."""
        self._node.ask_for_realtime()
        super().start()
        self._node.reach(self._node.parameters.settings.autostart)

    def step(self) -> None:
        """Serve transitions, then answer one LowState."""
        self._node.mailbox.serve()
        self._node.second_publisher = self._publishers.update(bound=self._node.link.active)
        state = self._node.read()
        if state is None:
            return
        command = self._answer(state)
        latency = self._node.write(state, command)
        self._feed.keep(command, latency)
        self._answered = state

    def tidy(self) -> None:
        """Tell watchers what came and went, and write the logs."""
        self._node.tell()
        if self._answered is not None:
            self._node.sensors.publish(self._answered)
            self._answered = None
        self._feed.settle()
        super().tidy()

    def close(self) -> None:
        """Leave the robot in damping, then complete the logs."""
        try:
            self._node.link.close()
        finally:
            super().close()

    def _answer(self, state: LowState) -> LowCommand:
        """The command for this state, by the verdict on it if it comes in time."""
        self._node.publish_hazards(state.stamp_ns)
        end = monotonic() + self._wait_s
        if self._lock_step:  # no stage gets this state before the last plan is here
            self._await(self._planned, end)
        self._states.publish(encode.low_state(state))
        self._await(lambda: self._judged(state.stamp_ns) and self._planned(), end)
        if self._plan_due.due(state.stamp_ns):
            self._plan_stamp_ns = state.stamp_ns
        start = perf_counter()
        plan = self._plan_before(state.stamp_ns)
        self._command.gate.report(self._node.refusals())
        command = self._command.update(state, self._node.verdict, plan)
        seconds = perf_counter() - start
        self._node.command_times.add(seconds)
        self._node.logs.observe("command", command, seconds)
        return command

    def _await(self, arrived: Callable[[], bool], end: float) -> None:
        """Wait for answers; without them the newest ones act and the gate judges their age."""
        while not arrived() and (left := end - monotonic()) > 0.0:
            self._inbox.wait(left)

    def _judged(self, stamp_ns: int) -> bool:
        """Whether the verdict on this tick is here."""
        verdict = self._node.verdict
        return verdict is not None and verdict.stamp_ns >= stamp_ns

    def _planned(self) -> bool:
        """Whether the plan last due is here."""
        due_ns = self._plan_stamp_ns
        heard = self._plans_heard
        return due_ns is None or (bool(heard) and heard[0].stamp_ns >= due_ns)

    def _plan_before(self, stamp_ns: int) -> StancePlan | None:
        """Newest plan made before this tick, as in `Pipeline.plan`.

        The plan of the tick itself may or may not be here already, so it is never used.
        """
        return next((plan for plan in self._plans_heard if plan.stamp_ns < stamp_ns), None)

    def _on_verdict(self, message: JointState) -> None:
        verdict = decisions.verdict_from(message)
        self._node.hear(verdict)
        self._verdicts.hear(verdict.stamp_ns)

    def _on_plan(self, message: MultiDOFJointState) -> None:
        plan = decisions.plan_from(message)
        self._plans_heard.appendleft(plan)
        self._plans.hear(plan.stamp_ns)


def main(args: list[str] | None = None) -> int:
    """Run the bridge node until it is told to stop."""
    return run(BridgeLoop, args)


if __name__ == "__main__":
    sys.exit(main())
