"""A quadruped that moves kinematically: an exact source of LowStates and of their truth.

The base follows an analytic path. Standing feet are balls that roll on the ground without slip;
swinging feet fly to their next foothold. Joint velocities solve these constraints exactly, joint
positions are their integral, and the IMU readings follow from the path.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import multiply, quaternion_from_rpy, skew
from safe_locomotion.types import N_LEGS, Array, Flags, LowState

GRAVITY = np.array([0.0, 0.0, -9.81])


def robot() -> RobotModel:
    """A robot like the A1; its numbers need only be consistent."""
    side = np.array([-1.0, 1.0, -1.0, 1.0])
    hips = np.array([[x, y, 0.0] for x in (0.1805, -0.1805) for y in (-0.047, 0.047)])
    q = np.tile([0.0, 0.8, -1.6], 4)
    return RobotModel(
        name="a1",
        hip_position=hips,
        hip_offset=0.0838 * side,
        thigh_length=0.2,
        calf_length=0.2,
        foot_radius=0.02,
        q_min=np.tile([-0.802, -1.047, -2.697], 4),
        q_max=np.tile([0.802, 4.189, -0.916], 4),
        dq_max=np.full(12, 21.0),
        tau_max=np.full(12, 33.5),
        q_stand=q,
        q_sit=q,
        nominal_height=0.28,
        mass=12.5,
        com=np.zeros(3),
        inertia=np.eye(3) * 0.2,
        leg_link_mass=np.zeros(3),
        leg_link_com=np.zeros((4, 3, 3)),
    )


@dataclass(frozen=True, kw_only=True)
class Truth:
    position: Array
    velocity: Array
    quaternion_wxyz: Array
    angular_velocity: Array
    contact: Flags


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A trot along a line at `velocity` (x, y) [m/s] on ground of slope `slope` along x.

    The world is turned by `yaw` [rad].
    """

    velocity: tuple[float, float] = (0.5, 0.0)
    duration: float = 5.0
    stand: float = 0.5
    frequency: float = 2.5
    swing_ratio: float = 0.45
    sway: float = 0.01
    tilt: float = 0.03
    yaw: float = 0.0
    yaw_rate: float = 0.0
    slope: float = 0.0
    dt: float = 0.002

    def pose(self, t: float) -> tuple[Array, Array]:
        """Position and quaternion of the base; twice differentiable, at rest until `stand`."""
        s = max(0.0, t - self.stand)
        ramp = s**3 / (s + 0.3) ** 2
        w = 2 * np.pi * self.frequency
        blend = 1 - np.exp(-((s / 0.3) ** 3))
        vx, vy = self.velocity
        position = np.array(
            [
                vx * ramp,
                vy * ramp,
                vx * self.slope * ramp + 0.27 + self.sway * blend * np.sin(2 * w * s),
            ]
        )
        roll = self.tilt * blend * np.sin(w * s)
        pitch = self.tilt * blend * np.cos(w * s)
        turn, matrix = _turn(self.yaw)
        return matrix @ position, multiply(
            turn, quaternion_from_rpy(roll, pitch, self.yaw_rate * ramp)
        )

    def standing(self, t: float) -> Flags:
        s = t - self.stand
        if s < 0:
            return np.ones(N_LEGS, dtype=bool)
        phase = (s * self.frequency + np.array([0.0, 0.5, 0.5, 0.0])) % 1.0
        return phase >= self.swing_ratio

    def swing_left(self, t: float) -> Array:
        phase = ((t - self.stand) * self.frequency + np.array([0.0, 0.5, 0.5, 0.0])) % 1.0
        return (self.swing_ratio - phase) / self.frequency


def _matrix(q: Array) -> Array:
    w = q[0]
    v = q[1:]
    k = skew(v)
    return np.eye(3) + 2 * w * k + 2 * k @ k


@lru_cache(maxsize=8)
def _turn(yaw: float) -> tuple[Array, Array]:
    """Quaternion and matrix of a turn about the vertical."""
    turn = quaternion_from_rpy(0.0, 0.0, yaw)
    return turn, _matrix(turn)


@lru_cache(maxsize=2)  # a state and its joint rates need the same
def _derivatives(motion: Motion, t: float) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Position, velocity, acceleration, quaternion and its matrix, and angular velocity in base.

    They come from central differences of the path.
    """
    h = 1e-4
    p0, q0 = motion.pose(t - h)
    p1, q1 = motion.pose(t)
    p2, q2 = motion.pose(t + h)
    w = multiply(np.array([q0[0], *-q0[1:]]), q2)
    omega = 2 * w[1:] / (2 * h) * np.sign(w[0])
    return p1, (p2 - p0) / (2 * h), (p2 - 2 * p1 + p0) / h**2, q1, _matrix(q1), omega


class _Legs:
    """Joint rates that keep standing feet rolling and carry swinging feet to their footholds."""

    def __init__(self, motion: Motion, model: RobotModel) -> None:
        self.motion = motion
        self.kinematics = Kinematics(model)
        self.radius = model.foot_radius
        turn = _matrix(quaternion_from_rpy(0.0, 0.0, motion.yaw))
        self.normal = turn @ np.array([-motion.slope, 0.0, 1.0]) / np.hypot(1.0, motion.slope)
        p, _, _, _, r, _ = _derivatives(motion, 0.0)
        hips = model.hip_position + np.outer(model.hip_offset, [0.0, 1.0, 0.0])
        world = p + hips @ r.T
        world[:, 2] -= (world @ self.normal - self.radius) / self.normal[2]
        self.stance_feet = hips
        self.q = self.kinematics.inverse((world - p) @ r)

    def rates(self, t: float, q: Array, standing: Flags) -> Array:
        """Joint velocities (12,).

        A ball that rolls has (J - roll) dq = roll omega - drift, a foot in the air J dq = flight.
        """
        p, v, _, _, r, omega = _derivatives(self.motion, t)
        feet, jacobians = self.kinematics.feet_and_jacobians(q)
        drift = r.T @ v + feet @ skew(omega).T
        roll = self.radius * -skew(r.T @ self.normal)
        axes = np.zeros((N_LEGS, 3, 3))
        axes[:, 0, 0] = 1.0
        axes[:, 1, 1:] = np.cos(q[::3])[:, None]
        axes[:, 2, 1:] = np.sin(q[::3])[:, None]
        stand = standing[:, None]
        matrices = np.where(stand[:, :, None], jacobians - roll @ axes, jacobians)
        wanted = np.where(stand, roll @ omega - drift, self._fly(t, p, v, r, feet))
        return np.linalg.solve(matrices, wanted[:, :, None]).reshape(12)

    def _fly(self, t: float, p: Array, v: Array, r: Array, feet: Array) -> Array:
        """Velocity (4, 3) relative to the base, in base.

        It lands each foot ahead of its hip when its swing ends.
        """
        motion = self.motion
        left = np.maximum(motion.swing_left(t), 0.01)[:, None]
        ahead = 0.5 * (1 - motion.swing_ratio) / motion.frequency
        target = p + self.stance_feet @ r.T + ahead * v
        lift = 0.06 * np.maximum(0.0, left * motion.frequency / motion.swing_ratio - 0.15)
        target -= self.normal * ((target @ self.normal)[:, None] - self.radius - lift)
        return ((target - p) @ r - feet) * np.minimum(60.0, 1.5 / left)


def walk(motion: Motion, model: RobotModel) -> Iterator[tuple[LowState, Truth]]:
    """LowStates each `motion.dt`, without noise, each with its truth."""
    legs = _Legs(motion, model)
    q = legs.q
    weight = model.mass * 9.81
    for k in range(round(motion.duration / motion.dt)):
        t = k * motion.dt
        standing = motion.standing(t + 1e-9)
        p, v, a, quaternion, r, omega = _derivatives(motion, t)
        _, jacobians = legs.kinematics.feet_and_jacobians(q)
        force = np.zeros((N_LEGS, 3))
        force[standing] = r.T @ np.array([0.0, 0.0, weight / standing.sum()])
        tau = -(jacobians.transpose(0, 2, 1) @ force[:, :, None]).reshape(12)
        dq = legs.rates(t, q, standing)
        yield (
            LowState(
                stamp_ns=10**18 + round(t * 1e9),
                tick=k,
                quaternion_wxyz=quaternion,
                gyro=omega,
                accelerometer=r.T @ (a - GRAVITY),
                q=q.copy(),
                dq=dq,
                tau=tau,
                foot_force=force @ r[2],
                temperature=np.full(12, 30.0),
                voltage=24.0,
            ),
            Truth(
                position=p,
                velocity=v,
                quaternion_wxyz=quaternion,
                angular_velocity=omega,
                contact=standing,
            ),
        )
        half = q + 0.5 * motion.dt * dq
        q = q + motion.dt * legs.rates(t + 0.5 * motion.dt, half, standing)


def add_noise(
    state: LowState, rng: np.random.Generator, *, gyro_bias: Array, zero: Array, gain: Array
) -> LowState:
    """The state through ordinary sensors: white noise, a gyro bias, uncalibrated foot sensors."""
    return replace(
        state,
        gyro=state.gyro + gyro_bias + rng.normal(0, 0.01, 3),
        accelerometer=state.accelerometer + rng.normal(0, 0.1, 3),
        q=state.q + rng.normal(0, 0.001, 12),
        dq=state.dq + rng.normal(0, 0.05, 12),
        tau=state.tau + rng.normal(0, 0.3, 12),
        foot_force=np.round(
            np.clip(zero + gain * state.foot_force + rng.normal(0, 2.0, N_LEGS), -100, 400)
        ),
    )
