"""A simulated robot as seen from its motors and sensors.

MuJoCo computes the physics at 1 kHz; LowStates come at 500 Hz.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.body import PHYSICS_STEP, Body
from safe_locomotion.sim.falls import Damping, FallDetector
from safe_locomotion.sim.motors import (
    CommandQueue,
    MotorParameters,
    Motors,
    PowerMeter,
    load_motors,
)
from safe_locomotion.sim.options import STARTS, SimulationOptions
from safe_locomotion.sim.pushes import RunningPushes
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
    tilted,
)
from safe_locomotion.sim.truth import Truth
from safe_locomotion.types import Array, LowCommand, LowState

STEPS_PER_STATE = round(PERIOD / PHYSICS_STEP)
PUSH_DURATION = 0.1  #: [s]
CARRY_TIME = 1.0  #: in which a person turns a fallen robot and stands it [s]
LOW_CHARGE = 0.5  #: share of the battery at which a person changes it; under load it seems less
FOOT_RANGE = 500.0
"""The foot sensors clip here [N]."""
_HEAT_STEPS = 50
_MILLISECOND_NS = 1_000_000
# What a robot remembers besides its physics.
_REMEMBERED = (
    "_foot_gain",
    "_errors",
    "_meter",
    "_falls",
    "_damping",
    "_commands",
    "_ms",
    "_since_heat",
    "_pushes",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A moment of a simulated robot, to go back to.

    `physics` holds every number that MuJoCo integrates from.
    """

    physics: Array
    sensors: Array
    measured: Array
    tau: Array
    remembered: dict[str, Any]


class SimulatedRobot:
    """One robot on its terrain; it starts at the origin and lies there as its options say.

    Attributes:
        options: what is simulated.
        robot: the robot's model.
        model, data: of MuJoCo.
        terrain: the ground, with its height function.
        remote: 40 bytes of the wireless remote, copied into every LowState.
        refused_commands: commands that were ignored because they were not finite.
    """

    def __init__(self, options: SimulationOptions, motor: MotorParameters | None = None) -> None:
        self.options = options
        self.robot = load_robot(options.robot)
        self.remote = bytes(40)
        self.refused_commands = 0
        self._body = Body(self.robot, options)
        self.model = self._body.model
        self.data = self._body.data
        self.terrain = self._body.terrain
        parameters = motor or load_motors(options.robot)
        self._motors = Motors(self.robot, parameters)
        self._meter = PowerMeter(parameters, PHYSICS_STEP)
        self._errors = _sensor_errors(options)
        self._foot_gain = 0.5 * self._errors.foot_scale
        self._falls = FallDetector(self.robot.nominal_height, PERIOD)
        self._damping = Damping()
        self._commands = CommandQueue(round(options.motor_delay_ms / (1e3 * PHYSICS_STEP)))
        self._ms = 0
        self._since_heat = 0
        self._pushes = RunningPushes(PHYSICS_STEP)
        self._measured = np.zeros(N_MEASURED)
        self._carry: Iterator[bool] = iter(())
        if options.start == "belly":
            self.lie_down()
        else:
            self.lay(np.array((STARTS[options.start], 0.0, 0.0)), self.robot.q_sit)

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

    @property
    def damped(self) -> bool:
        """The motors brake and do nothing else, or are limp."""
        active = self._commands.active
        return active is None or active.damps

    @property
    def battery_low(self) -> bool:
        """The battery is nearly empty."""
        return self._meter.charge <= LOW_CHARGE

    def change_battery(self) -> None:
        """Put in a full battery."""
        self._meter.change_battery()

    def step(self, command: LowCommand | None) -> bool:
        """Advance by one LowState period (2 ms).

        Args:
            command: a command that arrives now. None: none arrives, and the newest one holds.

        Returns:
            True when a fall begins in this period.
        """
        if command is not None and not self._commands.put(command, self._ms):
            self.refused_commands += 1
        measured = self._measured
        carried = self._physics()
        measured[ACCELEROMETER] = self._body.acceleration
        measured[FOOT] = self._body.touch
        self._physics()
        self._measure()
        self._errors.advance()
        self._since_heat += STEPS_PER_STATE
        if self._since_heat == _HEAT_STEPS:
            self._since_heat = 0
            self._meter.settle(_HEAT_STEPS)
        return not carried and self._watch()

    def rest(self) -> None:
        """Let the clock run for one period; the body and its sensor readings stay as they are.

        This is for a robot that lies still until its first command. How long it waits must not
        change what happens afterwards.
        """
        self._ms += STEPS_PER_STATE
        self._errors.rest()

    def low_state(self) -> LowState:
        """What the robot reports now; a second call without a step gives the same values."""
        row = self._errors.row
        m = self._measured + row[:N_MEASURED]
        feet = np.minimum(np.rint(m[FOOT]), FOOT_RANGE)
        return LowState(
            stamp_ns=self._ms * _MILLISECOND_NS,
            tick=self._ms,
            quaternion_wxyz=tilted(self.data.qpos[3:7], row),
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
        force = self._body.touch.copy()
        return Truth(
            time_s=self.time_s,
            position=data.qpos[0:3].copy(),
            quaternion_wxyz=data.qpos[3:7].copy(),
            velocity=data.qvel[0:3].copy(),
            angular_velocity=data.qvel[3:6].copy(),
            height=z - self.terrain.height(x, y),
            q=self._body.q.copy(),
            dq=self._body.dq.copy(),
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
            duration: how long the force acts [s], rounded to whole milliseconds.
            offset: (3,) point of attack relative to the trunk's centre of mass, in base [m].
        """
        self._pushes.add(impulse, duration, offset)

    def snapshot(self) -> Snapshot:
        """This moment, between two steps."""
        return Snapshot(
            physics=self._body.state(),
            sensors=self.data.sensordata.copy(),
            measured=self._measured.copy(),
            tau=self._motors.tau.copy(),
            remembered=deepcopy({name: getattr(self, name) for name in _REMEMBERED}),
        )

    def restore(self, snapshot: Snapshot, *, seed: int | None = None) -> None:
        """Go back to a moment of this robot, or of one with equal options.

        Args:
            snapshot: the moment.
            seed: of the sensor noise from then on; the biases stay. None repeats the noise that
                followed the snapshot.
        """
        self._carry = iter(())
        self._body.restore(snapshot.physics, snapshot.sensors)
        self._measured[:] = snapshot.measured
        self._motors.tau[:] = snapshot.tau
        for name, value in deepcopy(snapshot.remembered).items():
            setattr(self, name, value)
        if seed is not None:
            self._errors.reseed(np.random.default_rng(seed))

    def put_on_feet(self) -> None:
        """Stand the robot, level and at rest, where it is, each foot on the ground under its hip.

        The robot keeps its heading.
        """
        self._body.stand()
        self._forget_motion()

    def carry_to_feet(self) -> None:
        """Let somebody turn the robot within `CARRY_TIME`, and stand it as `put_on_feet` does."""
        self._pushes.clear()
        self._falls.disarm()
        self._motors.tau[:] = 0.0
        self._carry = self._body.carried_to_stand(CARRY_TIME)

    def lie_down(self) -> None:
        """Lay the robot prone, at rest, where it is, with its heading."""
        self._body.lie()
        self._forget_motion()

    def lay(self, rpy: Array, q: Array) -> None:
        """Lay the robot, at rest, where it is, so that it just touches the ground.

        Args:
            rpy: (3,) roll, pitch, yaw in which the trunk is held [rad].
            q: (12,) joints [rad].
        """
        self._body.lay(rpy, q)
        self._forget_motion()

    def _forget_motion(self) -> None:
        """End all pushes and carrying, and measure the robot as it was put."""
        self._carry = iter(())
        self._pushes.clear()
        self._falls.disarm()
        self._measured[ACCELEROMETER] = self._body.acceleration
        self._measured[FOOT] = self._body.touch
        self._measure()

    def _physics(self) -> bool:
        """One physics step: motor torques from the present state, then integration.

        While somebody carries the robot, it is where they hold it, and the result is True.
        """
        if next(self._carry, False):
            self._ms += 1
            return True
        body = self._body
        motors = self._motors
        motors.update(self._commands.in_force(self._ms), body.q, body.dq)
        body.torque[:] = motors.tau
        body.gear_friction[:] = motors.friction
        if self._pushes:
            self._pushes.apply(body.trunk_wrench, body.rotation)
        body.step()
        self._ms += 1
        self._meter.add(motors.tau, body.dq)
        return False

    def _measure(self) -> None:
        """Fill the error-free readings.

        Acceleration and foot force are means over the period; the rest is as of now.
        """
        m = self._measured
        body = self._body
        m[GYRO] = body.gyro
        m[ACCELEROMETER] += body.acceleration
        m[ACCELEROMETER] *= 0.5
        m[POSITION] = body.q
        m[VELOCITY] = body.dq
        m[TORQUE] = self._motors.tau
        m[FOOT] += body.touch
        m[FOOT] *= self._foot_gain

    def _watch(self) -> bool:
        """Feed the fall detector."""
        data = self.data
        active = self._commands.active
        if active is not None:
            damps = active.damps
            v = data.qvel
            speed = float(np.hypot(v[0], v[1])) if damps else 0.0
            fastest = float(np.abs(self._body.dq).max()) if damps else 0.0
            self._damping.update(damps, speed, fastest)
        x, y, z, _, qx, qy, _ = data.qpos[:7].tolist()
        cos_tilt = 1.0 - 2.0 * (qx * qx + qy * qy)
        return self._falls.update(
            z - self.terrain.height(x, y),
            cos_tilt,
            data.qvel[2],
            self._body.trunk_touches,
            self._joint_error,
        )

    def _joint_error(self) -> float:
        """Largest distance of a joint from its commanded position [rad].

        It is infinite unless all joints are position-controlled, or the robot was damped at rest.
        """
        active = self._commands.active
        if active is not None and self._damping.from_rest:
            return 0.0
        if active is None or not (active.kp > 0.0).all():
            return inf
        return float(np.abs(active.q - self._body.q).max())


def _sensor_errors(options: SimulationOptions) -> SensorErrors | NoErrors:
    """Errors that the options ask for, drawn from their seed."""
    if options.noise is None:
        return NoErrors()
    return SensorErrors(options.noise, np.random.default_rng(options.seed))
