"""Reward of ALARM: table I and the posture, times the period; it is never negative in total.

Errors are squared, but for the distance of the feet from the SLIP model's: squared, it was too
small to say anything, and robots walked on straight legs.
"""

from dataclasses import astuple, fields
from typing import NamedTuple

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.world.options import Weights

TERMS = tuple(field.name for field in fields(Weights))


class Motion(NamedTuple):
    """Motion of n robots over one period.

    Attributes:
        velocity: (n, 3) of the base, in base [m/s].
        rates: (n, 3) angular velocity in base [rad/s].
        command: (n, 3) vx, vy [m/s], wz [rad/s].
        feet, slip_feet: (n, 4, 3) from the base, in the heading frame [m].
        raised: (n,) of the base above its height when standing, over the ground below; or 0 [m].
        lean: (n,) part of the vertical along y of the base; the sine of the roll where it is level.
        level: (n,) of the terrain.
        dq: (n, 12) [rad/s].
        acceleration: (n, 12) of the joints [rad/s2].
        torque: (n, 12) [Nm].
        action, action_before, action_long_before: (n, 12) of this period and the two before.
    """

    velocity: Tensor
    rates: Tensor
    command: Tensor
    feet: Tensor
    slip_feet: Tensor
    raised: Tensor
    lean: Tensor
    level: Tensor
    dq: Tensor
    acceleration: Tensor
    torque: Tensor
    action: Tensor
    action_before: Tensor
    action_long_before: Tensor


def tracking(motion: Motion) -> Tensor:
    """(n,) reward of the linear velocity before its weight, from 0 to 1."""
    error = motion.velocity[:, :2] - motion.command[:, :2]
    return torch.exp(-4.0 * error.square().sum(dim=1))


def reward_terms(m: Motion) -> Tensor:
    """(n, 11) terms without weights, in the order of `TERMS`."""
    foot_error = (m.feet - m.slip_feet).flatten(1).norm(dim=1)
    jerk = m.action - 2.0 * m.action_before + m.action_long_before
    terms = (
        tracking(m),
        torch.exp(-4.0 * (m.rates[:, 2] - m.command[:, 2]).square()),
        m.velocity[:, 2].square(),
        m.rates[:, :2].square().sum(dim=1),
        torch.exp(-4.0 * foot_error / (1.0 + m.level)),
        m.dq.square().sum(dim=1) + 2.0 * m.torque.square().sum(dim=1),
        m.acceleration.square().sum(dim=1),
        (m.action - m.action_before).square().sum(dim=1),
        jerk.square().sum(dim=1),
        m.raised,
        m.lean.square(),
    )
    return torch.stack(terms, dim=1)


class Rewards:
    """Weighted terms and their sum."""

    def __init__(self, weights: Weights, period: float, device: str) -> None:
        self._weights = period * torch.tensor(astuple(weights), device=device)

    def __call__(self, motion: Motion) -> tuple[Tensor, Tensor]:
        """Reward (n,) and weighted terms (n, 11); a state that is not finite earns nothing."""
        terms = self._weights * reward_terms(motion)
        total = torch.nan_to_num(terms.sum(dim=1), nan=0.0, posinf=0.0, neginf=0.0)
        return total.clamp(min=0.0), torch.nan_to_num(terms, nan=0.0, posinf=0.0, neginf=0.0)
