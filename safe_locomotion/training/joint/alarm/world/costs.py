"""Costs c1 to c5 of ALARM, section II.C: indicators of states that a robot should avoid.

A state that is not finite violates everything, because every limit is written so that NaN fails.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from safe_locomotion.robot.models import RobotModel

COSTS = ("joint_position", "joint_velocity", "joint_torque", "collision", "body")
FORCE = 1.0
"""A calf, thigh or trunk that is pressed harder touches the ground [N], as in legged_gym."""


class JointLimits(NamedTuple):
    """Limits (12,) of positions [rad], speeds [rad/s] and torques [Nm]."""

    lowest: Tensor
    highest: Tensor
    speed: Tensor
    torque: Tensor


class Dangers(NamedTuple):
    """What the costs look at.

    Attributes:
        q, dq: (n, 12) at the end of the period [rad, rad/s].
        demand: (n, 12) largest |torque| that the PD law demanded during the period [Nm].
        pressed: (n,) mean force on calves and thighs during the period [N].
        trunk: (n,) clearance of the trunk [m].
        height: (n,) of the base above the local ground [m].
        upright: (n,) cosine of the tilt.
    """

    q: Tensor
    dq: Tensor
    demand: Tensor
    pressed: Tensor
    trunk: Tensor
    height: Tensor
    upright: Tensor


def joint_limits(robot: RobotModel, device: str) -> JointLimits:
    """Limits of a robot; the torques are the peaks of its motors."""
    arrays = (robot.q_min, robot.q_max, robot.dq_max, robot.tau_max)
    return JointLimits(*(torch.tensor(array).float().to(device) for array in arrays))


def costs(dangers: Dangers, limits: JointLimits, lowest: float, steepest: float) -> Tensor:
    """(n, 5) costs in the order of `COSTS`; c1 to c3 add 1/12 for each joint.

    Args:
        dangers: states.
        limits: of the joints.
        lowest: allowed height of the base [m].
        steepest: cosine of the largest allowed tilt.
    """
    d = dangers
    within = (d.q >= limits.lowest) & (d.q <= limits.highest)
    slow = d.dq.abs() <= limits.speed
    weak = d.demand <= limits.torque
    free = (d.pressed <= FORCE) & (d.trunk > 0.0)
    safe = (d.height >= lowest) & (d.upright >= steepest)
    joints = [1.0 - fine.float().mean(dim=1) for fine in (within, slow, weak)]
    return torch.stack([*joints, (~free).float(), (~safe).float()], dim=1)
