"""Base state from IMU, leg kinematics and contact.

What makes leg odometry drift, and what is done about it here. The foot is a ball that rolls: its centre moves with the calf's angular velocity times
the radius, as an input of the foot states. A foot that touches down or lifts off still slides: it is believed in proportion to its load, after a short
settling time, and less when its speed disagrees with the prediction. The gyro bias acts through the lever of the leg: it is learnt at rest and
while moving. A tilt error leaks gravity into the acceleration: each axis carries an acceleration error.
"""

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from safe_locomotion.attitude import AttitudeObserver, AttitudeParameters
from safe_locomotion.base_filter import F_, V_, XY, Z, BaseFilter, FilterParameters
from safe_locomotion.contacts import GRAVITY, ContactDetector, ContactParameters, TorqueLoad
from safe_locomotion.kinematics import Kinematics
from safe_locomotion.robots import RobotModel
from safe_locomotion.terrain_plane import TerrainPlane
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array, Estimate, LowState

_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimatorParameters:
    """Noise and limits of the estimator.

    Attributes:
        filter, attitude, contact: of the parts.
        leg_velocity: (xy, z) velocity of the base from one trusted foot [m/s].
        settling: time after touchdown until a foot is fully believed [s].
        full_load: load above which a foot is fully believed, as a share of a quarter of the weight.
        slip: a foot this much faster than predicted loses half of its weight [m/s].
        anchor: how well one foothold gives the height of level ground [m].
        anchor_gate: a foothold further from the level than this starts a new level [m].
        slope_time_constant: of the ground plane [s].
        max_slope: tangent of the steepest believed ground.
        max_speed: faster is implausible [m/s].
        max_velocity_deviation: the filter's own uncertainty beyond which it says so [m/s].
        max_innovation: low-pass filtered normalised innovation of the velocity beyond which the filter has diverged.
        innovation_time_constant: of that filter [s].
        restart_after: diverged states in a row after which the filter starts anew.
        max_step: longer gaps between states count as this [s].
    """

    filter: FilterParameters = field(default_factory=FilterParameters)
    attitude: AttitudeParameters = field(default_factory=AttitudeParameters)
    contact: ContactParameters = field(default_factory=ContactParameters)
    leg_velocity: tuple[float, float] = (0.1, 1.0)
    settling: float = 0.02
    full_load: float = 1.0
    slip: float = 0.3
    anchor: float = 0.01
    anchor_gate: float = 0.03
    slope_time_constant: float = 0.15
    max_slope: float = 0.7
    max_speed: float = 6.0
    max_velocity_deviation: float = 1.0
    max_innovation: float = 12.0
    innovation_time_constant: float = 0.1
    restart_after: int = 250
    max_step: float = 0.02


class StateEstimator:
    """Estimate of the floating base on every LowState."""

    def __init__(self, robot: RobotModel, parameters: EstimatorParameters) -> None:
        self.parameters = parameters
        self._kinematics = Kinematics(robot)
        self._torque_load = TorqueLoad(robot)
        self._radius = robot.foot_radius
        self._quarter = robot.mass * GRAVITY / N_LEGS
        self.attitude = AttitudeObserver(parameters.attitude)
        self.detector = ContactDetector(parameters.contact, weight=robot.mass * GRAVITY)
        self.filter = BaseFilter(parameters.filter)
        self.terrain = TerrainPlane(time_constant=parameters.slope_time_constant, max_slope=parameters.max_slope)
        self.reset()

    def reset(self) -> None:
        """Forget position, velocity and contacts; the next state is the new origin. Gyro bias and foot calibration stay."""
        self._last: Estimate | None = None
        self._unusable = 0
        self._stance_time = np.zeros(N_LEGS)
        self._level = 0.0
        self._innovation = 1.0
        self._rolling, self._acceleration = np.zeros((N_LEGS, 3)), np.zeros(3)

    def update(self, state: LowState) -> Estimate:
        """Estimate at the stamp of `state`; a state that is not finite changes nothing and is flagged.

        A filter that has diverged for `restart_after` starts anew: the next state is the new origin.
        """
        estimate = self._advance(state)
        self._unusable = self._unusable + 1 if estimate.diverged else 0
        if self._unusable >= self.parameters.restart_after:
            self.reset()
        return estimate

    def _advance(self, state: LowState) -> Estimate:
        if not _is_finite(state):
            return self._hold(state)
        if self._last is None:
            return self._start(state)
        dt = (state.stamp_ns - self._last.stamp_ns) / NANOSECONDS
        if dt == 0.0:
            return self._last
        if not dt > 0.0:
            return self._hold(state)
        dt = min(dt, self.parameters.max_step)
        self.attitude.update(state.quaternion_wxyz, state.gyro, state.dq, dt)
        feet, leg_velocity, rolling = self._legs(state, dt)
        trust = self._trust(leg_velocity, dt)
        rotation = self.attitude.rotation
        acceleration = rotation @ state.accelerometer - GRAVITY * _UP
        self.filter.predict(0.5 * (acceleration + self._acceleration), 0.5 * (rolling + self._rolling), trust, dt)
        self._acceleration, self._rolling = acceleration, rolling
        self._correct(feet, leg_velocity, trust, dt)
        self._touch_ground(trust, dt)
        return self._publish(state)

    def _start(self, state: LowState) -> Estimate:
        """At rest at the origin, its feet on ground of mean height 0."""
        self.attitude.reset(state.quaternion_wxyz)
        feet = self._legs(state, 1e-3)[0]
        position = np.array([0.0, 0.0, self._radius - float(feet[:, 2].mean())])
        self.filter.reset(position, feet + position)
        self.terrain.reset(self.filter.x[F_:] - self._radius * _UP)
        return self._publish(state)

    def _legs(self, state: LowState, dt: float) -> tuple[Array, Array, Array]:
        """Feet relative to the base, base velocity as each foot would give it if it stood, and rolling velocity: (4, 3) each, in odom."""
        feet, jacobians = self._kinematics.feet_and_jacobians(state.q)
        rotation, rate = self.attitude.rotation, self.attitude.angular_velocity
        swinging = (jacobians @ state.dq.reshape(N_LEGS, 3, 1))[:, :, 0]
        speed = np.sqrt((swinging * swinging).sum(1))
        self.detector.update(state.foot_force, self._torque_load(state.q, state.tau, jacobians), speed, dt)
        relative = swinging + _cross(rate, feet)
        calf_rate = _calf_rate(state.q, state.dq) + rate
        rolling = self._radius * _cross(calf_rate, rotation.T @ self.terrain.normal)
        both = np.concatenate((feet, relative, rolling)) @ rotation.T
        return both[:4], both[8:] - both[4:8], both[8:]

    def _trust(self, leg_velocity: Array, dt: float) -> Array:
        """How far each foot is believed to stand, (4,) in [0, 1]: its load, ramped in after touchdown, less when it slides."""
        p, contact = self.parameters, self.detector.contact
        self._stance_time = np.where(contact, self._stance_time + dt, 0.0)
        loaded = np.minimum(1.0, np.maximum(0.0, self.detector.load / (p.full_load * self._quarter)))
        slide = leg_velocity - self.filter.x[V_]
        sliding = (slide * slide).sum(1) / p.slip**2
        return np.asarray(loaded * np.minimum(1.0, self._stance_time / p.settling) / (1.0 + sliding))

    def _correct(self, feet: Array, leg_velocity: Array, trust: Array, dt: float) -> None:
        p = self.parameters
        total = float(trust.sum())
        velocity = (trust @ leg_velocity) / total if total > 1e-3 else self.filter.velocity
        total = max(total, 1e-6)
        nis = self.filter.correct(feet, velocity, (p.leg_velocity[0] ** 2 / total, p.leg_velocity[1] ** 2 / total))
        gain = min(1.0, dt / p.innovation_time_constant)
        self._innovation += gain * (float(nis.max()) - self._innovation)

    def _touch_ground(self, trust: Array, dt: float) -> None:
        """Follow the ground plane; each foot that has just settled ties the height to the level it walked on so far."""
        p = self.parameters
        points = self.filter.x[F_:] - self._radius * self.terrain.normal
        settled = (trust >= 0.3) & (self._stance_time >= p.settling) & (self._stance_time < p.settling + dt)
        for foot in settled.nonzero()[0].tolist():
            error = float(points[foot, 2]) - self._level
            if abs(error) <= p.anchor_gate:
                self.filter.anchor(foot, float(self.filter.x[F_ + foot, 2]) - error, p.anchor)
                self._level += 0.02 * error
            else:
                self._level += error
        self.terrain.update(points, trust >= 0.5, dt)

    def _publish(self, state: LowState) -> Estimate:
        filter_ = self.filter
        position, velocity = filter_.position, filter_.velocity
        if not isfinite(float(filter_.x.sum() + filter_.covariance.sum())):
            last = self._last
            self.reset()
            self._last = last
            if last is not None:
                filter_.reset(last.position, last.position + self._kinematics.feet(last.q) @ self.attitude.rotation.T)
            return self._hold(state)
        c = filter_.covariance
        self._last = Estimate(
            stamp_ns=state.stamp_ns,
            position=position,
            quaternion_wxyz=self.attitude.quaternion,
            velocity=velocity,
            angular_velocity=self.attitude.angular_velocity,
            position_covariance=np.diag((c[XY, 0, 0], c[XY, 0, 0], c[Z, 0, 0])),
            velocity_covariance=np.diag((c[XY, V_, V_], c[XY, V_, V_], c[Z, V_, V_])),
            q=state.q,
            dq=state.dq,
            contact=self.detector.contact,
            ground_normal=self.terrain.normal,
            ground_height=self.terrain.height_at(float(position[0]), float(position[1])),
            diverged=self._has_diverged(velocity),
        )
        return self._last

    def _has_diverged(self, velocity: Array) -> bool:
        p, c = self.parameters, self.filter.covariance
        sane = (
            float(velocity @ velocity) <= p.max_speed**2
            and 0.0 <= c[XY, V_, V_] <= p.max_velocity_deviation**2
            and 0.0 <= c[Z, V_, V_] <= p.max_velocity_deviation**2
            and self._innovation <= p.max_innovation
        )
        return not sane

    def _hold(self, state: LowState) -> Estimate:
        """The last estimate, restamped and flagged: this state could not be used."""
        last = self._last
        zero, nan = np.zeros(3), np.full(3, np.nan)
        return Estimate(
            stamp_ns=state.stamp_ns,
            position=last.position if last else zero,
            quaternion_wxyz=self.attitude.quaternion,
            velocity=last.velocity if last else zero,
            angular_velocity=self.attitude.angular_velocity,
            position_covariance=last.position_covariance if last else np.diag(nan),
            velocity_covariance=last.velocity_covariance if last else np.diag(nan),
            q=last.q if last else state.q,
            dq=last.dq if last else state.dq,
            contact=self.detector.contact,
            ground_normal=self.terrain.normal,
            ground_height=last.ground_height if last else 0.0,
            diverged=True,
        )


def _is_finite(state: LowState) -> bool:
    """All sensors finite and the quaternion not degenerate."""
    total = (
        state.q.sum() + state.dq.sum() + state.tau.sum() + state.gyro.sum() + state.accelerometer.sum() + state.foot_force.sum()
    )
    norm = float(state.quaternion_wxyz @ state.quaternion_wxyz)
    return isfinite(float(total)) and 0.25 <= norm <= 4.0


def _cross(a: Array, b: Array) -> Array:
    """a x b along the last axis; a and b (3,) or (n, 3), at least one of them (n, 3)."""
    ax, ay, az = a.T
    bx, by, bz = b.T
    return np.array((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)).T


def _calf_rate(q: Array, dq: Array) -> Array:
    """Angular velocity of each calf relative to the base, in base (4, 3)."""
    pitch = dq[1::3] + dq[2::3]
    rate = np.empty((N_LEGS, 3))
    rate[:, 0] = dq[::3]
    rate[:, 1] = pitch * np.cos(q[::3])
    rate[:, 2] = pitch * np.sin(q[::3])
    return rate
