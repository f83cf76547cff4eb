"""Ground frame: z along the ground normal, x along the heading.

On level ground it is the yaw-aligned frame.
"""

from math import cos, sin

import numpy as np

from safe_locomotion.rotations import RotationRows, Vector
from safe_locomotion.types import Array

UPRIGHT = np.array([0.0, 0.0, 1.0])


def ground_rows(yaw: float, normal: Vector) -> RotationRows:
    """`ground_frame` in plain numbers."""
    nx, ny, nz = normal
    c = cos(yaw)
    s = sin(yaw)
    along = c * nx + s * ny
    x = c - along * nx
    y = s - along * ny
    z = -along * nz
    length = (x * x + y * y + z * z) ** 0.5
    x = x / length
    y = y / length
    z = z / length
    return (x, ny * z - nz * y, nx), (y, nz * x - nx * z, ny), (z, nx * y - ny * x, nz)


def ground_frame(yaw: float, normal: Array = UPRIGHT) -> Array:
    """Rotation (3, 3) from the ground frame to odom.

    z is the unit ground normal (3,) in odom, x the heading laid on the ground.

    At yaw psi on level ground this is `rotations.yaw_matrix(psi)`.
    """
    nx, ny, nz = normal.tolist()
    return np.array(ground_rows(yaw, (nx, ny, nz)))
