"""What became of a policy step of many robots: `envs.stride_mean` and the fields of `StepOutcome`.

All values are the simulator's truth.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor

from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_tasks import STRIDE_TIME, GaitTask, StepOutcome
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import GaitParameters, VelocityCommand

SHARE = 1.0 / (STRIDE_TIME * RATE_HZ)


class Motion(NamedTuple):
    """Truth of B robots at the end of a policy step.

    Attributes:
        position: (B, 3) of the base in odom, z above the ground [m].
        rotation: (B, 3, 3) from base to odom.
        velocity: (B, 3) of the base in odom [m/s].
        rates: (B, 3) angular velocity in base [rad/s].
        power: (B,) mean of sum |tau dq| over the step [W].
    """

    position: Tensor
    rotation: Tensor
    velocity: Tensor
    rates: Tensor
    power: Tensor


def roll_and_pitch(rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Angles (B,) [rad] of rotations (B, 3, 3) from base to odom."""
    pitch = torch.asin((-rotation[:, 2, 0]).clamp(-1.0, 1.0))
    return torch.atan2(rotation[:, 2, 1], rotation[:, 2, 2]), pitch


def heading_velocity(rotation: Tensor, velocity: Tensor) -> Tensor:
    """Velocities (B, 3) in odom, seen from the heading frames of the bodies."""
    x = rotation[:, 0, 0]
    y = rotation[:, 1, 0]
    length = torch.hypot(x, y)
    c = x / length
    s = y / length
    forward = c * velocity[:, 0] + s * velocity[:, 1]
    left = c * velocity[:, 1] - s * velocity[:, 0]
    return torch.stack((forward, left, velocity[:, 2]), dim=1)


class StrideMeans:
    """Running means of the velocities of robots, and of those of perfect robots.

    Its tensors stay in their place, so that a captured graph stays valid.

    Attributes:
        moved: (B, 4) vx, vy, vz in the heading frame [m/s] and yaw rate [rad/s].
        wanted: (B, 3) vx, vy [m/s] and yaw rate of robots that follow at the allowed acceleration.
    """

    def __init__(
        self, limits: LocomotionParameters, robots: int, device: torch.device | str
    ) -> None:
        self.moved = torch.zeros(robots, 4, device=device)
        self.wanted = torch.zeros(robots, 3, device=device)
        self._ramp = torch.zeros(robots, 3, device=device)
        each = (limits.acceleration, limits.acceleration, limits.yaw_acceleration)
        self._step = torch.tensor(each, device=device) / RATE_HZ

    def restart(self, mask: Tensor) -> None:
        """Let the robots of a mask (B,) begin at rest."""
        keep = (~mask)[:, None]
        self.moved.mul_(keep)
        self.wanted.mul_(keep)
        self._ramp.mul_(keep)

    def update(self, motion: Motion, commands: Tensor) -> None:
        """Add a policy step under commands (B, 3)."""
        velocity = heading_velocity(motion.rotation, motion.velocity)
        now = torch.cat((velocity, motion.rates[:, 2:]), dim=1)
        self.moved.add_(now - self.moved, alpha=SHARE)
        low = self._ramp - self._step
        high = self._ramp + self._step
        self._ramp.copy_(torch.maximum(torch.minimum(commands, high), low))
        self.wanted.add_(self._ramp - self.wanted, alpha=SHARE)

    def outcomes(self, motion: Motion, gaits: Tensor) -> Tensor:
        """(B, 23) numbers of this step for `rewards`; `gaits` (B, 9) are what learners proposed."""
        roll, pitch = roll_and_pitch(motion.rotation)
        tilt = torch.stack((roll, pitch, motion.power), dim=1)
        height = motion.position[:, 2:]
        return torch.cat((height, self.moved, motion.rates, tilt, gaits, self.wanted), dim=1)


OUTCOME = 1 + 4 + 3 + 3 + 9 + 3  #: numbers of a step in `StrideMeans.outcomes`


def step_outcome(numbers: Tensor) -> StepOutcome:
    """Outcome whose fields are batches (...,), from the numbers (..., 23) of many steps."""
    height, vx, vy, vz, yaw_rate, *others = numbers.unbind(dim=-1)
    wx, wy, wz, roll, pitch, power, *others = others
    frequency, ratio, fl, rr, rl, *others = others
    feet = others[:4]
    command_x, command_y, command_turn = others[4:]
    return StepOutcome(
        height=_number(height),
        velocity=(_number(vx), _number(vy), _number(vz)),
        yaw_rate=_number(yaw_rate),
        rates=(_number(wx), _number(wy), _number(wz)),
        roll=_number(roll),
        pitch=_number(pitch),
        power=_number(power),
        gait=GaitParameters(
            frequency=_number(frequency),
            swing_ratio=_number(ratio),
            phase_offsets=(_number(fl), _number(rr), _number(rl)),
            foot_y=(_number(feet[0]), _number(feet[1]), _number(feet[2]), _number(feet[3])),
        ),
        command=VelocityCommand(
            vx=_number(command_x), vy=_number(command_y), wz=_number(command_turn)
        ),
    )


def rewards(tasks: list[tuple[GaitTask, slice]], numbers: Tensor, robot: RobotModel) -> Tensor:
    """Rewards (T, B) of steps (T, B, 23) of robots whose tasks follow each other in slices."""
    parts = [
        cast(Tensor, task.reward(step_outcome(numbers[:, part]), robot)) for task, part in tasks
    ]
    joined = torch.cat(parts, dim=1)
    assert joined.shape == numbers.shape[:2]
    return joined


def _number(values: Tensor) -> float:
    """A batch in a field that is declared as a number; rewards compute element by element."""
    return cast(float, values)
