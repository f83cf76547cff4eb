"""Figures of the feet in the report of `safe-locomotion sim`: hops and their lateral distance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.sim.report import SETTLE_TIME
from safe_locomotion.types import FL, FR, GRAVITY, N_LEGS, RL, RR, Array

LOADED_SHARE = 0.05  #: of the robot's weight; a foot under more of it carries load
SHORTEST_FLIGHT = 0.01  #: [s]; a shorter time without load is the change from one foot to another


@dataclass(frozen=True, kw_only=True, slots=True)
class FeetLog:
    """True feet, one row per LowState from the moment the robot first stood.

    Attributes:
        time: (n,) since then [s].
        force: (n, 4) normal forces [N].
        q: (n, 12) joint positions [rad].
        walking: (n,) whether the robot is asked to walk.
    """

    time: Array
    force: Array
    q: Array
    walking: NDArray[np.bool_]


def hops(log: FeetLog, robot: RobotModel) -> int:
    """Number of times that the robot lands, all feet having been in the air, while it walks."""
    loaded = log.force > LOADED_SHARE * robot.mass * GRAVITY
    flies = log.walking & ~loaded.any(axis=1)
    change = np.flatnonzero(np.diff(flies.astype(int), prepend=0))
    took_off = change[0::2]
    landed = change[1::2]
    lengths = log.time[landed] - log.time[took_off[: len(landed)]]
    return int(np.count_nonzero(lengths >= SHORTEST_FLIGHT - 1e-9))


def feet_distance(log: FeetLog, robot: RobotModel) -> float:
    """Lateral distance of left and right feet [m], mean of front and rear.

    Each foot counts in base while it carries load and the robot walks, after `SETTLE_TIME`. NaN if
    a foot never does.
    """
    rows = log.walking & (log.time >= SETTLE_TIME)
    kinematics = Kinematics(robot)
    y = np.array([kinematics.feet(q)[:, 1] for q in log.q[rows]]).reshape(-1, N_LEGS)
    loaded = log.force[rows] > LOADED_SHARE * robot.mass * GRAVITY
    if not loaded.any(axis=0).all():
        return float("nan")
    mean = np.array([y[loaded[:, leg], leg].mean() for leg in range(N_LEGS)])
    return float(0.5 * (mean[FL] - mean[FR] + mean[RL] - mean[RR]))


def feet_figures(log: FeetLog, robot: RobotModel) -> dict[str, Any]:
    """Figures of the report."""
    return {"hops": hops(log, robot), "feet_distance_m": feet_distance(log, robot)}
