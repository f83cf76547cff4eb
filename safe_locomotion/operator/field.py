"""A field that a robot does not leave: the velocity command turns back at its edge."""

from math import atan2, hypot, pi

from safe_locomotion.rotations import clamp
from safe_locomotion.types import VelocityCommand

TURN_RATE = 0.6  #: [rad/s]; at 0.45 m/s a circle of 0.75 m
TURN_GAIN = 1.5  #: of the turning rate over the error of the heading [1/s]
INNER = 0.7  #: share of the radius within which the robot goes on as it was told


class Field:
    """A circle about the origin of the odometry.

    The odometry drifts, and so does the field: by 3 % of the way in simulation. It shapes the
    command of one operator; it is no barrier.

    Attributes:
        returns: the robot is on its way back.
    """

    def __init__(self, radius: float) -> None:
        """The robot is inside.

        Args:
            radius: [m].
        """
        self._radius = radius
        self.returns = False

    def shaped(self, command: VelocityCommand, x: float, y: float, yaw: float) -> VelocityCommand:
        """The command, which turns towards the middle after the robot has left the field.

        Without a known place the robot stops. A robot that is not asked to go forward is left
        alone.

        Args:
            command: inside the field.
            x, y: place in odom [m].
            yaw: heading in odom [rad].
        """
        distance = hypot(x, y)
        if not distance + abs(yaw) < float("inf"):
            return VelocityCommand()
        if distance >= self._radius:
            self.returns = True
        elif distance <= INNER * self._radius:
            self.returns = False
        if not self.returns or not command.vx > 0.0:
            return command
        error = wrapped(atan2(-y, -x) - yaw)
        turn = clamp(TURN_GAIN * error, -TURN_RATE, TURN_RATE)
        return VelocityCommand(vx=command.vx, vy=command.vy, wz=turn)


def wrapped(angle: float) -> float:
    """The angle within [-pi, pi) [rad]."""
    return (angle + pi) % (2.0 * pi) - pi
