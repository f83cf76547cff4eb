"""The robot in MuJoCo: model and data, views of their arrays, and the poses it starts in."""

from collections.abc import Iterator
from math import cos, sin

import mujoco
import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.sim.buried_contacts import BuriedContacts
from safe_locomotion.sim.model import build_model
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.terrain_names import tile_of
from safe_locomotion.sim.tile_ground import SOLID, tile_grid
from safe_locomotion.types import GRAVITY, Array

PHYSICS_STEP = 0.001  #: [s]
DROP_FROM = 0.6
"""Height from which `lay` starts to lower the robot [m]."""
DROP_STEP = 0.005
"""Steps in which `lay` lowers the robot [m]."""
_TOUCH_FEET = slice(6, 10)
_TOUCH_TRUNK = 10
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class Body:
    """A robot on its terrain; the arrays are views of MuJoCo's own, so reading and writing is free.

    Attributes:
        model, data: of MuJoCo.
        terrain: the ground, with its height function.
        q, dq: (12,) joints [rad, rad/s].
        gyro: (3,) angular velocity in base [rad/s].
        acceleration: (3,) specific force in base [m/s2].
        touch: (4,) normal force on each foot [N].
        torque: (12,) motor torques to apply [Nm].
        gear_friction: (12,) friction torques of the gearboxes to apply [Nm].
        trunk_wrench: (6,) force [N] and moment [Nm] on the trunk to apply, in the world.
    """

    def __init__(self, robot: RobotModel, options: SimulationOptions) -> None:
        self.model, self.terrain = build_model(options)
        self.model.opt.timestep = PHYSICS_STEP
        self.data = mujoco.MjData(self.model)
        data = self.data
        tile = tile_of(options.terrain)
        self._buried = (
            BuriedContacts(self.model, tile_grid(*tile, options.seed), SOLID) if tile else None
        )
        self._robot = robot
        self._kinematics = Kinematics(robot)
        trunk = self.model.body("trunk").id
        self.q = data.qpos[7:19]
        self.dq = data.qvel[6:18]
        self.gyro = data.sensordata[0:3]
        self.acceleration = data.sensordata[3:6]
        self.touch = data.sensordata[_TOUCH_FEET]
        self.torque = data.ctrl[:]
        self.gear_friction = data.qfrc_applied[6:18]
        self.trunk_wrench = data.xfrc_applied[trunk]
        self._trunk_rotation = data.xmat[trunk].reshape(3, 3)

    @property
    def rotation(self) -> Array:
        """(3, 3) base to world, a view."""
        return self._trunk_rotation

    @property
    def trunk_touches(self) -> bool:
        """Whether the trunk touches the ground."""
        return bool(self.data.sensordata[_TOUCH_TRUNK] > 0.0)

    def step(self) -> None:
        """Integrate over one physics step; positions and velocities are then up to date."""
        mujoco.mj_step2(self.model, self.data)
        self._prepare()

    def state(self) -> Array:
        """Every number that MuJoCo integrates from."""
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        return state

    def restore(self, state: Array, sensors: Array) -> None:
        """Go back to what `state` returned, with the sensor data (n,) of that moment."""
        mujoco.mj_setState(self.model, self.data, state, _STATE)
        self._prepare()
        self.data.sensordata[:] = sensors

    def _prepare(self) -> None:
        """Everything of a physics step that needs no torques."""
        mujoco.mj_step1(self.model, self.data)
        if self._buried:
            self._buried.mend(self.data)

    def stand(self) -> None:
        """Stand the robot, level and at rest, where it is, each foot on the ground under its hip.

        The robot keeps its heading.
        """
        x, y = self._position()
        c, s = self._heading()
        nominal = self._kinematics.feet(self._robot.q_stand)
        height = self.terrain.height
        ground = np.array(
            [height(x + c * fx - s * fy, y + s * fx + c * fy) for fx, fy, _ in nominal]
        )
        level = float(ground.mean())
        feet = nominal.copy()
        feet[:, 2] += ground - level
        self._put(level + self._robot.nominal_height, self._kinematics.inverse(feet))

    def carried_to_stand(self, seconds: float) -> Iterator[bool]:
        """Let somebody turn the robot and stand it where it is; each item is one physics step.

        Positions and velocities agree on the way, so that gyro and encoders tell one motion. The
        accelerometer reads gravity alone, and no foot touches the ground.
        """
        data = self.data
        start = data.qpos.copy()
        self.stand()
        way = np.empty(self.model.nv)
        mujoco.mj_differentiatePos(self.model, way, 1.0, start, data.qpos)
        steps = round(seconds / PHYSICS_STEP)
        for k in range(1, steps):
            u = k / steps
            data.qpos[:] = start
            mujoco.mj_integratePos(self.model, data.qpos, way, u * u * (3.0 - 2.0 * u))
            data.qvel[:] = 6.0 * u * (1.0 - u) / seconds * way
            mujoco.mj_forward(self.model, data)
            self.acceleration[:] = GRAVITY * self._trunk_rotation[2]
            self.touch[:] = 0.0
            yield True
        self.stand()
        yield True

    def lie(self) -> None:
        """Lay the robot prone, at rest, where it is, with its heading."""
        half_height = float(self.model.geom("trunk").size[2])
        self._put(self.terrain.height(*self._position()) + half_height, self._robot.q_sit)

    def lay(self, rpy: Array, q: Array) -> None:
        """Lower the robot, at rest, where it is, until it just touches the ground.

        Args:
            rpy: (3,) roll, pitch, yaw in which the trunk is held [rad].
            q: (12,) joints [rad].
        """
        z = self.terrain.height(*self._position()) + DROP_FROM
        quaternion = quaternion_from_rpy(*rpy.tolist())
        self._put(z, q, quaternion)
        while self.data.ncon == 0:
            z -= DROP_STEP
            self._put(z, q, quaternion)

    def _put(self, z: float, q: Array, quaternion: Array | None = None) -> None:
        """Put the trunk at height `z` with joints `q` and everything at rest.

        Without a quaternion the trunk is level and keeps its heading.
        """
        data = self.data
        c, s = self._heading()
        yaw = np.arctan2(s, c)
        level = (cos(yaw / 2), 0.0, 0.0, sin(yaw / 2))
        data.qpos[2] = z
        data.qpos[3:7] = level if quaternion is None else quaternion
        self.q[:] = q
        data.qvel[:] = 0.0
        data.qacc_warmstart[:] = 0.0
        data.ctrl[:] = 0.0
        self.trunk_wrench[:] = 0.0
        mujoco.mj_forward(self.model, data)

    def _position(self) -> tuple[float, float]:
        """Horizontal position of the base [m]."""
        x, y = self.data.qpos[0:2].tolist()
        return x, y

    def _heading(self) -> tuple[float, float]:
        """Cosine and sine of the yaw angle; of zero for a trunk that points straight up or down."""
        forward = self._trunk_rotation[:2, 0]
        length = float(np.hypot(*forward))
        if not length > 1e-6:
            return 1.0, 0.0
        return float(forward[0]) / length, float(forward[1]) / length
