"""Gaits of many untrained learners: `evaluation.random_gait` for tensors.

All settings of a study see the same gaits: the walks of N robots are repeated for each of them.
"""

import torch
from torch import Tensor

from safe_locomotion.envs.gait_tasks import GaitTask, start_gait
from safe_locomotion.envs.random_gait import RandomWalk
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.gait_actions import N_GAIT

MOVED = 5  #: numbers of a gait that walk at random: frequency, swing ratio and three offsets


class RandomGaits:
    """Random walks of the gaits of S x N robots; its tensors stay in their place.

    Attributes:
        gaits: (S * N, 9) of the present step.
        lifted: (S * N, 4) 1 for legs that the task holds in the air.
    """

    def __init__(
        self,
        task: GaitTask,
        robot: RobotModel,
        walk: RandomWalk,
        *,
        settings: int,
        robots: int,
        steps: int,
        device: str,
    ) -> None:
        """All robots begin with the task's gait.

        Args:
            task: whose first gait it is.
            robot: model of all robots.
            walk: size of the random walk.
            settings: S.
            robots: N.
            steps: of a round.
            device: of torch.
        """
        start = start_gait(task, robot)
        numbers = (start.frequency, start.swing_ratio, *start.phase_offsets, *start.foot_y)
        self._start = torch.tensor(numbers, device=device)
        self._walk = walk
        self._settings = settings
        scale = [walk.sigma * walk.frequency_scale, *[walk.sigma] * (MOVED - 1)]
        self._scale = torch.tensor(scale, device=device)
        self._numbers = torch.zeros(steps, robots, MOVED, device=device)
        self.gaits = self._start.repeat(settings * robots, 1)
        flags = torch.tensor([float(flag) for flag in task.lifted], device=device)
        self.lifted = flags.repeat(settings * robots, 1)
        assert self.gaits.shape[1] == N_GAIT

    def begin(self, seed: int) -> None:
        """Begin a round, whose numbers this seed draws, with the task's gait."""
        device = self._numbers.device
        draw = torch.Generator(device=device).manual_seed(seed)
        self._numbers.normal_(generator=draw)
        self.gaits.copy_(self._start.expand_as(self.gaits))

    def forget(self, fell: Tensor) -> None:
        """Let the robots of a mask (S * N,) begin with the task's gait again."""
        self.gaits.copy_(torch.where(fell[:, None], self._start, self.gaits))

    def move(self, at: Tensor) -> None:
        """Move all gaits by the numbers of one step (1,)."""
        change = self._scale * self._numbers.index_select(0, at)[0]
        change = change.repeat(self._settings, 1)
        walk = self._walk
        self.gaits[:, 0].add_(change[:, 0]).clamp_(*walk.frequency)
        self.gaits[:, 1].add_(change[:, 1]).clamp_(*walk.swing_ratio)
        self.gaits[:, 2:MOVED].add_(change[:, 2:]).remainder_(1.0)
