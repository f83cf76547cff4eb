"""Reward of the velocity task, term by term."""

from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.joint.task import JointTask

_COARSE = 0.25  #: squared error at which a tracking reward falls to 1/e [m2/s2, rad2/s2]
_FINE = 0.04
_YAW = 0.25
_SOFT_RANGE = 0.95  #: share of the joint ranges that costs nothing
_KNEE_CLEARANCE = 0.05  #: [m]
_LARGEST_FORCE = 400.0  #: [N]; a harder impact costs no more


class Motion(NamedTuple):
    """Motion of n robots over one policy step.

    The planar velocity is in the yaw frame; heights are above the ground.

    Attributes:
        up: vertical in base (n, 3).
        acceleration: of the joints, from velocities a period apart [rad/s2].
        power: mean over the step [W].
        landed: feet (n, 4) whose swing has just ended; `air_time` is how long it lasted [s].
        foot_height: of the foot centres [m].
        foot_speed: planar [m/s].
        fresh: robots whose episode has just begun: differences to the previous step mean nothing.
    """

    command: Tensor
    velocity: Tensor
    vertical: Tensor
    rates: Tensor
    up: Tensor
    height: Tensor
    q: Tensor
    dq: Tensor
    acceleration: Tensor
    tau: Tensor
    power: Tensor
    action: Tensor
    action_before: Tensor
    action_long_before: Tensor
    contact: Tensor
    landed: Tensor
    air_time: Tensor
    foot_height: Tensor
    foot_speed: Tensor
    foot_force: Tensor
    knees: Tensor
    fresh: Tensor


class Rewards:
    """Weights and adds the terms."""

    def __init__(
        self, task: JointTask, dt: float, q_stand: Tensor, robot: RobotModel, device: str
    ) -> None:
        self._task = task
        self._q_stand = q_stand
        self._height = robot.nominal_height
        self._radius = robot.foot_radius
        middle = (robot.q_max + robot.q_min) / 2
        half = (robot.q_max - robot.q_min) / 2
        self._middle = torch.tensor(middle, dtype=torch.float32, device=device)
        self._soft_half = torch.tensor(_SOFT_RANGE * half, dtype=torch.float32, device=device)
        per_event = {"air_time", "fall"}
        self._weights = {
            name: w * (1.0 if name in per_event else dt) for name, w in asdict(task.weights).items()
        }

    def __call__(self, motion: Motion, fallen: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Reward (n,) of this step, and its weighted terms by name."""
        moving = motion.command.abs().sum(1) > 0.0
        raw = self._tracking(motion) | self._body(motion) | self._effort(motion)
        raw |= self._feet(motion, moving) | self._still(motion, ~moving)
        raw["alive"] = (~fallen).float()
        raw["fall"] = fallen.float()
        terms = {name: self._weights[name] * torch.nan_to_num(value) for name, value in raw.items()}
        total = torch.stack(list(terms.values())).sum(0)
        return total.clamp(-5.0, 5.0), terms

    def _tracking(self, m: Motion) -> dict[str, Tensor]:
        error = (m.velocity - m.command[:, :2]).square().sum(1)
        turning = (m.rates[:, 2] - m.command[:, 2]).square()
        return {
            "velocity": torch.exp(-error / _COARSE),
            "velocity_fine": torch.exp(-error / _FINE),
            "yaw_rate": torch.exp(-turning / _YAW),
        }

    def _body(self, m: Motion) -> dict[str, Tensor]:
        q = m.q - self._q_stand
        return {
            "tilt": m.up[:, :2].square().sum(1),
            "height": (m.height - self._height).square(),
            "vertical": m.vertical.square(),
            "roll_pitch_rate": m.rates[:, :2].square().sum(1),
            "hips": q[:, 0::3].square().sum(1),
            "pose": q.square().sum(1),
            "limits": ((m.q - self._middle).abs() - self._soft_half).clamp(min=0.0).sum(1),
            "knees": (m.knees < _KNEE_CLEARANCE).float().sum(1),
        }

    def _effort(self, m: Motion) -> dict[str, Tensor]:
        settled = (~m.fresh).float()
        jerk = m.action - 2.0 * m.action_before + m.action_long_before
        return {
            "torque": m.tau.square().sum(1),
            "power": m.power,
            "acceleration": settled * m.acceleration.square().sum(1),
            "action_rate": settled * (m.action - m.action_before).square().sum(1),
            "action_jerk": settled * jerk.square().sum(1),
        }

    def _feet(self, m: Motion, moving: Tensor) -> dict[str, Tensor]:
        task = self._task
        swing = (m.air_time.clamp(max=task.swing_limit) - task.swing_time).clamp(
            min=-task.swing_floor
        )
        wanted = task.swing_height + self._radius
        fr, fl, rr, rl = m.contact.unbind(dim=1)
        speed = torch.where(m.fresh[:, None], 0.0, m.foot_speed).clamp(max=5.0)
        impact = (m.foot_force.clamp(max=_LARGEST_FORCE) - task.soft_force).clamp(min=0.0)
        return {
            "air_time": moving * (m.landed * swing).sum(1),
            "clearance": moving
            * ((m.foot_height - wanted).clamp(max=0.0).square() * speed * ~m.contact).sum(1),
            "slip": (m.contact * speed.square()).sum(1),
            "impact": impact.sum(1),
            "trot": moving * 0.5 * ((fr == rl).float() + (fl == rr).float()),
        }

    def _still(self, m: Motion, still: Tensor) -> dict[str, Tensor]:
        return {
            "still_pose": still * (m.q - self._q_stand).abs().sum(1),
            "still_speed": still * m.dq.square().sum(1),
            "still_feet": still * m.contact.float().mean(1),
        }
