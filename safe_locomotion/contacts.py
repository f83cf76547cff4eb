"""Which feet carry load, from foot sensors whose zero and scale nobody knows.

A foot sensor reads raw = zero + gain * load + noise; zero and gain differ per foot, drift, and the reading clips. The joint torques give the
load too, without zero or gain to learn but disturbed by the inertia of the leg. So the torques calibrate the sensor (a two-state
Kalman filter per foot: zero, gain), and the two readings of the load are fused by their variances: a dead sensor learns gain 0 and drops
out by itself.
"""

from dataclasses import dataclass

import numpy as np

from safe_locomotion.robots import RobotModel
from safe_locomotion.types import N_LEGS, Array, Flags

GRAVITY = 9.81  # [m/s2]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactParameters:
    """How the load of a foot is read and when it counts as contact.

    Attributes:
        threshold: load above which a foot is in contact, as a share of a quarter of the robot's weight (15 N on an A1).
        hysteresis: share of the threshold below which contact ends.
        zero_deviation: first guess of the sensor's zero is 0 with this standard deviation [N].
        gain_deviation: first guess of its gain is 1 with this standard deviation.
        zero_drift, gain_drift: random walk of both [N/sqrt(s)], [1/sqrt(s)].
        sensor_noise: of a raw reading [N].
        torque_noise: of the load computed from the torques of a leg at rest [N], and what each m/s of its foot adds: the leg's inertia [N s/m].
        clip: loads outside [-clip, clip] quarter weights do not calibrate: that is where real sensors saturate.
    """

    threshold: float = 0.48
    hysteresis: float = 0.7
    zero_deviation: float = 40.0
    gain_deviation: float = 0.5
    zero_drift: float = 0.5
    gain_drift: float = 0.01
    sensor_noise: float = 4.0
    torque_noise: tuple[float, float] = (8.0, 20.0)
    clip: float = 3.0


class TorqueLoad:
    """Force of the ground on each foot from the joint torques, along the leg plane's own z axis (the base's z turned by the hip).

    Thigh and calf torque less the leg's own weight, tau = tau_weight - J^T f, give two equations for the two forces in the leg's plane; their determinant is
    thigh * calf * sin(calf angle), never zero inside the joint ranges. Hip torque, tilt and inertia of the leg are left to the noise.
    """

    def __init__(self, robot: RobotModel) -> None:
        _, thigh, calf = robot.leg_link_mass
        thigh_share = float(-robot.leg_link_com[:, 1, 2].mean()) / robot.thigh_length
        calf_share = float(-robot.leg_link_com[:, 2, 2].mean()) / robot.calf_length
        self._knee = GRAVITY * (calf + thigh * thigh_share)
        self._calf = GRAVITY * calf * calf_share

    def __call__(self, q: Array, tau: Array, jacobians: Array) -> Array:
        """(4,) loads [N] from joints (12,) and the Jacobians (4, 3, 3) of the foot centres."""
        s, c = np.sin(q[::3]), np.cos(q[::3])
        z_thigh, z_calf = jacobians[:, 0, 1], jacobians[:, 0, 2]
        x_thigh = jacobians[:, 1, 1] * s - jacobians[:, 2, 1] * c
        x_calf = jacobians[:, 1, 2] * s - jacobians[:, 2, 2] * c
        knee = x_thigh - x_calf
        calf_torque = tau[2::3] + self._calf * x_calf
        thigh_torque = tau[1::3] + self._knee * knee + self._calf * x_calf
        determinant = x_calf * z_thigh - x_thigh * z_calf
        load = z_thigh * calf_torque - z_calf * thigh_torque
        return np.asarray(load / np.where(abs(determinant) > 1e-4, determinant, np.inf))


class ContactDetector:
    """Contact of each foot with hysteresis, on the fused and calibrated load."""

    def __init__(self, parameters: ContactParameters, *, weight: float) -> None:
        """Args: weight: of the whole robot [N]."""
        self.parameters = parameters
        self._on = parameters.threshold * weight / N_LEGS
        self._off = parameters.hysteresis * self._on
        self._clip = parameters.clip * weight / N_LEGS
        self.reset()

    def reset(self) -> None:
        """Forget the calibration and every contact."""
        self.zero = np.zeros(N_LEGS)
        self.gain = np.ones(N_LEGS)
        self._zz = np.full(N_LEGS, self.parameters.zero_deviation**2)
        self._zg = np.zeros(N_LEGS)
        self._gg = np.full(N_LEGS, self.parameters.gain_deviation**2)
        self.load: Array = np.zeros(N_LEGS)
        self.contact: Flags = np.zeros(N_LEGS, dtype=np.bool_)

    def update(self, foot_force: Array, torque_load: Array, foot_speed: Array, dt: float) -> Flags:
        """Contact (4,) after one more reading.

        Args:
            foot_force: (4,) raw sensors [N].
            torque_load: (4,) load from the joint torques [N].
            foot_speed: (4,) of the feet relative to the base [m/s].
            dt: time since the last reading [s].
        """
        rest, per_speed = self.parameters.torque_noise
        torque_variance = (rest + per_speed * foot_speed) ** 2
        self._calibrate(foot_force, torque_load, torque_variance, dt)
        self.load = self._fuse(foot_force, torque_load, torque_variance)
        self.contact = self.load > np.where(self.contact, self._off, self._on)
        return self.contact

    def _calibrate(self, raw: Array, load: Array, variance: Array, dt: float) -> None:
        """One Kalman step of (zero, gain) per foot: raw = zero + gain * load."""
        p = self.parameters
        zz = self._zz + p.zero_drift**2 * dt
        gg = self._gg + p.gain_drift**2 * dt
        load = np.clip(load, -self._clip, self._clip)
        h_z, h_g = zz + self._zg * load, self._zg + gg * load
        noise = p.sensor_noise**2 + self.gain * self.gain * variance
        # successive readings share the gait's inertia torques: one in ten counts as independent
        s = h_z + h_g * load + 10.0 * noise
        error = raw - self.zero - self.gain * load
        error /= np.maximum(1.0, abs(error) / (3.0 * np.sqrt(s)))
        k_z, k_g = h_z / s, h_g / s
        self.zero = self.zero + k_z * error
        self.gain = np.maximum(0.0, self.gain + k_g * error)
        self._zz = zz - k_z * h_z
        self._zg = self._zg - k_z * h_g
        self._gg = gg - k_g * h_g

    def _fuse(self, raw: Array, load: Array, torque_variance: Array) -> Array:
        """Mean of both readings of the load, weighted by the inverse of their variances."""
        p = self.parameters
        gain = np.maximum(self.gain, 0.02)
        sensed = (raw - self.zero) / gain
        variance = (p.sensor_noise**2 + self._zz + 2 * sensed * self._zg + sensed * sensed * self._gg) / (gain * gain)
        share = torque_variance / (torque_variance + np.maximum(variance, 1e-6))
        return np.asarray(load + share * (sensed - load))
