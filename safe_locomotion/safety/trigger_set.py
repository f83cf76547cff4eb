"""Trigger, safe and failure sets: which states still allow the learner to drive (paper 1, definition 1).

The trigger set is what lies outside a box of five components: height, roll, pitch, lateral velocity and roll rate. Safe is
what lies inside, written `lo <= x <= hi`, so that NaN is never safe. Failure is a height below the one of a fall; it
belongs to the trigger set.

The paper measures all five raw. A robot that walks well then leaves the box too: sideways steps throw two legs one way
and the roll rate with them, a slope tilts the body with the ground. So each can be measured otherwise (`TriggerSetParameters`).
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from math import asin, atan, atan2, ceil, cos, hypot, inf, isfinite, isnan, nan, sin, sqrt, tan
from typing import Literal

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import NX, POSITION, RATES, RPY, VELOCITY
from safe_locomotion.rotations import Vector, rotate_back, rows_from_quaternion
from safe_locomotion.types import GRAVITY, NANOSECONDS, Array, Estimate, Flags

COMPONENTS = ("height", "roll", "pitch", "lateral_velocity", "roll_rate")
N_COMPONENTS = len(COMPONENTS)
Values = tuple[float, float, float, float, float]

HISTORY = 1.0  #: of the roll rate [s]: a whole stride of every gait from 1 Hz on
FORGET = 600  #: samples that are dropped at once when they are older: a second at 500 Hz, and some
#: Column of a centroidal state behind each component, and of the rate that carries it on.
_COLUMNS = (
    (POSITION.start + 2, VELOCITY.start + 2),
    (RPY.start, RATES.start),
    (RPY.start + 1, RATES.start + 1),
    (VELOCITY.start + 1, None),
    (RATES.start, None),
)
_ROLL_RATE = 4
LONGEST_LOOKAHEAD = 0.2  # s
SHARE_OF_CYCLE = {"raw": 0.0, "half_cycle": 0.5, "whole_cycle": 1.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerBounds:
    """Largest box of safe states.

    Attributes:
        height_min, height_max: of the base [m].
        roll, pitch: magnitude [rad].
        lateral_velocity: magnitude, along y of the body's heading [m/s].
        roll_rate: magnitude, about x of the body [rad/s].
    """

    height_min: float
    height_max: float
    roll: float
    pitch: float
    lateral_velocity: float
    roll_rate: float

    def __post_init__(self) -> None:
        """Refuse a box without inside."""
        if not 0.0 <= self.height_min < self.height_max < inf:
            raise ConfigurationError(
                f"trigger set: 0 <= height_min < height_max is needed (found {self.height_min} and {self.height_max})"
            )
        for name in COMPONENTS[1:]:
            if not 0.0 < getattr(self, name) < inf:
                raise ConfigurationError(
                    f"trigger set: {name}: must be positive (found {getattr(self, name)})"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerSetParameters:
    """Which box, and how its components are measured; of the measures the first choice of each is the paper's.

    Attributes:
        use: which of the boxes below.
        roll_rate: of the gyroscope, or its mean over half or a whole cycle of the gait in force.
        attitude: roll and pitch against the vertical, or against the plane under the feet.
        height: of the base in odom, or above the plane under the feet.
        lookahead: how long height, roll and pitch are carried on at their present rates before they are tested [s]; 0 is the paper's.
            A body that drops leaves the box late, and with nothing under it that could still catch it.
        c1, c2, c3: the boxes of the paper's ablation, from its own choice to the tightest.
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
        """Refuse a look that goes back, or further ahead than rates tell."""
        if not 0.0 <= self.lookahead <= LONGEST_LOOKAHEAD:
            raise ConfigurationError(
                f"trigger set: lookahead: must lie within 0 and {LONGEST_LOOKAHEAD} s (found {self.lookahead})"
            )

    @property
    def bounds(self) -> TriggerBounds:
        """The box in use."""
        chosen: TriggerBounds = getattr(self, self.use)
        return chosen


class TriggerSet:
    """The box of safe states.

    Attributes:
        low, high: (5,) its corners.
        failure_height: below it a robot has fallen [m].
    """

    def __init__(self, bounds: TriggerBounds, failure_height: float) -> None:
        if not 0.0 <= failure_height <= bounds.height_min:
            raise ConfigurationError(
                f"trigger set: a fall is part of it, so 0 <= failure height <= height_min is needed "
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
        """By component, the distance to the nearest bound over half the width: 1 in the middle, negative outside, -inf for NaN."""
        sides = zip(COMPONENTS, values, self._sides, strict=True)
        return tuple(
            [
                (name, -inf if isnan(x) else min(x - low, high - x) * scale)
                for name, x, (low, high, scale) in sides
            ]
        )

    def safe(self, values: Array) -> Flags:
        """(...) of components (..., 5): whether each is a safe state."""
        inside: Flags = np.logical_and.reduce((self.low <= values) & (values <= self.high), axis=-1)
        return inside

    def failed(self, height: float) -> bool:
        """Whether a robot of this height has fallen."""
        return not self.failure_height <= height


LEAN_SHARE = 0.75  #: of the reach that a tilted body may lean by; our choice, within 6 % of the paper's 0.26 rad on both robots


def designed_bounds(*, height: float, reach: float, height_slack: float = 0.05) -> TriggerBounds:
    """Box of states whose capture point a foot can still reach.

    The linear inverted pendulum of height h comes to rest over a foot at (v + h w) sqrt(h / g) from its centre of mass, where v is
    the lateral velocity and w the roll rate (Pratt et al., Capture Point, Humanoids 2006). With one number b for the bounds of both
    that is b = reach / ((1 + h) sqrt(h / g)): 0.47 for the paper's A1 (h 0.27, reach 0.1) and 0.48 for its Laikago (0.45, 0.15),
    which the paper rounds to 0.5. Roll and pitch may lean the body by `LEAN_SHARE` of the reach.

    Args:
        height: of the base while walking [m].
        reach: how far from under the hip a foot may step to the side [m].
        height_slack: largest deviation of the height [m].
    """
    if not (0.0 < height_slack < height < inf and 0.0 < reach < inf):
        raise ConfigurationError(
            f"trigger set: no design for height {height}, reach {reach}, height slack {height_slack}"
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
    """Measures the components of estimates, and of predicted states from there on.

    The mean roll rate is the way rolled over the window by its length, so only the integral of the roll rate is remembered.
    """

    def __init__(self, measures: TriggerSetParameters) -> None:
        self._against_ground = measures.attitude == "ground"
        self._above_feet = measures.height == "feet"
        self._share = SHARE_OF_CYCLE[measures.roll_rate]
        self._lookahead = measures.lookahead
        self._meaning = _meaning(measures.lookahead)
        self._window = 0.0
        self._times = array("d")  # since the first estimate [s]
        self._rolled = array("d")  # integral of the roll rate [rad]
        self._first_ns = 0
        self.values: Values = (nan, nan, nan, nan, nan)

    def update(self, estimate: Estimate, frequency: float) -> Values:
        """Components now, while a gait of `frequency` [Hz] is in force."""
        rows = rows_from_quaternion(estimate.quaternion_wxyz)
        rate = float(estimate.angular_velocity[0])
        (xx, _, _), (yx, _, _), up = rows
        (vx, vy, vz), (_, pitch_rate, yaw_rate), ahead = (
            estimate.velocity.tolist(),
            estimate.angular_velocity.tolist(),
            self._lookahead,
        )
        height = float(estimate.position[2]) + ahead * vz
        if self._above_feet:
            height -= estimate.ground_height
        if self._against_ground:
            nx, ny, nz = estimate.ground_normal.tolist()
            up = rotate_back(rows, (nx, ny, nz))
        roll, pitch = _tilt(up)
        if ahead:
            s = sin(roll)
            c = cos(roll)
            roll += ahead * (rate + tan(pitch) * (s * pitch_rate + c * yaw_rate))
            pitch += ahead * (c * pitch_rate - s * yaw_rate)
        if self._share:
            rate = self._mean_rate(estimate.stamp_ns, rate, self._share / frequency)
        self.values = (height, roll, pitch, (xx * vy - yx * vx) / (hypot(xx, yx) or nan), rate)
        return self.values

    def predicted(
        self, x0: Array, states: Array, dt: float, frequency: float | None = None
    ) -> Array:
        """Components (..., W, 5) of centroidal states (..., W, 12) predicted from x0 (12,), which is now; steps of `dt` [s].

        What the model says will have changed is added to what was measured, so that both mean the same.

        Args:
            x0: now.
            states: that are predicted.
            dt: between two of them [s].
            frequency: of the gait that will then be in force [Hz]; None: the present one.
        """
        changes = states - x0
        values: Array = changes @ self._meaning + np.array(self.values)
        if self._share:
            window = self._window if frequency is None else min(self._share / frequency, HISTORY)
            values[..., _ROLL_RATE] = self._predicted_rates(changes[..., 0], dt, window)
        return values

    def _mean_rate(self, stamp_ns: int, rate: float, window: float) -> float:
        """Mean roll rate [rad/s] over the last `window` [s]; before the first estimate the robot was at rest."""
        now = (stamp_ns - self._first_ns) / NANOSECONDS
        times = self._times
        rolled = self._rolled
        if not times or not times[-1] <= now <= times[-1] + HISTORY or not isfinite(rolled[-1]):
            self._first_ns = stamp_ns
            now = 0.0
            times, rolled = self._times, self._rolled = array("d", (0.0,)), array("d", (0.0,))
        else:
            rolled.append(rolled[-1] + rate * (now - times[-1]))
            times.append(now)
        if len(times) > 2 * FORGET and times[FORGET] < now - HISTORY:
            del times[:FORGET], rolled[:FORGET]
        self._window = min(window, HISTORY)
        return (
            (rolled[-1] - self._rolled_at(now - self._window)) / self._window
            if isfinite(rate)
            else nan
        )

    def _rolled_at(self, time: float) -> float:
        """Integral of the roll rate at the newest sample up to `time`; the first one before that."""
        return self._rolled[max(0, bisect_right(self._times, time) - 1)]

    def _predicted_rates(self, rolling: Array, dt: float, window: float) -> Array:
        """Mean roll rates (..., W) over windows that end at each predicted state; `rolling` (..., W) is what is rolled until then."""
        steps = rolling.shape[-1]
        now = self._times[-1]
        within = min(
            steps, ceil(window / dt)
        )  # the window of the first so many states begins before the first of them
        way = self._rolled[-1] + rolling
        way[..., :within] -= self._rolled_at_each(now + _ends(within, dt) - window)
        if within < steps:
            way[..., within:] -= self._rolled[-1] + rolling[..., : steps - within]
        rates: Array = way / window
        return rates

    def _rolled_at_each(self, times: Array) -> Array:
        """`_rolled_at` of many times; `np.frombuffer` shares the samples, which may only grow once the result is gone."""
        newest = np.frombuffer(self._times).searchsorted(times, side="right") - 1
        return np.frombuffer(self._rolled).take(newest, mode="clip")


@cache
def _ends(steps: int, dt: float) -> Array:
    """Ends of steps of `dt` [s]."""
    return dt * np.arange(1.0, steps + 1.0)


def _meaning(lookahead: float) -> Array:
    """(12, 5) from the change of a centroidal state to that of the components."""
    out = np.zeros((NX, N_COMPONENTS))
    for component, (column, rate) in enumerate(_COLUMNS):
        out[column, component] = 1.0
        if rate is not None:
            out[rate, component] = lookahead
    return out


def _tilt(up: Vector) -> tuple[float, float]:
    """Roll and pitch [rad] of a body that sees `up` (unit vector in base)."""
    x, y, z = up
    return atan2(y, z), asin(min(1.0, max(-1.0, -x))) if isfinite(x) else nan
