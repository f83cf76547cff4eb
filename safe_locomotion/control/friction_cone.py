"""Friction cone of a foot: a pyramid about the ground normal.

It is cut off at the least and the largest normal force.
"""

import numpy as np

from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.types import Array, Flags


def clip_to_cone(
    forces: Array, stance: Flags, parameters: MpcParameters, mu: float | None = None
) -> Array:
    """Forces moved into the pyramid: f_z into its bounds, then f_x and f_y into mu f_z.

    Args:
        forces: (..., 4, 3) [N].
        stance: (..., 4) feet that push; the others get zero.
        parameters: bounds of f_z, and the friction where `mu` is not given.
        mu: friction in force.
    """
    mu = parameters.mu if mu is None else mu
    fz = np.minimum(np.maximum(forces[..., 2], parameters.fz_min), parameters.fz_max) * stance
    limit = (mu * fz)[..., None]
    clipped: Array = np.minimum(np.maximum(forces, -limit), limit)
    clipped[..., 2] = fz
    return clipped
