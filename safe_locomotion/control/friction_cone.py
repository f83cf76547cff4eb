"""Friction cone of a foot: a pyramid about the ground normal.

It is cut off at the least and the largest normal force. The clip is written twice: plain numbers
take half the time of arrays for one step, arrays a third of that of plain numbers for a whole plan.
"""

import numpy as np

from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.rotations import clamp
from safe_locomotion.types import N_LEGS, Array, Flags


def clip_to_cone(
    forces: Array, stance: Flags, parameters: MpcParameters, mu: float | None = None
) -> Array:
    """Forces of one step moved into the pyramid: f_z into its bounds, then f_x and f_y into mu f_z.

    Args:
        forces: (4, 3) [N].
        stance: (4,) feet that push; the others get zero.
        parameters: bounds of f_z, and the friction where `mu` is not given.
        mu: friction in force.
    """
    low = parameters.fz_min
    high = parameters.fz_max
    mu = parameters.mu if mu is None else mu
    clipped: list[float] = []
    for (fx, fy, fz), pushes in zip(forces.tolist(), stance.tolist(), strict=True):
        normal = clamp(fz, low, high) if pushes else 0.0
        limit = mu * normal
        clipped += (clamp(fx, -limit, limit), clamp(fy, -limit, limit), normal)
    return np.array(clipped).reshape(N_LEGS, 3)


def clip_plan(forces: Array, stance: Flags, parameters: MpcParameters) -> Array:
    """`clip_to_cone` of all steps of a plan (N, 4, 3) with its stance flags (N, 4)."""
    fz = np.minimum(np.maximum(forces[..., 2], parameters.fz_min), parameters.fz_max) * stance
    limit = (parameters.mu * fz)[..., None]
    clipped: Array = np.minimum(np.maximum(forces, -limit), limit)
    clipped[..., 2] = fz
    return clipped
