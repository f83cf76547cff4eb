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
        self._y = np.empty((N_Y, 3))
        self._r = np.zeros((2, N_Y, N_Y))
        self._r_diagonal = _diagonals(self._r)
        self._r_diagonal[:] = parameters.foot_position**2
        self._input = np.zeros((N, 3))
        self.reset(np.zeros(3), np.zeros((N_LEGS, 3)))

    def reset(self, position: Array, feet: Array) -> None:
        """At rest at `position` (3,), with foot centres `feet` (4, 3) in odom."""
        p = self.parameters
        self.x = np.zeros((N, 3))
        self.x[P_], self.x[F_:] = position, feet
        start = np.array([1e-6, 0.1**2, p.acceleration_error_initial**2] + N_LEGS * [p.foot_position**2])
        self.covariance = np.array((np.diag(start), np.diag(start)))

    def predict(self, acceleration: Array, foot_velocity: Array, trust: list[float], dt: float) -> None:
        """Advance by dt [s].

        Args:
            acceleration: (3,) of the base in odom, gravity removed [m/s2].
            foot_velocity: (4, 3) of the foot centres that stand, from rolling [m/s].
            trust: of each foot, in [0, 1], 0 for a foot in the air.
            dt: [s].
        """
        f, u = self._f, self._input
        f[P_, V_], f[P_, B_], f[V_, B_] = dt, -0.5 * dt * dt, -dt
        u[P_], u[V_], u[F_:] = (0.5 * dt) * acceleration, acceleration, foot_velocity
        self.x = f @ self.x + dt * u
        self.covariance = f @ self.covariance @ f.T
        diagonal = _diagonals(self.covariance)
        diagonal += self._process_noise(trust, dt)

    def _process_noise(self, trust: list[float], dt: float) -> Array:
        """Diagonals (2, 7) of the noise that dt adds, for the horizontal axes and the vertical one."""
        p = self.parameters
        away = [p.swing_foot * (1.0 - t) * (1.0 - t) for t in trust]
        base = p.position**2 * dt
        drift = p.acceleration_error**2 * dt
        return np.array([(base, v * v * dt, drift, *[(f + a) ** 2 * dt for a in away]) for v, f in zip(p.velocity, p.foot, strict=True)])

    def correct(self, feet: Array, velocity: Array, velocity_variance: tuple[float, float]) -> float:
        """Fuse feet (4, 3) relative to the base, in odom, and the velocity (3,) the standing legs give.

        Returns:
            Normalised innovation squared of the velocity, of the worst axis; about 1 when the model holds.
        """
        y = self._y
        y[:N_LEGS], y[N_LEGS] = feet, velocity
        y -= self._h @ self.x
        self._r_diagonal[:, N_LEGS] = velocity_variance
        hp = self._h @ self.covariance
        s = hp @ self._ht + self._r
        gain = np.linalg.solve(s, hp).transpose(0, 2, 1)
        self.x[:, :2] += gain[XY] @ y[:, :2]
        self.x[:, 2] += gain[Z] @ y[:, 2]
        covariance = self.covariance - gain @ hp
        self.covariance = 0.5 * (covariance + covariance.transpose(0, 2, 1))
        ex, ey, ez = y[N_LEGS].tolist()
        return max(max(ex * ex, ey * ey) / float(s[XY, N_LEGS, N_LEGS]), ez * ez / float(s[Z, N_LEGS, N_LEGS]))

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


def _diagonals(matrices: Array) -> Array:
    """Writable view (k, n) of the diagonals of contiguous matrices (k, n, n)."""
    k, n, _ = matrices.shape
    return matrices.reshape(k, n * n)[:, :: n + 1]
