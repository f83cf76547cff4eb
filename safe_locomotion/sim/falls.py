"""When a robot counts as fallen, in contrast to one that lies down on purpose."""

from collections.abc import Callable
from math import isfinite

FAILURE_HEIGHT = 0.1
"""Height of the base above the ground below which the robot has failed [m].

Paper 1 uses this value for all its robots.
"""
COS_TOPPLED = 0.5
"""Cosine of 60 degrees: a trunk that is tilted further has fallen, whatever it touches."""
COS_LEVEL = 0.866
"""Cosine of 30 degrees: a robot that lies down on purpose stays within this tilt."""
LOWERING_SPEED = 0.5
"""A robot that lies down on purpose is slower than this [m/s].

One that drops from standing height arrives on its trunk at more than 1 m/s.
"""
HELD_ERROR = 0.35
"""A robot that lies down on purpose tracks its joint targets within this [rad]."""
STANDING_SHARE = 0.8
STANDING_TIME = 0.25
"""A robot stands once its base was above this share of the nominal height for this time [s]."""


REST_SPEED = 0.1
"""A robot at rest is slower than this [m/s]."""
REST_JOINT_SPEED = 0.5
"""All joints of a robot at rest are slower than this [rad/s]; legs that step reach ten times it."""


class Damping:
    """Notes whether the robot was at rest when its motors were last put into damping.

    Attributes:
        from_rest: the motors damp, and the robot was at rest when that began.
    """

    def __init__(self) -> None:
        self.from_rest = False
        self._damps = False

    def update(self, damps: bool, speed: float, joint_speed: float) -> None:
        """Take one tick.

        Args:
            damps: the motors brake and do nothing else.
            speed: of the base [m/s].
            joint_speed: of the fastest joint [rad/s].
        """
        if damps and not self._damps:
            self.from_rest = speed <= REST_SPEED and joint_speed <= REST_JOINT_SPEED
        self.from_rest = self.from_rest and damps
        self._damps = damps


class FallDetector:
    """Counts falls of a robot that has stood.

    The detector is armed once the robot stands. Then these events are falls:

    - The trunk tilts past 60 degrees.
    - The trunk touches the ground or comes closer to it than the failure height, unless the robot
      lies down on purpose: slowly, level, and with all joints held near their commanded positions
      (kp > 0), or damped since it stood still (`Damping`).

    A robot that collapses limp, in torque control, or damped while it moves therefore falls. A
    commanded sit is no fall, and neither is an emergency stop of a robot that stands still. Either
    event disarms the detector until the robot stands again. Until then only toppling over counts,
    once.
    """

    def __init__(self, nominal_height: float, period: float) -> None:
        self.falls = 0
        self.has_stood = False
        self.armed = False
        self._fallen = False
        self._standing_height = STANDING_SHARE * nominal_height
        self._needed = round(STANDING_TIME / period)
        self._standing = 0

    def disarm(self) -> None:
        """Forget that the robot stands or has fallen, because it has been moved by hand."""
        self.armed = False
        self._fallen = False
        self._standing = 0

    def update(
        self,
        height: float,
        cos_tilt: float,
        velocity_z: float,
        touching: bool,
        joint_error: Callable[[], float],
    ) -> bool:
        """Take one tick.

        Args:
            height: base above the ground under it [m].
            cos_tilt: cosine of the angle between the trunk's z axis and the vertical.
            velocity_z: vertical velocity of the base [m/s].
            touching: the trunk touches the ground.
            joint_error: returns the largest distance of a joint from its held target [rad];
                infinite when a joint is not held. It is called only when needed.

        Returns:
            True on the tick on which a fall begins.
        """
        self._count_standing(height, cos_tilt)
        toppled = not cos_tilt >= COS_TOPPLED
        if not self.armed:
            begins = toppled and self.has_stood and not self._fallen
            self._fallen |= begins
            self.falls += begins
            return begins
        down = touching or not height >= FAILURE_HEIGHT
        if not toppled and not down:
            return False
        gentle = isfinite(height) and cos_tilt >= COS_LEVEL and velocity_z >= -LOWERING_SPEED
        on_purpose = gentle and joint_error() <= HELD_ERROR
        self.disarm()
        self._fallen = not on_purpose
        self.falls += not on_purpose
        return not on_purpose

    def _count_standing(self, height: float, cos_tilt: float) -> None:
        upright = height >= self._standing_height and cos_tilt >= COS_LEVEL
        self._standing = self._standing + 1 if upright else 0
        if self._standing >= self._needed:
            self.armed = True
            self.has_stood = True
            self._fallen = False
