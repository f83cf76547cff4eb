"""Lifted legs: a foot that is held above its place under the hip, and its ways up and down.

A lifted leg leaves the gait (paper 1, section VI, two-leg balance). It goes up at its next
lift-off, it is held there as long as the gait wants it lifted, and its foot does not push, even if
it touches the ground. A leg that is no longer lifted comes down at once, whatever its phase is. It
is on the ground after `LIFT_TIME`, and goes on with the gait at its next lift-off.
"""

from collections.abc import Sequence
from typing import NamedTuple

from safe_locomotion.types import N_LEGS

#: [s] of a whole way up or down: half a swing of the A1's trot (2.5 Hz, ratio 0.45).
LIFT_TIME = 0.09
LEAST_LEGS = 2  #: that must be left to stand on
NONE_LIFTED = (False, False, False, False)


class Lift(NamedTuple):
    """Where a leg is that has left the gait.

    Attributes:
        share: of the way up; 0 on the ground, 1 at the height of a swing's apex.
        wanted: the gait wants the leg lifted, so it goes up or stays; otherwise it comes down.
    """

    share: float
    wanted: bool

    @property
    def rate(self) -> float:
        """Change of the share [1/s]."""
        if self.wanted:
            return 1.0 / LIFT_TIME if self.share < 1.0 else 0.0
        return -1.0 / LIFT_TIME

    @property
    def progress(self) -> float:
        """Progress of the swing that it takes the place of: the apex is at 0.5."""
        half = 0.5 * self.share
        return half if self.wanted else 1.0 - half

    @property
    def time_to_ground(self) -> float:
        """Time in which the foot is on the ground if it comes down from now on [s]."""
        return self.share * LIFT_TIME

    def moved(self, wanted: bool, elapsed: float) -> "Lift | None":
        """The lift after `elapsed` [s]; None for a foot that has come down."""
        way = elapsed / LIFT_TIME
        if wanted:
            return Lift(min(1.0, self.share + way), True)
        share = self.share - way
        return Lift(share, False) if share > 0.0 else None


def some_leg_left(lifted: Sequence[bool]) -> bool:
    """Whether these are four flags that leave at least `LEAST_LEGS` legs to stand on."""
    flags = len(lifted) == N_LEGS and all(flag in (True, False) for flag in lifted)
    return flags and N_LEGS - sum(lifted) >= LEAST_LEGS


def until_lifted(phase: float, lift_off: float, ahead: Sequence[float]) -> list[bool]:
    """Whether a leg that shall be lifted is still in the gait, `ahead` strides from now.

    Args:
        phase: of the leg now.
        lift_off: phase at which it lifts off.
        ahead: strides.
    """
    last = lift_off if phase < lift_off else 1.0 + lift_off
    return [phase + by < last for by in ahead]


def after_landing(
    phase: float, lift_off: float, landing: float, ahead: Sequence[float]
) -> list[bool]:
    """Whether a foot that comes down pushes, `ahead` strides from now.

    It misses the swing in whose time it lands.

    Args:
        phase: of the leg now.
        lift_off: phase at which it lifts off.
        landing: strides from now until it is on the ground.
        ahead: strides.
    """
    lands = phase + landing
    missed_until = lands - lands % 1.0 + 1.0 if lands % 1.0 >= lift_off else lands
    return [
        by >= landing and ((phase + by) % 1.0 < lift_off or phase + by < missed_until)
        for by in ahead
    ]
