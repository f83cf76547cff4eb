"""Joint motors: impedance law, torque-speed limit, friction, heat and battery."""

from collections import deque
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import yaml

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import RobotModel, robot_file
from safe_locomotion.strict_values import build
from safe_locomotion.types import N_JOINTS, N_LEGS, Array, LowCommand

COMMAND_TIMEOUT_MS = 20
"""Without a command for this long the motors go limp."""
AMBIENT = 25.0
"""Air temperature [deg C]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MotorParameters:
    """Motors and battery of a robot; its file `motors.yaml` names the source of each number.

    Attributes:
        full_torque_speed: up to this speed a motor gives its peak torque, for hip, thigh and calf
            [rad/s]. Above it the torque in the direction of motion falls linearly, to zero at the
            robot's `dq_max`.
        coulomb: dry friction of the gearbox [Nm]. It equals the joint friction of the URDF (a test
            holds this).
        coulomb_speed: speed over which dry friction changes sign [rad/s].
        heating: steady temperature rise per torque squared, for hip, thigh and calf [K/Nm2].
        thermal_time: first-order time constant of motor and housing [s].
        cell_voltage_full, cell_voltage_empty: battery at rest [V].
        battery_energy: of a full charge [J].
        battery_resistance: internal [Ohm].
        idle_power: computers and drives [W].
    """

    full_torque_speed: tuple[float, float, float]
    coulomb: float
    coulomb_speed: float
    heating: tuple[float, float, float]
    thermal_time: float
    cell_voltage_full: float
    cell_voltage_empty: float
    battery_energy: float
    battery_resistance: float
    idle_power: float

    def knee(self) -> Array:
        """(12,) speeds up to which the peak torques last [rad/s]."""
        return per_joint(self.full_torque_speed)


def per_joint(kinds: tuple[float, float, float]) -> Array:
    """(12,) values of all joints from those of hip, thigh and calf."""
    return np.tile(np.array(kinds), N_LEGS)


def load_motors(robot: str) -> MotorParameters:
    """Motors of a robot of `models/robots`, from its `motors.yaml`.

    Raises:
        UnknownNameError: no such robot.
        ConfigurationError: the file is missing, or a value is missing, unknown or of a wrong type.
    """
    path = robot_file(robot, ".xml").with_name("motors.yaml")
    try:
        values: Any = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    parameters: MotorParameters = build(MotorParameters, values, str(path))
    return parameters


class Impedance(NamedTuple):
    """A command as the drives evaluate it.

    tau = bias - kp q - kd dq, with bias = tau_ff + kp q* + kd dq*.
    """

    bias: Array
    kp: Array
    kd: Array
    q: Array

    @classmethod
    def from_command(cls, command: LowCommand) -> "Impedance":
        """Terms that stay constant while the command holds."""
        return cls(
            command.tau + command.kp * command.q + command.kd * command.dq,
            command.kp,
            command.kd,
            command.q,
        )

    @property
    def damps(self) -> bool:
        """The motors brake and do nothing else."""
        stiff = self.kp[0] > 0.0 or self.kp.any()
        return not stiff and bool((self.kd > 0.0).all()) and not self.bias.any()


class CommandQueue:
    """Commands on their way to the motors.

    Attributes:
        active: the command that the motors followed in the last physics step; None when limp.
    """

    def __init__(self, delay_ms: int) -> None:
        self.active: Impedance | None = None
        self._delay_ms = delay_ms
        self._waiting: deque[tuple[int, Impedance]] = deque()
        self._newest_ms = -COMMAND_TIMEOUT_MS

    def put(self, command: LowCommand, now_ms: int) -> bool:
        """Queue a command until it takes effect; False when it holds NaN or infinity."""
        fields = (command.q, command.dq, command.tau, command.kp, command.kd)
        if not isfinite(sum(field.dot(field) for field in fields)):
            return False
        self._waiting.append((now_ms + self._delay_ms, Impedance.from_command(command)))
        self._newest_ms = now_ms
        return True

    def in_force(self, now_ms: int) -> Impedance | None:
        """The command that drives the motors now; None makes them limp."""
        while self._waiting and self._waiting[0][0] <= now_ms:
            self.active = self._waiting.popleft()[1]
        if now_ms - self._newest_ms >= COMMAND_TIMEOUT_MS:
            self.active = None
            self._waiting.clear()
        return self.active


class Motors:
    """Torques of the twelve motors; `tau` is overwritten by every call."""

    def __init__(self, robot: RobotModel, parameters: MotorParameters) -> None:
        self.tau = np.zeros(N_JOINTS)
        self.friction = np.zeros(N_JOINTS)
        self._coulomb = -parameters.coulomb
        self._per_speed = 1.0 / parameters.coulomb_speed
        full_torque_speed = parameters.knee()
        self._flat = min(parameters.full_torque_speed) ** 2
        self._slope = robot.tau_max / (robot.dq_max - full_torque_speed)
        knee = self._slope * robot.dq_max
        self._line = np.stack((knee, -knee))
        self._ceiling = np.stack((robot.tau_max, np.zeros(N_JOINTS)))
        self._floor = np.stack((np.zeros(N_JOINTS), -robot.tau_max))
        self._bounds = np.empty((2, N_JOINTS))
        self._work = np.empty(N_JOINTS)

    def update(self, command: Impedance | None, q: Array, dq: Array) -> None:
        """Evaluate motor torque and gearbox friction at joint state q, dq.

        Without a command the motors are limp.
        """
        np.multiply(dq, self._per_speed, out=self.friction)
        np.tanh(self.friction, out=self.friction)
        self.friction *= self._coulomb
        if command is None:
            self.tau.fill(0.0)
            return
        np.multiply(command.kp, q, out=self._work)
        np.subtract(command.bias, self._work, out=self.tau)
        np.multiply(command.kd, dq, out=self._work)
        self.tau -= self._work
        self._limit(dq)

    def _limit(self, dq: Array) -> None:
        """Clip `tau` between two lines of the torque-speed plane; keep all braking torque."""
        if dq.dot(dq) <= self._flat:
            # No joint is past the knee, and the bounds are the peak torques.
            np.minimum(self.tau, self._ceiling[0], out=self.tau)
            np.maximum(self.tau, self._floor[1], out=self.tau)
            return
        np.multiply(self._slope, dq, out=self._work)
        bounds = self._bounds
        np.subtract(self._line, self._work, out=bounds)
        np.minimum(bounds, self._ceiling, out=bounds)
        np.maximum(bounds, self._floor, out=bounds)
        np.minimum(self.tau, bounds[0], out=self.tau)
        np.maximum(self.tau, bounds[1], out=self.tau)


class PowerMeter:
    """Energy, motor temperatures and battery voltage, integrated from torque and speed."""

    def __init__(self, parameters: MotorParameters, dt: float) -> None:
        self._dt = dt
        self.temperature = np.full(N_JOINTS, AMBIENT + 5.0)
        self.voltage = parameters.cell_voltage_full
        self.power = np.zeros(N_JOINTS)
        self._parameters = parameters
        self._heating = per_joint(parameters.heating)
        self._positive = np.zeros(N_JOINTS)
        self._torque_squared = np.zeros(N_JOINTS)
        self._work = np.empty(N_JOINTS)
        self._drawn = 0.0
        self._energy_before = 0.0

    def add(self, tau: Array, dq: Array) -> None:
        """Add one physics step."""
        np.multiply(tau, dq, out=self.power)
        np.maximum(self.power, 0.0, out=self._work)
        self._positive += self._work
        np.multiply(tau, tau, out=self._work)
        self._torque_squared += self._work

    @property
    def energy(self) -> float:
        """Positive mechanical work of all joints so far [J].

        Braking gives nothing back to the battery.
        """
        return float(self._positive.sum()) * self._dt

    @property
    def charge(self) -> float:
        """Share of the battery's energy that is left."""
        return max(0.0, 1.0 - self._drawn / self._parameters.battery_energy)

    def change_battery(self) -> None:
        """Put in a full battery."""
        self._drawn = 0.0

    def settle(self, steps: int) -> None:
        """Advance temperatures and battery over the last `steps` physics steps."""
        p = self._parameters
        period = steps * self._dt
        heated = AMBIENT + self._heating * self._torque_squared / steps
        self.temperature += (heated - self.temperature) * (period / p.thermal_time)
        self._torque_squared.fill(0.0)
        energy = self.energy
        power = (energy - self._energy_before) / period + p.idle_power
        self._energy_before = energy
        self._drawn += power * period
        span = p.cell_voltage_full - p.cell_voltage_empty
        open_circuit = p.cell_voltage_empty + span * self.charge
        self.voltage = open_circuit - p.battery_resistance * power / open_circuit
