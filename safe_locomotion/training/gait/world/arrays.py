"""Types of Warp arrays of float32, for kernels and type checkers.

`Array1` to `Array4` hold numbers and are named by their dimensions. `Vectors3` holds one vector per
robot, or per robot and leg; `Matrices3` one rotation per robot.
"""

from typing import TYPE_CHECKING, Any

import warp as wp

if TYPE_CHECKING:
    Array1 = Any
    Array2 = Any
    Array3 = Any
    Array4 = Any
    Vectors3 = Any
    LegVectors3 = Any
    Matrices3 = Any
else:
    Array1 = wp.array(dtype=float, ndim=1)
    Array2 = wp.array(dtype=float, ndim=2)
    Array3 = wp.array(dtype=float, ndim=3)
    Array4 = wp.array(dtype=float, ndim=4)
    Vectors3 = wp.array(dtype=wp.vec3, ndim=1)
    LegVectors3 = wp.array(dtype=wp.vec3, ndim=2)
    Matrices3 = wp.array(dtype=wp.mat33, ndim=1)
