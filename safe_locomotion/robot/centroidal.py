"""Linear centroidal model: the robot as one rigid body pushed by its feet.

    d/dt rpy = w        d/dt w = I^-1 sum_i r_i x f_i
    d/dt p   = v        d/dt v = sum_i f_i / m + g

State x = (rpy, p, w, v), 12 numbers; input u = (f_FR, f_FL, f_RR, f_RL), force of the ground on
each foot; r_i = foot minus centre of mass. Roll and pitch are taken as small, the gyroscopic term
is dropped, and r_i is given, not computed from the state. That makes the model linear (Di Carlo et
al., Dynamic Locomotion in the MIT Cheetah 3 Through Convex Model-Predictive Control, IROS 2018,
equations 13-17; Safe RL for Legged Locomotion, section IV).

All vectors are in the *ground frame* of `ground_frame`: z along the ground normal, x along the
heading. On level ground it is the yaw-aligned frame, where the yaw of the state is zero. On a slope
gravity gets components along x and y, and friction stays a cone about z.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    cross,
    relative_rows,
    rotate,
    rotate_back,
    rpy_from_rows,
    subtract,
    vector,
)
from safe_locomotion.types import GRAVITY, N_LEGS, Array, Flags

NX = 12
NU = 3 * N_LEGS
RPY = slice(0, 3)
POSITION = slice(3, 6)
RATES = slice(6, 9)
VELOCITY = slice(9, 12)

LEVEL_GRAVITY = np.array([0.0, 0.0, -GRAVITY])


_NEXT = (1, 2, 0)
_LAST = (2, 0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CentroidalModel:
    """One rigid body.

    Attributes:
        mass: [kg].
        inertia: (3, 3) about the centre of mass, base axes, at the standing pose [kg m2].
        inverse_inertia: (3, 3), derived.
    """

    mass: float
    inertia: Array
    inverse_inertia: Array = field(init=False)
    _effect: Array = field(init=False, repr=False)
    _inverse_rows: RotationRows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inverse_inertia", np.linalg.inv(self.inertia))
        object.__setattr__(self, "_effect", _effect_map(self.mass, self.inverse_inertia))
        object.__setattr__(self, "_inverse_rows", tuple(map(vector, self.inverse_inertia)))

    def accelerations(self, feet: Array, forces: Array) -> tuple[Array, Array]:
        """Angular [rad/s2] and linear [m/s2] acceleration (..., 3) without gravity.

        They are those of forces (..., 4, 3) at feet (..., 4, 3).
        """
        moments = np.add.reduce(np.cross(feet, forces), axis=-2)
        return moments @ self.inverse_inertia.T, np.add.reduce(forces, axis=-2) / self.mass

    def effect(self, feet: Sequence[Vector], velocity: tuple[float, float]) -> Array:
        """Map (12, 12) from forces (12,) to the accelerations they cause and how fast these fade.

        Accelerations are six numbers, angular and linear.

        The angular one fades because the four feet fall back while the centre of mass moves on with
        `velocity` in the plane: d/dt I^-1 sum r x f = - I^-1 sum v x f. The linear one does not.
        """
        vx, vy = velocity
        terms = np.array([(x, y, z, vx, vy, 1.0) for x, y, z in feet])
        return terms.dot(self._effect).reshape(NU, 12)

    def continuous(
        self, feet: Array, stance: Flags, gravity: Array = LEVEL_GRAVITY
    ) -> tuple[Array, Array, Array]:
        """A (12, 12), B (..., 12, 12), c (12,) of dx/dt = A x + B u + c.

        Columns of B are zero for swing feet.

        Args:
            feet: (..., 4, 3) relative to the centre of mass [m].
            stance: (..., 4) feet that push.
            gravity: (3,) in the ground frame [m/s2].
        """
        a = np.zeros((NX, NX))
        a[RPY, RATES] = a[POSITION, VELOCITY] = np.eye(3)
        on = stance[..., None, None]
        b = np.zeros((*feet.shape[:-2], NX, N_LEGS, 3))
        b[..., RATES, :, :] = np.swapaxes(self.inverse_inertia @ (_skew(feet) * on), -3, -2)
        b[..., VELOCITY, :, :] = np.swapaxes(on * (np.eye(3) / self.mass), -3, -2)
        b = b.reshape(*feet.shape[:-2], NX, NU)
        c = np.zeros(NX)
        c[VELOCITY] = gravity
        return a, b, c

    def discrete(
        self, feet: Array, stance: Flags, dt: float, gravity: Array = LEVEL_GRAVITY
    ) -> tuple[Array, Array, Array]:
        """A_d, B_d, c_d of x+ = A_d x + B_d u + c_d for a force held over dt [s].

        It is exact, because A A = 0.

        A_d = 1 + A dt, B_d = (dt + A dt^2 / 2) B, c_d = (dt + A dt^2 / 2) c.
        """
        a, b, c = self.continuous(feet, stance, gravity)
        hold = dt * np.eye(NX) + dt * dt / 2.0 * a
        return np.eye(NX) + dt * a, hold @ b, hold @ c

    def step(
        self,
        x: Sequence[float],
        forces: Iterable[Sequence[float]],
        feet: Iterable[Sequence[float]],
        dt: float,
        gravity: Sequence[float] = (0.0, 0.0, -GRAVITY),
    ) -> list[float]:
        """State after dt [s] of constant forces, one state in plain numbers.

        Args:
            x: 12 numbers.
            forces: on each foot [N].
            feet: that push, relative to the centre of mass [m]; others may be left out.
            dt: [s].
            gravity: in the ground frame [m/s2].
        """
        fx = fy = fz = mx = my = mz = 0.0
        for (foot_x, foot_y, foot_z), (a, b, c) in zip(feet, forces, strict=True):
            fx = fx + a
            fy = fy + b
            fz = fz + c
            mx = mx + foot_y * c - foot_z * b
            my = my + foot_z * a - foot_x * c
            mz = mz + foot_x * b - foot_y * a
        m = self.mass
        gx, gy, gz = gravity
        rates = (*rotate(self._inverse_rows, (mx, my, mz)), fx / m + gx, fy / m + gy, fz / m + gz)
        before = x[6:]
        after = [velocity + dt * rate for velocity, rate in zip(before, rates, strict=True)]
        place = [
            at + 0.5 * dt * (old + new) for at, old, new in zip(x[:6], before, after, strict=True)
        ]
        return place + after

    def rollout(
        self, x0: Array, forces: Array, feet: Array, dt: float, gravity: Array = LEVEL_GRAVITY
    ) -> Array:
        """Predicted states (..., W, 12) of W steps, for any number of hypotheses at once.

        With A nilpotent the recursion is a product with two constant triangles: v_k = v_0 + dt
            sum_j a_j and
        p_k = p_0 + k dt v_0 + dt^2 sum_j (k - j + 1/2) a_j over j = 1..k, and the same for angles
        and rates.

        Args:
            x0: (..., 12) first state.
            forces: (..., W, 4, 3) held over each step [N], zero for swing feet. They may be
                broadcast against x0.
            feet: (..., W, 4, 3) relative to the predicted centre of mass at each step [m].
            dt: length of a step [s].
            gravity: (3,) in the ground frame [m/s2].
        """
        angular, linear = self.accelerations(feet, forces)
        return driven(x0, np.concatenate((angular, linear + gravity), axis=-1), dt)[..., 1:, :]


def driven(x0: Array, accelerations: Array, dt: float) -> Array:
    """States (..., W + 1, 12) of a body under given accelerations, x0 the first of them.

    Args:
        x0: (..., 12).
        accelerations: (..., W, 6) angular, then linear with gravity, held over each step. They may
            be broadcast against x0.
        dt: length of a step [s].
    """
    steps = accelerations.shape[-2]
    coasting, pushed = _histories(steps, dt)
    x: Array = coasting @ x0.reshape(*x0.shape[:-1], 2, NX // 2) + pushed @ accelerations
    return x.reshape(*x.shape[:-2], steps + 1, NX)


@cache
def _histories(steps: int, dt: float) -> tuple[Array, Array]:
    """Maps from a first state (2, 6) and from accelerations (W, 6) to all states (2 W + 2, 6).

    Each state has its place, then its velocity.
    """
    since = np.arange(steps + 1)[:, None] - np.arange(
        1, steps + 1
    )  # whole steps between the end of step j and state k
    coasting = [[(1.0, dt * k), (0.0, 1.0)] for k in range(steps + 1)]
    pushed = np.stack((dt * dt * np.where(since >= 0, since + 0.5, 0.0), dt * (since >= 0)), axis=1)
    return np.array(coasting).reshape(-1, 2), pushed.reshape(-1, steps)


def _effect_map(mass: float, inverse_inertia: Array) -> Array:
    """Map (6, 36) from (x, y, z, vx, vy, 1) to the three rows of a foot in `effect`.

    x, y, z are of the foot, vx, vy of the centre of mass.
    """
    out = np.zeros((6, 3, 12))
    for axis, unit in enumerate(np.eye(3)):
        moments = (
            np.cross(unit, np.eye(3)) @ inverse_inertia.T
        )  # of unit forces at a foot one metre along the axis
        out[axis, :, :3] = moments
        if axis < 2:
            out[3 + axis, :, 6:9] = moments
    out[5, :, 3:6] = np.eye(3) / mass
    return out.reshape(6, -1)


def centroidal_values(
    *,
    rotation: RotationRows,
    position: Vector,
    rates: Vector,
    velocity: Vector,
    com: Vector,
    frame: RotationRows,
    origin: Vector,
) -> tuple[Vector, Vector, Vector, Vector]:
    """`centroidal_state` in plain numbers: rpy, position, angular velocity, velocity."""
    turn = relative_rows(frame, rotation)
    px, py, pz = rotate_back(frame, subtract(position, origin))
    cx, cy, cz = rotate(turn, com)
    vx, vy, vz = rotate_back(frame, velocity)
    lx, ly, lz = rotate(turn, cross(rates, com))
    return (
        rpy_from_rows(turn),
        (px + cx, py + cy, pz + cz),
        rotate(turn, rates),
        (vx + lx, vy + ly, vz + lz),
    )


def centroidal_state(
    *,
    rotation: Array,
    position: Array,
    rates: Array,
    velocity: Array,
    com: Array,
    frame: Array,
    origin: Array,
) -> Array:
    """State (12,) of the centre of mass in the ground frame.

    Args:
        rotation: (3, 3) base to odom.
        position, velocity: (3,) of the base in odom.
        rates: (3,) angular velocity in base.
        com: (3,) centre of mass in base.
        frame: (3, 3) of `ground_frame`.
        origin: (3,) point of odom that position zero stands for.
    """
    values = centroidal_values(
        rotation=rotation.tolist(),
        position=position.tolist(),
        rates=rates.tolist(),
        velocity=velocity.tolist(),
        com=com.tolist(),
        frame=frame.tolist(),
        origin=origin.tolist(),
    )
    return np.array(values).reshape(-1)


def _skew(v: Array) -> Array:
    """Cross product matrices (..., 3, 3) of vectors (..., 3)."""
    out = np.zeros((*v.shape, 3))
    for i in range(3):
        out[..., i, _NEXT[i]] = -v[..., _LAST[i]]
        out[..., i, _LAST[i]] = v[..., _NEXT[i]]
    return out
