"""Nominal gaits of many robots: `control.nominal_gait.NominalGait` as a kernel.

It is the tuned recovery policy of a world.
"""

from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.control.gait import phase_offsets
from safe_locomotion.control.nominal_gait import GaitSettings
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2, Vectors3
from safe_locomotion.training.gait.world.estimates import Estimates

wp.set_module_options({"block_dim": BLOCK})

SETTINGS = (
    "frequency",
    "swing_ratio",
    "fast_frequency",
    "fast_swing_ratio",
    "fast_speed",
    "hurry_error",
    "hurry_gain",
    "hurry_limit",
)


@wp.struct
class NominalSettings:
    """Numbers of `control.nominal_gait.GaitSettings`.

    Attributes:
        fixed: (7,) phase offsets of FL, RR, RL [strides] and foot y of all legs [m].
    """

    frequency: float
    swing_ratio: float
    fast_frequency: float
    fast_swing_ratio: float
    fast_speed: float
    hurry_error: float
    hurry_gain: float
    hurry_limit: float
    fixed: Array1


class BatchedNominalGait:
    """The tuned controller's choice of gait parameters, for all robots at once."""

    def __init__(self, robot: RobotModel, settings: GaitSettings, device: str = "cpu") -> None:
        foot_y = robot.hip_position[:, 1] + robot.hip_offset
        fixed = np.concatenate([phase_offsets(settings.name), foot_y])
        self._device = device
        self._settings = NominalSettings()
        for name in SETTINGS:
            setattr(self._settings, name, getattr(settings, name))
        self._settings.fixed = wp.array(fixed.astype(np.float32), dtype=float, device=device)

    def write(self, estimates: Any, commands: Any, gaits: Any) -> None:
        """Choose the gait of each robot.

        Args:
            estimates: of the robots.
            commands: (B,) vectors of vx, vy [m/s] and wz [rad/s].
            gaits: (B, 9) as for `gait.advance_clock`, written.
        """
        wp.launch(
            write_nominal_gaits,
            dim=gaits.shape[0],
            inputs=[self._settings, estimates, commands],
            outputs=[gaits],
            device=self._device,
        )


@wp.kernel(enable_backward=False)
def write_nominal_gaits(
    settings: NominalSettings, estimates: Estimates, commands: Vectors3, gaits: Array2
) -> None:
    """One robot per thread."""
    robot = wp.tid()
    command = commands[robot]
    speed = command[0] * command[0] + command[1] * command[1]
    frequency = settings.frequency
    ratio = settings.swing_ratio
    if speed >= settings.fast_speed * settings.fast_speed:
        frequency = settings.fast_frequency
        ratio = settings.fast_swing_ratio
    error = velocity_error(command, estimates.rotation[robot], estimates.velocity[robot])
    hurry = 1.0 + settings.hurry_gain * wp.max(0.0, error - settings.hurry_error)
    gaits[robot, 0] = frequency * wp.min(settings.hurry_limit, hurry)
    gaits[robot, 1] = ratio
    for number in range(7):
        gaits[robot, 2 + number] = settings.fixed[number]


@wp.func
def velocity_error(command: wp.vec3, rotation: wp.mat33, velocity: wp.vec3) -> float:
    """How far the planar velocity is from the command [m/s]."""
    c = rotation[0, 0]
    s = rotation[1, 0]
    along = c * velocity[0] + s * velocity[1] - command[0]
    across = c * velocity[1] - s * velocity[0] - command[1]
    return wp.length(wp.vec2(along, across))
