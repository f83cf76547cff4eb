"""Policy stage: what a learner proposes on each policy tick.

Without a learned policy the stage proposes a fixed gait; the MPC follows the velocity command with it.
"""

from dataclasses import dataclass

from safe_locomotion.gait import phase_offsets
from safe_locomotion.robots import RobotModel
from safe_locomotion.types import Estimate, GaitParameters, Proposal, VelocityCommand


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitSettings:
    """A fixed gait by name, with a faster variant from a given speed on.

    Attributes:
        name: key of `gait.PHASE_OFFSETS`.
        frequency, swing_ratio: at low speed [Hz, -].
        fast_frequency, fast_swing_ratio: from `fast_speed` on [Hz, -].
        fast_speed: commanded planar speed [m/s].
    """

    name: str
    frequency: float
    swing_ratio: float
    fast_frequency: float
    fast_swing_ratio: float
    fast_speed: float


class NominalGait:
    """The tuned controller's choice of gait parameters; also the recovery policy."""

    def __init__(self, robot: RobotModel, settings: GaitSettings) -> None:
        offsets = phase_offsets(settings.name)
        hip_y = robot.hip_position[:, 1] + robot.hip_offset
        foot_y = (float(hip_y[0]), float(hip_y[1]), float(hip_y[2]), float(hip_y[3]))
        self._slow = GaitParameters(
            frequency=settings.frequency, swing_ratio=settings.swing_ratio, phase_offsets=offsets, foot_y=foot_y
        )
        self._fast = GaitParameters(
            frequency=settings.fast_frequency, swing_ratio=settings.fast_swing_ratio, phase_offsets=offsets, foot_y=foot_y
        )
        self._fast_speed_squared = settings.fast_speed**2

    def gait(self, command: VelocityCommand) -> GaitParameters:
        """Gait parameters for a velocity command."""
        fast = command.vx**2 + command.vy**2 >= self._fast_speed_squared
        return self._fast if fast else self._slow


class PolicyStage:
    """Asks the learner; proposes the nominal gait as long as no learned policy is loaded."""

    def __init__(self, robot: RobotModel, settings: GaitSettings) -> None:
        self._name = settings.name
        self._nominal = NominalGait(robot, settings)

    def update(self, estimate: Estimate, command: VelocityCommand) -> Proposal:
        """The learner's proposal on this stamp."""
        return Proposal(stamp_ns=estimate.stamp_ns, policy=self._name, kind="gait", gait=self._nominal.gait(command))
