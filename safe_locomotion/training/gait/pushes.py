"""Pushes of the robots whose task wants them, drawn anew for each round."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from safe_locomotion.envs.gait_tasks import GaitTask, gait_task
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.grid import Run
from safe_locomotion.types import Array

COUNT = 3  #: in an episode, each in its own part of it
STREAM = 7  #: tells these draws from others of the same seed and round


class Pushes:
    """Horizontal pushes of B robots; its tensors stay in their place."""

    def __init__(
        self, runs: Sequence[Run], robots: int, steps: int, model: RobotModel, device: str
    ) -> None:
        """No pushes yet.

        Args:
            runs: R of them.
            robots: of each run.
            steps: of an episode.
            model: of all robots.
            device: of torch.
        """
        self._runs = list(runs)
        self._tasks = [gait_task(run.task) for run in runs]
        self._robots = robots
        self._steps = steps
        self._mass = model.mass
        everyone = len(runs) * robots
        self._any = any(max(task.push_speed) > 0.0 for task in self._tasks)
        self._at = torch.full((COUNT, everyone), -1, dtype=torch.long, device=device)
        self._impulses = torch.zeros(COUNT, everyone, 3, device=device)

    def draw(self, number: int) -> None:
        """Draw the pushes of a round."""
        if not self._any:
            return
        drawn = [
            _pushes(task, run.seed, number, self._robots, self._steps)
            for run, task in zip(self._runs, self._tasks, strict=True)
        ]
        at = np.concatenate([steps for steps, _ in drawn], axis=1)
        speeds = np.concatenate([speeds for _, speeds in drawn], axis=1)
        self._at.copy_(torch.tensor(at))
        self._impulses.copy_(torch.tensor(self._mass * speeds, dtype=torch.float32))

    def begin(self, step: Tensor, impulses: Tensor, pushed: Tensor) -> None:
        """Write the pushes that begin with a step (1,): impulses (B, 3) [N s] and flags (B,)."""
        if not self._any:
            return
        now = self._at == step
        impulses.copy_((self._impulses * now[..., None]).sum(dim=0))
        pushed.copy_(now.any(dim=0))


def _pushes(task: GaitTask, seed: int, number: int, robots: int, steps: int) -> tuple[Array, Array]:
    """Steps (K, N) on which pushes begin, -1 for never, and changes of velocity (K, N, 3) [m/s]."""
    if not max(task.push_speed) > 0.0:
        return np.full((COUNT, robots), -1), np.zeros((COUNT, robots, 3))
    rng = np.random.default_rng([seed, number, STREAM])
    part = steps / COUNT
    at = np.floor(part * (np.arange(COUNT)[:, None] + rng.random((COUNT, robots))))
    speed = rng.uniform(*task.push_speed, (COUNT, robots))
    angle = rng.uniform(0.0, 2.0 * np.pi, (COUNT, robots))
    change = np.stack((speed * np.cos(angle), speed * np.sin(angle), 0.0 * speed), axis=2)
    return at.astype(np.int64), change
