"""Motors of many robots: `sim.motors` as Warp functions, without heat, battery and delay."""

from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.sim.motors import MotorParameters, load_motors
from safe_locomotion.training.gait.world.arrays import Array1
from safe_locomotion.types import Array


@wp.struct
class Drives:
    """Limits and gearboxes of the twelve motors.

    Attributes:
        peak: (12,) torque [Nm].
        fastest: (12,) speed without torque [rad/s].
        knee: (12,) speed up to which the peak torque lasts [rad/s].
        coulomb: dry friction [Nm].
        coulomb_speed: over which it changes sign [rad/s].
    """

    peak: Array1
    fastest: Array1
    knee: Array1
    coulomb: float
    coulomb_speed: float


def drives_of(robot: RobotModel, device: str, parameters: MotorParameters | None = None) -> Any:
    """The motors of a robot model, on a device of Warp."""

    def on_device(values: Array) -> Any:
        return wp.array(values.astype(np.float32), dtype=float, device=device)

    motor = parameters or load_motors(robot.name)
    drives = Drives()
    drives.peak = on_device(robot.tau_max)
    drives.fastest = on_device(robot.dq_max)
    drives.knee = on_device(motor.knee())
    drives.coulomb = motor.coulomb
    drives.coulomb_speed = motor.coulomb_speed
    return drives


@wp.func
def motor_torque(drives: Drives, joint: int, wanted: float, dq: float) -> float:
    """Torque [Nm] of a motor that is asked for `wanted` at speed dq; `Motors.update`.

    A wanted torque that is not finite gives none.
    """
    peak = drives.peak[joint]
    fastest = drives.fastest[joint]
    slope = peak / (fastest - drives.knee[joint])
    highest = wp.clamp(slope * (fastest - dq), 0.0, peak)
    lowest = wp.clamp(-slope * (fastest + dq), -peak, 0.0)
    return wp.where(wp.isfinite(wanted), wp.clamp(wanted, lowest, highest), 0.0)


@wp.func
def gear_friction(drives: Drives, dq: float) -> float:
    """Torque [Nm] of the gearbox on the joint at speed dq."""
    return -drives.coulomb * wp.tanh(dq / drives.coulomb_speed)
