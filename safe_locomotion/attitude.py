"""Orientation and angular velocity: the IMU's quaternion, its gyro, and the gyro's bias.

The IMU's own filter is believed for the orientation over seconds, the gyro over milliseconds: the observer integrates the gyro, is pulled towards
the quaternion, and what the pull has to supply all the time is gyro bias (about the vertical: relative to the IMU's own heading, which is the
heading of odom). At rest the bias is the mean reading.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from safe_locomotion.rotations import matrix_from_quaternion, multiply
from safe_locomotion.types import Array


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
        self.reset(np.array([1.0, 0.0, 0.0, 0.0]))

    def reset(self, quaternion_wxyz: Array) -> None:
        """Start again at an orientation; the gyro bias is a property of the sensor and stays."""
        self.quaternion: Array = quaternion_wxyz / sqrt(float(quaternion_wxyz @ quaternion_wxyz))
        self.rotation: Array = matrix_from_quaternion(self.quaternion)
        self.angular_velocity: Array = np.zeros(3)
        self.at_rest = False
        self._rest_time = 0.0
        self._rest_mean_time = 0.0
        self._slow_dq: Array | None = None
        self._slow_gyro: Array = np.zeros(3)

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
        if self._slow_dq is None:
            self._slow_dq, self._slow_gyro = dq.copy(), gyro.copy()
        gain = min(1.0, dt / self._FILTER)
        self._slow_dq += gain * (dq - self._slow_dq)
        self._slow_gyro += gain * (gyro - self._slow_gyro)
        p = self.parameters
        still = bool(abs(self._slow_dq).max() <= p.rest_joint_speed and abs(self._slow_gyro).max() <= p.rest_rate)
        self._rest_time = self._rest_time + dt if still else 0.0
        self._rest_mean_time = self._rest_mean_time if still else 0.0
        self.at_rest = self._rest_time >= p.rest_delay

    def _error(self, measured: Array) -> Array:
        """Rotation vector in base, to first order, from the observer's orientation to the measured one."""
        w, x, y, z = self.quaternion.tolist()
        d = multiply(np.array([w, -x, -y, -z]), measured)
        return np.asarray((2.0 if d[0] >= 0.0 else -2.0) * d[1:])

    def _integrate(self, rate: Array, dt: float) -> None:
        x, y, z = (0.5 * dt * rate).tolist()
        n = x * x + y * y + z * z
        turned = multiply(self.quaternion, np.array([1.0 - 0.5 * n, x * (1 - n / 6), y * (1 - n / 6), z * (1 - n / 6)]))
        self.quaternion = turned / sqrt(float(turned @ turned))
        self.rotation = matrix_from_quaternion(self.quaternion)
