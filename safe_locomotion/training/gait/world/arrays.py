"""Types of Warp arrays of float32 by their number of dimensions, for kernels and type checkers."""

from typing import TYPE_CHECKING, Any

import warp as wp

if TYPE_CHECKING:
    Array1 = Any
    Array2 = Any
    Array3 = Any
    Array4 = Any
else:
    Array1 = wp.array(dtype=float, ndim=1)
    Array2 = wp.array(dtype=float, ndim=2)
    Array3 = wp.array(dtype=float, ndim=3)
    Array4 = wp.array(dtype=float, ndim=4)
