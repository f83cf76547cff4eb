"""Trigger, safe and failure sets: which states allow the learner to drive (paper 1, definition 1).

A state is safe if height, roll, pitch, lateral velocity and roll rate lie in a box. The test is
written `lo <= x <= hi`, so that NaN is never safe. All other states are the trigger set. Failure is
a height below that of a fall, and belongs to the trigger set.

The paper measures all five components raw. A robot that walks well then leaves the box too.
Sideways steps throw two legs to one side, which shows in the roll rate. A slope tilts the body with
the ground. `TriggerSetParameters` therefore offers other measures for each component.
"""

from dataclasses import dataclass
from math import asin, atan, atan2, cos, hypot, inf, isfinite, isnan, nan, sin, sqrt, tan
from typing import Literal

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import NX, POSITION, RATES, RPY, VELOCITY
from safe_locomotion.rotations import RotationRows, Vector, rotate_back, rows_from_quaternion
from safe_locomotion.safety.mean_roll_rate import HISTORY, RollHistory
from safe_locomotion.types import GRAVITY, Array, Estimate, Flags

COMPONENTS = ("height", "roll", "pitch", "lateral_velocity", "roll_rate")
N_COMPONENTS = len(COMPONENTS)
Values = tuple[float, float, float, float, float]

#: Column of a centroidal state behind each component, and that of the rate at which it changes.
_COLUMNS = (
    (POSITION.start + 2, VELOCITY.start + 2),
    (RPY.start, RATES.start),
    (RPY.start + 1, RATES.start + 1),
    (VELOCITY.start + 1, None),
    (RATES.start, None),
)
_ROLL_RATE = COMPONENTS.index("roll_rate")
LONGEST_LOOKAHEAD = 0.2  #: [s]
#: Window of the mean roll rate, as a share of the gait cycle.
SHARE_OF_CYCLE = {"raw": 0.0, "half_cycle": 0.5, "whole_cycle": 1.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerBounds:
    """Bounds of the box of safe states.

    Attributes:
        height_min, height_max: height of the base [m].
        roll, pitch: largest angles [rad].
        lateral_velocity: largest speed along y of the body's heading [m/s].
        roll_rate: largest rate about x of the body [rad/s].
    """

    height_min: float
    height_max: float
    roll: float
    pitch: float
    lateral_velocity: float
    roll_rate: float

    def __post_init__(self) -> None:
        """Refuse an empty box."""
        if not 0.0 <= self.height_min < self.height_max < inf:
            raise ConfigurationError(
                "trigger set: 0 <= height_min < height_max is needed "
                f"(found {self.height_min} and {self.height_max})"
            )
        for name in COMPONENTS[1:]:
            value = getattr(self, name)
            if not 0.0 < value < inf:
                raise ConfigurationError(f"trigger set: {name}: must be positive (found {value})")


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerSetParameters:
    """Which box is in use, and how its components are measured.

    The first choice of each measure is the paper's.

    Attributes:
        use: name of the box in use.
        roll_rate: rate of the gyroscope, or its mean over half or a whole cycle of the present
            gait.
        attitude: roll and pitch against the vertical, or against the plane under the feet.
        height: height of the base in odom, or above the plane under the feet.
        lookahead: time for which height, roll and pitch are extrapolated at their present rates
            before they are tested [s]. The paper's value is 0. A body that drops leaves the box too
            late for any foot to catch it.
        c1, c2, c3: boxes of the paper's ablation, from its own choice to the tightest.
    """

    use: Literal["c1", "c2", "c3"]
    roll_rate: Literal["raw", "half_cycle", "whole_cycle"]
    attitude: Literal["vertical", "ground"]
    height: Literal["odom", "feet"]
    lookahead: float
    c1: TriggerBounds
    c2: TriggerBounds
    c3: TriggerBounds

    def __post_init__(self) -> None:
        """Refuse a negative look-ahead, and one too long for constant rates."""
        if not 0.0 <= self.lookahead <= LONGEST_LOOKAHEAD:
            raise ConfigurationError(
                f"trigger set: lookahead: must lie within 0 and {LONGEST_LOOKAHEAD} s "
                f"(found {self.lookahead})"
            )

    @property
    def bounds(self) -> TriggerBounds:
        """The box in use."""
        chosen: TriggerBounds = getattr(self, self.use)
        return chosen


class TriggerSet:
    """The box of safe states.

    Attributes:
        low, high: (5,) corners of the box.
        failure_height: height of the base below which a robot has fallen [m].
    """

    def __init__(self, bounds: TriggerBounds, failure_height: float) -> None:
        if not 0.0 <= failure_height <= bounds.height_min:
            raise ConfigurationError(
                "trigger set: it contains falls, so 0 <= failure height <= height_min is needed "
                f"(found {failure_height} and {bounds.height_min})"
            )
        sides = (bounds.roll, bounds.pitch, bounds.lateral_velocity, bounds.roll_rate)
        low = [bounds.height_min, *(-side for side in sides)]
        high = [bounds.height_max, *sides]
        self.low = np.array(low)
        self.high = np.array(high)
        self.failure_height = failure_height
        self._sides = tuple((a, b, 2.0 / (b - a)) for a, b in zip(low, high, strict=True))

    def triggers(self, values: Values) -> tuple[str, ...]:
        """Components that lie outside; empty for a safe state."""
        sides = zip(COMPONENTS, values, self._sides, strict=True)
        return tuple([name for name, x, (low, high, _) in sides if not low <= x <= high])

    def margins(self, values: Values) -> tuple[tuple[str, float], ...]:
        """Distance of each component to its nearest bound, over half the width of the box.

        It is 1 in the middle, negative outside, and -inf for NaN.
        """
        sides = zip(COMPONENTS, values, self._sides, strict=True)
        margins = [
            (name, -inf if isnan(x) else min(x - low, high - x) * scale)
            for name, x, (low, high, scale) in sides
        ]
        return tuple(margins)

    def safe(self, values: Array) -> Flags:
        """Whether each state is safe: flags (...) for components (..., 5)."""
        inside: Flags = np.logical_and.reduce((self.low <= values) & (values <= self.high), axis=-1)
        return inside

    def failed(self, height: float) -> bool:
        """Whether a robot has fallen whose base is at this height."""
        return not self.failure_height <= height


#: Share of the reach by which a tilted body may lean; our choice. It gives the paper's 0.26 rad
#: within 6 % on both robots.
LEAN_SHARE = 0.75


def designed_bounds(*, height: float, reach: float, height_slack: float = 0.05) -> TriggerBounds:
    """Box of states whose capture point a foot can still reach.

    A linear inverted pendulum of height h has the lateral velocity v and the roll rate w. It comes
    to rest over a foot at (v + h w) sqrt(h / g) from its centre of mass (Pratt et al., Capture
    Point, Humanoids 2006). If one number b bounds both v and w, then

        b = reach / ((1 + h) sqrt(h / g))

    This is 0.47 for the paper's A1 (h 0.27, reach 0.1) and 0.48 for its Laikago (h 0.45, reach
    0.15), which the paper rounds to 0.5. Roll and pitch may lean the body by `LEAN_SHARE` of the
    reach.

    Args:
        height: height of the base while walking [m].
        reach: largest sideways step of a foot from under its hip [m].
        height_slack: largest deviation of the height [m].

    Raises:
        ConfigurationError: no box results.
    """
    if not (0.0 < height_slack < height < inf and 0.0 < reach < inf):
        raise ConfigurationError(
            f"trigger set: no design for height {height}, reach {reach}, "
            f"height slack {height_slack}"
        )
    speed = reach / ((1.0 + height) * sqrt(height / GRAVITY))
    lean = atan(LEAN_SHARE * reach / height)
    return TriggerBounds(
        height_min=height - height_slack,
        height_max=height + height_slack,
        roll=lean,
        pitch=lean,
        lateral_velocity=speed,
        roll_rate=speed,
    )


class TriggerState:
    """Measures the components of estimates, and those of states predicted from there.

    Attributes:
        values: components of the last estimate; NaN before the first.
    """

    def __init__(self, measures: TriggerSetParameters) -> None:
        self._against_ground = measures.attitude == "ground"
        self._above_feet = measures.height == "feet"
        self._share = SHARE_OF_CYCLE[measures.roll_rate]
        self._lookahead = measures.lookahead
        self._meaning = _meaning(measures.lookahead)
        self._window = 0.0
        self._rolling = RollHistory()
        self.values: Values = (nan, nan, nan, nan, nan)

    def update(self, estimate: Estimate, frequency: float) -> Values:
        """Components now, under a gait of `frequency` [Hz]."""
        rows = rows_from_quaternion(estimate.quaternion_wxyz)
        roll, pitch = self._attitude(rows, estimate)
        rate = float(estimate.angular_velocity[0])
        if self._share:
            self._window = min(self._share / frequency, HISTORY)
            self._rolling.add(estimate.stamp_ns, rate)
            rate = self._rolling.mean(self._window) if isfinite(rate) else nan
        height = self._height(estimate)
        self.values = (height, roll, pitch, _lateral_velocity(rows, estimate), rate)
        return self.values

    def _height(self, estimate: Estimate) -> float:
        height = float(estimate.position[2]) + self._lookahead * float(estimate.velocity[2])
        return height - estimate.ground_height if self._above_feet else height

    def _attitude(self, rows: RotationRows, estimate: Estimate) -> tuple[float, float]:
        """Roll and pitch after the look-ahead [rad]."""
        up = rows[2]
        if self._against_ground:
            nx, ny, nz = estimate.ground_normal.tolist()
            up = rotate_back(rows, (nx, ny, nz))
        roll, pitch = _roll_and_pitch(up)
        ahead = self._lookahead
        if not ahead:
            return roll, pitch
        roll_rate, pitch_rate, yaw_rate = estimate.angular_velocity.tolist()
        s = sin(roll)
        c = cos(roll)
        rolled = ahead * (roll_rate + tan(pitch) * (s * pitch_rate + c * yaw_rate))
        pitched = ahead * (c * pitch_rate - s * yaw_rate)
        return roll + rolled, pitch + pitched

    def predicted(
        self, x0: Array, states: Array, dt: float, frequency: float | None = None
    ) -> Array:
        """Components (..., W, 5) of predicted states.

        The predicted change is added to the last measurement, so that measured and predicted
        components mean the same.

        Args:
            x0: (12,) present centroidal state.
            states: (..., W, 12) predicted centroidal states.
            dt: time between two of them [s].
            frequency: frequency of the gait that will be in force then [Hz]; None for the present
                one.
        """
        changes = states - x0
        values: Array = changes @ self._meaning + np.array(self.values)
        if self._share:
            window = self._window if frequency is None else min(self._share / frequency, HISTORY)
            rolling = changes[..., RPY.start]
            values[..., _ROLL_RATE] = self._rolling.predicted_means(rolling, dt, window)
        return values


def _meaning(lookahead: float) -> Array:
    """Matrix (12, 5) from the change of a centroidal state to the change of the components."""
    out = np.zeros((NX, N_COMPONENTS))
    for component, (column, rate) in enumerate(_COLUMNS):
        out[column, component] = 1.0
        if rate is not None:
            out[rate, component] = lookahead
    return out


def _lateral_velocity(rows: RotationRows, estimate: Estimate) -> float:
    """Velocity along y of the body's heading [m/s]; NaN if the body's x axis is vertical."""
    xx = rows[0][0]
    yx = rows[1][0]
    vx, vy, _ = estimate.velocity.tolist()
    return (xx * vy - yx * vx) / (hypot(xx, yx) or nan)


def _roll_and_pitch(up: Vector) -> tuple[float, float]:
    """Roll and pitch [rad] of a body in whose frame `up` (unit vector) points up."""
    x, y, z = up
    pitch = asin(min(1.0, max(-1.0, -x))) if isfinite(x) else nan
    return atan2(y, z), pitch
