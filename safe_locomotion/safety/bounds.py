"""Bounds of many numbers at once. NaN fails every bound."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import N_JOINTS, Array

LARGEST = float(np.finfo(np.float64).max)  #: a bound that every finite number meets


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one part of a row.

    Attributes:
        lower, upper: (n,) bounds; a number on a bound passes.
        outside: reason to give for a number out of bounds.
        not_finite: reason to give for NaN or infinity; "" stands for the same reason.
    """

    lower: Array
    upper: Array
    outside: str
    not_finite: str = ""


class BoundedRow:
    """Compares a row of numbers with all its bounds in one operation.

    One comparison of the whole row costs a fraction of one comparison per bound. The bound that
    failed is looked up only after a failure.
    """

    def __init__(self, *parts: Bounds) -> None:
        """Join the bounds in the order in which the numbers stand in the row."""
        self._lower = np.concatenate([part.lower for part in parts])
        self._upper = np.concatenate([part.upper for part in parts])
        self._size = len(self._lower)
        self._outside = [part.outside for part in parts for _ in part.lower]
        self._not_finite = [part.not_finite or part.outside for part in parts for _ in part.lower]

    def fault(self, row: Array) -> str:
        """Reason of the first number that fails, or an empty string.

        Numbers that are not finite come before numbers that are out of bounds.
        """
        inside = (self._lower <= row) & (row <= self._upper)
        if np.count_nonzero(inside) == self._size:
            return ""
        bad = np.flatnonzero(~inside).tolist()
        not_finite = [self._not_finite[i] for i in bad if not isfinite(row[i])]
        return not_finite[0] if not_finite else self._outside[bad[0]]


def finite_bounds(size: int, reason: str) -> Bounds:
    """Bounds (size,) that every finite number meets."""
    largest = np.full(size, LARGEST)
    return Bounds(-largest, largest, reason)


def symmetric_bounds(limit: float | Array, outside: str, not_finite: str = "") -> Bounds:
    """Bounds (12,) of the magnitude of one number per joint."""
    upper = np.full(N_JOINTS, limit)
    return Bounds(-upper, upper, outside, not_finite)


def range_bounds(lower: float, upper: float, reason: str) -> Bounds:
    """Bounds (12,) that are the same for all joints."""
    return Bounds(np.full(N_JOINTS, lower), np.full(N_JOINTS, upper), reason)


def joint_bounds(
    robot: RobotModel, limits: GateLimits, outside: str, not_finite: str = ""
) -> Bounds:
    """Ranges (12,) of the joint positions, widened by the margin [rad]."""
    lower = robot.q_min - limits.position_margin
    upper = robot.q_max + limits.position_margin
    return Bounds(lower, upper, outside, not_finite)
