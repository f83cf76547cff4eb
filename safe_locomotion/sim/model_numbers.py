"""What the MuJoCo model of a robot says about its body, to compare with the URDF."""

from dataclasses import dataclass

import mujoco
import numpy as np

from safe_locomotion.sim.model import build_model
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.types import JOINTS, LEGS, Array


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelNumbers:
    """Numbers of the MJCF.

    Attributes:
        mass: of the robot [kg].
        ranges: (12, 2) of the joints [rad].
        torque: (12,) peaks [Nm].
        feet: (P, 4, 3) foot centres in base, at each of the poses [m].
    """

    mass: float
    ranges: Array
    torque: Array
    feet: Array


def model_numbers(robot: str, poses: list[Array]) -> ModelNumbers:
    """Read the robot's MJCF, with its feet at these joint positions (12,) [rad]."""
    model, _ = build_model(SimulationOptions(robot=robot, visuals=False))
    data = mujoco.MjData(model)
    feet = []
    for q in poses:
        data.qpos[:7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
        data.qpos[7:19] = q
        mujoco.mj_kinematics(model, data)
        feet.append([data.site(f"{leg}_foot").xpos.copy() for leg in LEGS])
    return ModelNumbers(
        mass=float(model.body_subtreemass[model.body("trunk").id]),
        ranges=np.array([model.joint(f"{name}_joint").range for name in JOINTS]),
        torque=np.array([model.actuator(name).ctrlrange[1] for name in JOINTS]),
        feet=np.array(feet),
    )
