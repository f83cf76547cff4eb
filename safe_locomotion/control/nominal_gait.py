"""Nominal gait: the tuned controller's choice of gait parameters.

It is also the recovery policy of paper 1's robot.
"""

from dataclasses import dataclass
from math import hypot

from safe_locomotion.control.gait import phase_offsets
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import Estimate, GaitParameters, VelocityCommand


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitSettings:
    """A fixed gait by name, with a faster variant from a given speed on.

    Attributes:
        name: key of `gait.PHASE_OFFSETS`.
        frequency, swing_ratio: at low speed [Hz, -].
        fast_frequency, fast_swing_ratio: from `fast_speed` on [Hz, -].
        fast_speed: commanded planar speed [m/s].
        hurry_error: planar velocity error from which the robot steps faster [m/s].
        hurry_gain: relative increase of the frequency per m/s beyond it.
        hurry_limit: largest factor on the frequency.
    """

    name: str
    frequency: float
    swing_ratio: float
    fast_frequency: float
    fast_swing_ratio: float
    fast_speed: float
    hurry_error: float
    hurry_gain: float
    hurry_limit: float

    def __post_init__(self) -> None:
        """Refuse numbers that describe no gait."""
        phase_offsets(self.name)
        for name in ("frequency", "fast_frequency", "hurry_limit"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(
                    f"gait: {name}: must be positive (found {getattr(self, name)})"
                )
        for name in ("swing_ratio", "fast_swing_ratio"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigurationError(
                    f"gait: {name}: must lie between 0 and 1 (found {getattr(self, name)})"
                )


class NominalGait:
    """The tuned controller's choice of gait parameters; also the recovery policy.

    A robot that is pushed steps faster. The sooner a foot lands, the less far the body has fallen
    away from the capture point.
    """

    def __init__(self, robot: RobotModel, settings: GaitSettings) -> None:
        self._s = settings
        self._offsets = phase_offsets(settings.name)
        hip_y = (robot.hip_position[:, 1] + robot.hip_offset).tolist()
        self._foot_y = (hip_y[0], hip_y[1], hip_y[2], hip_y[3])

    def reset(self) -> None:
        """Do nothing: this policy has no memory."""

    def gait(self, command: VelocityCommand, estimate: Estimate) -> GaitParameters:
        """Gait parameters for a velocity command in the present state."""
        s = self._s
        fast = command.vx**2 + command.vy**2 >= s.fast_speed**2
        frequency, swing_ratio = (
            (s.fast_frequency, s.fast_swing_ratio) if fast else (s.frequency, s.swing_ratio)
        )
        hurry = 1.0 + s.hurry_gain * max(0.0, _velocity_error(command, estimate) - s.hurry_error)
        return GaitParameters(
            frequency=frequency * min(s.hurry_limit, hurry),
            swing_ratio=swing_ratio,
            phase_offsets=self._offsets,
            foot_y=self._foot_y,
        )


def _velocity_error(command: VelocityCommand, estimate: Estimate) -> float:
    """How far the planar velocity is from the command [m/s].

    It is 0 when the estimate has diverged.
    """
    if estimate.diverged:
        return 0.0
    w, x, y, z = estimate.quaternion_wxyz.tolist()
    c = 1.0 - 2.0 * (y * y + z * z)
    s = 2.0 * (x * y + w * z)
    vx, vy, _ = estimate.velocity.tolist()
    return hypot(c * vx + s * vy - command.vx, c * vy - s * vx - command.vy)
