"""The ground as the legs felt it: a plane through the latest footholds."""

from math import exp, sqrt

import numpy as np

from safe_locomotion.types import N_LEGS, Array, Flags


class TerrainPlane:
    """Plane z = level + slope . (xy - centre) fitted through the last contact point of each foot, slope low-pass filtered."""

    def __init__(self, *, time_constant: float, max_slope: float) -> None:
        """Args: time_constant: of the slope [s]; max_slope: tangent of the steepest believed inclination."""
        self._time_constant = time_constant
        self._max_slope = max_slope
        self.reset(np.zeros((N_LEGS, 3)))

    def reset(self, footholds: Array) -> None:
        """Level ground through the mean of `footholds` (4, 3)."""
        self.footholds: Array = footholds.copy()
        self._slope_x = self._slope_y = 0.0
        self.normal: Array = np.array([0.0, 0.0, 1.0])

    def update(self, points: Array, contact: Flags, dt: float) -> None:
        """Take the contact points (4, 3) in odom of the feet in contact, then move the slope towards the plane through all four."""
        self.footholds[contact] = points[contact]
        fit = self._fit()
        if fit is None:
            return
        gain = 1.0 - exp(-dt / self._time_constant)
        self._slope_x += gain * (fit[0] - self._slope_x)
        self._slope_y += gain * (fit[1] - self._slope_y)
        scale = 1.0 / sqrt(1.0 + self._slope_x**2 + self._slope_y**2)
        self.normal = np.array([-self._slope_x * scale, -self._slope_y * scale, scale])

    def height_at(self, x: float, y: float) -> float:
        """Height of the plane [m] at (x, y)."""
        cx, cy, cz = (0.25 * self.footholds.sum(0)).tolist()
        return float(cz + self._slope_x * (x - cx) + self._slope_y * (y - cy))

    def _fit(self) -> tuple[float, float] | None:
        """Least-squares slopes; None while the footholds are too close to a line."""
        d = self.footholds - 0.25 * self.footholds.sum(0)
        (xx, xy, xz), (_, yy, yz), _ = (d.T @ d).tolist()
        determinant = xx * yy - xy * xy
        if not determinant > 1e-5:  # two rows of feet 0.05 m apart, 0.05 m from the centre each
            return None
        a = (yy * xz - xy * yz) / determinant
        b = (xx * yz - xy * xz) / determinant
        limit = self._max_slope / max(self._max_slope, sqrt(a * a + b * b))
        return a * limit, b * limit
