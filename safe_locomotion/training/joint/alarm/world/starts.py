"""Starts of episodes: on the platform of a tile, with feet on the ground."""

from typing import Any

import torch
import warp as wp
from torch import Tensor

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import Array2
from safe_locomotion.training.gait.world.legs import Legs, foot_at, legs_of
from safe_locomotion.training.joint.alarm.world.ground import Ground, height_at, tile_centres
from safe_locomotion.training.joint.alarm.world.random_numbers import RandomNumbers
from safe_locomotion.training.joint.alarm.world.senses import rotation_of
from safe_locomotion.types import N_JOINTS

DRAWN = {"start_joints": N_JOINTS, "start_place": 2}
"""Uniform numbers that a start needs; it also uses the heading of the command."""
SPREAD = 0.3
"""Largest distance from the middle of the platform along x and y [m]."""
LOWEST = wp.constant(-1.0e3)
GAP = wp.constant(0.01)  # between the lowest foot and the ground [m]

wp.set_module_options({"enable_backward": False})


@wp.kernel
def stand_up(ground: Ground, legs: Legs, qpos: Array2) -> None:
    """Set the height of one robot so that its lowest foot hangs just above the ground."""
    robot = wp.tid()
    turn = rotation_of(qpos, robot)
    height = float(LOWEST)
    for leg in range(4):
        q = wp.vec3(qpos[robot, 7 + 3 * leg], qpos[robot, 8 + 3 * leg], qpos[robot, 9 + 3 * leg])
        foot = turn * foot_at(legs, leg, q)
        below = height_at(ground, qpos[robot, 0] + foot[0], qpos[robot, 1] + foot[1])
        height = wp.max(height, below + legs.radius - foot[2])
    qpos[robot, 2] = height + GAP


class Starts:
    """Draws start states of n robots.

    Attributes:
        place: (n, 2) where each robot would start [m].
        qpos: (n, 19) states at rest.
    """

    def __init__(
        self,
        robot: RobotModel,
        ground: Any,
        n: int,
        factors: tuple[float, float],
        device: str,
    ) -> None:
        self._factors = factors
        self._ground = ground
        self._legs = legs_of(robot, None, device)
        self._n = n
        self._device = device
        arrays = (robot.q_stand, robot.q_min, robot.q_max)
        self._stand, self._low, self._high = (
            torch.tensor(array).float().to(device) for array in arrays
        )
        self.qpos = torch.zeros(n, 7 + N_JOINTS, device=device)
        self._view = wp.from_torch(self.qpos)

    def draw(self, rows: Tensor, levels: Tensor, heading: Tensor, random: RandomNumbers) -> None:
        """New states of all robots on the tiles (rows, levels), looking along headings [rad]."""
        qpos = self.qpos
        place = random.between("start_place", (-SPREAD, SPREAD))
        qpos[:, :2] = tile_centres(rows, levels) + place
        qpos[:, 3] = torch.cos(0.5 * heading)
        qpos[:, 6] = torch.sin(0.5 * heading)
        joints = self._stand * random.between("start_joints", self._factors)
        qpos[:, 7:] = torch.minimum(torch.maximum(joints, self._low), self._high)
        inputs = [self._ground, self._legs, self._view]
        wp.launch(stand_up, self._n, inputs=inputs, device=self._device)
