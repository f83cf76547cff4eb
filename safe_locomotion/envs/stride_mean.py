"""Velocities averaged over a stride: the robot's own, and those of a perfect robot."""

from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_tasks import STRIDE_TIME
from safe_locomotion.rotations import clamp, rotate_plane
from safe_locomotion.types import Array, VelocityCommand

_SHARE = 1.0 / (STRIDE_TIME * RATE_HZ)
_NAMES = ("vx", "vy", "wz")


class StrideMean:
    """Running means of one episode, updated once a policy step.

    Attributes:
        velocity: vx, vy of the base in its yaw frame, and its vertical velocity [m/s].
        yaw_rate: [rad/s].
        command: the velocity that a perfect robot would show: the command at the acceleration that
            the controller allows.
    """

    def __init__(self, limits: LocomotionParameters, step_time: float) -> None:
        self.velocity = (0.0, 0.0, 0.0)
        self.yaw_rate = 0.0
        self.command = VelocityCommand()
        self._ramp = VelocityCommand()
        self._steps = (
            limits.acceleration * step_time,
            limits.acceleration * step_time,
            limits.yaw_acceleration * step_time,
        )

    def update(self, velocity: Array, rates: Array, yaw: float, command: VelocityCommand) -> None:
        """Add one policy step.

        Args:
            velocity: (3,) of the base in the world at its end [m/s].
            rates: (3,) angular velocity in base [rad/s].
            yaw: [rad].
            command: in force.
        """
        x, y, z = velocity.tolist()
        forward, left = rotate_plane(-yaw, x, y)
        vx, vy, vz = self.velocity
        self.velocity = (
            vx + _SHARE * (forward - vx),
            vy + _SHARE * (left - vy),
            vz + _SHARE * (z - vz),
        )
        self.yaw_rate += _SHARE * (float(rates[2]) - self.yaw_rate)
        ramp = self._ramp
        self._ramp = VelocityCommand(
            **{
                n: clamp(getattr(command, n), getattr(ramp, n) - d, getattr(ramp, n) + d)
                for n, d in zip(_NAMES, self._steps, strict=True)
            }
        )
        mean = self.command
        self.command = VelocityCommand(
            **{
                n: getattr(mean, n) + _SHARE * (getattr(self._ramp, n) - getattr(mean, n))
                for n in _NAMES
            }
        )
