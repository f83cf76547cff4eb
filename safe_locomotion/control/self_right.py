"""Getting up from the back or a side: joint targets of the leg controller in mode SELF_RIGHT.

The legs fold, which lays the robot on its belly or on its back. A robot on its back is rolled over
one side and folds again, as often as it takes. The legs of one side reach over the back and extend:
they lift their side until the robot lies on the other (`low`) one. Then the low legs reach over the
back, too, and extend, while the high ones swing down to where the ground will be. Every target is a
ramp that starts where the one before ended. The supervisor judges whether the robot has arrived.

Poses and times were found by search in the simulator for the A1. They hold over friction 0.4-1.0
and 3 kg of payload (`test/sim/test_getting_up.py`). They are angles of legs with two links of like
length, so they suit the other robots of its kind too: Go2, Go1 and Laikago get up with them.
"""

from dataclasses import dataclass
from math import pi

import numpy as np

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import rows_from_quaternion
from safe_locomotion.types import FL, FR, N_LEGS, NANOSECONDS, RL, RR, Array, LowState

LEFT = (FL, RL)
RIGHT = (FR, RR)
BELLY = 0.8  #: cosine of the tilt below which a folded robot has to be rolled
#: Sine of the roll from which a robot is rolled further to the side to which it leans.
LEANING = 0.1

#: Hip outwards, thigh, calf [rad]; clipped to the joint's range.
LegAngles = tuple[float, float, float]

TUCKED: LegAngles = (0.0, 1.3, -pi)
FOLDED_OVER_BACK = -pi  #: calf folded, calf as straight as it goes
OVER_BACK = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One ramp of the legs.

    Attributes:
        low: angles of the legs of the side that will lie below.
        high: angles of the legs of the other side.
        ramp: duration [s].
        hold: wait behind it [s].
    """

    low: LegAngles
    high: LegAngles
    ramp: float
    hold: float


FOLD_TIME = 0.6  #: [s]
FOLD_HOLD = 0.4
ROLL = (
    Stage(low=TUCKED, high=(0.4, pi, FOLDED_OVER_BACK), ramp=0.4, hold=0.1),
    Stage(low=TUCKED, high=(0.4, pi, OVER_BACK), ramp=0.15, hold=0.3),
    Stage(low=(0.0, 3.3, FOLDED_OVER_BACK), high=(0.4, pi, OVER_BACK), ramp=0.3, hold=0.2),
    Stage(low=(0.0, 3.3, OVER_BACK), high=(0.4, 1.3, FOLDED_OVER_BACK), ramp=0.2, hold=0.3),
)
#: Of one roll and the fold behind it [s].
ATTEMPT_TIME = FOLD_TIME + FOLD_HOLD + sum(stage.ramp + stage.hold for stage in ROLL)


class SelfRighting:
    """Joint targets from `begin` on; a robot on its belly stays folded, any other is rolled again.

    Attributes:
        attempts: rolls begun.
    """

    def __init__(self, robot: RobotModel) -> None:
        self._robot = robot
        self.attempts = 0
        self._stages: list[tuple[Array, float, float]] = []
        self._start = self._end = robot.q_sit
        self._since_ns = 0
        self._ramp = FOLD_TIME
        self._duration = 0.0

    def begin(self, state: LowState) -> None:
        """Fold the legs from where they are."""
        self.attempts = 0
        self._stages = []
        self._end = state.q
        self._enter(state.stamp_ns, (self._robot.q_sit, FOLD_TIME, FOLD_HOLD))

    def target(self, state: LowState) -> Array:
        """Joint positions (12,) on this tick [rad]."""
        elapsed = (state.stamp_ns - self._since_ns) / NANOSECONDS
        if elapsed >= self._duration:
            if not self._stages:
                self._stages = self._roll(state)
            self._enter(state.stamp_ns, self._stages.pop(0))
            elapsed = 0.0
        s = min(1.0, max(0.0, elapsed / self._ramp))
        return self._start + (s * s * (3.0 - 2.0 * s)) * (self._end - self._start)

    def _enter(self, stamp_ns: int, stage: tuple[Array, float, float]) -> None:
        self._start = self._end
        self._since_ns = stamp_ns
        self._end, self._ramp, hold = stage
        self._duration = self._ramp + hold

    def _roll(self, state: LowState) -> list[tuple[Array, float, float]]:
        """The next roll and the fold behind it; a robot on its belly only folds."""
        fold = (self._robot.q_sit, FOLD_TIME, FOLD_HOLD)
        _, side, up = rows_from_quaternion(state.quaternion_wxyz)[2]
        if up >= BELLY:
            return [fold]
        lift_left = side > 0.0 if abs(side) >= LEANING else self.attempts % 2 == 0
        self.attempts += 1
        return [*((self._pose(stage, lift_left), stage.ramp, stage.hold) for stage in ROLL), fold]

    def _pose(self, stage: Stage, lift_left: bool) -> Array:
        """Joint positions (12,), inside the ranges of the joints.

        Hips turn outwards by the same angle on both sides.
        """
        high = LEFT if lift_left else RIGHT
        legs = [stage.high if leg in high else stage.low for leg in range(N_LEGS)]
        outwards = [1.0 if leg in LEFT else -1.0 for leg in range(N_LEGS)]
        q = np.array(
            [
                (side * hip, thigh, calf)
                for side, (hip, thigh, calf) in zip(outwards, legs, strict=True)
            ]
        )
        return np.clip(q.reshape(-1), self._robot.q_min, self._robot.q_max)
