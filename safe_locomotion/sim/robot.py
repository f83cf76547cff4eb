"""A simulated robot as seen from its motors and sensors; physics by MuJoCo at 1 kHz, one LowState each 2 ms."""

from collections import deque
from copy import deepcopy
from dataclasses import dataclass
from math import cos, inf, isfinite, sin, sqrt
from typing import Any

import mujoco
import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.sim.falls import FallDetector
from safe_locomotion.sim.model import build_model
from safe_locomotion.sim.motors import Impedance, MotorParameters, Motors, PowerMeter
from safe_locomotion.sim.options import STARTS, SimulationOptions
from safe_locomotion.sim.sensors import (
    ACCELEROMETER,
    FOOT,
    GYRO,
    N_MEASURED,
    PERIOD,
    POSITION,
    TORQUE,
    VELOCITY,
    NoErrors,
    SensorErrors,
)
from safe_locomotion.types import Array, Flags, LowCommand, LowState

PHYSICS_STEP = 0.001
STEPS_PER_STATE = 2
COMMAND_TIMEOUT_MS = 20
"""Without a command for this long the motors go limp."""
PUSH_DURATION = 0.1
FOOT_RANGE = 500.0
"""The foot sensors clip here [N]."""
DROP_FROM = 0.6
DROP_STEP = 0.005
"""Where a robot that is laid down is held first, and the steps in which it is lowered [m]."""
_HEAT_STEPS = 50
_MILLISECOND_NS = 1_000_000
_TOUCH_FEET = slice(6, 10)
_TOUCH_TRUNK = 10
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
# What a robot is besides its physics; `_active`, `_newest` and `_waiting` share objects that nobody writes to.
_REMEMBERED = (
    "_foot_gain",
    "_errors",
    "_meter",
    "_falls",
    "_waiting",
    "_active",
    "_newest",
    "_ms",
    "_since_heat",
    "_last_command_ms",
    "_pushes",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What really happens; for scores and tests, never for a controller.

    Attributes:
        time_s: robot time.
        position: (3,) base in the world, which is odom at the start [m].
        quaternion_wxyz: (4,) base to world.
        velocity: (3,) of the base in the world [m/s].
        angular_velocity: (3,) in base [rad/s].
        height: base above the ground under it [m].
        q, dq, tau: (12,) joints [rad, rad/s, Nm].
        foot_contact: (4,) feet that touch anything.
        foot_force: (4,) normal force on each foot [N].
        joint_power: (12,) mechanical power of the motors [W].
        energy: positive mechanical work of all joints since the start [J].
        falls: falls so far.
    """

    time_s: float
    position: Array
    quaternion_wxyz: Array
    velocity: Array
    angular_velocity: Array
    height: float
    q: Array
    dq: Array
    tau: Array
    foot_contact: Flags
    foot_force: Array
    joint_power: Array
    energy: float
    falls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A moment of a simulated robot, to go back to; `physics` holds every number that MuJoCo integrates from."""

    physics: Array
    sensors: Array
    measured: Array
    tau: Array
    remembered: dict[str, Any]


@dataclass(slots=True)
class _Push:
    force: Array
    offset: Array
    remaining: int


class SimulatedRobot:
    """One robot on its terrain, at the origin at the start, lying there as its options say.

    Attributes:
        robot: its model.
        terrain: the ground, with its height function.
        remote: 40 bytes of the wireless remote, handed through to every LowState.
        refused_commands: commands ignored because they were not finite.
    """

    def __init__(self, options: SimulationOptions, motor: MotorParameters | None = None) -> None:
        self.options = options
        self.robot = load_robot(options.robot)
        self.remote = bytes(40)
        self.refused_commands = 0
        self._build()
        parameters = motor or MotorParameters()
        self._motors = Motors(self.robot, parameters)
        self._meter = PowerMeter(parameters, PHYSICS_STEP)
        noise = options.noise
        self._errors = (
            NoErrors()
            if noise is None
            else SensorErrors(noise, np.random.default_rng(options.seed))
        )
        self._foot_gain = 0.5 * self._errors.foot_scale
        self._kinematics = Kinematics(self.robot)
        self._falls = FallDetector(self.robot.nominal_height, PERIOD)
        self._delay = round(options.motor_delay_ms / (1e3 * PHYSICS_STEP))
        self._waiting: deque[tuple[int, Impedance]] = deque()
        self._active: Impedance | None = None
        self._newest: Impedance | None = None
        self._ms = self._since_heat = 0
        self._last_command_ms = -COMMAND_TIMEOUT_MS
        self._pushes: list[_Push] = []
        self._measured = np.zeros(N_MEASURED)
        if options.start == "belly":
            self.lie_down()
        else:
            self.lay(np.array((STARTS[options.start], 0.0, 0.0)), self.robot.q_sit)

    def _build(self) -> None:
        """Compile robot, payload and terrain, and keep views of the simulator's arrays."""
        self.model, self.terrain = build_model(self.options)
        self.model.opt.timestep = PHYSICS_STEP
        self.data = data = mujoco.MjData(self.model)
        self._trunk = self.model.body("trunk").id
        self._q = data.qpos[7:19]
        self._dq = data.qvel[6:18]
        self._gyro = data.sensordata[0:3]
        self._acceleration = data.sensordata[3:6]
        self._touch = data.sensordata[_TOUCH_FEET]
        self._ctrl = data.ctrl[:]
        self._gear_friction = data.qfrc_applied[6:18]
        self._trunk_wrench = data.xfrc_applied[self._trunk]

    @property
    def time_s(self) -> float:
        """Robot time [s]."""
        return self._ms * PHYSICS_STEP

    @property
    def joint_power(self) -> Array:
        """(12,) mechanical power of the motors now [W]; overwritten by the next step."""
        return self._meter.power

    @property
    def falls(self) -> int:
        """Falls so far, by the rule of `falls.FallDetector`."""
        return self._falls.falls

    @property
    def stands(self) -> bool:
        """The robot has been standing for a quarter of a second and has not gone down since."""
        return self._falls.armed

    @property
    def has_stood(self) -> bool:
        """The robot has stood up at least once."""
        return self._falls.has_stood

    def step(self, command: LowCommand | None) -> bool:
        """Advance by one LowState period (2 ms).

        Args:
            command: a command that arrives now; None when none arrived, and the newest one is held.

        Returns:
            True when a fall begins in this period.
        """
        if command is not None:
            self._take(command)
        measured = self._measured
        self._physics()
        measured[ACCELEROMETER] = self._acceleration
        measured[FOOT] = self._touch
        self._physics()
        self._measure()
        self._errors.advance()
        self._since_heat += STEPS_PER_STATE
        if self._since_heat == _HEAT_STEPS:
            self._since_heat = 0
            self._meter.settle(_HEAT_STEPS)
        return self._watch()

    def rest(self) -> None:
        """Let the clock run for one period while the body and its sensor readings stay as they are.

        For a robot that lies still until its first command: what happens then does not depend on how long it waited.
        """
        self._ms += STEPS_PER_STATE
        self._errors.rest()

    def low_state(self) -> LowState:
        """What the robot reports now; calling it again without a step gives the same values."""
        row = self._errors.row
        m = self._measured + row[:N_MEASURED]
        feet = np.minimum(np.rint(m[FOOT]), FOOT_RANGE)
        return LowState(
            stamp_ns=self._ms * _MILLISECOND_NS,
            tick=self._ms,
            quaternion_wxyz=_tilted(self.data.qpos[3:7], row),
            gyro=m[GYRO],
            accelerometer=m[ACCELEROMETER],
            q=m[POSITION],
            dq=m[VELOCITY],
            tau=m[TORQUE],
            foot_force=feet,
            temperature=np.floor(self._meter.temperature),
            voltage=self._meter.voltage,
            remote=self.remote,
        )

    def truth(self) -> Truth:
        """Ground truth now."""
        data = self.data
        x, y, z = data.qpos[0:3].tolist()
        force = self._touch.copy()
        return Truth(
            time_s=self.time_s,
            position=data.qpos[0:3].copy(),
            quaternion_wxyz=data.qpos[3:7].copy(),
            velocity=data.qvel[0:3].copy(),
            angular_velocity=data.qvel[3:6].copy(),
            height=z - self.terrain.height(x, y),
            q=self._q.copy(),
            dq=self._dq.copy(),
            tau=self._motors.tau.copy(),
            foot_contact=force > 0.0,
            foot_force=force,
            joint_power=self._meter.power.copy(),
            energy=self._meter.energy,
            falls=self.falls,
        )

    def push(
        self, impulse: Array, duration: float = PUSH_DURATION, offset: Array | None = None
    ) -> None:
        """Push the trunk from now on with a constant force.

        Args:
            impulse: (3,) in the world [N s].
            duration: over which it acts [s], rounded to whole milliseconds.
            offset: (3,) point of attack relative to the trunk's centre of mass, in base [m].
        """
        steps = max(1, round(duration / PHYSICS_STEP))
        force = np.asarray(impulse, dtype=np.float64) / (steps * PHYSICS_STEP)
        self._pushes.append(
            _Push(
                force,
                np.zeros(3) if offset is None else np.asarray(offset, dtype=np.float64),
                steps,
            )
        )

    def snapshot(self) -> Snapshot:
        """This moment, between two steps."""
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        return Snapshot(
            physics=physics,
            sensors=self.data.sensordata.copy(),
            measured=self._measured.copy(),
            tau=self._motors.tau.copy(),
            remembered=deepcopy({name: getattr(self, name) for name in _REMEMBERED}),
        )

    def restore(self, snapshot: Snapshot, *, seed: int | None = None) -> None:
        """Go back to a moment of this robot, or of one with equal options.

        Args:
            snapshot: the moment.
            seed: of what the sensors add from then on; None repeats what they added after the snapshot. Biases stay those of the robot.
        """
        mujoco.mj_setState(self.model, self.data, snapshot.physics, _STATE)
        mujoco.mj_step1(self.model, self.data)
        self.data.sensordata[:] = snapshot.sensors
        self._measured[:] = snapshot.measured
        self._motors.tau[:] = snapshot.tau
        for name, value in deepcopy(snapshot.remembered).items():
            setattr(self, name, value)
        if seed is not None:
            self._errors.reseed(np.random.default_rng(seed))

    def put_on_feet(self) -> None:
        """Stand the robot, level and at rest, where it is, with its heading, each foot on the ground under its hip."""
        x, y = (float(v) for v in self.data.qpos[0:2])
        c, s = self._heading()
        nominal = self._kinematics.feet(self.robot.q_stand)
        ground = np.array(
            [self.terrain.height(x + c * fx - s * fy, y + s * fx + c * fy) for fx, fy, _ in nominal]
        )
        level = float(ground.mean())
        feet = nominal.copy()
        feet[:, 2] += ground - level
        self._place(level + self.robot.nominal_height, self._kinematics.inverse(feet))

    def lie_down(self) -> None:
        """Lay the robot prone, at rest, where it is, with its heading."""
        x, y = (float(v) for v in self.data.qpos[0:2])
        half_height = float(self.model.geom("trunk").size[2])
        self._place(self.terrain.height(x, y) + half_height, self.robot.q_sit)

    def lay(self, rpy: Array, q: Array) -> None:
        """Hold the robot, at rest, where it is, in an orientation, so low that it just touches the ground; then let go.

        Args:
            rpy: (3,) roll, pitch, yaw of the trunk [rad].
            q: (12,) joints [rad].
        """
        x, y = (float(v) for v in self.data.qpos[0:2])
        z = self.terrain.height(x, y) + DROP_FROM
        quaternion = quaternion_from_rpy(*rpy.tolist())
        self._place(z, q, quaternion)
        while self.data.ncon == 0:
            z -= DROP_STEP
            self._place(z, q, quaternion)

    def _place(self, z: float, q: Array, quaternion: Array | None = None) -> None:
        """Put the trunk, level unless said otherwise, at height `z` with joints `q` and everything at rest."""
        data = self.data
        c, s = self._heading()
        yaw = np.arctan2(s, c)
        data.qpos[2] = z
        data.qpos[3:7] = (
            (cos(yaw / 2), 0.0, 0.0, sin(yaw / 2)) if quaternion is None else quaternion
        )
        self._q[:] = q
        data.qvel[:] = 0.0
        data.qacc_warmstart[:] = 0.0
        data.ctrl[:] = 0.0
        self._pushes.clear()
        self._trunk_wrench[:] = 0.0
        self._falls.disarm()
        mujoco.mj_forward(self.model, data)
        self._measured[ACCELEROMETER] = self._acceleration
        self._measured[FOOT] = self._touch
        self._measure()

    def _heading(self) -> tuple[float, float]:
        """Cosine and sine of the yaw angle; of zero for a trunk that points straight up or down."""
        forward = self.data.xmat[self._trunk].reshape(3, 3)[:2, 0]
        length = float(np.hypot(*forward))
        return (
            (float(forward[0]) / length, float(forward[1]) / length)
            if length > 1e-6
            else (1.0, 0.0)
        )

    def _take(self, command: LowCommand) -> None:
        """Queue a command for the time when it takes effect; one with NaN or infinity is refused."""
        fields = (command.q, command.dq, command.tau, command.kp, command.kd)
        if not isfinite(sum(field.dot(field) for field in fields)):
            self.refused_commands += 1
            return
        self._newest = Impedance.from_command(command)
        self._waiting.append((self._ms + self._delay, self._newest))
        self._last_command_ms = self._ms

    def _physics(self) -> None:
        """One physics step: motors at the present state, then integrate; positions and velocities are then up to date."""
        while self._waiting and self._waiting[0][0] <= self._ms:
            self._active = self._waiting.popleft()[1]
        if self._ms - self._last_command_ms >= COMMAND_TIMEOUT_MS:
            self._active = None
            self._waiting.clear()
        motors = self._motors
        data = self.data
        motors.update(self._active, self._q, self._dq)
        self._ctrl[:] = motors.tau
        self._gear_friction[:] = motors.friction
        if self._pushes:
            self._apply_pushes()
        mujoco.mj_step2(self.model, data)
        mujoco.mj_step1(self.model, data)
        self._ms += 1
        self._meter.add(motors.tau, self._dq)

    def _apply_pushes(self) -> None:
        """Sum the running pushes into the wrench on the trunk; the step after the last one clears it."""
        rotation = self.data.xmat[self._trunk].reshape(3, 3)
        self._trunk_wrench[:] = 0.0
        self._pushes = [push for push in self._pushes if push.remaining > 0]
        for push in self._pushes:
            push.remaining -= 1
            self._trunk_wrench[:3] += push.force
            self._trunk_wrench[3:] += np.cross(rotation @ push.offset, push.force)

    def _measure(self) -> None:
        """Fill the error-free readings: acceleration and foot force as mean over the period, the rest as of now."""
        m = self._measured
        m[GYRO] = self._gyro
        m[ACCELEROMETER] += self._acceleration
        m[ACCELEROMETER] *= 0.5
        m[POSITION] = self._q
        m[VELOCITY] = self._dq
        m[TORQUE] = self._motors.tau
        m[FOOT] += self._touch
        m[FOOT] *= self._foot_gain

    def _watch(self) -> bool:
        """Feed the fall detector."""
        data = self.data
        x, y, z, _, qx, qy, _ = data.qpos[:7].tolist()
        touching = data.sensordata[_TOUCH_TRUNK] > 0.0
        cos_tilt = 1.0 - 2.0 * (qx * qx + qy * qy)
        return self._falls.update(
            z - self.terrain.height(x, y), cos_tilt, data.qvel[2], touching, self._joint_error
        )

    def _joint_error(self) -> float:
        """Largest distance of a joint from its commanded position [rad]; infinite unless all are position-controlled."""
        active = self._active
        if active is None or not (active.kp > 0.0).all():
            return inf
        return float(np.abs(active.q - self._q).max())


def _tilted(quaternion: Array, row: Array) -> Array:
    """The true orientation turned by the small rotation (tilt x, tilt y, yaw) in the world."""
    w, x, y, z = quaternion.tolist()
    a, b, c = (0.5 * row[-3:]).tolist()
    n = 1.0 / sqrt(1.0 + a * a + b * b + c * c)
    return np.array(
        (
            n * (w - a * x - b * y - c * z),
            n * (x + a * w + b * z - c * y),
            n * (y - a * z + b * w + c * x),
            n * (z + a * y - b * x + c * w),
        )
    )
