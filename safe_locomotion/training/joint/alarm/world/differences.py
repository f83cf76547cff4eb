"""Table II: what differs between robots, drawn anew every 10 s with a push."""

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.world.options import Drive, Randomisation
from safe_locomotion.training.joint.alarm.world.physics import Physics
from safe_locomotion.training.joint.alarm.world.random_numbers import RandomNumbers
from safe_locomotion.types import N_JOINTS

WIDTHS = {
    "friction": 1,
    "restitution": 1,
    "payload": 1,
    "payload_position": 3,
    "kp": 1,
    "kd": 1,
    "delay": 1,
    "strength": N_JOINTS,
}
"""Numbers of each name; their order is that in the privileged state."""
N_DIFFERENCES = sum(WIDTHS.values())
DRAWN = {name: width for name, width in WIDTHS.items()} | {"push": 2, "age": 1}
"""Uniform numbers that a draw needs."""
NOMINAL = {"friction": 1.0, "kp": 1.0, "kd": 1.0, "strength": 1.0}
"""Values of robots without differences; the others are 0."""


class Differences:
    """Keeps the differences of n robots, and hands them to the physics.

    The clock of each robot runs through its episodes, and the clocks start at random times.

    Attributes:
        values: (n, 21) in the order of `WIDTHS`; kp and kd are factors, the delay is in s.
        age: (n,) policy steps since the last draw.
    """

    def __init__(
        self, n: int, ranges: Randomisation, drive: Drive, enabled: bool, device: str
    ) -> None:
        self._ranges = ranges
        self._drive = drive
        self._enabled = enabled
        self._interval = round(ranges.interval / drive.period)
        nominal = [NOMINAL.get(name, 0.0) for name, width in WIDTHS.items() for _ in range(width)]
        self.values = torch.tensor(nominal, device=device).repeat(n, 1)
        self.age = torch.zeros(n, dtype=torch.int64, device=device)
        self._parts = dict(zip(WIDTHS, self.values.split(list(WIDTHS.values()), 1), strict=True))

    def begin(self, physics: Physics, random: RandomNumbers) -> None:
        """First differences of all robots, and clocks at random times."""
        if self._enabled:
            self._draw(torch.ones_like(self.age, dtype=torch.bool), random)
            self.age.copy_((self._interval * random.uniform["age"][:, 0]).long())
        self._hand_over(physics)

    def step(self, physics: Physics, random: RandomNumbers) -> None:
        """Let one policy period pass; robots whose time is over are pushed and drawn anew."""
        if not self._enabled:
            return
        self.age.add_(1)
        due = self.age >= self._interval
        self.age.masked_fill_(due, 0)
        self._draw(due, random)
        self._hand_over(physics)
        push = random.between("push", self._ranges.push)
        physics.qvel[:, :2] += torch.where(due[:, None], push, 0.0)

    def _draw(self, chosen: Tensor, random: RandomNumbers) -> None:
        one = chosen[:, None]
        for name, part in self._parts.items():
            drawn = random.between(name, getattr(self._ranges, name))
            part.copy_(torch.where(one, drawn, part))

    def _hand_over(self, physics: Physics) -> None:
        parts = self._parts
        physics.friction.copy_(parts["friction"][:, 0])
        physics.restitution.copy_(parts["restitution"][:, 0])
        physics.delay.copy_(parts["delay"][:, 0])
        physics.strength.copy_(parts["strength"])
        physics.kp.copy_(self._drive.kp * parts["kp"][:, 0])
        physics.kd.copy_(self._drive.kd * parts["kd"][:, 0])
        physics.settle(parts["payload"][:, 0], parts["payload_position"])

    def state_dict(self) -> dict[str, Tensor]:
        """Values and clocks."""
        return {"values": self.values, "age": self.age}

    def load_state_dict(self, state: dict[str, Tensor], physics: Physics) -> None:
        """Continue where `state_dict` was taken."""
        self.values.copy_(state["values"])
        self.age.copy_(state["age"])
        self._hand_over(physics)
