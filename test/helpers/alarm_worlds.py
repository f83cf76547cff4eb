"""A small world for tests of ALARM's learner: point masses on a line, with a known optimum.

The first action is a force. Its reward is -(force - WANTED)^2, and its first cost is the force
itself where it is positive. So without constraints the best mean force is WANTED. When the mean
cost may be at most d < WANTED, it is d.
"""

from typing import Any

import torch

from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.world import (
    N_ACTIONS,
    N_COSTS,
    N_EXPLICIT,
    N_OBSERVED,
)

WANTED = 2.0
EPISODE = 10  #: steps
HIGHEST = 3
N_PRIVILEGED = 3
TIME_STEP = 0.1
FAR = 2.0  #: distance at which an episode ends
SMALL = Settings(horizon=6, epochs=2, minibatches=2, hidden=8, layers=(16, 8), highest=HIGHEST)


class PointWorld:
    """n point masses; one that keeps going for an episode reaches the next level."""

    def __init__(self, n: int, seed: int = 0) -> None:
        self._draw = torch.Generator().manual_seed(seed)
        self.observation = torch.zeros(n, N_OBSERVED)
        self.explicit = torch.zeros(n, N_EXPLICIT)
        self.privileged = torch.zeros(n, N_PRIVILEGED)
        self.reward = torch.zeros(n)
        self.costs = torch.zeros(n, N_COSTS)
        self.ended = torch.zeros(n, dtype=torch.bool)
        self.timed_out = torch.zeros(n, dtype=torch.bool)
        self.terminal_privileged = torch.zeros(n, N_PRIVILEGED)
        self.level = torch.zeros(n, dtype=torch.long)
        self.reached_highest = torch.zeros(n, dtype=torch.bool)
        self.position = torch.zeros(n)
        self.velocity = torch.zeros(n)
        self.load = self._uniform(n)
        self.age = torch.arange(n) % EPISODE
        self.action = torch.zeros(n, N_ACTIONS)
        self.progress = {"distance": torch.zeros((), dtype=torch.float64)}
        self.total = self.progress["distance"]
        self._show()

    def step(self, action: torch.Tensor) -> None:
        """Push every mass."""
        force = action[:, 0]
        self.velocity += TIME_STEP * (0.1 * force + self.load)
        self.position += TIME_STEP * self.velocity
        self.action.copy_(action)
        self.reward.copy_(-(force - WANTED).square())
        self.costs[:, 0] = force.clamp(min=0.0)
        self.age += 1
        far = self.position.abs() > FAR
        self.timed_out.copy_((self.age >= EPISODE) & ~far)
        self.ended.copy_(self.timed_out | far)
        self._show()
        self.terminal_privileged.copy_(self.privileged)
        self.level.copy_((self.level + self.timed_out).clamp(max=HIGHEST))
        self.reached_highest |= self.level == HIGHEST
        self.total += self.position.abs().sum()
        self._begin(self.ended)
        self._show()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and the state of the generator."""
        tensors = {k: v.clone() for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return {**tensors, "generator": self._draw.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                value.copy_(state[name])
        self._draw.set_state(state["generator"])

    def _begin(self, begins: torch.Tensor) -> None:
        going = (~begins).float()
        self.position *= going
        self.velocity *= going
        self.action *= going[:, None]
        self.age[begins] = 0
        self.load.copy_(torch.where(begins, self._uniform(len(begins)), self.load))

    def _show(self) -> None:
        self.observation[:, 0] = self.position
        self.observation[:, 1] = self.load + 0.1 * self._uniform(len(self.load))
        self.observation[:, -N_ACTIONS:] = self.action
        self.explicit[:, 0] = self.velocity
        self.privileged[:, 0] = self.load
        self.privileged[:, 1] = self.position
        self.privileged[:, 2] = self.velocity

    def _uniform(self, n: int) -> torch.Tensor:
        return 2.0 * torch.rand(n, generator=self._draw) - 1.0
