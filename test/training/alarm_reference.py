"""The same robot on the same tile, moved by MuJoCo with its own height field."""

import mujoco
import numpy as np

from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.model import describe
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.training.gait.world.plant import ITERATIONS, LINE_SEARCH
from safe_locomotion.types import LEGS, Array

TICK = 0.002  # s
TOUCHING = {f"{leg}_{part}" for leg in LEGS for part in ("foot", "calf", "thigh")}


def reference_model(robot: str, terrain: str, seed: int, friction: float) -> mujoco.MjModel:
    """The simulator's model, in which only feet, calves and thighs touch the ground."""
    options = SimulationOptions(
        robot=robot, terrain=terrain, seed=seed, friction=friction, payload=1.0
    )
    spec, _ = describe(options)
    for geom in spec.geoms:
        if geom.conaffinity & 1 == 0 or geom.name in TOUCHING:
            geom.contype = 1 if geom.name in TOUCHING else 0
            geom.conaffinity = 0
    model = spec.compile()
    model.opt.timestep = TICK
    model.opt.iterations = ITERATIONS
    model.opt.ls_iterations = LINE_SEARCH
    return model


def hold(
    robot: str, terrain: str, seed: int, qpos: Array, qvel: Array, target: Array, ticks: int
) -> tuple[Array, Array, set[str]]:
    """State (19,) and (18,) after PD at 20 and 0.5, and the shapes that touched the ground."""
    model = reference_model(robot, terrain, seed, friction=1.0)
    numbers = load_robot(robot)
    motors = load_motors(robot)
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    data.qvel[:] = qvel
    payload = model.body("payload").id
    model.body_mass[payload] = 0.0
    model.body_inertia[payload] = 0.0
    mujoco.mj_setConst(model, data)
    data.qpos[:] = qpos
    touched: set[str] = set()
    for _ in range(ticks):
        dq = data.qvel[6:]
        wanted = 20.0 * (target - data.qpos[7:]) - 0.5 * dq
        data.ctrl[:] = np.clip(wanted, -numbers.tau_max, numbers.tau_max)
        data.qfrc_applied[6:] = -motors.coulomb * np.tanh(dq / motors.coulomb_speed)
        mujoco.mj_step(model, data)
        touched |= {model.geom(int(pair.max())).name for pair in data.contact.geom[: data.ncon]}
        touched |= {model.geom(int(pair.min())).name for pair in data.contact.geom[: data.ncon]}
    return data.qpos.copy(), data.qvel.copy(), touched & TOUCHING
