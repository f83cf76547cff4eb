"""The last second before each fall of many robots, kept on their device until they fall."""

from typing import NamedTuple

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray

from safe_locomotion.training.gait.world.gait_actions import N_GAIT
from safe_locomotion.training.gait.world.outcomes import heading_velocity, roll_and_pitch
from safe_locomotion.training.gait.world.world import GaitWorld
from safe_locomotion.types import N_LEGS

Numbers = NDArray[np.int64]
Float32 = NDArray[np.float32]
STEPS = 125  #: that are kept of each fall: 1 s
CHECKED = 25  #: steps after which new falls are looked for
LENGTH = STEPS + CHECKED  #: of the ring
BEFORE = ("height", "roll", "pitch", "vx", "vy", "vz", "wx", "wy", "wz")
LOADS = ("load FR", "load FL", "load RR", "load RL", "load trunk")
DECIDED = ("recovers", "triggered")
MEASURED = ("z", "seen roll", "seen pitch", "seen vy", "roll rate", "capture")
PLANNED = tuple(f"{name} {leg}" for name in ("fz", "cone") for leg in ("FR", "FL", "RR", "RL"))
EXECUTED = tuple(f"gait {k}" for k in range(N_GAIT))
COLUMNS = (*BEFORE, *LOADS, *PLANNED, *EXECUTED, *DECIDED, *MEASURED)
"""Truth and plan before a step, and the decision on it, see `GaitWorld`. `cone` is the planned
horizontal force of a foot over its vertical one."""
FIRST = len(BEFORE) + len(LOADS) + len(PLANNED) + len(EXECUTED)  #: columns before the decision


class Falls(NamedTuple):
    """Falls that were found.

    Attributes:
        robots: (F,) which robots fell.
        steps: (F,) on which step of the round.
        traces: (F, 125, C) their last second, in `COLUMNS`; NaN before the walk began.
    """

    robots: Numbers
    steps: Numbers
    traces: Float32


class LastSeconds:
    """A ring of the last steps of all robots; its tensors stay in their place."""

    def __init__(self, world: GaitWorld) -> None:
        device = world.options.device
        self._world = world
        self._ring = torch.full((LENGTH, world.robots, len(COLUMNS)), torch.nan, device=device)
        self._fell = torch.zeros(LENGTH, world.robots, dtype=torch.bool, device=device)
        self._row = torch.zeros(world.robots, len(COLUMNS), device=device)
        self._place = torch.zeros(1, dtype=torch.long, device=device)

    def begin(self) -> None:
        """Forget all."""
        self._ring.fill_(torch.nan)
        self._fell.zero_()
        self._place.zero_()

    def before(self) -> None:
        """Note truth and plan before a step."""
        world = self._world
        motion = world.motion()
        roll, pitch = roll_and_pitch(motion.rotation)
        vertical = world.forces[..., 2]
        row = (
            motion.position[:, 2:],
            torch.stack((roll, pitch), dim=1),
            heading_velocity(motion.rotation, motion.velocity),
            motion.rates,
            wp.to_torch(world.physics.touch),
            vertical,
            world.forces[..., :2].norm(dim=2) / vertical.clamp_min(1.0),
            world.executed,
        )
        self._row[:, :FIRST] = torch.cat(row, dim=1)

    def after(self) -> None:
        """Note the decision of the step, and who fell on it."""
        world = self._world
        decided = torch.stack((world.recovers, world.triggered), dim=1).float()
        row = (decided, world.measured, world.capture[:, None])
        self._row[:, FIRST:] = torch.cat(row, dim=1)
        self._ring.index_copy_(0, self._place, self._row[None])
        self._fell.index_copy_(0, self._place, (world.fell > 0.5)[None])
        self._place.add_(1).remainder_(LENGTH)

    def take(self, steps: int, recent: int) -> Falls:
        """Falls of the last `recent` steps, at most `CHECKED`, before step number `steps`.

        The steps of a robot's earlier walk are not part of its trace.
        """
        places = (torch.arange(steps - recent, steps, device=self._fell.device)) % LENGTH
        found = self._fell[places].nonzero()
        when = found[:, 0] + (steps - recent)
        who = found[:, 1]
        back = torch.arange(STEPS - 1, -1, -1, device=when.device)
        wanted = when[:, None] - back
        ring = wanted % LENGTH
        traces = self._ring[ring, who[:, None]]
        fell = self._fell[ring, who[:, None]]
        fell[:, -1] = False
        earlier = fell.flip(1).cumsum(1).flip(1) > 0
        traces[earlier | (wanted < 0)] = torch.nan
        return Falls(
            robots=who.cpu().numpy(), steps=when.cpu().numpy(), traces=traces.cpu().numpy()
        )


def joined(parts: list[Falls]) -> Falls:
    """Falls of several calls of `take`."""
    if not parts:
        return Falls(
            robots=np.zeros(0, int),
            steps=np.zeros(0, int),
            traces=np.zeros((0, STEPS, len(COLUMNS)), np.float32),
        )
    return Falls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


assert len(LOADS) == N_LEGS + 1
