"""Safety supervisor: on every estimate it decides the mode and who drives, learner or recovery."""

from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import Literal, Protocol

import numpy as np

from safe_locomotion.control.gait_handover import RECOVERY, GaitBlend
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.hazards import Severity, severity
from safe_locomotion.safety.intervention import Decision, Intervention, InterventionStatistics
from safe_locomotion.safety.learner_handover import Handover, followable
from safe_locomotion.safety.modes import Conditions, ModeMachine
from safe_locomotion.types import (
    DAMPED,
    LYING,
    N_JOINTS,
    NANOSECONDS,
    Array,
    Estimate,
    GaitParameters,
    Mode,
    Proposal,
    VelocityCommand,
    Verdict,
)

LEARNER = "learner"  #: its name towards the gait blend
LATCHED = frozenset({Mode.FALLEN, Mode.FAULT})  #: modes that keep the names of their hazards


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorParameters:
    """Thresholds of the supervisor.

    Attributes:
        fall_tilt: angle between the body's z axis and the vertical that counts as a fall [rad].
        fall_height: height of the base above the ground plane below which a robot that stands or
            walks counts as fallen [m].
        settle_time: time for which a settle condition must hold [s].
        stand_up_timeout: longest time in STAND_UP and SIT [s].
        self_right_timeout: longest time in SELF_RIGHT [s]. One turn onto the belly takes
            `self_right.ATTEMPT_TIME`.
        self_right: whether a fallen robot waits for the request to stand, or gets up by itself,
            once per fall.
        righted_tilt: largest tilt of a robot that lies on its belly [rad].
        pose_tolerance: largest joint distance from the pose at the end of a ramp [rad].
        still_joint_speed: largest joint speed of a settled robot [rad/s].
        slow_speed: body speed below which stepping may stop [m/s].
        still_speed: body speed of a robot at rest [m/s].
        stop_timeout: longest time to wait for a robot to slow down before it stops stepping, or to
            rest before it sits down [s].
        proposal_timeout: a learner's proposal older than this is ignored [s].
        bridge_time: time for which recovery drives before and after a joint policy [s].
        step_margin: a standing robot steps when the margin of its capture point
            (`CapturePoint.margin`) falls below this. -1e9 never.
        step_time: shortest time for which it then steps [s].
    """

    fall_tilt: float
    fall_height: float
    settle_time: float
    stand_up_timeout: float
    self_right_timeout: float
    self_right: Literal["on_request", "automatic"]
    righted_tilt: float
    pose_tolerance: float
    still_joint_speed: float
    slow_speed: float
    still_speed: float
    stop_timeout: float
    proposal_timeout: float
    bridge_time: float
    step_margin: float
    step_time: float


class RecoveryPolicy(Protocol):
    """Chooses a gait on every tick; paper 1's robot uses `control.nominal_gait.NominalGait`."""

    def reset(self) -> None:
        """Begin a new walk."""

    def gait(self, command: VelocityCommand, estimate: Estimate) -> GaitParameters:
        """Gait parameters for a velocity command in this state."""


class Supervisor:
    """Decides on every estimate the mode and who drives."""

    def __init__(
        self,
        robot: RobotModel,
        parameters: SupervisorParameters,
        recovery: RecoveryPolicy,
        intervention: Intervention,
    ) -> None:
        self._robot = robot
        self._p = parameters
        self._intervention = intervention
        self._recovery = recovery
        self._modes = ModeMachine(
            settle_time=parameters.settle_time,
            stand_up_timeout=parameters.stand_up_timeout,
            stop_timeout=parameters.stop_timeout,
            self_right_timeout=parameters.self_right_timeout,
            self_right_unasked=parameters.self_right == "automatic",
            step_time=parameters.step_time,
        )
        self._capture = CapturePoint(robot)
        self._proposal_timeout_ns = round(parameters.proposal_timeout * NANOSECONDS)
        self._cos_fall = float(np.cos(parameters.fall_tilt))
        self._cos_righted = float(np.cos(parameters.righted_tilt))
        self._blend = GaitBlend()
        self._handover = Handover(parameters.bridge_time)
        self._walks = False
        self._estop = False
        self._external: frozenset[str] = frozenset()
        self._reasons: frozenset[str] = frozenset()

    @property
    def statistics(self) -> InterventionStatistics:
        """Counts of what the recovery policy did since the start."""
        return self._intervention.statistics

    @property
    def intervention(self) -> Intervention:
        """The part that decides between learner and recovery policy."""
        return self._intervention

    @property
    def mode(self) -> Mode:
        """The mode of the last verdict."""
        return self._modes.mode

    def request(self, name: str) -> str | None:
        """Take an operator's request; returns why it is refused, or None.

        Args:
            name: stand, walk, sit, estop or reset.

        Raises:
            UnknownNameError: not a request.
        """
        if name == "estop":
            self._estop = True
            return None
        refusal = self._modes.request(name)
        if name == "reset" and refusal is None:
            self._estop = False
        if refusal and self._reasons:
            return f"{refusal} ({', '.join(sorted(self._reasons))})"
        return refusal

    def report(self, hazards: frozenset[str]) -> None:
        """Take the hazards that bridge and operator see; they hold until the next report.

        Raises:
            UnknownNameError: a hazard is not in the table.
        """
        if hazards != self._external:
            severity(hazards)
            self._external = hazards

    def update(
        self, estimate: Estimate, proposal: Proposal | None, command: VelocityCommand
    ) -> Verdict:
        """Verdict for this estimate. In FALLEN and FAULT it keeps the names of what led there.

        Args:
            estimate: of this tick.
            proposal: newest one of the learner, or None. One older than `proposal_timeout` is
                ignored.
            command: velocity in force.
        """
        stamp_ns = estimate.stamp_ns
        fresh = self._fresh(proposal, stamp_ns)
        hazards = self._hazards(estimate, fresh, command)
        worst = severity(hazards, self.mode)
        mode = self._next_mode(estimate, hazards, worst)
        walking = mode is Mode.WALK
        if walking and not self._walks:
            self._begin_walk()
        self._walks = walking
        wanted = command if walking and self._modes.wanted == "walk" else VelocityCommand()
        cautious = self._intervention.recovery_command(wanted)
        recovery = self._recovery.gait(cautious, estimate)
        usable = fresh if worst is Severity.NONE and not self._modes.catches_itself else None
        offered = self._handover.offer(stamp_ns, usable, walking=walking)
        decision = self._decision(estimate, offered, recovery, wanted)
        learner = None if decision.recovers else offered
        self._handover.note(stamp_ns, learner, walking=walking)
        gait = recovery if learner is None or learner.gait is None else learner.gait
        driver = RECOVERY if gait is recovery else LEARNER
        return Verdict(
            stamp_ns=stamp_ns,
            mode=mode,
            mode_since_ns=self._modes.since_ns,
            active="recovery" if learner is None else "learner",
            gait=self._blend.update(stamp_ns, driver, gait) if walking else gait,
            joints=learner.joints if learner is not None and walking else None,
            command=cautious if learner is None else wanted,
            margins=decision.margins,
            predicted=decision.predicted,
            reasons=tuple(sorted(self._reasons)),
            policy="" if learner is None else learner.policy,
        )

    def look_ahead(self) -> None:
        """Predict states that are only shown; call it after each verdict, when the command is out.

        A later verdict has them.
        """
        if self._walks:
            self._intervention.look_ahead()

    def _fresh(self, proposal: Proposal | None, stamp_ns: int) -> Proposal | None:
        """The proposal, unless it is too old or from the future."""
        if proposal is None:
            return None
        young = 0 <= stamp_ns - proposal.stamp_ns <= self._proposal_timeout_ns
        return proposal if young else None

    def _next_mode(self, estimate: Estimate, hazards: frozenset[str], worst: Severity) -> Mode:
        latched = self._reasons if self.mode in LATCHED else frozenset()
        mode = self._modes.update(estimate.stamp_ns, worst, self._conditions(estimate))
        self._reasons = hazards | latched if mode in LATCHED else hazards
        return mode

    def _begin_walk(self) -> None:
        self._recovery.reset()
        self._intervention.reset()
        self._blend.reset()

    def _decision(
        self,
        estimate: Estimate,
        proposal: Proposal | None,
        recovery: GaitParameters,
        wanted: VelocityCommand,
    ) -> Decision:
        """Decision of the intervention in WALK.

        Nobody steps in other modes, so nothing is judged there. The verdict then names the learner
        if it has a proposal.
        """
        if self._walks:
            return self._intervention.update(estimate, proposal, recovery, wanted)
        return Decision(recovers=proposal is None)

    def _hazards(
        self, estimate: Estimate, proposal: Proposal | None, command: VelocityCommand
    ) -> frozenset[str]:
        hazards = set(self._external)
        if self.mode in DAMPED:
            # Nothing depends on time there, and a robot may be switched off and on.
            hazards.discard("state_jump")
        if proposal is not None and not followable(proposal):
            hazards.add("policy_fault")
        if not (isfinite(command.vx) and isfinite(command.vy) and isfinite(command.wz)):
            hazards.add("command_not_finite")
        if self._modes.stand_up_overdue(estimate.stamp_ns):
            hazards.add("stand_up_timeout")
        if self._modes.self_right_overdue(estimate.stamp_ns):
            hazards.add("self_right_timeout")
        if self._estop:
            hazards.add("estop")
        if not _finite(estimate):
            hazards.add("estimate_diverged")
        elif not self._upright(estimate):
            hazards.add("fallen")
        elif estimate.diverged and self.mode not in LYING:
            # Nothing depends on the estimate of a lying robot, and leg odometry means little there.
            hazards.add("estimate_diverged")
        return frozenset(hazards)

    def _upright(self, estimate: Estimate) -> bool:
        if not self._cos_fall <= _cos_tilt(estimate):
            return False
        if self.mode not in (Mode.STAND, Mode.WALK):
            return True
        return self._p.fall_height <= float(estimate.position[2]) - estimate.ground_height

    def _conditions(self, estimate: Estimate) -> Conditions:
        """Conditions of the edges that leave the present mode."""
        mode = self.mode
        if mode is Mode.WALK:
            return Conditions(slow=_length(estimate.velocity) <= self._p.slow_speed)
        quiet = self._quiet(estimate)
        if mode is Mode.STAND:
            slow = _length(estimate.velocity) <= self._p.still_speed
            return Conditions(still=quiet and slow, pushed=self._is_pushed(estimate))
        if mode is Mode.STAND_UP:
            return Conditions(standing=quiet and self._near(estimate, self._robot.q_stand))
        if mode is Mode.SIT:
            return Conditions(sitting=quiet and self._near(estimate, self._robot.q_sit))
        on_belly = self._cos_righted <= _cos_tilt(estimate)
        if mode is Mode.SELF_RIGHT:
            folded = self._near(estimate, self._robot.q_sit)
            known = not estimate.diverged
            return Conditions(upright=on_belly and folded and quiet and known)
        return Conditions(upright=on_belly, still=quiet)

    def _is_pushed(self, estimate: Estimate) -> bool:
        """Whether a standing robot is about to topple; an unknown margin is no reason to step."""
        margin = self._capture.margin(estimate)
        return isfinite(margin) and margin < self._p.step_margin

    def _near(self, estimate: Estimate, pose: Array) -> bool:
        near = np.abs(estimate.q - pose) <= self._p.pose_tolerance
        return bool(np.count_nonzero(near) == N_JOINTS)

    def _quiet(self, estimate: Estimate) -> bool:
        still = np.abs(estimate.dq) <= self._p.still_joint_speed
        return bool(np.count_nonzero(still) == N_JOINTS)


def _cos_tilt(estimate: Estimate) -> float:
    """Cosine between the body's z axis and the vertical; NaN for a quaternion of length zero."""
    w, x, y, z = estimate.quaternion_wxyz.tolist()
    n = w * w + x * x + y * y + z * z
    return 1.0 - 2.0 * (x * x + y * y) / n if n > 0.0 else nan


def _length(v: Array) -> float:
    return sqrt(float(v.dot(v)))


def _finite(estimate: Estimate) -> bool:
    e = estimate
    numbers = np.concatenate(
        (e.position, e.quaternion_wxyz, e.velocity, e.angular_velocity, e.q, e.dq, e.ground_normal)
    )
    return isfinite(float(numbers.dot(numbers)) + e.ground_height)
