"""Safety supervisor: hazards -> mode, learner or recovery -> verdict, on every tick of the estimate."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from safe_locomotion.gait import executable
from safe_locomotion.modes import DAMPED, Conditions, ModeMachine, severity
from safe_locomotion.policy import GaitSettings, NominalGait
from safe_locomotion.robots import RobotModel
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import Estimate, GaitParameters, Mode, Proposal, VelocityCommand, Verdict

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
    """

    fall_tilt: float
    fall_height: float
    settle_time: float
    stand_up_timeout: float
    pose_tolerance: float
    still_joint_speed: float
    slow_speed: float
    still_speed: float


class Supervisor:
    """Decides, on every estimate, the mode and who drives."""

    def __init__(self, robot: RobotModel, parameters: SupervisorParameters, recovery: GaitSettings) -> None:
        self._robot, self._p = robot, parameters
        self._recovery = NominalGait(robot, recovery)
        self._modes = ModeMachine(settle_time=parameters.settle_time, stand_up_timeout=parameters.stand_up_timeout)
        self._cos_fall = float(np.cos(parameters.fall_tilt))
        self._estop = False
        self._external: frozenset[str] = frozenset()
        self._reasons: frozenset[str] = frozenset()

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
        return f"{refusal} ({', '.join(sorted(self._reasons))})" if refusal and self._reasons else refusal

    def report(self, hazards: frozenset[str]) -> None:
        """Hazards seen elsewhere (bridge, operator input) that hold until the next report."""
        severity(hazards)
        self._external = hazards

    def update(self, estimate: Estimate, proposal: Proposal | None, command: VelocityCommand) -> Verdict:
        """Verdict for this estimate; the latched modes keep naming what led to them.

        Args:
            estimate: of this tick.
            proposal: newest of the learner, None when there is none.
            command: velocity in force.
        """
        hazards = self._hazards(estimate, command)
        latched = self._reasons if self.mode in LATCHED else frozenset()
        mode = self._modes.update(estimate.stamp_ns, severity(hazards), self._conditions(estimate))
        self._reasons = hazards | latched if mode in LATCHED else hazards
        drives = mode is Mode.WALK and self._modes.wanted == "walk"
        applied = command if drives else VelocityCommand()
        gait, active = self._gait(proposal, applied, estimate)
        return Verdict(
            stamp_ns=estimate.stamp_ns,
            mode=mode,
            mode_since_ns=self._modes.since_ns,
            active="learner" if active else "recovery",
            gait=gait,
            joints=proposal.joints if active and proposal is not None and mode is Mode.WALK else None,
            command=applied,
            reasons=tuple(sorted(self._reasons)),
        )

    def _gait(self, proposal: Proposal | None, command: VelocityCommand, estimate: Estimate) -> tuple[GaitParameters, bool]:
        """Selected gait and whether the learner drives."""
        if proposal is None or (proposal.gait is not None and not executable(proposal.gait)):
            return self._recovery.gait(command, estimate), False
        return proposal.gait or self._recovery.gait(command, estimate), True

    def _hazards(self, estimate: Estimate, command: VelocityCommand) -> frozenset[str]:
        hazards = set(self._external)
        if not (isfinite(command.vx) and isfinite(command.vy) and isfinite(command.wz)):
            hazards.add("command_not_finite")
        if self._modes.stand_up_overdue(estimate.stamp_ns):
            hazards.add("stand_up_timeout")
        if self._estop:
            hazards.add("estop")
        if not _finite(estimate):
            hazards.add("estimate_diverged")
        elif not self._upright(estimate):
            hazards.add("fallen")
        elif estimate.diverged and self.mode not in DAMPED:  # lying down nothing hangs on it, and leg odometry means little
            hazards.add("estimate_diverged")
        return frozenset(hazards)

    def _upright(self, estimate: Estimate) -> bool:
        up = float(matrix_from_quaternion(estimate.quaternion_wxyz)[2, 2])
        if not self._cos_fall <= up:
            return False
        if self._modes.mode not in (Mode.STAND, Mode.WALK):
            return True
        return self._p.fall_height <= float(estimate.position[2]) - estimate.ground_height

    def _conditions(self, estimate: Estimate) -> Conditions:
        p = self._p
        speed = float(np.sqrt(estimate.velocity @ estimate.velocity))
        quiet = bool((np.abs(estimate.dq) <= p.still_joint_speed).all())
        return Conditions(
            standing=quiet and bool((np.abs(estimate.q - self._robot.q_stand) <= p.pose_tolerance).all()),
            sitting=quiet and bool((np.abs(estimate.q - self._robot.q_sit) <= p.pose_tolerance).all()),
            slow=speed <= p.slow_speed,
            still=speed <= p.still_speed and quiet,
        )


def _finite(estimate: Estimate) -> bool:
    e = estimate
    numbers = np.concatenate((e.position, e.quaternion_wxyz, e.velocity, e.angular_velocity, e.q, e.dq, e.ground_normal))
    return isfinite(float(numbers.sum()) + e.ground_height)
