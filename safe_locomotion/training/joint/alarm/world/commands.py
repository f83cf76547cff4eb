"""Velocity commands of many robots: most hold a heading and leave their tile."""

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.world.options import Commands
from safe_locomotion.training.joint.alarm.world.random_numbers import RandomNumbers

DRAWN = {"command_kind": 1, "command_velocity": 3, "command_other": 3, "heading": 1}
"""Uniform numbers that a draw of commands needs."""


class CommandState:
    """Commands of n robots; tensors stay in their place.

    Attributes:
        command: (n, 3) vx, vy in base [m/s] and wz [rad/s].
        holds: (n,) robots whose yaw rate is set by their heading.
        heading: (n,) that they hold [rad].
    """

    def __init__(self, n: int, commands: Commands, device: str) -> None:
        self._commands = commands
        self.command = torch.zeros(n, 3, device=device)
        self.holds = torch.zeros(n, dtype=torch.bool, device=device)
        self.heading = torch.zeros(n, device=device)

    def draw(self, chosen: Tensor, random: RandomNumbers) -> None:
        """New commands of the chosen (n,) robots, which look along new headings."""
        c = self._commands
        kind = random.uniform["command_kind"][:, 0]
        u = random.uniform["command_velocity"]
        standing = kind < c.standing
        turning = ~standing & (kind < c.standing + c.turning)
        anywhere = kind >= 1.0 - c.anywhere
        vx = torch.where(anywhere, _scaled(u[:, 0], c.vx), _scaled(u[:, 0], c.forward))
        vx = torch.where(turning, _scaled(u[:, 0], c.turning_vx), vx)
        vy = torch.where(anywhere, _scaled(u[:, 1], c.vy), _scaled(u[:, 1], c.forward_lateral))
        vy = torch.where(turning, 0.0, vy)
        wz = torch.where(turning, _scaled(u[:, 2], c.wz), 0.0)
        drawn = torch.where(standing[:, None], 0.0, torch.stack((vx, vy, wz), dim=1))
        heading = _scaled(random.uniform["heading"][:, 0], (-torch.pi, torch.pi))
        self.command.copy_(torch.where(chosen[:, None], drawn, self.command))
        self.holds.copy_(torch.where(chosen, ~standing & ~turning, self.holds))
        self.heading.copy_(torch.where(chosen, heading, self.heading))

    def steer(self, yaw: Tensor) -> None:
        """Set the yaw rates that turn robots back to their headings; yaw (n, 2) as cos and sin."""
        c = self._commands
        error = self.heading - torch.atan2(yaw[:, 1], yaw[:, 0])
        wrapped = torch.atan2(torch.sin(error), torch.cos(error))
        rate = (c.heading_gain * wrapped).clamp(-c.heading_rate, c.heading_rate)
        self.command[:, 2] = torch.where(self.holds, rate, self.command[:, 2])

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors."""
        return {"command": self.command, "holds": self.holds, "heading": self.heading}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where `state_dict` was taken."""
        self.command.copy_(state["command"])
        self.holds.copy_(state["holds"])
        self.heading.copy_(state["heading"])


def _scaled(unit: Tensor, span: tuple[float, float]) -> Tensor:
    """Numbers of (0, 1) stretched over a range."""
    low, high = span
    return low + (high - low) * unit
