"""Base state from IMU, leg kinematics and contact.

Four effects make leg odometry drift. The estimator treats each of them:

* The foot is a ball that rolls. Its centre moves with the calf's angular velocity times the radius,
  which is an input of the foot states.
* A foot slides at touchdown and lift-off. It is trusted in proportion to its load, after a short
  settling time, and less when its speed differs from the prediction.
* A gyro bias acts through the lever of the leg. It is learnt at rest and while moving.
* A tilt error leaks gravity into the acceleration. Each axis has an acceleration error.
"""

from dataclasses import dataclass, field
from math import isfinite
from operator import mul

import numpy as np

from safe_locomotion.estimation.attitude import AttitudeObserver, AttitudeParameters
from safe_locomotion.estimation.base_filter import BaseFilter, FilterParameters
from safe_locomotion.estimation.contacts import (
    ContactDetector,
    ContactParameters,
    TorqueContact,
    TorqueContactParameters,
)
from safe_locomotion.estimation.leg_odometry import LegOdometry
from safe_locomotion.estimation.terrain_plane import TerrainPlane
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector, length, rotate, rotate_back, subtract, vector
from safe_locomotion.types import GRAVITY, N_LEGS, NANOSECONDS, Array, Estimate, LowState


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimatorParameters:
    """Noise and limits of the estimator.

    Attributes:
        filter, attitude, contact: of the parts.
        torque_contact: how contact is told without foot sensors.
        foot_sensors: the robot has them, and they read something. Without them the joint torques
            and the motion of the feet tell contact.
        leg_velocity: (xy, z) noise of the base velocity from one trusted foot [m/s].
        settling: time after touchdown until a foot is fully trusted [s].
        full_load: load above which a foot is fully trusted, as a share of a quarter of the weight.
        slip: a foot that differs by this from the predicted velocity loses half of its trust [m/s].
        anchor: standard deviation of the height of level ground from one foothold [m].
        anchor_gate: a foothold further from the level than this starts a new level [m].
        slope_time_constant: of the ground plane [s].
        max_slope: tangent of the steepest slope that the ground plane may have.
        max_speed: a faster base means that the filter has diverged [m/s].
        max_velocity_deviation: a larger standard deviation of the velocity means the same [m/s].
        max_innovation: a larger low-pass filtered normalised innovation of the velocity means the
            same.
        innovation_time_constant: of that low-pass filter [s].
        restart_after: the filter starts again after so many diverged states in a row.
        max_step: a longer gap between two states counts as this long [s].
    """

    filter: FilterParameters = field(default_factory=FilterParameters)
    attitude: AttitudeParameters = field(default_factory=AttitudeParameters)
    contact: ContactParameters = field(default_factory=ContactParameters)
    torque_contact: TorqueContactParameters = field(default_factory=TorqueContactParameters)
    foot_sensors: bool = True
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
    """Estimates the floating base on every LowState.

    Attributes:
        attitude: orientation and gyro bias.
        detector: contacts and loads from foot sensors.
        torque_detector: the same without foot sensors.
        filter: position, velocity and feet.
        terrain: plane of the ground.
    """

    def __init__(self, robot: RobotModel, parameters: EstimatorParameters) -> None:
        self.parameters = parameters
        self._odometry = LegOdometry(robot)
        self._radius = float(robot.foot_radius)
        self._quarter = robot.mass * GRAVITY / N_LEGS
        self.attitude = AttitudeObserver(parameters.attitude)
        self.detector = ContactDetector(parameters.contact, weight=robot.mass * GRAVITY)
        self.torque_detector = TorqueContact(
            parameters.contact, parameters.torque_contact, weight=robot.mass * GRAVITY
        )
        self.filter = BaseFilter(parameters.filter)
        self.terrain = TerrainPlane(
            time_constant=parameters.slope_time_constant, max_slope=parameters.max_slope
        )
        self.reset()

    @property
    def _ground(self) -> ContactDetector | TorqueContact:
        """The detector in use."""
        return self.detector if self.parameters.foot_sensors else self.torque_detector

    def reset(self) -> None:
        """Forget position, velocity and contacts; the next state becomes the new origin.

        The gyro bias and the calibration of the foot sensors stay.
        """
        self._last: Estimate | None = None
        self._unusable = 0
        self._stance_time = [0.0] * N_LEGS
        self._level = 0.0
        self._innovation = 1.0
        self._acceleration: Vector = (0.0, 0.0, 0.0)
        self._rolling: list[Vector] = [self._acceleration] * N_LEGS

    def update(self, state: LowState) -> Estimate:
        """Estimate at the stamp of `state`.

        A state that is not finite changes nothing, and its estimate is flagged as diverged. After
        `restart_after` diverged states in a row the filter starts again, with the next state as
        the new origin.
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
        x, y, z = rotate(self.attitude.rotation, vector(state.accelerometer))
        acceleration = (x, y, z - GRAVITY)
        mean_acceleration = _mean(acceleration, self._acceleration)
        mean_rolling = list(map(_mean, rolling, self._rolling))
        self.filter.predict(mean_acceleration, mean_rolling, trust, dt)
        self._acceleration = acceleration
        self._rolling = rolling
        self._correct(feet, leg_velocity, trust, dt)
        self._touch_ground(trust, dt)
        return self._publish(state)

    def _start(self, state: LowState) -> Estimate:
        """The first estimate: at rest at the origin, the feet on ground of mean height 0."""
        self.attitude.reset(state.quaternion_wxyz)
        feet = self._legs(state, 1e-3)[0]
        height = self._radius - sum(z for _, _, z in feet) / N_LEGS
        self.filter.reset((0.0, 0.0, height), [(x, y, z + height) for x, y, z in feet])
        self.terrain.reset([(x, y, z + height - self._radius) for x, y, z in feet])
        return self._publish(state)

    def _legs(self, state: LowState, dt: float) -> tuple[list[Vector], list[Vector], list[Vector]]:
        """Read the four legs; all results are in odom.

        Returns:
            Feet relative to the base [m]. Velocity of the base if that foot stood [m/s]. Velocity
            of the foot centre from rolling [m/s].
        """
        legs = self._odometry.read(state.q, state.dq, state.tau)
        rotation = self.attitude.rotation
        rate = self.attitude.angular_velocity
        normal = rotate_back(rotation, self.terrain.normal)
        feet = []
        bases = []
        rolling = []
        for leg in legs:
            base, roll = self._odometry.standing(leg, rate, normal)
            feet.append(rotate(rotation, leg.foot))
            bases.append(rotate(rotation, base))
            rolling.append(rotate(rotation, roll))
        loads = [leg.load for leg in legs]
        if self.parameters.foot_sensors:
            speeds = [length(leg.velocity) for leg in legs]
            self.detector.update(state.foot_force, loads, speeds, dt)
        else:
            self._detect_by_torque(loads, feet, bases, dt)
        return feet, bases, rolling

    def _detect_by_torque(
        self, loads: list[float], feet: list[Vector], bases: list[Vector], dt: float
    ) -> None:
        """Contact without foot sensors: load by torque, and how each foot moves over the ground."""
        px, py, pz = self.filter.position
        speeds = [length(subtract(base, self.filter.velocity)) for base in bases]
        heights = [
            pz + z - self._radius - self.terrain.height_at(px + x, py + y) for x, y, z in feet
        ]
        self.torque_detector.update(loads, speeds, heights, dt)

    def _trust(self, leg_velocity: list[Vector], dt: float) -> list[float]:
        """Trust that each foot stands, within [0, 1].

        It is proportional to the load, ramps in after touchdown, and is less when the foot slides.
        """
        p = self.parameters
        contact = self._ground.contact.tolist()
        trust = []
        full = p.full_load * self._quarter
        slip2 = p.slip**2
        vx, vy, vz = self.filter.velocity
        for i, (x, y, z) in enumerate(leg_velocity):
            self._stance_time[i] = self._stance_time[i] + dt if contact[i] else 0.0
            slide2 = (x - vx) ** 2 + (y - vy) ** 2 + (z - vz) ** 2
            loaded = min(1.0, max(0.0, self._ground.load[i] / full))
            settled = min(1.0, self._stance_time[i] / p.settling)
            trust.append(loaded * settled / (1.0 + slide2 / slip2))
        return trust

    def _correct(
        self, feet: list[Vector], leg_velocity: list[Vector], trust: list[float], dt: float
    ) -> None:
        """Fuse the feet, and the mean of the legs' velocities weighted by trust.

        The weighted mean gives the same result as fusing the velocities one by one.
        """
        p = self.parameters
        total = sum(trust)
        velocity = self.filter.velocity
        if total > 1e-3:
            xs, ys, zs = zip(*leg_velocity, strict=True)
            velocity = (
                sum(map(mul, trust, xs)) / total,
                sum(map(mul, trust, ys)) / total,
                sum(map(mul, trust, zs)) / total,
            )
        total = max(total, 1e-6)
        xy, vertical = p.leg_velocity
        variance = (xy * xy / total, vertical * vertical / total)
        innovation = self.filter.correct(feet, velocity, variance)
        gain = min(1.0, dt / p.innovation_time_constant)
        self._innovation += gain * (innovation - self._innovation)

    def _touch_ground(self, trust: list[float], dt: float) -> None:
        """Update the ground plane, and anchor the height by each foot that has just settled."""
        p = self.parameters
        for foot, time in enumerate(self._stance_time):
            if p.settling <= time < p.settling + dt and trust[foot] >= 0.3:
                self._anchor(foot)
        points = [self._contact_point(i) for i in range(N_LEGS)]
        self.terrain.update(points, [t >= 0.5 for t in trust], dt)

    def _contact_point(self, foot: int) -> Vector:
        """The lowest point of a foot, on the ground plane's normal through its centre."""
        x, y, z = self.filter.feet[foot]
        nx, ny, nz = self.terrain.normal
        r = self._radius
        return x - r * nx, y - r * ny, z - r * nz

    def _anchor(self, foot: int) -> None:
        """Tie the height of the base to the level on which the robot has walked so far."""
        p = self.parameters
        error = self._contact_point(foot)[2] - self._level
        if abs(error) <= p.anchor_gate:
            self.filter.anchor(foot, self.filter.feet[foot][2] - error, p.anchor)
            self._level += 0.02 * error
        else:
            self._level += error

    def _publish(self, state: LowState) -> Estimate:
        position = self.filter.position
        velocity = self.filter.velocity
        if not isfinite(sum(position) + sum(velocity)):
            self.reset()
            return self._hold(state)
        position_variance, velocity_variance = self.filter.variances
        self._last = Estimate(
            stamp_ns=state.stamp_ns,
            position=np.array(position),
            quaternion_wxyz=self.attitude.quaternion,
            velocity=np.array(velocity),
            angular_velocity=np.array(self.attitude.angular_velocity),
            position_covariance=_covariance(*position_variance),
            velocity_covariance=_covariance(*velocity_variance),
            q=state.q,
            dq=state.dq,
            contact=self._ground.contact,
            ground_normal=np.array(self.terrain.normal),
            ground_height=self.terrain.height_at(position[0], position[1]),
            diverged=self._has_diverged(velocity, max(velocity_variance)),
        )
        return self._last

    def _has_diverged(self, velocity: Vector, variance: float) -> bool:
        p = self.parameters
        sane = (
            length(velocity) <= p.max_speed
            and 0.0 <= variance <= p.max_velocity_deviation**2
            and self._innovation <= p.max_innovation
        )
        return not sane

    def _hold(self, state: LowState) -> Estimate:
        """The last estimate with the stamp of an unusable state, flagged as diverged."""
        last = self._last
        zero = np.zeros(3)
        nan = np.full(3, np.nan)
        return Estimate(
            stamp_ns=state.stamp_ns,
            position=last.position if last else zero,
            quaternion_wxyz=self.attitude.quaternion,
            velocity=last.velocity if last else zero,
            angular_velocity=np.array(self.attitude.angular_velocity),
            position_covariance=last.position_covariance if last else np.diag(nan),
            velocity_covariance=last.velocity_covariance if last else np.diag(nan),
            q=last.q if last else state.q,
            dq=last.dq if last else state.dq,
            contact=self._ground.contact,
            ground_normal=np.array(self.terrain.normal),
            ground_height=last.ground_height if last else 0.0,
            diverged=True,
        )


def _is_finite(state: LowState) -> bool:
    """Whether all readings are finite, and the quaternion is close enough to unit length."""
    s = state
    readings = np.concatenate((s.q, s.dq, s.tau, s.gyro, s.accelerometer, s.foot_force))
    norm2 = float(s.quaternion_wxyz.dot(s.quaternion_wxyz))
    return isfinite(readings.dot(readings)) and 0.25 <= norm2 <= 4.0


def _covariance(xy: float, z: float) -> Array:
    """(3, 3) from the variances of the horizontal axes and of the vertical one."""
    return np.array((xy, 0.0, 0.0, 0.0, xy, 0.0, 0.0, 0.0, z)).reshape(3, 3)


def _mean(a: Vector, b: Vector) -> Vector:
    return 0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1]), 0.5 * (a[2] + b[2])
