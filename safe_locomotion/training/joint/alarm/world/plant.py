"""MuJoCo model of a robot without contacts of its own, and the fields in which robots differ."""

from dataclasses import dataclass
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from torch import Tensor

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.plant import FLOOR, PAYLOAD, TRUNK, load_plant
from safe_locomotion.types import LEGS, N_LEGS, Array

TOUCHES = N_LEGS + 1
"""Forces that are told apart: of the four feet, and of calves and thighs together."""
_VARIED = ("body_mass", "body_inertia", "body_subtreemass", "body_pos")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plant:
    """A compiled model and the names of its parts.

    Attributes:
        robot: its numbers.
        model: of MuJoCo; none of its geoms collide.
        floor: geom that stands for the terrain in contacts.
        touching: (ngeom,) which force a geom's contacts add to: 0 to 3 of the feet, 4 of calves
            and thighs, -1 none.
        trunk, payload: ids of bodies.
        trunk_half: (3,) half lengths of the trunk's box [m].
    """

    robot: RobotModel
    model: mujoco.MjModel
    floor: int
    touching: Array
    trunk: int
    payload: int
    trunk_half: Array


def build_plant(name: str, tick: float) -> Plant:
    """The model of a robot with a physics step of `tick` [s].

    Raises:
        UnknownNameError: no such robot.
    """
    base = load_plant(name, tick)
    model = base.model
    model.geom_contype[:] = 0
    model.geom_conaffinity[:] = 0
    touching = np.full(model.ngeom, -1)
    for place, leg in enumerate(LEGS):
        touching[model.geom(f"{leg}_foot").id] = place
        for part in ("calf", "thigh"):
            touching[model.geom(f"{leg}_{part}").id] = N_LEGS
    return Plant(
        robot=base.robot,
        model=model,
        floor=model.geom(FLOOR).id,
        touching=touching,
        trunk=model.body(TRUNK).id,
        payload=model.body(PAYLOAD).id,
        trunk_half=model.geom(TRUNK).size.copy(),
    )


def put_plant(plant: Plant, robots: int) -> Any:
    """The model on the current device of Warp, with one row per robot where robots differ."""
    model = mjw.put_model(plant.model, batch_sizes=dict.fromkeys(_VARIED, robots))
    model.opt.warn_overflow = 0  # the world counts overflows itself
    return model


class Payloads:
    """Masses on the trunks of robots; `apply` writes them into MuJoCo-Warp's model.

    A payload is a small body on the trunk. A negative mass is taken from the trunk itself, whose
    inertia shrinks in proportion. MuJoCo's estimates of inverse inertia, which soften contacts and
    joint limits, stay those of the robot without payload.
    """

    def __init__(self, plant: Plant, model: Any) -> None:
        fields = {name: wp.to_torch(getattr(model, name)) for name in _VARIED}
        self._mass = fields["body_mass"]
        self._inertia = fields["body_inertia"]
        self._subtree = fields["body_subtreemass"]
        self._place = fields["body_pos"]
        self._trunk = plant.trunk
        self._payload = plant.payload
        device = self._mass.device
        compiled = plant.model
        self._trunk_mass = float(compiled.body_mass[plant.trunk])
        self._all = float(compiled.body_subtreemass[plant.trunk]) - float(
            compiled.body_mass[plant.payload]
        )
        self._trunk_inertia = torch.tensor(compiled.body_inertia[plant.trunk]).float().to(device)
        self._unit = torch.tensor(compiled.body_inertia[plant.payload]).float().to(device)

    def apply(self, mass: Tensor, place: Tensor) -> None:
        """Give every robot its mass (n,) [kg] at a place (n, 3) in its trunk's frame [m]."""
        added = mass.clamp(min=0.0)
        left = self._trunk_mass + mass.clamp(max=0.0)
        self._mass[:, self._payload] = added
        self._mass[:, self._trunk] = left
        self._inertia[:, self._payload] = added[:, None] * self._unit
        self._inertia[:, self._trunk] = (left / self._trunk_mass)[:, None] * self._trunk_inertia
        self._subtree[:, 0] = self._all + mass
        self._subtree[:, self._trunk] = self._all + mass
        self._subtree[:, self._payload] = added
        self._place[:, self._payload] = place
