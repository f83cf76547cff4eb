"""MuJoCo model of one robot on a flat floor, and the fields in which many robots differ.

It is the model of the onboard pipeline's simulator with three changes. No shape of the robot
touches another one: all of them touch the floor. There are no sensors, because truth is read from
the state. A payload of 1 kg is always there, and its mass is scaled for each robot.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.estimation.contacts import ContactParameters
from safe_locomotion.robot.models import RobotModel, load_robot
from safe_locomotion.sim.model import describe
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.types import GRAVITY, LEGS, N_LEGS, Array

FLOOR = "floor"
TRUNK = "trunk"
PAYLOAD = "payload"
FREE = 7
"""Numbers in `qpos` before the joints."""
ITERATIONS = 10
"""Of the Newton solver; in single precision more change nothing that counts."""
LINE_SEARCH = 20
"""Largest number of steps of the solver's line search."""
CONTACTS = 16
"""Contacts per robot for which there is memory, on average over all robots."""
CONSTRAINTS = 64
"""Rows of the constraint solver per robot: 17 contacts and all joint limits.

Robots that walk need up to 24, robots that tumble about 40; a robot that needs more has fallen.
"""
_SETTLING = 1000  # steps
_STIFF = (500.0, 5.0)  # Nm/rad, Nm s/rad
_FIELDS = ("body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_invweight0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plant:
    """A compiled model and the names of its parts.

    Attributes:
        robot: its numbers.
        model: of MuJoCo.
        trunk, floor: ids of a body and of a geom.
        touching: (ngeom,) which force a geom's contacts add to: 0 to 3 of the feet, 4 of the trunk,
            -1 none.
        standing: (nq,) a robot that stands at rest at the origin, its feet pressed into the floor
            by a quarter of its weight.
    """

    robot: RobotModel
    model: mujoco.MjModel
    trunk: int
    floor: int
    touching: Array
    standing: Array


def load_plant(name: str, timestep: float, iterations: int = ITERATIONS) -> Plant:
    """The model of a robot.

    Args:
        name: folder under `models/robots`.
        timestep: of the physics [s].
        iterations: of the solver, at most.

    Raises:
        UnknownNameError: no such robot.
        ConfigurationError: the time step is not in (0, 0.005].
    """
    if not 0.0 < timestep <= 0.005:
        raise ConfigurationError(f"a physics step of {timestep} s lies outside (0, 0.005]")
    robot = load_robot(name)
    model = _compile(name)
    model.opt.timestep = timestep
    model.opt.iterations = iterations
    model.opt.ls_iterations = LINE_SEARCH
    # Nothing resets by itself here either; MuJoCo-Warp refuses the flag that says so.
    model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    touching = np.full(model.ngeom, -1)
    for place, geom in enumerate([f"{leg}_foot" for leg in LEGS] + [TRUNK]):
        touching[model.geom(geom).id] = place
    return Plant(
        robot=robot,
        model=model,
        trunk=model.body(TRUNK).id,
        floor=model.geom(FLOOR).id,
        touching=touching,
        standing=_standing(model, robot),
    )


def _compile(name: str) -> mujoco.MjModel:
    spec, _ = describe(SimulationOptions(robot=name, payload=1.0))
    for part in [*spec.sensors, *spec.lights, *spec.sites]:
        spec.delete(part)
    for geom in spec.geoms:
        if geom.contype and geom.name != FLOOR:
            geom.contype = 1
            geom.conaffinity = 0
    return spec.compile()


def _standing(model: mujoco.MjModel, robot: RobotModel) -> Array:
    """`qpos` of a robot at rest in its standing pose.

    Held by stiff joints the robot settles, and the mean depth of its feet is what the pose is
    lowered by.
    """
    data = mujoco.MjData(model)
    data.qpos[:FREE] = (0.0, 0.0, robot.nominal_height, 1.0, 0.0, 0.0, 0.0)
    data.qpos[FREE:] = robot.q_stand
    standing = data.qpos.copy()
    payload = model.body(PAYLOAD).id
    mass = float(model.body_mass[payload])
    model.body_mass[payload] = 0.0
    kp, kd = _STIFF
    for _ in range(_SETTLING):
        data.ctrl[:] = kp * (robot.q_stand - data.qpos[FREE:]) - kd * data.qvel[6:]
        mujoco.mj_step(model, data)
    model.body_mass[payload] = mass
    feet = [float(data.geom(f"{leg}_foot").xpos[2]) for leg in LEGS]
    standing[2] -= robot.foot_radius - sum(feet) / N_LEGS
    return standing


def contact_thresholds(robot: RobotModel) -> tuple[float, float]:
    """Loads at which the onboard detector begins and ends the contact of a foot [N]."""
    parameters = ContactParameters()
    begin = parameters.threshold * robot.mass * GRAVITY / N_LEGS
    return begin, parameters.hysteresis * begin


def payload_fields(plant: Plant, payload: Array) -> dict[str, Array]:
    """Fields of the model that depend on the payload, one row per robot.

    Args:
        plant: the model.
        payload: (B,) mass on each robot's back [kg].

    Raises:
        ConfigurationError: a mass is negative or not finite.
    """
    if not (np.isfinite(payload).all() and (payload >= 0.0).all()):
        raise ConfigurationError("a payload must be a mass of at least 0 kg")
    model = plant.model
    data = mujoco.MjData(model)
    body = model.body(PAYLOAD).id
    unit_mass = float(model.body_mass[body])
    unit_inertia = model.body_inertia[body].copy()
    masses, rows = np.unique(payload, return_inverse=True)
    found: dict[str, list[Array]] = {name: [] for name in _FIELDS}
    for mass in masses:
        model.body_mass[body] = mass * unit_mass
        model.body_inertia[body] = mass * unit_inertia
        mujoco.mj_setConst(model, data)
        for name, values in found.items():
            values.append(getattr(model, name).copy())
    model.body_mass[body] = unit_mass
    model.body_inertia[body] = unit_inertia
    mujoco.mj_setConst(model, data)
    return {name: np.array(values)[rows] for name, values in found.items()}


def friction_field(plant: Plant, friction: Array) -> Array:
    """(B, ngeom, 3) friction of all geoms, whose floor has the given sliding friction.

    Raises:
        ConfigurationError: a friction is not positive and finite.
    """
    if not (np.isfinite(friction).all() and (friction > 0.0).all()):
        raise ConfigurationError("a friction must be a positive number")
    field = np.repeat(plant.model.geom_friction[None], len(friction), axis=0)
    field[:, plant.floor, 0] = friction
    return field
