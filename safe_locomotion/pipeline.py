"""The whole control cycle as function calls.

Simulation, replay and the composed graph run it. The graph of five processes makes the same calls,
with topics between them.
"""

from dataclasses import replace
from time import perf_counter
from typing import Literal, NamedTuple, Protocol

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.policy.allow_list import read_allow_list
from safe_locomotion.policy.learned_recovery import LearnedRecovery
from safe_locomotion.policy.stage import NOMINAL, Learner, PolicyStage
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.robot_time import Divider
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.safety.forecast import Forecaster, Suppose
from safe_locomotion.safety.gait_rollout import GaitRollout
from safe_locomotion.safety.intervention import Intervention
from safe_locomotion.safety.joint_rollout import JointRollout
from safe_locomotion.safety.supervisor import RecoveryPolicy, Supervisor
from safe_locomotion.safety.trigger_set import TriggerSet, TriggerState
from safe_locomotion.types import (
    GRAVITY,
    N_JOINTS,
    N_LEGS,
    Estimate,
    Feedback,
    LowCommand,
    LowState,
    Mode,
    Proposal,
    StancePlan,
    VelocityCommand,
    Verdict,
)

StageName = Literal["estimator", "policy", "supervisor", "mpc", "command"]
Output = Estimate | Proposal | Verdict | StancePlan | LowCommand


class Observer(Protocol):
    """Is told of each stage when it is done: for times, logs and the health of streams."""

    def __call__(self, stage: StageName, output: Output, seconds: float) -> None:
        """The stage has computed `output` in so many seconds of wall clock."""
        ...


class Sensed(NamedTuple):
    """A LowState and the estimate of it."""

    state: LowState
    estimate: Estimate


class Cycle(NamedTuple):
    """All that the stages said on one tick.

    Attributes:
        state: the LowState that is answered.
        estimate: of this state.
        proposal: the newest one, which may be some ticks old; None before the first.
        verdict: on this estimate and proposal.
        plan: the plan by which the command was made, of an earlier tick; None before the first.
        command: the answer to the state.
    """

    state: LowState
    estimate: Estimate
    proposal: Proposal | None
    verdict: Verdict
    plan: StancePlan | None
    command: LowCommand


WARM_UP_TICKS = 12  #: in each mode
WARM_UP_STEP_NS = 20_000_000  #: long enough that both pairs of a trot step
WARM_UP_MODES = (Mode.PASSIVE, Mode.STAND_UP, Mode.STAND, Mode.WALK, Mode.SIT)


class Pipeline:
    """Estimator, policy, supervisor, MPC and leg controller of one robot, ticking on LowState.

    Attributes:
        proposal: the newest proposal; None before the first.
        cycle: the last tick that was answered; None before the first.
    """

    def __init__(
        self,
        robot: RobotModel,
        config: StackConfig,
        learner: Learner | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Stages of a robot that has not moved yet.

        Args:
            robot: model.
            config: of each stage.
            learner: that proposes; without one, the nominal gait is proposed.
            observer: is told of each stage when it is done.
        """
        self.estimator = StateEstimator(robot, config.estimator)
        self.policy = PolicyStage(robot, config.policy.gait, period_ns=config.policy.period_ns)
        if learner is not None:
            self.policy.take(learner)
        self.supervisor = make_supervisor(robot, config, self.policy.suppose)
        self.locomotion = LocomotionController(
            robot, config.mpc.locomotion, config.mpc.swing, config.mpc.solver
        )
        self.command = CommandStage(robot, config.bridge.gains, config.bridge.limits)
        self.proposal: Proposal | None = None
        self.cycle: Cycle | None = None
        self._plan: StancePlan | None = None
        self._policy_due = Divider(config.policy.period_ns)
        self._mpc_due = Divider(config.mpc.period_ns)
        self._observer = observer
        self._robot = robot
        self._config = config

    def step(self, state: LowState, velocity: VelocityCommand) -> Cycle:
        """Answer one LowState, with `velocity` in force; the motor command is in the cycle."""
        cycle = self.act(self.sense(state), velocity)
        self.plan(cycle)
        return cycle

    def sense(self, state: LowState) -> Sensed:
        """First part of `step`. A learner outside of this pipeline decides on its estimate."""
        start = perf_counter()
        estimate = self.estimator.update(state)
        self._tell("estimator", estimate, start)
        return Sensed(state=state, estimate=estimate)

    def act(self, sensed: Sensed, velocity: VelocityCommand) -> Cycle:
        """Second part of `step`: make the command by the newest plan.

        `plan` must follow when the command is out.
        """
        state = sensed.state
        estimate = sensed.estimate
        if self._policy_due.due(state.stamp_ns):
            start = perf_counter()
            self.proposal = self.policy.update(estimate, velocity, self._feedback())
            self._tell("policy", self.proposal, start)
            self._policy_due.pace(self.proposal.period_ns, state.stamp_ns)
        start = perf_counter()
        verdict = self.supervisor.update(estimate, self.proposal, velocity)
        self._tell("supervisor", verdict, start)
        start = perf_counter()
        command = self.command.update(state, verdict, self._plan)
        self._tell("command", command, start)
        self.cycle = Cycle(
            state=state,
            estimate=estimate,
            proposal=self.proposal,
            verdict=verdict,
            plan=self._plan,
            command=command,
        )
        return self.cycle

    def plan(self, cycle: Cycle) -> None:
        """Last part of `step`: look ahead, and make a plan for the ticks after this one if due.

        Its forces and foot targets act from the next LowState on. The leg controller knows their
        age. So no command waits for the longest computation of the cycle. In return a plan is 2 ms
        older than it could be, of a step of 40 ms.
        """
        if self._mpc_due.due(cycle.estimate.stamp_ns):
            start = perf_counter()
            self._plan = self.locomotion.update(cycle.estimate, cycle.verdict)
            self._tell("mpc", self._plan, start)
        self.supervisor.look_ahead()

    def _feedback(self) -> Feedback | None:
        """What became of the last proposal; None before the first tick."""
        last = self.cycle
        if last is None:
            return None
        verdict = last.verdict
        return Feedback(mode=verdict.mode, policy=verdict.policy, gate=last.command.reason)

    def _tell(self, stage: StageName, output: Output, start: float) -> None:
        if self._observer is not None:
            self._observer(stage, output, perf_counter() - start)

    def warm_up(self) -> None:
        """Run stages like these through every mode on a robot that stands.

        The first real tick then finds code and caches warm. The stages are made for this and
        dropped afterwards, so this pipeline stays as it was.
        """
        twin = Pipeline(self._robot, self._config)
        velocity = VelocityCommand()
        for k in range(WARM_UP_TICKS * len(WARM_UP_MODES)):
            state = standing_state(self._robot, (k + 1) * WARM_UP_STEP_NS)
            estimate = twin.estimator.update(state)
            proposal = twin.policy.update(estimate, velocity)
            judged = twin.supervisor.update(estimate, proposal, velocity)
            twin.supervisor.look_ahead()
            verdict = replace(judged, mode=WARM_UP_MODES[k // WARM_UP_TICKS])
            twin.command.update(state, verdict, twin.locomotion.update(estimate, verdict))


def make_supervisor(
    robot: RobotModel, config: StackConfig, suppose: Suppose | None = None
) -> Supervisor:
    """The supervisor and all that it decides by; `Forecaster` needs `suppose`."""
    return Supervisor(
        robot,
        config.supervisor.thresholds,
        make_recovery(robot, config),
        make_intervention(robot, config, suppose),
    )


def make_intervention(
    robot: RobotModel, config: StackConfig, suppose: Suppose | None = None
) -> Intervention:
    """The part that decides between learner and recovery policy."""
    forecaster = make_forecaster(robot, config, suppose)
    return Intervention(
        config.supervisor.intervention, forecaster, CapturePoint(robot), config.policy.period_ns
    )


def make_recovery(robot: RobotModel, config: StackConfig) -> RecoveryPolicy:
    """The recovery policy that the configuration names.

    Raises:
        PolicyRefusedError: there is no such policy, or it is not for this robot.
        ConfigurationError: the policy proposes no gaits.
    """
    s = config.supervisor
    nominal = NominalGait(robot, s.recovery)
    if s.recovery_policy == NOMINAL:
        return nominal
    # ONNX and its runtime, which the processes without a policy do not need, take 0.15 s.
    from safe_locomotion.policy.file import load_policy  # noqa: PLC0415

    allowed = read_allow_list(s.allowed_policies)
    learner = load_policy(s.recovery_policy, robot, config.bridge.limits, allowed=allowed)
    return LearnedRecovery(learner, nominal)


def make_forecaster(
    robot: RobotModel, config: StackConfig, suppose: Suppose | None = None
) -> Forecaster:
    """Trigger set, measured state and rollouts for the controller of this configuration."""
    s = config.supervisor
    mpc = config.mpc
    state = TriggerState(s.trigger_set)
    trigger_set = TriggerSet(s.trigger_set.bounds, s.thresholds.fall_height)
    steps = max(1, s.intervention.horizon)
    rollout = GaitRollout(
        robot, reference=mpc.locomotion, swing=mpc.swing, mpc=mpc.solver, steps=steps
    )
    return Forecaster(
        s.intervention,
        trigger_set,
        state,
        rollout,
        JointRollout(robot, rollout, mpc.solver.mu),
        suppose,
    )


def standing_state(robot: RobotModel, stamp_ns: int) -> LowState:
    """The LowState of a robot at rest in its standing pose, with battery and motors in order."""
    zeros = np.zeros(N_JOINTS)
    return LowState(
        stamp_ns=stamp_ns,
        tick=0,
        quaternion_wxyz=np.array((1.0, 0.0, 0.0, 0.0)),
        gyro=np.zeros(3),
        accelerometer=np.array((0.0, 0.0, GRAVITY)),
        q=robot.q_stand,
        dq=zeros,
        tau=zeros,
        foot_force=np.full(N_LEGS, robot.mass * GRAVITY / N_LEGS),
        temperature=zeros,
        voltage=None,
    )
