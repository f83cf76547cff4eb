"""Rotations, and small vectors in plain numbers.

Quaternions are w, x, y, z and active: they rotate base into world. Roll, pitch, yaw mean
Rz(yaw) Ry(pitch) Rx(roll). Functions on plain numbers serve the 500 Hz path, where arrays of three
numbers cost more than they save.
"""

from math import asin, atan2, cos, inf, isfinite, nan, sin, sqrt

import numpy as np

from safe_locomotion.types import Array

Vector = tuple[float, float, float]
RotationRows = tuple[Vector, Vector, Vector]  #: of a rotation matrix


def vector(v: Array) -> Vector:
    """Plain numbers of an array (3,)."""
    x, y, z = v.tolist()
    return x, y, z


def length(v: Vector) -> float:
    """Euclidean norm."""
    x, y, z = v
    return sqrt(x * x + y * y + z * z)


def clamp(value: float, low: float, high: float) -> float:
    """`value` inside [low, high]; NaN stays NaN."""
    return low if value < low else high if value > high else value


def skew(v: Array) -> Array:
    """Matrix (3, 3) whose product with w is the cross product v x w."""
    x, y, z = v
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def add(a: Vector, b: Vector) -> Vector:
    """a + b."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def subtract(a: Vector, b: Vector) -> Vector:
    """a - b."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def rotate_plane(angle: float, x: float, y: float) -> tuple[float, float]:
    """The vector (x, y) of the plane, turned by `angle` [rad]."""
    c = cos(angle)
    s = sin(angle)
    return c * x - s * y, s * x + c * y


def rows_from_quaternion(wxyz: Array) -> RotationRows:
    """Rotation matrix of a quaternion, in plain numbers.

    A quaternion that is not of unit length is normalised. A zero or infinite one gives NaN.
    """
    w, x, y, z = wxyz.tolist()
    n = w * w + x * x + y * y + z * z
    s = 2.0 / n if 0.0 < n < inf else nan
    return (
        (1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)),
        (s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)),
        (s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)),
    )


def matrix_from_quaternion(wxyz: Array) -> Array:
    """`rows_from_quaternion` as an array (3, 3)."""
    return np.array(rows_from_quaternion(wxyz))


def rotate(rows: RotationRows, v: Vector) -> Vector:
    """R v."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    x, y, z = v
    return a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z


def rotate_back(rows: RotationRows, v: Vector) -> Vector:
    """R' v."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    x, y, z = v
    return a * x + d * y + g * z, b * x + e * y + h * z, c * x + f * y + i * z


def relative_rows(a: RotationRows, b: RotationRows) -> RotationRows:
    """A' B: the frame of b seen from that of a."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = b
    x = rotate_back(a, (xx, yx, zx))
    y = rotate_back(a, (xy, yy, zy))
    z = rotate_back(a, (xz, yz, zz))
    return (x[0], y[0], z[0]), (x[1], y[1], z[1]), (x[2], y[2], z[2])


def cross(a: Vector, b: Vector) -> Vector:
    """a x b."""
    ax, ay, az = a
    bx, by, bz = b
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


def quaternion_from_rpy(roll: float, pitch: float, yaw: float) -> Array:
    """Quaternion w, x, y, z of Rz(yaw) Ry(pitch) Rx(roll)."""
    cr = cos(roll / 2)
    sr = sin(roll / 2)
    cp = cos(pitch / 2)
    sp = sin(pitch / 2)
    cy = cos(yaw / 2)
    sy = sin(yaw / 2)
    return np.array(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    )


def rows_from_rpy(roll: float, pitch: float, yaw: float) -> RotationRows:
    """Rotation matrix Rz(yaw) Ry(pitch) Rx(roll), in plain numbers."""
    sr = sin(roll)
    cr = cos(roll)
    sp = sin(pitch)
    cp = cos(pitch)
    sy = sin(yaw)
    cy = cos(yaw)
    return (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )


def rpy_from_rows(rows: RotationRows) -> Vector:
    """Roll, pitch, yaw of a rotation matrix; pitch in [-pi/2, pi/2]."""
    (xx, _, _), (yx, _, _), (zx, zy, zz) = rows
    pitch = asin(min(1.0, max(-1.0, -zx))) if isfinite(zx) else nan
    return atan2(zy, zz), pitch, atan2(yx, xx)


def rpy_from_matrix(rotation: Array) -> Vector:
    """Roll, pitch, yaw of a rotation matrix (3, 3); see `rpy_from_rows`."""
    return rpy_from_rows(rotation.tolist())


def rpy_from_quaternion(wxyz: Array) -> Vector:
    """Roll, pitch, yaw of a quaternion; see `rpy_from_rows`."""
    return rpy_from_rows(rows_from_quaternion(wxyz))


def yaw_matrix(yaw: float) -> Array:
    """Rotation (3, 3) about z."""
    c = cos(yaw)
    s = sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def multiply(a: Array, b: Array) -> Array:
    """Hamilton product a * b of quaternions: the rotation b, then the rotation a."""
    aw, ax, ay, az = a.tolist()
    bw, bx, by, bz = b.tolist()
    return np.array(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def quaternion_from_rotation_vector(vector: Array) -> Array:
    """Exponential map: quaternion of the rotation by |vector| [rad] about `vector`."""
    x, y, z = vector.tolist()
    angle = sqrt(x * x + y * y + z * z)
    if angle < 1e-9:
        return np.array([1.0, x / 2, y / 2, z / 2])
    s = sin(angle / 2) / angle
    return np.array([cos(angle / 2), s * x, s * y, s * z])
