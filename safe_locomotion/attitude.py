"""Orientation and angular velocity: the IMU's quaternion, its gyro, and the gyro's bias.

The IMU's own filter is believed for the orientation over seconds, the gyro over milliseconds: the observer integrates the gyro, is pulled towards
the quaternion, and what the pull has to supply all the time is gyro bias (about the vertical: relative to the IMU's own heading, which is the
heading of odom). At rest the bias is the mean reading.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from safe_locomotion.rotations import matrix_from_quaternion
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
    """Fuses quaternion and gyro; `quaternion`, `rotation` (base to odom) and `angular_velocity` (in base) hold the result."""

    _FILTER = 0.1  # time constant of the signals that decide about rest [s]

    def __init__(self, parameters: AttitudeParameters) -> None:
        self.parameters = parameters
        self.bias = np.zeros(3)
        self._rest_limits = np.array(N_JOINTS * [parameters.rest_joint_speed] + 3 * [parameters.rest_rate])
        self.reset(np.array([1.0, 0.0, 0.0, 0.0]))

    def reset(self, quaternion_wxyz: Array) -> None:
        """Start again at an orientation; the gyro bias is a property of the sensor and stays."""
        self.quaternion: Array = quaternion_wxyz / sqrt(float(quaternion_wxyz @ quaternion_wxyz))
        w, x, y, z = self.quaternion.tolist()
        self._q: tuple[float, float, float, float] = (w, x, y, z)
        self.rotation: Array = matrix_from_quaternion(self.quaternion)
        self.angular_velocity: Array = np.zeros(3)
        self.at_rest = False
        self._rest_time = 0.0
        self._rest_mean_time = 0.0
        self._slow: Array | None = None

    def update(self, quaternion_wxyz: Array, gyro: Array, dq: Array, dt: float) -> None:
        """Advance by one reading; dq (12,) joint speeds, dt since the last reading [s]."""
        self._watch_rest(gyro, dq, dt)
        if self.at_rest:
            self._rest_mean_time += dt
            window = min(self._rest_mean_time, self.parameters.rest_time_constant)
            self.bias = self.bias + min(1.0, dt / window) * (gyro - self.bias)
        error = self._error(quaternion_wxyz)
        rate = gyro - self.bias
        self.angular_velocity = rate
        self._integrate(rate + self.parameters.pull * error, dt)
        if not self.at_rest:
            self.bias = self.bias - self.parameters.bias_pull * dt * error

    def _watch_rest(self, gyro: Array, dq: Array, dt: float) -> None:
        """Rest is when joints and gyro, low-pass filtered, have been slow for a while."""
        p = self.parameters
        now = np.concatenate((dq, gyro))
        slow = self._slow = now if self._slow is None else self._slow + min(1.0, dt / self._FILTER) * (now - self._slow)
        still = bool((abs(slow) <= self._rest_limits).all())
        self._rest_time = self._rest_time + dt if still else 0.0
        self._rest_mean_time = self._rest_mean_time if still else 0.0
        self.at_rest = self._rest_time >= p.rest_delay

    def _error(self, measured: Array) -> Array:
        """Rotation vector in base, to first order, from the observer's orientation to the measured one: 2 vec(conj(q) m)."""
        w, x, y, z = self._q
        mw, mx, my, mz = measured.tolist()
        s = 2.0 if w * mw + x * mx + y * my + z * mz >= 0.0 else -2.0
        s /= sqrt(mw * mw + mx * mx + my * my + mz * mz)
        return np.array(
            (
                s * (w * mx - x * mw - y * mz + z * my),
                s * (w * my + x * mz - y * mw - z * mx),
                s * (w * mz - x * my + y * mx - z * mw),
            )
        )

    def _integrate(self, rate: Array, dt: float) -> None:
        """q <- q exp(rate dt / 2), to third order, normalised."""
        w, x, y, z = self._q
        a, b, c = rate.tolist()
        n = 0.25 * dt * dt * (a * a + b * b + c * c)
        s, d = 0.5 * dt * (1.0 - n / 6.0), 1.0 - 0.5 * n
        a, b, c = s * a, s * b, s * c
        w, x, y, z = w * d - x * a - y * b - z * c, w * a + x * d + y * c - z * b, w * b - x * c + y * d + z * a, w * c + x * b - y * a + z * d
        s = 1.0 / sqrt(w * w + x * x + y * y + z * z)
        self._q = (s * w, s * x, s * y, s * z)
        self.quaternion = np.array(self._q)
        self.rotation = matrix_from_quaternion(self.quaternion)
