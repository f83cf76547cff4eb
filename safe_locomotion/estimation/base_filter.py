"""Linear Kalman filter of the base and the feet.

It is the 21-state filter of the literature (Bloesch et al. 2012, in the linear form with a given
orientation), exactly, at a fraction of its cost. Each axis of odom has seven states: the four feet
relative to the base r_i = f_i - p, base velocity v, base position p, acceleration error b. With
isotropic noise the axes do not couple. So x and y share one 7 x 7 covariance. The noise of z is
another one, so z has a second covariance. Both are diagonal blocks of one matrix, because at this
size the number of array calls determines the cost.

    p' = v        v' = a - b        b' = 0        r_i' = u_i - v (the foot rolls with u_i)
    y_i = r_i (leg kinematics)        y = v (legs on the ground)

The measurements are states themselves, the first ten, so no measurement matrix is multiplied.
Covariance and states lie below each other in one array, because both go through the same products.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from safe_locomotion.lapack import dposv
from safe_locomotion.rotations import Vector
from safe_locomotion.types import N_LEGS

# Corrections between two symmetrisations of the covariance. Meanwhile rounding makes its two halves
# differ by a relative 1e-15.
_SYMMETRIC_EVERY = 16
_MEASURED = 2 * (N_LEGS + 1)
_N = _MEASURED + 4
# Order of the states: r_1..r_4 and v of x and y; r_1..r_4 and v of z; p and b of x and y; p and b
# of z.
R_ = 0
V_ = N_LEGS
ZR_ = N_LEGS + 1
ZV_ = 2 * N_LEGS + 1
P_ = _MEASURED
B_ = _MEASURED + 1
ZP_ = _MEASURED + 2
ZB_ = _MEASURED + 3
_HALVES = ((R_, V_, P_, B_), (ZR_, ZV_, ZP_, ZB_))


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterParameters:
    """Noise of the filter, as (xy, z) where the axes differ; random walks are per sqrt(s).

    Attributes:
        position: of the base beyond its velocity [m/sqrt(s)].
        velocity: of the accelerometer [m/s/sqrt(s)].
        acceleration_error: drift of the acceleration error, which is mostly tilt error times g
            [m/s2/sqrt(s)].
        acceleration_error_initial: standard deviation of that error at the start [m/s2].
        foot: of a standing foot [m/sqrt(s)]. Vertically, ground and foot yield under the load.
        swing_foot: of a foot in the air [m/sqrt(s)]. It is so large that a foot at touchdown says
            nothing about the base.
        foot_position: of a reading of a foot's position [m].
    """

    position: float = 0.002
    velocity: tuple[float, float] = (0.03, 0.03)
    acceleration_error: float = 0.05
    acceleration_error_initial: float = 0.3
    foot: tuple[float, float] = (0.02, 0.1)
    swing_foot: float = 3.0
    foot_position: float = 0.003


class BaseFilter:
    """Position and velocity of the base, and positions of the feet, in odom.

    Attributes:
        covariance: (14, 14) of the states, in the order of `R_`, `V_`, ...
        position: of the base [m].
        velocity: of the base [m/s].
        feet: positions of the four foot centres [m].
    """

    def __init__(self, parameters: FilterParameters) -> None:
        self.parameters = parameters
        # The covariance, then a row with the states of x and z, then a row with those of y.
        self._joined = np.zeros((_N + 2, _N))
        self.covariance = self._joined[:_N]
        self._states = self._joined[_N:]
        self._f = np.eye(_N + 2)
        self._added = np.zeros((_N + 2, _N))
        self._ft = self._f[:_N, :_N].T.copy()
        # Where `predict` writes: the diagonal of the noise, then the inputs.
        self._changing = np.concatenate([np.arange(_N) * (_N + 1), _N * _N + np.arange(2 * _N)])
        self._r = np.eye(_MEASURED) * parameters.foot_position**2
        self._dt = 0.0
        self._since_symmetric = 0
        self.reset((0.0, 0.0, 0.0), [(0.0, 0.0, 0.0)] * N_LEGS)

    def __deepcopy__(self, memo: dict[int, Any]) -> "BaseFilter":
        """A filter of its own.

        Copied one by one, `covariance` and `_states` would no longer be views of `_joined`.
        """
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(twin, name, value.copy())
        twin.covariance = twin._joined[:_N]
        twin._states = twin._joined[_N:]
        return twin

    def reset(self, position: Vector, feet: list[Vector]) -> None:
        """Start again at rest.

        Args:
            position: of the base in odom [m].
            feet: four foot centres in odom [m].
        """
        p = self.parameters
        x, y, z = position
        first = np.zeros(_N)
        relative = np.eye(_N)
        for r, v, base, error in _HALVES:
            first[r : r + N_LEGS] = p.foot_position**2
            first[v] = 0.1**2
            first[base] = 1e-6
            first[error] = p.acceleration_error_initial**2
            relative[r : r + N_LEGS, base] = -1.0
        self.covariance[:] = (relative * first) @ relative.T
        self._states[:] = 0.0
        self._states[:, R_:V_] = [[foot[0] - x for foot in feet], [foot[1] - y for foot in feet]]
        self._states[0, ZR_:ZV_] = [foot[2] - z for foot in feet]
        self._states[:, P_] = (x, y)
        self._states[0, ZP_] = z
        self._take()

    def predict(
        self, acceleration: Vector, foot_velocity: list[Vector], trust: list[float], dt: float
    ) -> None:
        """Advance by dt.

        Args:
            acceleration: of the base in odom, gravity removed [m/s2].
            foot_velocity: of the four foot centres if they stand, from rolling [m/s].
            trust: in each of the four feet, within [0, 1]; 0 for a foot in the air.
            dt: [s].
        """
        if dt != self._dt:
            self._set_step(dt)
        ax, ay, az = acceleration
        half = 0.5 * dt * dt
        x = half * ax
        y = half * ay
        z = half * az
        (ux, uy, uz), (vx, vy, vz), (wx, wy, wz), (sx, sy, sz) = foot_velocity
        written = self._process_noise(trust, dt)
        written += (dt * ux - x, dt * vx - x, dt * wx - x, dt * sx - x, dt * ax)
        written += (dt * uz - z, dt * vz - z, dt * wz - z, dt * sz - z, dt * az)
        written += (x, 0.0, z, 0.0)
        written += (dt * uy - y, dt * vy - y, dt * wy - y, dt * sy - y, dt * ay)
        written += (0.0, 0.0, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0)
        self._added.reshape(-1)[self._changing] = written
        self._f.dot(self._joined.dot(self._ft), out=self._joined)
        self._joined += self._added

    def _set_step(self, dt: float) -> None:
        """Set the transition over dt, and the base's position noise, which all r_i share."""
        self._dt = dt
        base = self.parameters.position**2 * dt
        f = self._f
        q = self._added
        for r, v, p, b in _HALVES:
            feet = slice(r, r + N_LEGS)
            f[feet, v] = -dt
            f[feet, b] = 0.5 * dt * dt
            f[p, v] = dt
            f[p, b] = -0.5 * dt * dt
            f[v, b] = -dt
            q[feet, feet] = base
            q[feet, p] = -base
            q[p, feet] = -base
        self._ft = f[:_N, :_N].T.copy()

    def _process_noise(self, trust: list[float], dt: float) -> list[float]:
        """Diagonal (14,) of the noise that dt adds to the covariance."""
        p = self.parameters
        base = p.position**2 * dt
        drift = p.acceleration_error**2 * dt
        v, vz = p.velocity
        f, fz = p.foot
        away = [p.swing_foot * (1.0 - t) * (1.0 - t) for t in trust]
        return [
            *[base + (f + a) * (f + a) * dt for a in away],
            v * v * dt,
            *[base + (fz + a) * (fz + a) * dt for a in away],
            vz * vz * dt,
            base,
            drift,
            base,
            drift,
        ]

    def correct(
        self, feet: list[Vector], velocity: Vector, velocity_variance: tuple[float, float]
    ) -> float:
        """Fuse the positions of the feet, and the velocity from the standing legs.

        Args:
            feet: four foot centres relative to the base, in odom [m].
            velocity: of the base, in odom [m/s].
            velocity_variance: (xy, z) [m2/s2].

        Returns:
            Largest normalised innovation squared of the velocity over the axes; about 1 when the
            model holds.
        """
        xs, ys, zs = zip(*feet, velocity, strict=True)
        r = self._r
        joined = self._joined
        covariance = self.covariance
        r[V_, V_] = velocity_variance[0]
        r[ZV_, ZV_] = velocity_variance[1]
        right = joined[:, :_MEASURED].copy()
        right[_N:] -= np.array((*xs, *zs, *ys, 0.0, 0.0, 0.0, 0.0, 0.0)).reshape(2, _MEASURED)
        s = right[:_MEASURED] + r
        (x, z), (y, _) = right[_N:, V_ :: V_ + 1].tolist()
        s_xy = s[V_, V_].item()
        s_z = s[ZV_, ZV_].item()
        # LAPACK wants columns. Transposed views of rows give it columns without a copy.
        gain = dposv(s.T, right.T, overwrite_a=True, overwrite_b=True)[1].T
        joined -= gain.dot(joined[:_MEASURED])
        self._since_symmetric += 1
        if self._since_symmetric == _SYMMETRIC_EVERY:
            self._since_symmetric = 0
            covariance += covariance.T
            covariance *= 0.5
        self._take()
        return max(max(x * x, y * y) / s_xy, z * z / s_z)

    def anchor(self, foot: int, height: float, deviation: float) -> None:
        """Fuse the height of one standing foot centre.

        Args:
            foot: index of the foot.
            height: in odom [m].
            deviation: standard deviation of the height [m].
        """
        r = ZR_ + foot
        column = self.covariance[r] + self.covariance[ZP_]
        s = (column[r] + column[ZP_]).item() + deviation * deviation
        self._states[0] += column * ((height - self.feet[foot][2]) / s)
        self.covariance -= np.multiply.outer(column, column) / s
        self._take()

    def _take(self) -> None:
        """Read the state out as plain numbers."""
        x, y = self._states.tolist()
        px = x[P_]
        py = y[P_]
        pz = x[ZP_]
        self.position: Vector = (px, py, pz)
        self.velocity: Vector = (x[V_], y[V_], x[ZV_])
        self.feet: list[Vector] = [(px + x[i], py + y[i], pz + x[ZR_ + i]) for i in range(N_LEGS)]

    @property
    def variances(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Variances (xy, z) of the position [m2] and of the velocity [m2/s2]."""
        diagonal = self.covariance.diagonal().tolist()
        return (diagonal[P_], diagonal[ZP_]), (diagonal[V_], diagonal[ZV_])
