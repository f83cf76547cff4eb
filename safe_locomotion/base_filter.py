"""Linear Kalman filter of the base and the feet.

State of an axis: base position p, velocity v, acceleration error b, four foot centres f_i. With isotropic noise the three
axes of odom do not couple, so x and y share one 7 x 7 covariance and z, which has its own noise, has a second: the 21-state
filter of the literature (Bloesch et al. 2012, in the linear form with a given orientation), exactly, at a fraction of its
cost. The two stand as diagonal blocks of one matrix, because at this size the number of array calls is the cost.

    p' = v        v' = a - b        b' = 0        f_i' = u_i (the foot rolls)
    y_i = f_i - p (leg kinematics)        y = v (legs on the ground)
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv

from safe_locomotion.types import N_LEGS, Array

Vector = tuple[float, float, float]

N = 3 + N_LEGS
P_, V_, B_, F_ = 0, 1, 2, 3
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
    """State `x` (14, 2): columns x and y of odom in the upper half, z in the lower; `covariance` (14, 14) of both halves."""

    def __init__(self, parameters: FilterParameters) -> None:
        self.parameters = parameters
        self._f, self._h = np.eye(2 * N), np.zeros((2 * N_Y, 2 * N))
        for row, state in ((0, 0), (N_Y, N)):
            self._h[row : row + N_LEGS, state + F_ : state + N] = np.eye(N_LEGS)
            self._h[row : row + N_LEGS, state + P_] = -1.0
            self._h[row + N_LEGS, state + V_] = 1.0
        self._ht = self._h.T.copy()
        self._r = np.eye(2 * N_Y) * parameters.foot_position**2
        self._dt = 0.0
        self.reset((0.0, 0.0, 0.0), [(0.0, 0.0, 0.0)] * N_LEGS)

    def reset(self, position: Vector, feet: list[Vector]) -> None:
        """At rest at `position`, with foot centres `feet` in odom."""
        p = self.parameters
        zero = (0.0, 0.0, 0.0)
        self.x = _stacked([position, zero, zero, *feet])
        self.covariance = np.diag(2 * ([1e-6, 0.1**2, p.acceleration_error_initial**2] + N_LEGS * [p.foot_position**2]))
        self._take()

    def predict(self, acceleration: Vector, foot_velocity: list[Vector], trust: list[float], dt: float) -> None:
        """Advance by dt [s].

        Args:
            acceleration: of the base in odom, gravity removed [m/s2].
            foot_velocity: of the foot centres that stand, from rolling [m/s].
            trust: of each foot, in [0, 1], 0 for a foot in the air.
            dt: [s].
        """
        if dt != self._dt:
            self._set_step(dt)
        f, (ax, ay, az) = self._f, acceleration
        half = 0.5 * dt
        self.x = f @ self.x + dt * _stacked([(half * ax, half * ay, half * az), acceleration, (0.0, 0.0, 0.0), *foot_velocity])
        self.covariance = f @ self.covariance @ f.T
        diagonal = _diagonal(self.covariance)
        diagonal += self._process_noise(trust, dt)

    def _set_step(self, dt: float) -> None:
        self._dt = dt
        for i in (0, N):
            self._f[i + P_, i + V_], self._f[i + P_, i + B_], self._f[i + V_, i + B_] = dt, -0.5 * dt * dt, -dt

    def _process_noise(self, trust: list[float], dt: float) -> Array:
        """Diagonal (14,) of the noise that dt adds."""
        p = self.parameters
        away = [p.swing_foot * (1.0 - t) * (1.0 - t) for t in trust]
        base, drift = p.position**2 * dt, p.acceleration_error**2 * dt
        (v, vz), (f, fz) = p.velocity, p.foot
        xy = [base, v * v * dt, drift, *[(f + a) * (f + a) * dt for a in away]]
        return np.array([*xy, base, vz * vz * dt, drift, *[(fz + a) * (fz + a) * dt for a in away]])

    def correct(self, feet: list[Vector], velocity: Vector, velocity_variance: tuple[float, float]) -> float:
        """Fuse the feet relative to the base, in odom, and the velocity that the standing legs give.

        Args:
            feet: four positions [m].
            velocity: [m/s].
            velocity_variance: on the horizontal axes and on the vertical one [m2/s2].

        Returns:
            Normalised innovation squared of the velocity, of the worst axis; about 1 when the model holds.
        """
        innovation = _stacked([*feet, velocity]) - self._h @ self.x
        r = self._r
        r[N_LEGS, N_LEGS], r[N_Y + N_LEGS, N_Y + N_LEGS] = velocity_variance
        hp = self._h @ self.covariance
        s = hp @ self._ht + r
        gain = dposv(s, hp)[1].T
        self.x += gain @ innovation
        covariance = self.covariance - gain @ hp
        self.covariance = 0.5 * (covariance + covariance.T)
        self._take()
        x, y, z = (float(e) for e in (*innovation[N_LEGS], innovation[N_Y + N_LEGS, 0]))
        return max(max(x * x, y * y) / float(s[N_LEGS, N_LEGS]), z * z / float(s[N_Y + N_LEGS, N_Y + N_LEGS]))

    def anchor(self, foot: int, height: float, deviation: float) -> None:
        """Fuse the height [m] of one standing foot centre, known to `deviation` [m]."""
        i = N + F_ + foot
        column = self.covariance[:, i].copy()
        s = float(column[i]) + deviation * deviation
        self.x[N:, 0] += column[N:] * ((height - float(self.x[i, 0])) / s)
        self.covariance -= np.multiply.outer(column, column) / s
        self._take()

    def _take(self) -> None:
        """Read the state out as plain numbers."""
        rows = self.x.tolist()
        px, py = rows[P_]
        vx, vy = rows[V_]
        self.position: Vector = (px, py, rows[N + P_][0])
        self.velocity: Vector = (vx, vy, rows[N + V_][0])
        self.feet: list[Vector] = [(rows[i][0], rows[i][1], rows[N + i][0]) for i in range(F_, N)]

    @property
    def variances(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(xy, z) of the position [m2] and of the velocity [m2/s2]."""
        diagonal = _diagonal(self.covariance).tolist()
        return (diagonal[P_], diagonal[N + P_]), (diagonal[V_], diagonal[N + V_])


def _stacked(rows: list[Vector]) -> Array:
    """Rows of x, y, z as the two stacked halves of the state."""
    return np.array([(x, y) for x, y, _ in rows] + [(z, 0.0) for _, _, z in rows])


def _diagonal(matrix: Array) -> Array:
    """Writable view of the diagonal of a contiguous square matrix."""
    return matrix.reshape(-1)[:: len(matrix) + 1]
