"""Safety supervisor: hazards -> mode, learner or recovery -> verdict, on every tick of the estimate."""

from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import Literal, Protocol

import numpy as np

from safe_locomotion.control.gait_handover import RECOVERY, GaitBlend
from safe_locomotion.robot.models import RobotModel
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

LATCHED = frozenset({Mode.FALLEN, Mode.FAULT})


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorParameters:
    """Thresholds of the supervisor.

    Attributes:
        fall_tilt: angle between the body's z axis and the vertical that counts as a fall [rad].
        fall_height: base above the ground plane that counts as a fall while standing or walking [m].
        settle_time: for which a settle condition must hold [s].
        stand_up_timeout: longest time in STAND_UP and SIT [s].
        pose_tolerance: largest joint distance from the pose at the end of a ramp [rad].
        still_joint_speed: largest joint speed of a settled robot [rad/s].
        slow_speed: body speed below which stepping may stop [m/s].
        still_speed: body speed of a robot at rest [m/s].
        self_right_timeout: longest time in SELF_RIGHT [s]; a turn to its belly takes `self_right.ATTEMPT_TIME`.
        self_right: whether a robot that fell waits for the request to stand, or gets up by itself, once a fall.
        righted_tilt: of the trunk of a robot that lies on its belly, at most [rad].
        stop_timeout: longest wait for a robot that shall stop stepping or sit down but does not come to rest [s].
        bridge_time: for which recovery drives before and after a joint policy [s].
        proposal_timeout: a learner's proposal older than this is the word of a policy that is gone [s].
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


class RecoveryPolicy(Protocol):
    """Says on every tick which gait it would walk; `control.nominal_gait.NominalGait` is the one of paper 1's robot."""

    def reset(self) -> None:
        """A new walk begins."""

    def gait(self, command: VelocityCommand, estimate: Estimate) -> GaitParameters:
        """Gait parameters for a velocity command in the present state."""


class Supervisor:
    """Decides, on every estimate, the mode and who drives."""

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
        )
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
        """What the recovery policy was needed for since the start."""
        return self._intervention.statistics

    @property
    def intervention(self) -> Intervention:
        """Who decides between learner and recovery policy."""
        return self._intervention

    @property
    def mode(self) -> Mode:
        """The mode of the last verdict."""
        return self._modes.mode

    def request(self, name: str) -> str | None:
        """Take an operator's request (stand, walk, sit, estop, reset); returns why it is refused, or None.

        Raises:
            UnknownNameError: not a request.
        """
        if name == "estop":
            self._estop = True
            return None
        refusal = self._modes.request(name)
        if name == "reset" and refusal is None:
            self._estop = False
        return (
            f"{refusal} ({', '.join(sorted(self._reasons))})"
            if refusal and self._reasons
            else refusal
        )

    def report(self, hazards: frozenset[str]) -> None:
        """Hazards seen elsewhere (bridge, operator input) that hold until the next report."""
        if hazards != self._external:
            severity(hazards)
            self._external = hazards

    def update(
        self, estimate: Estimate, proposal: Proposal | None, command: VelocityCommand
    ) -> Verdict:
        """Verdict for this estimate; the latched modes keep naming what led to them.

        Args:
            estimate: of this tick.
            proposal: newest of the learner, None when there is none; one past `proposal_timeout` counts as none.
            command: velocity in force.
        """
        hazards = self._hazards(estimate, command)
        if (
            proposal is not None
            and self._young(proposal, estimate.stamp_ns)
            and not followable(proposal)
        ):
            hazards |= {"policy_fault"}
        latched = self._reasons if self.mode in LATCHED else frozenset()
        worst = severity(hazards, self.mode)
        mode = self._modes.update(estimate.stamp_ns, worst, self._conditions(estimate))
        self._reasons = hazards | latched if mode in LATCHED else hazards
        drives = mode is Mode.WALK and self._modes.wanted == "walk"
        wanted = command if drives else VelocityCommand()
        usable = (
            proposal
            if worst is Severity.NONE and self._young(proposal, estimate.stamp_ns)
            else None
        )
        taken = self._handover.offer(estimate.stamp_ns, usable, walking=mode is Mode.WALK)
        if mode is Mode.WALK and not self._walks:
            self._recovery.reset()
        cautious = self._intervention.recovery_command(wanted)
        recovery = self._recovery.gait(cautious, estimate)
        decision = self._decision(estimate, taken, recovery, wanted)
        learner = None if decision.recovers else taken
        self._handover.note(estimate.stamp_ns, learner, walking=mode is Mode.WALK)
        gait = recovery if learner is None or learner.gait is None else learner.gait
        driver = RECOVERY if gait is recovery else "learner"
        return Verdict(
            stamp_ns=estimate.stamp_ns,
            mode=mode,
            mode_since_ns=self._modes.since_ns,
            active="recovery" if learner is None else "learner",
            gait=self._blend.update(estimate.stamp_ns, driver, gait) if self._walks else gait,
            joints=learner.joints if learner is not None and mode is Mode.WALK else None,
            command=cautious if learner is None else wanted,
            margins=decision.margins,
            predicted=decision.predicted,
            reasons=tuple(sorted(self._reasons)),
            policy="" if learner is None else learner.policy,
        )

    def _young(self, proposal: Proposal | None, stamp_ns: int) -> bool:
        return (
            proposal is not None and 0 <= stamp_ns - proposal.stamp_ns <= self._proposal_timeout_ns
        )

    def _decision(
        self,
        estimate: Estimate,
        proposal: Proposal | None,
        recovery: GaitParameters,
        wanted: VelocityCommand,
    ) -> Decision:
        """Of the intervention while walking; in other modes nobody steps, and whoever has something to say is named."""
        if self.mode is not Mode.WALK:
            self._walks = False
            return Decision(recovers=proposal is None)
        if not self._walks:
            self._walks = True
            self._intervention.reset()
            self._blend.reset()
        return self._intervention.update(estimate, proposal, recovery, wanted)

    def _hazards(self, estimate: Estimate, command: VelocityCommand) -> frozenset[str]:
        hazards = set(self._external)
        if self.mode in DAMPED:
            hazards.discard(
                "state_jump"
            )  # nothing hangs on time there, and a robot may be switched off and on
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
        elif (
            estimate.diverged and self.mode not in LYING
        ):  # lying down nothing hangs on it, and leg odometry means little
            hazards.add("estimate_diverged")
        return frozenset(hazards)

    def _upright(self, estimate: Estimate) -> bool:
        if not self._cos_fall <= _cos_tilt(estimate):
            return False
        if self.mode not in (Mode.STAND, Mode.WALK):
            return True
        return self._p.fall_height <= float(estimate.position[2]) - estimate.ground_height

    def _conditions(self, estimate: Estimate) -> Conditions:
        """What the present mode waits for."""
        p = self._p
        mode = self.mode
        if mode is Mode.WALK:
            return Conditions(slow=_length(estimate.velocity) <= p.slow_speed)
        if mode is Mode.STAND:
            return Conditions(
                still=_length(estimate.velocity) <= p.still_speed and self._quiet(estimate)
            )
        if mode is Mode.STAND_UP:
            return Conditions(
                standing=self._near(estimate, self._robot.q_stand) and self._quiet(estimate)
            )
        if mode is Mode.SIT:
            return Conditions(
                sitting=self._near(estimate, self._robot.q_sit) and self._quiet(estimate)
            )
        if mode is Mode.SELF_RIGHT:
            return Conditions(upright=self._righted(estimate))
        return Conditions(
            upright=self._cos_righted <= _cos_tilt(estimate), still=self._quiet(estimate)
        )

    def _righted(self, estimate: Estimate) -> bool:
        """On its belly, legs folded, at rest, and known to be so."""
        on_belly = self._cos_righted <= _cos_tilt(estimate) and not estimate.diverged
        return on_belly and self._near(estimate, self._robot.q_sit) and self._quiet(estimate)

    def _near(self, estimate: Estimate, pose: Array) -> bool:
        return bool(
            np.count_nonzero(np.abs(estimate.q - pose) <= self._p.pose_tolerance) == N_JOINTS
        )

    def _quiet(self, estimate: Estimate) -> bool:
        return bool(np.count_nonzero(np.abs(estimate.dq) <= self._p.still_joint_speed) == N_JOINTS)


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
