"""A quadruped moved kinematically: an exact source of LowStates and of the truth behind them.

The base follows an analytic path; standing feet are balls that roll on the ground without slip, swinging feet fly to their next foothold.
Joint velocities solve these constraints exactly, joint positions are their integral, and the IMU readings are computed from the path.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from safe_locomotion.kinematics import Kinematics
from safe_locomotion.robots import RobotModel
from safe_locomotion.rotations import multiply, quaternion_from_rpy, skew
from safe_locomotion.types import N_LEGS, Array, Flags, LowState

GRAVITY = np.array([0.0, 0.0, -9.81])


def robot() -> RobotModel:
    """An A1-like robot; the numbers only have to be consistent."""
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
    """A trot along a line at `velocity` (x, y) on ground of slope `slope` along x, seen in a world turned by `yaw`."""

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
    rolling: bool = True
    dt: float = 0.002

    def base(self, t: float) -> tuple[Array, Array, Array, Array, Array]:
        """Position, velocity, acceleration of the base and its roll-pitch-yaw and their rates, in the unturned world."""
        s = max(0.0, t - self.stand)
        ramp, dramp, ddramp = s**2 / (s + 0.5), (s * s + s) / (s + 0.5) ** 2, 0.5 / (s + 0.5) ** 3 if s > 0 else 0.0
        w = 2 * np.pi * self.frequency
        blend = 1 - np.exp(-((s / 0.3) ** 3))
        wave = self.sway * blend * np.sin(2 * w * s)
        v = np.array([*self.velocity, self.velocity[0] * self.slope])
        position = v * ramp + np.array([0.0, 0.0, 0.27 + wave])
        del dramp, ddramp
        rpy = np.array([self.tilt * blend * np.sin(w * s), self.tilt * blend * np.cos(w * s), self.yaw_rate * ramp])
        return position, rpy, np.array([s]), v, np.array([blend])

    def pose(self, t: float) -> tuple[Array, Array]:
        position, rpy, *_ = self.base(t)
        turn = quaternion_from_rpy(0.0, 0.0, self.yaw)
        return _rotate(turn, position), multiply(turn, quaternion_from_rpy(*rpy))

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
    w, v = q[0], q[1:]
    k = skew(v)
    return np.eye(3) + 2 * w * k + 2 * k @ k


def _rotate(q: Array, v: Array) -> Array:
    return _matrix(q) @ v


def _derivatives(motion: Motion, t: float) -> tuple[Array, Array, Array, Array, Array]:
    """Position, velocity, acceleration, rotation matrix and angular velocity in base, by central differences of the path."""
    h = 1e-4
    (p0, q0), (p1, q1), (p2, q2) = motion.pose(t - h), motion.pose(t), motion.pose(t + h)
    w = multiply(np.array([q0[0], *-q0[1:]]), q2)
    omega = 2 * w[1:] / (2 * h) * np.sign(w[0])
    return p1, (p2 - p0) / (2 * h), (p2 - 2 * p1 + p0) / h**2, _matrix(q1), omega


class _Legs:
    """Joint rates that keep standing feet rolling and carry swinging feet to their footholds."""

    def __init__(self, motion: Motion, model: RobotModel) -> None:
        self.motion, self.kinematics, self.radius = motion, Kinematics(model), model.foot_radius
        turn = _matrix(quaternion_from_rpy(0.0, 0.0, motion.yaw))
        self.normal = turn @ np.array([-motion.slope, 0.0, 1.0]) / np.hypot(1.0, motion.slope)
        p, _, _, r, _ = _derivatives(motion, 0.0)
        hips = model.hip_position + np.outer(model.hip_offset, [0.0, 1.0, 0.0])
        world = p + hips @ r.T
        world[:, 2] -= (world @ self.normal - self.radius) / self.normal[2]
        self.stance_feet = hips
        self.q = self.kinematics.inverse((world - p) @ r)

    def rates(self, t: float, q: Array, standing: Flags) -> Array:
        _, v, _, r, omega = _derivatives(self.motion, t)
        feet, jacobians = self.kinematics.feet_and_jacobians(q)
        dq = np.empty(12)
        n = r.T @ self.normal
        left = np.maximum(self.motion.swing_left(t), 0.01)
        for i in range(N_LEGS):
            a = q[3 * i]
            axes = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, np.cos(a), np.sin(a)]], dtype=float).T
            drift = r.T @ v + np.cross(omega, feet[i])
            if standing[i]:
                roll = self.radius * -skew(n) if self.motion.rolling else np.zeros((3, 3))
                dq[3 * i : 3 * i + 3] = np.linalg.solve(jacobians[i] - roll @ axes, roll @ omega - drift)
            else:
                dq[3 * i : 3 * i + 3] = np.linalg.solve(jacobians[i], self._fly(i, t, feet[i], left[i]))
        return dq

    def _fly(self, i: int, t: float, foot: Array, left: float) -> Array:
        """Velocity, relative to the base and in base, that brings the foot onto the ground ahead of its hip when the swing ends."""
        p, v, _, r, _ = _derivatives(self.motion, t)
        stance = (1 - self.motion.swing_ratio) / self.motion.frequency
        target = p + r @ self.stance_feet[i] + 0.5 * stance * v
        swing = self.motion.swing_ratio / self.motion.frequency
        lift = 0.06 * max(0.0, left / swing - 0.15)
        target = target - self.normal * (target @ self.normal - self.radius - lift)
        return (r.T @ (target - p) - foot) * min(60.0, 1.5 / left)


def walk(motion: Motion, model: RobotModel) -> Iterator[tuple[LowState, Truth]]:
    """LowStates each `motion.dt`, without noise, with the truth they came from."""
    legs, substeps = _Legs(motion, model), 4
    h = motion.dt / substeps
    q = legs.q
    weight = model.mass * 9.81
    for k in range(round(motion.duration / motion.dt)):
        t = k * motion.dt
        standing = motion.standing(t + 1e-9)
        p, v, a, r, omega = _derivatives(motion, t)
        _, jacobians = legs.kinematics.feet_and_jacobians(q)
        force = np.zeros((N_LEGS, 3))
        force[standing] = r.T @ np.array([0.0, 0.0, weight / standing.sum()])
        tau = -(jacobians.transpose(0, 2, 1) @ force[:, :, None]).reshape(12)
        yield (
            LowState(
                stamp_ns=10**18 + round(t * 1e9),
                tick=k,
                quaternion_wxyz=motion.pose(t)[1],
                gyro=omega,
                accelerometer=r.T @ (a - GRAVITY),
                q=q.copy(),
                dq=legs.rates(t, q, standing),
                tau=tau,
                foot_force=force @ r[2],
                temperature=np.full(12, 30.0),
                voltage=24.0,
            ),
            Truth(position=p, velocity=v, quaternion_wxyz=motion.pose(t)[1], angular_velocity=omega, contact=standing),
        )
        for i in range(substeps):
            mid = t + (i + 0.5) * h
            half = q + 0.5 * h * legs.rates(t + i * h, q, standing)
            q = q + h * legs.rates(mid, half, standing)


def add_noise(state: LowState, rng: np.random.Generator, *, gyro_bias: Array, zero: Array, gain: Array) -> LowState:
    """The same state through ordinary sensors: white noise, a gyro bias, uncalibrated foot sensors."""
    return replace(
        state,
        gyro=state.gyro + gyro_bias + rng.normal(0, 0.01, 3),
        accelerometer=state.accelerometer + rng.normal(0, 0.1, 3),
        q=state.q + rng.normal(0, 0.001, 12),
        dq=state.dq + rng.normal(0, 0.05, 12),
        tau=state.tau + rng.normal(0, 0.3, 12),
        foot_force=np.round(np.clip(zero + gain * state.foot_force + rng.normal(0, 2.0, N_LEGS), -100, 400)),
    )
