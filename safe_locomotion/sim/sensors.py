"""Errors of the robot's sensors: white noise, biases of each unit, and biases that wander."""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

import numpy as np

from safe_locomotion.types import N_JOINTS, N_LEGS, NANOSECONDS, STATE_PERIOD_NS, Array

PERIOD: Final = STATE_PERIOD_NS / NANOSECONDS
"""Time between two LowStates [s]."""

GYRO = slice(0, 3)
ACCELEROMETER = slice(3, 6)
POSITION = slice(6, 18)
VELOCITY = slice(18, 30)
TORQUE = slice(30, 42)
FOOT = slice(42, 46)
N_MEASURED: Final = 46
TILT = slice(46, 48)
YAW = 48
N_CHANNELS: Final = 49

_BLOCK = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorNoise:
    """One standard deviation of every error.

    A `*_bias` is drawn once per run. A `*_walk` grows with the square root of time.

    Attributes:
        gyro, gyro_bias, gyro_walk: [rad/s, rad/s, rad/s/sqrt(s)]. White noise of 0.01 covers a
            consumer MEMS gyro (0.007 deg/s/sqrt(Hz) over 250 Hz is 0.002) and the vibration of a
            walking robot. A bias of 0.3 deg/s remains after the power-up calibration of such a
            part.
        accelerometer, accelerometer_bias: [m/s2]. MEMS: 0.2 mg/sqrt(Hz) over 250 Hz is 0.03,
            tripled for vibration. The bias is 5 mg.
        tilt, tilt_time: roll and pitch error of the IMU's own attitude filter [rad], and its
            correlation time [s]. 0.3 deg that wander within seconds are typical of a filter whose
            accelerometer feels the steps.
        yaw_walk: heading drift [rad/sqrt(s)]. There is no compass: 1 deg after a minute.
        position: encoder noise [rad]. 15 bits on the rotor give less than 1e-4; the gear's backlash
            adds the rest.
        position_bias: zero error of each joint [rad]: 0.1 deg after calibration at the end stop.
        velocity: noise of the differentiated encoder after the drive's own filter [rad/s].
        torque: error of the torque estimated from the current [Nm].
        foot, foot_bias, foot_walk: [N, N, N/sqrt(s)]. The air-pressure feet of A1 and Go1 read tens
            of newtons in the air, differ from foot to foot, and drift.
        foot_scale: relative error of each foot's gain.
    """

    gyro: float = 0.01
    gyro_bias: float = 0.005
    gyro_walk: float = 1e-4
    accelerometer: float = 0.1
    accelerometer_bias: float = 0.05
    tilt: float = 0.005
    tilt_time: float = 3.0
    yaw_walk: float = 0.002
    position: float = 5e-4
    position_bias: float = 0.002
    velocity: float = 0.05
    torque: float = 0.2
    foot: float = 2.0
    foot_bias: float = 15.0
    foot_walk: float = 0.1
    foot_scale: float = 0.15


class SensorErrors:
    """Additive errors of all channels, one row per LowState, drawn in blocks from one generator.

    `row` holds the errors of the present LowState: [gyro, accelerometer, q, dq, tau, feet, tilt
    about world x and y, yaw].
    """

    def __init__(self, noise: SensorNoise, rng: np.random.Generator) -> None:
        self._rng = rng
        self._white = _channels(
            noise.gyro,
            noise.accelerometer,
            noise.position,
            noise.velocity,
            noise.torque,
            noise.foot,
        )
        start = _channels(
            noise.gyro_bias,
            noise.accelerometer_bias,
            noise.position_bias,
            0.0,
            0.0,
            noise.foot_bias,
            noise.tilt,
        )
        step = _BLOCK * PERIOD
        keep = exp(-step / noise.tilt_time)
        self._walk = sqrt(step) * _channels(
            noise.gyro_walk, foot=noise.foot_walk, yaw=noise.yaw_walk
        )
        self._walk[TILT] = noise.tilt * sqrt(1.0 - keep * keep)
        self._keep = np.ones(N_CHANNELS)
        self._keep[TILT] = keep
        self.foot_scale = 1.0 + noise.foot_scale * rng.uniform(-1.0, 1.0, N_LEGS)
        self._slow = start * rng.standard_normal(N_CHANNELS)
        self._ramp = (np.arange(_BLOCK) / _BLOCK)[:, None]
        self._index = _BLOCK - 1
        self.row = self._slow
        self.advance()

    def advance(self) -> None:
        """Go on to the errors of the next LowState."""
        self._index += 1
        if self._index == _BLOCK:
            self._draw()
        self.row = self._rows[self._index]

    def rest(self) -> None:
        """Show the biases without white noise, and draw nothing.

        The errors that follow do not depend on how long this lasts.
        """
        self.row = self._slow

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw from `rng`, beginning with the next LowState; the biases continue."""
        self._rng = rng
        self._draw()
        self._index = -1

    def _draw(self) -> None:
        """White noise on top of slow errors that move linearly from one knot to the next."""
        draws = self._rng.standard_normal((_BLOCK + 1, N_CHANNELS))
        following = self._keep * self._slow + self._walk * draws[0]
        self._rows = draws[1:] * self._white + self._slow + self._ramp * (following - self._slow)
        self._slow = following
        self._index = 0


class NoErrors:
    """Ideal sensors."""

    foot_scale = np.ones(N_LEGS)
    row = np.zeros(N_CHANNELS)

    def advance(self) -> None:
        """Nothing changes."""

    def rest(self) -> None:
        """Nothing changes."""

    def reseed(self, rng: np.random.Generator) -> None:
        """Nothing is drawn."""


def tilted(quaternion: Array, row: Array) -> Array:
    """The true orientation (4,) turned by the small rotation of an error row.

    The rotation is (tilt x, tilt y, yaw) in the world.
    """
    w, x, y, z = quaternion.tolist()
    a, b, c = (0.5 * row[-3:]).tolist()
    n = 1.0 / sqrt(1.0 + a * a + b * b + c * c)
    return np.array(
        (
            n * (w - a * x - b * y - c * z),
            n * (x + a * w + b * z - c * y),
            n * (y - a * z + b * w + c * x),
            n * (z + a * y - b * x + c * w),
        )
    )


def _channels(
    gyro: float = 0.0,
    accelerometer: float = 0.0,
    position: float = 0.0,
    velocity: float = 0.0,
    torque: float = 0.0,
    foot: float = 0.0,
    tilt: float = 0.0,
    yaw: float = 0.0,
) -> Array:
    """One value per kind of sensor, spread over its channels (49,)."""
    counts = (3, 3, N_JOINTS, N_JOINTS, N_JOINTS, N_LEGS, 2, 1)
    return np.repeat([gyro, accelerometer, position, velocity, torque, foot, tilt, yaw], counts)
