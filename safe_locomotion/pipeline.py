"""The whole control cycle as function calls.

Simulation, replay and the composed runtime run it; the nodes are the same calls with topics in between.
"""

from dataclasses import dataclass, replace

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.control.planner import Planner, PlansInTurn
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.policy.file import load_policy
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


@dataclass(slots=True)
class Cycle:
    """What the stages said last, and the plan by which the command was made; read by monitors and recorders, never written by them."""

    state: LowState | None = None
    estimate: Estimate | None = None
    proposal: Proposal | None = None
    verdict: Verdict | None = None
    plan: StancePlan | None = None
    command: LowCommand | None = None


WARM_UP_TICKS = 12  #: in each mode
WARM_UP_STEP_NS = 20_000_000  #: both pairs of a trot take their turn
WARM_UP_MODES = (Mode.PASSIVE, Mode.STAND_UP, Mode.STAND, Mode.WALK, Mode.SIT)


class Pipeline:
    """Estimator, policy, supervisor, MPC and leg controller of one robot, ticking on LowState."""

    def __init__(
        self,
        robot: RobotModel,
        config: StackConfig,
        learner: Learner | None = None,
        planner: Planner | None = None,
    ) -> None:
        """Stages of a robot that has not moved yet.

        Args:
            robot: model.
            config: of each stage.
            learner: that proposes; without one, the nominal gait is proposed.
            planner: where plans are computed; without one, by `plan` itself.
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
        self._robot = robot
        self._config = config
        self._policy_due = Divider(config.policy.period_ns)
        self._mpc_due = Divider(config.mpc.period_ns)
        self._planner = PlansInTurn() if planner is None else planner
        self.cycle = Cycle()

    def _feedback(self) -> Feedback | None:
        verdict = self.cycle.verdict
        command = self.cycle.command
        if verdict is None or command is None:
            return None
        return Feedback(mode=verdict.mode, policy=verdict.policy, gate=command.reason)

    def step(self, state: LowState, command: VelocityCommand) -> LowCommand:
        """Motor command for one LowState, with `command` the velocity in force."""
        self.sense(state)
        answer = self.act(command)
        self.plan()
        return answer

    def sense(self, state: LowState) -> Estimate:
        """First part of `step`: the estimate, on which a learner outside this pipeline decides before `act`."""
        c = self.cycle
        c.state, c.estimate = state, self.estimator.update(state)
        return c.estimate

    def act(self, command: VelocityCommand) -> LowCommand:
        """Second part of `step`: the command for the state last sensed, by the newest plan. `plan` must follow, when it is out."""
        c = self.cycle
        state = c.state
        assert state is not None and c.estimate is not None
        if self._policy_due.due(state.stamp_ns):
            c.proposal = self.policy.update(c.estimate, command, self._feedback())
            if c.proposal is not None:
                self._policy_due.pace(c.proposal.period_ns, state.stamp_ns)
        c.verdict = self.supervisor.update(c.estimate, c.proposal, command)
        c.plan = self._planner.newest()
        c.command = self.command.update(state, c.verdict, c.plan)
        return c.command

    def plan(self) -> None:
        """Last part of `step`: begins the plan for the ticks after this one, where it is due.

        Its forces and foot targets act from the next LowState on, in the leg controller, which knows their age. So the longest
        computation of the cycle keeps no command waiting, and a plan is 2 ms older than it could be, of a step of 40 ms.
        """
        c = self.cycle
        assert c.estimate is not None and c.verdict is not None
        if self._mpc_due.due(c.estimate.stamp_ns):
            # of this tick, whenever it is computed
            estimate = c.estimate
            verdict = c.verdict
            self._planner.begin(lambda: self.locomotion.update(estimate, verdict))

    def warm_up(self) -> None:
        """Run stages like these through every mode on a robot that stands: the first real tick finds code and caches warm.

        They are stages of their own, dropped afterwards: nothing of it is left in this pipeline.
        """
        twin = Pipeline(self._robot, self._config)
        for k in range(WARM_UP_TICKS * len(WARM_UP_MODES)):
            state = standing_state(self._robot, (k + 1) * WARM_UP_STEP_NS)
            estimate = twin.estimator.update(state)
            judged = twin.supervisor.update(
                estimate, twin.policy.update(estimate, VelocityCommand()), VelocityCommand()
            )
            verdict = replace(judged, mode=WARM_UP_MODES[k // WARM_UP_TICKS])
            twin.command.update(state, verdict, twin.locomotion.update(estimate, verdict))


def make_supervisor(
    robot: RobotModel, config: StackConfig, suppose: Suppose | None = None
) -> Supervisor:
    """The supervisor with all that it decides by; `suppose` is for `Forecaster`."""
    return Supervisor(
        robot,
        config.supervisor.thresholds,
        make_recovery(robot, config),
        make_intervention(robot, config, suppose),
    )


def make_intervention(
    robot: RobotModel, config: StackConfig, suppose: Suppose | None = None
) -> Intervention:
    """Who decides between learner and recovery policy."""
    forecaster = make_forecaster(robot, config, suppose)
    return Intervention(
        config.supervisor.intervention, forecaster, CapturePoint(robot), config.policy.period_ns
    )


def make_recovery(robot: RobotModel, config: StackConfig) -> RecoveryPolicy:
    """The recovery policy that the configuration names.

    Raises:
        PolicyRefusedError: there is no such policy, or it is not for this robot.
        ConfigurationError: it proposes no gaits.
    """
    s = config.supervisor
    nominal = NominalGait(robot, s.recovery)
    if s.recovery_policy == NOMINAL:
        return nominal
    return LearnedRecovery(load_policy(s.recovery_policy, robot, config.bridge.limits), nominal)


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
    """What a robot at rest in its standing pose reports; of battery and motors nothing remarkable."""
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
