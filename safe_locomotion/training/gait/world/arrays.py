"""Types of Warp arrays, for kernels and type checkers.

`Array1` to `Array4` hold numbers of single precision and are named by their dimensions. `Doubles1`
and `Doubles2` hold numbers of double precision, `Integers1` and `Integers2` counts and flags.
`Vectors3` holds one vector per robot, `LegVectors3` one per robot and leg, `Vectors2` a vector of
the plane, and `Matrices3` one rotation per robot. `Pairs` and `Wrenches` are arrays of MuJoCo-Warp:
two geoms per contact, and a force with a moment per robot and body.
"""

from typing import TYPE_CHECKING, Any

import warp as wp

BLOCK = 32
"""Threads of a block, for kernels with one thread a robot or leg.

The paper's grid has 1,350 robots; with Warp's 256 threads they would keep 6 of 132 multiprocessors
busy.
"""

if TYPE_CHECKING:
    Array1 = Any
    Array2 = Any
    Array3 = Any
    Array4 = Any
    Doubles1 = Any
    Doubles2 = Any
    Integers1 = Any
    Integers2 = Any
    Vectors2 = Any
    Vectors3 = Any
    LegVectors3 = Any
    Matrices3 = Any
    Pairs = Any
    Wrenches = Any
else:
    Array1 = wp.array(dtype=float, ndim=1)
    Array2 = wp.array(dtype=float, ndim=2)
    Array3 = wp.array(dtype=float, ndim=3)
    Array4 = wp.array(dtype=float, ndim=4)
    Doubles1 = wp.array(dtype=wp.float64, ndim=1)
    Doubles2 = wp.array(dtype=wp.float64, ndim=2)
    Integers1 = wp.array(dtype=int, ndim=1)
    Integers2 = wp.array(dtype=int, ndim=2)
    Vectors2 = wp.array(dtype=wp.vec2, ndim=2)
    Vectors3 = wp.array(dtype=wp.vec3, ndim=1)
    LegVectors3 = wp.array(dtype=wp.vec3, ndim=2)
    Matrices3 = wp.array(dtype=wp.mat33, ndim=1)
    Pairs = wp.array(dtype=wp.vec2i, ndim=1)
    Wrenches = wp.array(dtype=wp.spatial_vector, ndim=2)
