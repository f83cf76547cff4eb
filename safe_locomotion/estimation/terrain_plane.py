"""The ground under the robot: a plane through the latest footholds."""

from math import sqrt

from safe_locomotion.rotations import Vector
from safe_locomotion.types import N_LEGS


class TerrainPlane:
    """Plane z = level + slope . (xy - centre) through the last contact point of each foot.

    The slope is low-pass filtered.

    Attributes:
        normal: unit normal of the plane, in odom.
    """

    def __init__(self, *, time_constant: float, max_slope: float) -> None:
        """Start with level ground at height 0.

        Args:
            time_constant: of the slope [s].
            max_slope: tangent of the steepest slope that the plane may have.
        """
        self._time_constant = time_constant
        self._max_slope = max_slope
        self.reset([(0.0, 0.0, 0.0)] * N_LEGS)

    def reset(self, footholds: list[Vector]) -> None:
        """Start with level ground through the mean of the four `footholds`, in odom [m]."""
        self._footholds = list(footholds)
        self._slope_x = 0.0
        self._slope_y = 0.0
        self.normal: Vector = (0.0, 0.0, 1.0)
        self._centre()

    def update(self, points: list[Vector], standing: list[bool], dt: float) -> None:
        """Take the contact points of standing feet, and filter the slope of the plane.

        Args:
            points: contact points of the four feet, in odom [m].
            standing: which of them stand; the others keep their last foothold.
            dt: time since the last call [s].
        """
        for i, stands in enumerate(standing):
            if stands:
                self._footholds[i] = points[i]
        self._centre()
        fit = self._fit()
        if fit is None:
            return
        gain = min(1.0, dt / self._time_constant)
        self._slope_x += gain * (fit[0] - self._slope_x)
        self._slope_y += gain * (fit[1] - self._slope_y)
        scale = 1.0 / sqrt(1.0 + self._slope_x**2 + self._slope_y**2)
        self.normal = (-self._slope_x * scale, -self._slope_y * scale, scale)

    def height_at(self, x: float, y: float) -> float:
        """Height of the plane at (x, y), in odom [m]."""
        return self._cz + self._slope_x * (x - self._cx) + self._slope_y * (y - self._cy)

    def _centre(self) -> None:
        a, b, c, d = self._footholds
        self._cx: float = 0.25 * (a[0] + b[0] + c[0] + d[0])
        self._cy: float = 0.25 * (a[1] + b[1] + c[1] + d[1])
        self._cz: float = 0.25 * (a[2] + b[2] + c[2] + d[2])

    def _fit(self) -> tuple[float, float] | None:
        """Least-squares slopes along x and y; None while the footholds are too close to a line."""
        xx = 0.0
        xy = 0.0
        xz = 0.0
        yy = 0.0
        yz = 0.0
        cx = self._cx
        cy = self._cy
        cz = self._cz
        for px, py, pz in self._footholds:
            x = px - cx
            y = py - cy
            z = pz - cz
            xx += x * x
            xy += x * y
            xz += x * z
            yy += y * y
            yz += y * z
        determinant = xx * yy - xy * xy
        if not determinant > 1e-5:  # two rows of feet 0.1 m apart and 0.03 m long
            return None
        a = (yy * xz - xy * yz) / determinant
        b = (xx * yz - xy * xz) / determinant
        limit = self._max_slope / max(self._max_slope, sqrt(a * a + b * b))
        return a * limit, b * limit
