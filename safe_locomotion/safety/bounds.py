"""Bounds of many numbers at once, NaN-safe: a number that is none lies in no bounds."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import N_JOINTS, Array


class BoundedRow:
    """Numbers that are compared with their bounds all at once.

    Args:
        parts: of each stretch of the row: lower and upper bound (n,), the reason when a number lies outside, and when it is none.
    """

    def __init__(self, parts: Sequence[tuple[Array, Array, str, str]]) -> None:
        self._lower = np.concatenate([lower for lower, _, _, _ in parts])
        self._upper = np.concatenate([upper for _, upper, _, _ in parts])
        self._size = len(self._lower)
        self._outside = [name for lower, _, name, _ in parts for _ in lower]
        self._not_finite = [name for lower, _, _, name in parts for _ in lower]

    def fault(self, row: Array) -> str:
        """Name of the first number that is not one, else of the first that is out of bounds, or an empty string."""
        inside = (self._lower <= row) & (row <= self._upper)
        if np.count_nonzero(inside) == self._size:
            return ""
        bad = np.flatnonzero(~inside).tolist()
        not_finite = [self._not_finite[i] for i in bad if not isfinite(row[i])]
        return not_finite[0] if not_finite else self._outside[bad[0]]


def symmetric_bounds(bound: float | Array, size: int = N_JOINTS) -> tuple[Array, Array]:
    """Bounds (size,) of numbers whose size counts, on either side of zero."""
    upper = np.full(size, bound, dtype=np.float64)
    return -upper, upper


def joint_range(robot: RobotModel, limits: GateLimits) -> tuple[Array, Array]:
    """Ends of the joints' ranges (12,) with the margin [rad]."""
    return robot.q_min - limits.position_margin, robot.q_max + limits.position_margin
