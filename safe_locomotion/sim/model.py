"""The MuJoCo model of a robot with its payload on its terrain."""

import mujoco
import numpy as np

from safe_locomotion.robot.models import robot_file
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.terrain import Terrain, TerrainOptions, build_terrain
from safe_locomotion.types import Array


def build_model(options: SimulationOptions) -> tuple[mujoco.MjModel, Terrain]:
    """Compile what `options` describe; the terrain comes along for its height function."""
    spec, terrain = describe(options)
    return spec.compile(), terrain


def describe(options: SimulationOptions) -> tuple[mujoco.MjSpec, Terrain]:
    """What `build_model` compiles, for models that differ in details."""
    spec = mujoco.MjSpec.from_file(str(robot_file(options.robot, ".xml")))
    terrain = build_terrain(
        spec,
        TerrainOptions(
            name=options.terrain,
            slope=options.slope,
            roughness=options.roughness,
            step=options.step,
            friction=options.friction,
            seed=options.seed,
        ),
    )
    _add_payload(spec, options)
    if not options.visuals:
        for geom in [geom for geom in spec.geoms if geom.group == 2]:
            spec.delete(geom)
    return spec, terrain


def trunk_half(robot: str) -> Array:
    """(3,) half lengths of the trunk's collision box [m]."""
    spec = mujoco.MjSpec.from_file(str(robot_file(robot, ".xml")))
    size: Array = np.array(spec.geom("trunk").size)
    return size


def _add_payload(spec: mujoco.MjSpec, options: SimulationOptions) -> None:
    """Fix a box to the trunk."""
    if options.payload <= 0.0:
        return
    body = spec.body("trunk").add_body(name="payload", pos=options.payload_offset)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.08, 0.06, 0.02],
        mass=options.payload,
        contype=0,
        conaffinity=0,
        group=1,
    )
