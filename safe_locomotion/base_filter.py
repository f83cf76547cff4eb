"""Linear Kalman filter of the base and the feet, one small filter per axis.

State of an axis: base position p, velocity v, acceleration error b, four foot centres f_i. With isotropic noise the three axes of odom do not
couple, so x and y share one 7 x 7 covariance and z, which has its own noise, has a second: the 21-state filter of the literature (Bloesch et al. 2012,
in the linear form with a given orientation), exactly, at a fraction of its cost.

    p' = v        v' = a - b        b' = 0        f_i' = u_i (the foot rolls)
    y_i = f_i - p (leg kinematics)        y = v (legs on the ground)
"""

from dataclasses import dataclass

import numpy as np

from safe_locomotion.types import N_LEGS, Array

N = 3 + N_LEGS
P_, V_, B_, F_ = 0, 1, 2, 3
XY, Z = 0, 1
N_Y = N_LEGS + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterParameters:
    """Noise of the filter, (xy, z) where the axes differ; random walks are per sqrt(s).

    Attributes:
        position: of the base beyond its velocity [m/sqrt(s)].
        velocity: of the accelerometer [m/s/sqrt(s)].
        acceleration_error: drift of the acceleration error, mostly tilt error times g [m/s2/sqrt(s)].
        acceleration_error_initial: its standard deviation at the start [m/s2].
        foot: of a foot that stands [m/sqrt(s)]; vertically, ground and foot give way under the load.
        swing_foot: of a foot in the air [m/sqrt(s)]; large enough to say nothing about the base at touchdown.
        foot_position: reading of a foot's position [m].
    """

    position: float = 0.002
    velocity: tuple[float, float] = (0.03, 0.03)
    acceleration_error: float = 0.05
    acceleration_error_initial: float = 0.3
    foot: tuple[float, float] = (0.02, 0.1)
    swing_foot: float = 3.0
    foot_position: float = 0.003


class BaseFilter:
    """State `x` (7, 3), a column per axis of odom, and covariances `covariance` (2, 7, 7) of the horizontal axes and of the vertical one."""

    def __init__(self, parameters: FilterParameters) -> None:
        self.parameters = parameters
        self._f = np.eye(N)
        self._h = np.zeros((N_Y, N))
        self._h[:N_LEGS, F_:] = np.eye(N_LEGS)
        self._h[:N_LEGS, P_] = -1.0
        self._h[N_LEGS, V_] = 1.0
        self._ht = self._h.T.copy()
        self._q = np.zeros((2, N))
        self._r = np.zeros((2, N_Y))
        self._r[:, :N_LEGS] = parameters.foot_position**2
        self._y = np.empty((N_Y, 3))
        self._diagonal, self._diagonal_y = np.arange(N), np.arange(N_Y)
        self.reset(np.zeros(3), np.zeros((N_LEGS, 3)))

    def reset(self, position: Array, feet: Array) -> None:
        """At rest at `position` (3,), with foot centres `feet` (4, 3) in odom."""
        p = self.parameters
        self.x = np.zeros((N, 3))
        self.x[P_], self.x[F_:] = position, feet
        start = np.array([1e-6, 0.1**2, p.acceleration_error_initial**2] + N_LEGS * [p.foot_position**2])
        self.covariance = np.array((np.diag(start), np.diag(start)))

    def predict(self, acceleration: Array, foot_velocity: Array, trust: Array, dt: float) -> None:
        """Advance by dt [s].

        Args:
            acceleration: (3,) of the base in odom, gravity removed [m/s2].
            foot_velocity: (4, 3) of the foot centres that stand, from rolling [m/s].
            trust: (4,) in [0, 1], 0 for a foot in the air.
            dt: [s].
        """
        p, x = self.parameters, self.x
        a = acceleration - x[B_]
        x[P_] += dt * x[V_] + (0.5 * dt * dt) * a
        x[V_] += dt * a
        x[F_:] += dt * foot_velocity
        f = self._f
        f[P_, V_], f[P_, B_], f[V_, B_] = dt, -0.5 * dt * dt, -dt
        q = self._q
        q[:, P_] = p.position**2 * dt
        q[XY, V_], q[Z, V_] = p.velocity[0] ** 2 * dt, p.velocity[1] ** 2 * dt
        q[:, B_] = p.acceleration_error**2 * dt
        away = (1.0 - trust) ** 2
        q[XY, F_:] = (p.foot[0] + p.swing_foot * away) ** 2 * dt
        q[Z, F_:] = (p.foot[1] + p.swing_foot * away) ** 2 * dt
        self.covariance = f @ self.covariance @ f.T
        self.covariance[:, self._diagonal, self._diagonal] += q

    def correct(self, feet: Array, velocity: Array, velocity_variance: tuple[float, float]) -> Array:
        """Fuse feet (4, 3) relative to the base, in odom, and the velocity (3,) the standing legs give.

        Returns:
            Normalised innovation squared of the velocity, per axis (3,); 1 on average when the model holds.
        """
        y, r, x = self._y, self._r, self.x
        y[:N_LEGS], y[N_LEGS] = feet, velocity
        y -= self._h @ x
        r[:, N_LEGS] = velocity_variance
        hp = self._h @ self.covariance
        s = hp @ self._ht
        s[:, self._diagonal_y, self._diagonal_y] += r
        gain_t = np.linalg.solve(s, hp)
        x[:, :2] += gain_t[XY].T @ y[:, :2]
        x[:, 2] += gain_t[Z].T @ y[:, 2]
        covariance = self.covariance - gain_t.transpose(0, 2, 1) @ hp
        self.covariance = 0.5 * (covariance + covariance.transpose(0, 2, 1))
        error = y[N_LEGS]
        nis: Array = error * error
        nis[:2] /= s[XY, N_LEGS, N_LEGS]
        nis[2] /= s[Z, N_LEGS, N_LEGS]
        return nis

    def anchor(self, foot: int, height: float, deviation: float) -> None:
        """Fuse the height [m] of one standing foot centre, known to `deviation` [m]."""
        p = self.covariance[Z]
        column = p[:, F_ + foot]
        s = float(column[F_ + foot]) + deviation * deviation
        self.x[:, 2] += column * ((height - float(self.x[F_ + foot, 2])) / s)
        self.covariance[Z] = p - np.multiply.outer(column, column) / s

    @property
    def position(self) -> Array:
        """(3,) base in odom [m]."""
        return self.x[P_].copy()

    @property
    def velocity(self) -> Array:
        """(3,) of the base in odom [m/s]."""
        return self.x[V_].copy()
