"""Estimates and gaits of single robots, as the arrays that batched kernels read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from gait_walks import gait_row

from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.training.gait.world.estimates import estimates
from safe_locomotion.types import Array, Estimate, GaitParameters, LowState, VelocityCommand


def floats(values: Any) -> wp.array:
    """An array of float32 on Warp's CPU device."""
    return wp.array(np.asarray(values, dtype=np.float32), dtype=float)


def vectors(values: Any) -> wp.array:
    """Vectors of three numbers on Warp's CPU device, one per robot or per robot and leg."""
    return wp.array(np.asarray(values, dtype=np.float32), dtype=wp.vec3)


def write_estimates(batched: Any, single: Sequence[Estimate]) -> None:
    """Write one estimate to each robot."""
    columns = {
        "position": [one.position for one in single],
        "rotation": [matrix_from_quaternion(one.quaternion_wxyz) for one in single],
        "velocity": [one.velocity for one in single],
        "rates": [one.angular_velocity for one in single],
        "joints": [one.q for one in single],
        "joint_rates": [one.dq for one in single],
        "contact": [one.contact for one in single],
    }
    for name, column in columns.items():
        getattr(batched, name).assign(np.array(column, dtype=np.float32))


def batched_gaits(single: Sequence[GaitParameters]) -> wp.array:
    """(B, 9) of these gaits."""
    return floats([gait_row(gait) for gait in single])


def batched_commands(single: Sequence[VelocityCommand]) -> wp.array:
    """(B,) vectors of these commands."""
    return vectors([(one.vx, one.vy, one.wz) for one in single])


def numbers(array: wp.array) -> Array:
    """Numbers of an array in double precision."""
    return np.asarray(array.numpy(), dtype=np.float64)


def state_estimates(states: Sequence[LowState]) -> Any:
    """One robot for each LowState, with all that motor commands depend on."""
    batched = estimates(len(states), "cpu")
    rotations = [matrix_from_quaternion(state.quaternion_wxyz) for state in states]
    batched.rotation.assign(np.array(rotations, dtype=np.float32))
    batched.joints.assign(np.array([state.q for state in states], dtype=np.float32))
    batched.joint_rates.assign(np.array([state.dq for state in states], dtype=np.float32))
    return batched
