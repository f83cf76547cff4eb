"""Bridge node: the robot's LowState to `joint_states` and `imu/data`; `safety/verdict` and `mpc/plan` to its LowCommand.

A lifecycle node. Unconfigured: nothing is open. Inactive: states are read and published, nothing is ever written. Active: every
LowState is answered, by damping when anything is wrong. Leaving active, by transition, signal or error, damps first.
"""

import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import monotonic, perf_counter
from typing import Any, Literal

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import BatteryState, Imu, JointState, MultiDOFJointState

from safe_locomotion.backends.backend import Backend, open_backend
from safe_locomotion.backends.robot_link import RobotLink
from safe_locomotion.errors import BackendError, RobotMismatchError, SafeLocomotionError
from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.health import ERROR, OK, STALE, WARN, LoopTimes, Reasons, Stream, status
from safe_locomotion.nodes.mailbox import Mailbox
from safe_locomotion.nodes.parameters import DECLARE_FROM_OVERRIDES, NodeParameters, read_parameters
from safe_locomotion.nodes.remote import RemoteListener
from safe_locomotion.nodes.runtime import LOCK_STEP_WAIT_S, run
from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.nodes.stage_loop import (
    STREAM_TIMEOUT_S,
    Rows,
    StageLoop,
    StageSettings,
    watched,
)
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.nodes.tick_feed import CommandFeed
from safe_locomotion.robot.models import robot_names
from safe_locomotion.robot_time import Divider
from safe_locomotion.runtime.realtime import Setting, apply
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.safety.robot_watch import NO_HAZARDS, RobotWatch
from safe_locomotion.types import DAMPED, STATE_PERIOD_NS, LowCommand, LowState, StancePlan, Verdict

LOOK_S = 0.1  # longest look at the robot before activation; a simulated robot may start later than the bridge
FOREIGN_EACH = 5  # states between two looks at the commands of others
ESTOP = frozenset({"estop"})
TRANSITION_S = (
    10.0  # longest a transition may wait for the control thread; opening an SDK takes seconds
)


@dataclass(frozen=True, kw_only=True)
class BridgeSettings(StageSettings):
    """How the bridge runs.

    Attributes:
        sdk: a key of `backends.backend.BACKENDS`; its options are the parameters `sdk_options.NAME`.
        autostart: lifecycle state to reach by itself.
        lock_step: the robot waits for our command, so wait for the verdict of each tick, and for its plan before the next one.
        answer_wait_ms: longest wait where it does not, for the verdict of a tick and the plan of one before [ms of wall clock]; then the
            newest ones act, if young enough.
        silence_ms: without a LowState for this long, damping [ms of wall clock].
        damping_s: damping is repeated this long before an active bridge goes quiet [s].
        monitor_rate_hz: of topics where the control path does not need them (composed graph), per second of robot time.
        log_states: also log the LowStates themselves in `log_dir`.
        use_realtime: ask the operating system for what the section `realtime` of the configuration wants.
    """

    sdk: str = "unitree_sdk2"
    autostart: Literal["unconfigured", "inactive", "active"] = "active"
    lock_step: bool = False
    answer_wait_ms: float = 2.0
    silence_ms: float = 10.0
    damping_s: float = 0.5
    monitor_rate_hz: float = 50.0
    log_states: bool = False
    use_realtime: bool = False


class BridgeNode(LifecycleNode):
    """Name, parameters, topics and lifecycle of the bridge; the link itself belongs to the control thread."""

    link: RobotLink
    verdict: Callable[[], Verdict | None]

    def __init__(self) -> None:
        super().__init__("bridge_node", **DECLARE_FROM_OVERRIDES)
        self.parameters: NodeParameters[BridgeSettings] = read_parameters(self, BridgeSettings)
        self.logs = StageLogs(self.parameters.settings.log_dir)
        self.mailbox = Mailbox()
        self.times, self.command_times = (
            LoopTimes("state to command"),
            LoopTimes("leg control and gate"),
        )
        self.gate, self._clamped = Reasons("gate"), Counter[str]()
        self.hazards, self._seen = NO_HAZARDS, Reasons("hazards")
        self._watch = RobotWatch(self.parameters.robot, self.parameters.config.bridge.limits)
        self._looked = 0
        self._foreign_commands = 0
        self.states = Stream("lowstate", timeout_s=STREAM_TIMEOUT_S, period_ns=STATE_PERIOD_NS)
        self.failure: SafeLocomotionError | None = None
        self.realtime: tuple[Setting, ...] = ()
        self.newest: LowState | None = None
        self._joints = self.create_publisher(JointState, "joint_states", NEWEST)
        self._imu = self.create_publisher(Imu, "imu/data", NEWEST)
        self._hazards = self.create_publisher(JointState, "safety/hazards", LATCHED)
        self._told = NO_HAZARDS
        self._battery = self.create_publisher(BatteryState, "battery_state", NEWEST)
        self.remote = RemoteListener(self, self.parameters.config.driving)
        self.create_timer(1.0, self._publish_battery)

    def attach(
        self,
        respond: Callable[[LowState], LowCommand],
        stage: CommandStage,
        verdict: Callable[[], Verdict | None],
        sent: Callable[[LowState, LowCommand, float], None],
    ) -> None:
        """Say who answers LowStates, which stage damps, which verdict is in force, and who is told of each answer that was sent."""
        settings = self.parameters.settings
        self.verdict = verdict
        self._clamped = stage.gate.rate.clamped
        silence_s = LOCK_STEP_WAIT_S if settings.lock_step else settings.silence_ms * 1e-3
        self.link = RobotLink(
            self._open_backend,
            self._timed(respond, stage),
            lambda state: stage.gate.damping(state, "bridge_stopping"),
            silence_s=silence_s,
            damping_s=settings.damping_s,
            sent=_both(sent, self.logs.bridge()),
            silent=self._be_silent,
        )

    def _be_silent(self) -> None:
        if self.states.received:
            self.gate.update(("lowstate_silent",))

    def _observe(self, state: LowState) -> frozenset[str]:
        """What is wrong with the robot or the link; nobody is told while the bridge only reads, activation asks then.

        The emergency stop of the remote counts always, whatever the mode.
        """
        self._looked += 1
        backend = self.link.backend
        if backend is not None and self._looked % FOREIGN_EACH == 0:
            self._foreign_commands = backend.counters.foreign_commands
        hazards = self._watch.update(state, self._foreign_commands, self.link.active)
        hazards = hazards if self.link.active else NO_HAZARDS
        self.remote.hear(state, self.verdict())
        return hazards | ESTOP if self.remote.stops else hazards

    def _timed(
        self, respond: Callable[[LowState], LowCommand], stage: CommandStage
    ) -> Callable[[LowState], LowCommand]:
        keep = self.logs.states() if self.parameters.settings.log_states else None

        def timed(state: LowState) -> LowCommand:
            if keep is not None:
                keep(state)
            start = perf_counter()
            self.newest = state
            self.states.hear(state.stamp_ns)
            self.hazards = self._observe(state)
            stage.gate.report(self.hazards)
            self._seen.update(tuple(self.hazards))
            command = respond(state)
            self.gate.update((command.reason,) if command.reason else ())
            self.times.add(perf_counter() - start)
            return command

        return timed

    def _open_backend(self) -> Backend:
        parameters = self.parameters
        damping = parameters.config.bridge.limits.damping
        return open_backend(parameters.settings.sdk, stop_kd=damping, **parameters.options)

    def publish(self, state: LowState) -> None:
        """Send one LowState; the IMU last, who pairs both acts on it."""
        self._joints.publish(encode.joint_states(state))
        self._imu.publish(encode.imu(state))

    def publish_hazards(self, stamp_ns: int) -> None:
        """Tell the supervisor, when something changed."""
        if self.hazards != self._told:
            self._told = self.hazards
            self._hazards.publish(decisions.hazards_message(stamp_ns, self.hazards))

    def _publish_battery(self) -> None:
        if self.newest is not None:
            self._battery.publish(conversions.battery_from(self.newest))

    # Transitions run on the executor thread, or on the control thread at start-up; the work is done on the control thread.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the robot, read-only."""
        return self._transition(self.link.open)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Answer LowStates; refused while the supervisor would move the robot at once, or to a robot that is not ours."""
        return self._transition(self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp, then write nothing."""
        return self._transition(self.link.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the robot."""
        return self._transition(self.link.close)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp and close the robot."""
        return self._transition(self.link.close)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp and close the robot; back to unconfigured."""
        return self._transition(self.link.close)

    def _activate(self) -> None:
        verdict = self.verdict()
        if verdict is not None and verdict.mode not in DAMPED:
            raise BackendError(
                f"not activated: the mode is {verdict.mode.name}, the robot would move at once; call estop and reset first"
            )
        self._require_our_robot()
        self.link.activate()
        if self.link.backend is not None and self.link.look(0.0) is None:
            self.link.backend.greet()

    def _require_our_robot(self) -> None:
        """Look before the first command: is it this robot, and does nobody else command it?

        Raises:
            RobotMismatchError: joints where this robot's cannot be.
            BackendError: another program commands the robot.
        """
        state = self.link.look(LOOK_S)
        outside = "" if state is None else self._watch.mismatch(state)
        if outside:
            raise RobotMismatchError(
                f"not activated: this is no {self.parameters.robot.name}, or its joints need calibration: {outside};"
                f" choose the robot by the parameter robot, one of: {', '.join(robot_names())}"
            )
        if self._watch.commanded_by_others:
            raise BackendError(
                "not activated: another program sends low commands to this robot; stop it first"
            )

    def _transition(self, work: Callable[[], None]) -> TransitionCallbackReturn:
        self.failure = None
        try:
            self.mailbox.ask(work, TRANSITION_S)
        except SafeLocomotionError as error:
            self.failure = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except (
            Exception
        ) as error:  # the lifecycle would swallow it, and the process go on with a closed bridge
            self.failure = BackendError(f"{type(error).__name__}: {error}")
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def ask_for_realtime(self) -> None:
        """Make the calling thread the one that answers LowStates, with what the operating system grants; called before the link opens."""
        if self.parameters.settings.use_realtime:
            self.realtime = apply(self.parameters.config.bridge.realtime)
        for setting in self.realtime:
            if not setting.granted:
                self.get_logger().warning(
                    f"realtime: {setting.name} {setting.text}. To mend it: {setting.mend}"
                )

    def start(self) -> None:
        """Go to the lifecycle state named by `autostart`.

        Raises:
            SafeLocomotionError: a transition was refused.
        """
        transitions = {
            "unconfigured": (),
            "inactive": (self.trigger_configure,),
            "active": (self.trigger_configure, self.trigger_activate),
        }
        for trigger in transitions[self.parameters.settings.autostart]:
            trigger()
            if self.failure is not None:
                raise self.failure

    def rows(self) -> Rows:
        """Rows of `/diagnostics`."""
        streams = (self.states.status, self.remote.status)
        counts = (self.gate.status, self._clamp_status, self._seen.status)
        return (
            *streams,
            *counts,
            self.times.status,
            self.command_times.status,
            self._link_status,
            self._realtime_status,
        )

    def _clamp_status(self) -> DiagnosticStatus:
        counts = dict(self._clamped)
        return status(
            "gate clamps", OK, f"{sum(counts.values())} command(s) changed too suddenly", counts
        )

    def _realtime_status(self) -> DiagnosticStatus:
        refused = [
            f"{setting.name} {setting.text}" for setting in self.realtime if not setting.granted
        ]
        values = {setting.name: setting.text for setting in self.realtime}
        values["garbage"] = (
            "frozen"
            if self.parameters.config.bridge.realtime.freeze_garbage
            else "as the interpreter likes"
        )
        text = "granted" if self.realtime else "not asked for"
        return status("realtime", WARN if refused else OK, ", ".join(refused) or text, values)

    def _link_status(self) -> DiagnosticStatus:
        backend = self.link.backend
        newest = self.newest
        values: dict[str, Any] = {"active": self.link.active, "silences": self.link.silences}
        if newest is not None:
            values |= {
                "voltage": newest.voltage,
                "hottest_motor": f"{np.max(newest.temperature):.0f}",
            }
        if backend is None:
            return status("robot link", STALE, "closed", values)
        counters = asdict(backend.counters)
        foreign = counters.get("foreign_publishers", 0)
        text = (
            f"{foreign} other publisher(s) of low commands"
            if foreign
            else "active"
            if self.link.active
            else "read-only"
        )
        return status("robot link", ERROR if foreign else OK, text, values | counters)


def _both(first: Callable[..., None], second: Callable[..., None] | None) -> Callable[..., None]:
    def call(*values: Any) -> None:
        first(*values)
        if second is not None:
            second(*values)

    return call


class BridgeLoop(StageLoop[BridgeNode]):
    """The bridge as a process of its own."""

    def __init__(self) -> None:
        super().__init__(BridgeNode())
        parameters = self._node.parameters
        settings = self._node.parameters.settings
        config = parameters.config
        stage = self._node.logs.command(
            CommandStage(parameters.robot, config.bridge.gains, config.bridge.limits)
        )
        self._command = watched(stage, self._node.command_times)
        self._plan_due = Divider(config.mpc.period_ns)
        self._lock_step = settings.lock_step
        self._wait_s = LOCK_STEP_WAIT_S if settings.lock_step else settings.answer_wait_ms * 1e-3
        self.freeze_garbage = config.bridge.realtime.freeze_garbage
        self._verdict: Verdict | None = None
        self._plans_heard: deque[StancePlan] = deque(maxlen=2)  # the newest first
        self._plan_stamp_ns: int | None = None
        self._verdicts = self._listen(
            JointState, "safety/verdict", self._on_verdict, LATCHED, period_ns=STATE_PERIOD_NS
        )
        self._plans = self._listen(
            MultiDOFJointState, "mpc/plan", self._on_plan, period_ns=config.mpc.period_ns
        )
        self._feed = CommandFeed(self._node)
        self._node.attach(self._respond, self._command, lambda: self._verdict, self._feed.sent)
        self._tell_health()

    def start(self) -> None:
        """Warm the stages up, then reach the configured lifecycle state."""
        self._node.ask_for_realtime()
        super().start()
        self._node.start()

    def step(self) -> None:
        """Serve transitions, then answer one LowState."""
        self._node.mailbox.serve()
        self._node.link.step()

    def tidy(self) -> None:
        """Say what the remote asked for, tell the recorder, if there is one, what was commanded, and write the log."""
        self._node.remote.tell()
        self._feed.settle()
        super().tidy()

    def close(self) -> None:
        """Leave the robot in damping, then complete the log."""
        try:
            self._node.link.close()
        finally:
            super().close()

    def _respond(self, state: LowState) -> LowCommand:
        self._node.publish_hazards(state.stamp_ns)
        end = monotonic() + self._wait_s
        if (
            self._lock_step
        ):  # the robot waits: nobody gets the next state before the plan for it is made
            self._await(self._planned, end)
        self._node.publish(state)
        self._await(lambda: self._judged(state.stamp_ns) and self._planned(), end)
        if self._plan_due.due(state.stamp_ns):
            self._plan_stamp_ns = state.stamp_ns
        return self._command.update(state, self._verdict, self._plan_before(state.stamp_ns))

    def _await(self, arrived: Callable[[], bool], end: float) -> None:
        """Wait for answers; without them the newest ones act and the gate judges their age."""
        while not arrived() and (left := end - monotonic()) > 0.0:
            self._inbox.wait(left)

    def _judged(self, stamp_ns: int) -> bool:
        """Whether the verdict on this tick is here."""
        return self._verdict is not None and self._verdict.stamp_ns >= stamp_ns

    def _planned(self) -> bool:
        """Whether the plan last due is here."""
        due_ns = self._plan_stamp_ns
        heard = self._plans_heard
        return due_ns is None or (bool(heard) and heard[0].stamp_ns >= due_ns)

    def _plan_before(self, stamp_ns: int) -> StancePlan | None:
        """Newest plan made before this tick, as in `Pipeline.plan`: whether that of the tick itself is here already is chance."""
        return next((plan for plan in self._plans_heard if plan.stamp_ns < stamp_ns), None)

    def _on_verdict(self, message: JointState) -> None:
        self._verdict = decisions.verdict_from(message)
        self._verdicts.hear(self._verdict.stamp_ns)

    def _on_plan(self, message: MultiDOFJointState) -> None:
        plan = decisions.plan_from(message)
        self._plans_heard.appendleft(plan)
        self._plans.hear(plan.stamp_ns)


def main(args: list[str] | None = None) -> int:
    """Run the bridge node until it is told to stop."""
    return run(BridgeLoop, args)


if __name__ == "__main__":
    sys.exit(main())
