"""Orientation and angular velocity from the IMU's quaternion and gyro.

The quaternion of the IMU is accurate over seconds, the gyro over milliseconds. So the observer
integrates the gyro and is pulled towards the quaternion. A pull that persists is a gyro bias. The
heading of odom is that of the IMU, so the bias about the vertical is relative to it. At rest the
bias is the mean reading of the gyro.
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
        rest_joint_speed: largest low-pass filtered joint speed at rest [rad/s].
        rest_rate: a low-pass filtered gyro up to this can be bias; more is motion [rad/s].
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
    """Fuses quaternion and gyro.

    Attributes:
        rotation: rows of the rotation matrix, base to odom.
        angular_velocity: in base, bias removed [rad/s].
        bias: of the gyro [rad/s].
        at_rest: the robot is at rest.
    """

    _FILTER = 0.1  # time constant of the signals that decide about rest [s]

    def __init__(self, parameters: AttitudeParameters) -> None:
        self.parameters = parameters
        self.bias: Vector = (0.0, 0.0, 0.0)
        self.reset(np.array([1.0, 0.0, 0.0, 0.0]))

    def reset(self, quaternion_wxyz: Array) -> None:
        """Start again at an orientation; the gyro bias belongs to the sensor and stays."""
        self._set(*quaternion_wxyz.tolist())
        self.angular_velocity: Vector = (0.0, 0.0, 0.0)
        self.at_rest = False
        self._rest_time = 0.0
        self._rest_mean_time = 0.0
        self._slow: list[float] | None = None

    def update(self, quaternion_wxyz: Array, gyro: Array, dq: Array, dt: float) -> None:
        """Advance by one reading.

        Args:
            quaternion_wxyz: (4,) of the IMU.
            gyro: (3,) [rad/s].
            dq: (12,) joint speeds [rad/s].
            dt: time since the last reading [s].
        """
        p = self.parameters
        reading = gyro.tolist()
        self._watch_rest(dq.tolist() + reading, dt)
        if self.at_rest:
            self._rest_mean_time += dt
            averaged = min(self._rest_mean_time, p.rest_time_constant)
            self._shift_bias(min(1.0, dt / averaged), reading)
        ex, ey, ez = self._error(*quaternion_wxyz.tolist())
        bx, by, bz = self.bias
        x = reading[0] - bx
        y = reading[1] - by
        z = reading[2] - bz
        self.angular_velocity = (x, y, z)
        self._integrate(x + p.pull * ex, y + p.pull * ey, z + p.pull * ez, dt)
        if not self.at_rest:
            k = p.bias_pull * dt
            self.bias = (bx - k * ex, by - k * ey, bz - k * ez)

    def _shift_bias(self, gain: float, gyro: list[float]) -> None:
        x, y, z = self.bias
        self.bias = (x + gain * (gyro[0] - x), y + gain * (gyro[1] - y), z + gain * (gyro[2] - z))

    def _watch_rest(self, speeds: list[float], dt: float) -> None:
        """Rest: joints and gyro, low-pass filtered, have been slow for `rest_delay`."""
        gain = min(1.0, dt / self._FILTER)
        before = self._slow or speeds
        self._slow = [a + gain * (b - a) for a, b in zip(before, speeds, strict=True)]
        sizes = list(map(abs, self._slow))
        p = self.parameters
        still = max(sizes[:N_JOINTS]) <= p.rest_joint_speed and max(sizes[N_JOINTS:]) <= p.rest_rate
        self._rest_time = self._rest_time + dt if still else 0.0
        self._rest_mean_time = self._rest_mean_time if still else 0.0
        self.at_rest = self._rest_time >= p.rest_delay

    def _error(self, mw: float, mx: float, my: float, mz: float) -> Vector:
        """Rotation vector, in base, from the observer's orientation q to the measured one m.

        To first order it is 2 vec(conj(q) m), with the sign of m that is closer to q.
        """
        w, x, y, z = self._q
        norm = sqrt(mw * mw + mx * mx + my * my + mz * mz)
        s = (2.0 if w * mw + x * mx + y * my + z * mz >= 0.0 else -2.0) / norm
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
        """Normalise and store the orientation."""
        s = 1.0 / sqrt(w * w + x * x + y * y + z * z)
        w *= s
        x *= s
        y *= s
        z *= s
        self._q = (w, x, y, z)
        self.rotation: RotationRows = (
            (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
            (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
            (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
        )

    @property
    def quaternion(self) -> Array:
        """(4,) w, x, y, z, base to odom."""
        return np.array(self._q)
