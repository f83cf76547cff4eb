"""Orientation and angular velocity: the IMU's quaternion, its gyro, and the gyro's bias.

The IMU's own filter is believed for the orientation over seconds, the gyro over milliseconds: the observer integrates the
gyro, is pulled towards the quaternion, and what the pull has to supply all the time is gyro bias (about the vertical:
relative to the IMU's own heading, which is the heading of odom). At rest the bias is the mean reading.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from safe_locomotion.rotations import RotationRows, Vector
from safe_locomotion.types import N_JOINTS, Array


@dataclass(frozen=True, kw_only=True, slots=True)
class AttitudeParameters:
    """Gains of the orientation observer and what counts as rest.

    Attributes:
        pull: towards the IMU's quaternion [1/s].
        bias_pull: of the gyro bias while moving [1/s2].
        rest_joint_speed: low-pass filtered joint speeds below this are rest [rad/s].
        rest_rate: low-pass filtered gyro below this can be bias, above it is motion [rad/s].
        rest_delay: how long rest must last before the bias follows the gyro [s].
        rest_time_constant: of the mean that becomes the bias [s].
    """

    pull: float = 10.0
    bias_pull: float = 5.0
    rest_joint_speed: float = 0.05
    rest_rate: float = 0.2
    rest_delay: float = 0.3
    rest_time_constant: float = 1.0


class AttitudeObserver:
    """Fuses quaternion and gyro; `quaternion` and `rotation` (base to odom) and `angular_velocity` (in base) hold the result."""

    _FILTER = 0.1  # time constant of the signals that decide about rest [s]

    def __init__(self, parameters: AttitudeParameters) -> None:
        self.parameters = parameters
        self.bias: Vector = (0.0, 0.0, 0.0)
        self.reset(np.array([1.0, 0.0, 0.0, 0.0]))

    def reset(self, quaternion_wxyz: Array) -> None:
        """Start again at an orientation; the gyro bias is a property of the sensor and stays."""
        self._set(*quaternion_wxyz.tolist())
        self.angular_velocity: Vector = (0.0, 0.0, 0.0)
        self.at_rest = False
        self._rest_time = 0.0
        self._rest_mean_time = 0.0
        self._slow: list[float] | None = None

    def update(self, quaternion_wxyz: Array, gyro: Array, dq: Array, dt: float) -> None:
        """Advance by one reading; dq (12,) joint speeds, dt since the last reading [s]."""
        p = self.parameters
        reading = gyro.tolist()
        self._watch_rest(dq.tolist() + reading, dt)
        if self.at_rest:
            self._rest_mean_time += dt
            self._shift_bias(
                min(1.0, dt / min(self._rest_mean_time, p.rest_time_constant)), reading
            )
        ex, ey, ez = self._error(*quaternion_wxyz.tolist())
        bx, by, bz = self.bias
        x, y, z = self.angular_velocity = (reading[0] - bx, reading[1] - by, reading[2] - bz)
        self._integrate(x + p.pull * ex, y + p.pull * ey, z + p.pull * ez, dt)
        if not self.at_rest:
            k = p.bias_pull * dt
            self.bias = (bx - k * ex, by - k * ey, bz - k * ez)

    def _shift_bias(self, gain: float, gyro: list[float]) -> None:
        x, y, z = self.bias
        self.bias = (x + gain * (gyro[0] - x), y + gain * (gyro[1] - y), z + gain * (gyro[2] - z))

    def _watch_rest(self, speeds: list[float], dt: float) -> None:
        """Rest is when joints and gyro, low-pass filtered, have been slow for a while."""
        gain = min(1.0, dt / self._FILTER)
        slow = (
            speeds
            if self._slow is None
            else [a + gain * (b - a) for a, b in zip(self._slow, speeds, strict=True)]
        )
        self._slow = slow
        sizes = list(map(abs, slow))
        p = self.parameters
        still = max(sizes[:N_JOINTS]) <= p.rest_joint_speed and max(sizes[N_JOINTS:]) <= p.rest_rate
        self._rest_time = self._rest_time + dt if still else 0.0
        self._rest_mean_time = self._rest_mean_time if still else 0.0
        self.at_rest = self._rest_time >= p.rest_delay

    def _error(self, mw: float, mx: float, my: float, mz: float) -> Vector:
        """Rotation vector in base, to first order, from the observer's orientation q to the measured m: 2 vec(conj(q) m)."""
        w, x, y, z = self._q
        s = (2.0 if w * mw + x * mx + y * my + z * mz >= 0.0 else -2.0) / sqrt(
            mw * mw + mx * mx + my * my + mz * mz
        )
        return (
            s * (w * mx - x * mw - y * mz + z * my),
            s * (w * my + x * mz - y * mw - z * mx),
            s * (w * mz - x * my + y * mx - z * mw),
        )

    def _integrate(self, a: float, b: float, c: float, dt: float) -> None:
        """q <- q exp((a, b, c) dt / 2), to third order."""
        w, x, y, z = self._q
        n = 0.25 * dt * dt * (a * a + b * b + c * c)
        s = 0.5 * dt * (1.0 - n / 6.0)
        d = 1.0 - 0.5 * n
        a = s * a
        b = s * b
        c = s * c
        self._set(
            w * d - x * a - y * b - z * c,
            w * a + x * d + y * c - z * b,
            w * b - x * c + y * d + z * a,
            w * c + x * b - y * a + z * d,
        )

    def _set(self, w: float, x: float, y: float, z: float) -> None:
        """Normalise and publish the orientation."""
        s = 1.0 / sqrt(w * w + x * x + y * y + z * z)
        w, x, y, z = self._q = (s * w, s * x, s * y, s * z)
        self.rotation: RotationRows = (
            (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
            (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
            (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
        )

    @property
    def quaternion(self) -> Array:
        """(4,) w, x, y, z, base to odom."""
        return np.array(self._q)
