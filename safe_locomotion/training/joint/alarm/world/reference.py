"""One robot on one tile, moved and collided by MuJoCo: what `Physics` is held against.

Only the shapes that touch the ground in ALARM's world do so here: feet, calves and thighs.
"""

import mujoco
import numpy as np

from safe_locomotion.sim.buried_contacts import BuriedContacts
from safe_locomotion.sim.model import describe
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.tile_ground import SOLID, tile_grid
from safe_locomotion.training.gait.world.plant import ITERATIONS, LINE_SEARCH, PAYLOAD
from safe_locomotion.training.joint.alarm.world.options import Drive
from safe_locomotion.types import LEGS, Array

FEET = frozenset(f"{leg}_foot" for leg in LEGS)
TOUCHING = FEET | {f"{leg}_{part}" for leg in LEGS for part in ("calf", "thigh")}


class Reference:
    """A robot without payload on a tile of friction 1.

    Attributes:
        data: of MuJoCo.
        touched: names of shapes that touched the ground in the last step.
    """

    def __init__(self, robot: str, terrain: str, seed: int, drive: Drive) -> None:
        """A robot at rest.

        Args:
            robot: folder under `models/robots`.
            terrain: tile with its level, such as `up_stairs:6`.
            seed: of its noise and obstacles.
            drive: gains and time step.
        """
        options = SimulationOptions(
            robot=robot, terrain=terrain, seed=seed, friction=1.0, payload=1.0
        )
        spec, _ = describe(options)
        for geom in spec.geoms:
            if geom.name in TOUCHING or not geom.conaffinity & 1:
                geom.contype = int(geom.name in TOUCHING)
                geom.conaffinity = 0
        self.touched: set[str] = set()
        self._drive = drive
        self._motors = load_motors(robot)
        self._model = spec.compile()
        self._model.opt.timestep = drive.tick
        self._model.opt.iterations = ITERATIONS
        self._model.opt.ls_iterations = LINE_SEARCH
        self.data = mujoco.MjData(self._model)
        kind, _, level = terrain.partition(":")
        self._buried = BuriedContacts(self._model, tile_grid(kind, int(level), seed), SOLID)
        payload = self._model.body(PAYLOAD).id
        self._model.body_mass[payload] = 0.0
        self._model.body_inertia[payload] = 0.0
        mujoco.mj_setConst(self._model, self.data)

    def put(self, qpos: Array, qvel: Array) -> None:
        """Begin anew in the state (19,) and (18,)."""
        mujoco.mj_resetData(self._model, self.data)
        self.data.qpos[:] = qpos
        self.data.qvel[:] = qvel

    def step(self, target: Array) -> None:
        """Advance by one policy period under joint targets (12,) [rad], without a delay."""
        data = self.data
        drive = self._drive
        peak = self._model.actuator_ctrlrange[:, 1]
        self.touched.clear()
        for _ in range(drive.ticks):
            mujoco.mj_step1(self._model, data)
            self._buried.mend(data)
            dq = data.qvel[6:]
            wanted = drive.kp * (target - data.qpos[7:]) - drive.kd * dq
            data.ctrl[:] = np.clip(wanted, -peak, peak)
            friction = np.tanh(dq / self._motors.coulomb_speed)
            data.qfrc_applied[6:] = -self._motors.coulomb * friction
            mujoco.mj_step2(self._model, data)
            pairs = data.contact.geom[: data.ncon]
            self.touched |= {self._model.geom(int(geom)).name for geom in pairs.ravel()}
        self.touched &= TOUCHING
