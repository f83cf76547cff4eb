"""Feet of a spring-loaded inverted pendulum that trots: the prior of the style reward.

A stance foot moves back under its hip from half a step in front of it. A swing foot goes to the
next foothold, x = v T / 2 + k (v - v*), and rises in between. On the ground it lies below the base
by the spring's rest length, so that the prior also says how high the base is. The phase counts from
the foot's own lift-off or touchdown, because the observation has no clock. A foot that stands for
longer than the stance time is asked to lift. Paper [31] gives the model; times and heights are
choices of ours.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.world.options import Slip

STANDING = 0.05
"""A slower command asks for no steps [m/s, rad/s together]."""


class Stride(NamedTuple):
    """What the prior depends on.

    Attributes:
        hips: (n, 4, 3) under which the feet belong, in the heading frame [m].
        velocity: (n, 2) of the base in the heading frame [m/s].
        yaw_rate: (n,) [rad/s].
        command: (n, 3) vx, vy, wz [m/s, rad/s].
        air, ground: (n, 4) time since lift-off and since touchdown; one of them is 0 [s].
        deviation: (n,) standard deviation of the heights around the robot [m].
        rest: height of the base above the foot centres [m].
    """

    hips: Tensor
    velocity: Tensor
    yaw_rate: Tensor
    command: Tensor
    air: Tensor
    ground: Tensor
    deviation: Tensor
    rest: float


def slip_feet(stride: Stride, slip: Slip) -> Tensor:
    """Prior (n, 4, 3) of the feet from the base, in the heading frame [m]."""
    moving = (stride.command.abs().sum(dim=1) > STANDING)[:, None]
    hips = stride.hips[:, :, :2]
    half = 0.5 * slip.stance * hip_velocity(stride.velocity, stride.yaw_rate, hips)
    wanted = hip_velocity(stride.command[:, :2], stride.command[:, 2], hips)
    error = half / (0.5 * slip.stance) - wanted
    late = (stride.ground - slip.stance).clamp(min=0.0) / slip.swing
    swing = torch.where(stride.air > 0.0, stride.air / slip.swing, late.clamp(max=0.5))
    swing = torch.where(moving, swing.clamp(max=1.0), 0.0)[:, :, None]
    stance = (stride.ground / slip.stance).clamp(max=1.0)[:, :, None]
    swings = (stride.air > 0.0)[:, :, None]
    along = torch.where(swings | (swing > 0.0), 2.0 * swing - 1.0, 1.0 - 2.0 * stance)
    shift = torch.where(moving[:, :, None], along * half, 0.0)
    shift = shift + torch.where(swings & moving[:, :, None], swing * slip.gain * error, 0.0)
    rise = (slip.height + slip.height_per_deviation * stride.deviation).clamp(max=slip.highest)
    height = rise[:, None, None] * torch.sin(torch.pi * swing) - stride.rest
    return torch.cat((hips + shift, height), dim=2)


def hip_velocity(velocity: Tensor, yaw_rate: Tensor, hips: Tensor) -> Tensor:
    """(n, 4, 2) velocity of the hips (n, 4, 2) of bodies that move and turn [m/s]."""
    turning = torch.stack((-hips[:, :, 1], hips[:, :, 0]), dim=2) * yaw_rate[:, None, None]
    return velocity[:, None] + turning
