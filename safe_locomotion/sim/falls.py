"""When a robot counts as fallen, told apart from one that lies down on purpose."""

from collections.abc import Callable
from math import isfinite

FAILURE_HEIGHT = 0.1
"""Base above the ground below which the robot has failed [m] (paper 1, the same for all its robots)."""
COS_TOPPLED = 0.5
"""A trunk tilted by more than 60 degrees has fallen whatever it touches."""
COS_LEVEL = 0.866
"""Lying down on purpose keeps the trunk within 30 degrees."""
LOWERING_SPEED = 0.5
"""Lying down on purpose is slower than this [m/s]; dropping from standing height onto the trunk arrives at more than 1 m/s."""
HELD_ERROR = 0.35
"""Lying down on purpose tracks its joint targets within this [rad]."""
STANDING_SHARE = 0.8
STANDING_TIME = 0.25
"""A robot stands once its base was above this share of the nominal height for this long [s]."""


class FallDetector:
    """Counts falls of a robot that has stood.

    Armed once the robot stands. Then one event is a fall: the trunk tilts past 60 degrees; or it touches the ground, or comes
    closer than the failure height, unless the robot lies down on purpose, that is: slowly, level, and with all joints held
    near their commanded positions (kp > 0). Collapsing limp, under damping or in torque control therefore counts; a commanded
    sit does not. Either event disarms until the robot stands again; until then only toppling over counts, once.
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
        """Forget that the robot stands or lies fallen: it has been put somewhere."""
        self.armed = self._fallen = False
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
            joint_error: largest distance of a joint from its held target, infinite when a joint is not held; asked when needed.

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
            self.armed = self.has_stood = True
            self._fallen = False
