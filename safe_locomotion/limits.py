"""The last gate before the motors: one readable conjunction; anything else is damping, with the reason.

Every comparison is written `lo <= x <= hi`, so that NaN fails it.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.modes import DAMPED
from safe_locomotion.robots import RobotModel
from safe_locomotion.types import N_JOINTS, NANOSECONDS, Array, LowCommand, LowState, StancePlan, Verdict

UNIT_TOLERANCE = 0.02  #: on the squared length of the IMU's quaternion; an IMU that is still booting sends zeros


@dataclass(frozen=True, kw_only=True, slots=True)
class GateLimits:
    """Bounds of the gate; none has a default: they come from the robot's configuration file.

    Attributes:
        max_age: of verdict and plan against the LowState [s].
        position_margin: how far a measured joint may lie outside its range [rad].
        dq_max: joint speed, measured and commanded [rad/s].
        torque_margin: factor on the robot's peak torque that a command may ask for.
        kp_max, kd_max: motor gains [Nm/rad, Nm s/rad].
        temperature_max: of a motor [deg C].
        voltage_min: of the battery [V].
        damping: kd of the command that replaces a refused one [Nm s/rad].
    """

    max_age: float
    position_margin: float
    dq_max: float
    torque_margin: float
    kp_max: float
    kd_max: float
    temperature_max: float
    voltage_min: float
    damping: float

    def __post_init__(self) -> None:
        """Refuse a gate whose own answer would not pass it or would not damp."""
        if not 0.0 < self.damping <= self.kd_max:
            raise ConfigurationError(f"limits: damping: must be positive and at most kd_max (found {self.damping})")


def damping_command(stamp_ns: int, state: LowState | None, kd: float, reason: str = "") -> LowCommand:
    """Zero position gain and torque; the motors only resist motion."""
    zeros = np.zeros(N_JOINTS)
    q = zeros if state is None or not np.isfinite(state.q).all() else state.q
    return LowCommand(stamp_ns=stamp_ns, q=q, dq=zeros, tau=zeros, kp=zeros, kd=np.full(N_JOINTS, kd), reason=reason)


def commanded_torque(state: LowState, command: LowCommand) -> Array:
    """Torque (12,) the motors would produce now: tau + kp (q* - q) + kd (dq* - dq) [Nm]."""
    return command.tau + command.kp * (command.q - state.q) + command.kd * (command.dq - state.dq)


class CommandGate:
    """Lets a command through or replaces it by damping."""

    def __init__(self, robot: RobotModel, limits: GateLimits) -> None:
        self._limits = limits
        self._max_age_ns = round(limits.max_age * NANOSECONDS)
        self._q_min = robot.q_min - limits.position_margin
        self._q_max = robot.q_max + limits.position_margin
        self._tau_max = robot.tau_max * limits.torque_margin

    def damping(self, state: LowState, reason: str) -> LowCommand:
        """The command that replaces a refused one."""
        return damping_command(state.stamp_ns, state, self._limits.damping, reason)

    def filter(self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand) -> LowCommand:
        """`command` when nothing speaks against it, damping with the reason otherwise."""
        reason = self.refusal(state, verdict, plan, command)
        return self.damping(state, reason) if reason else command

    def refusal(self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand) -> str:
        """Name of the first bound that does not hold, or an empty string."""
        fault = self.state_fault(state)
        if fault:
            return fault
        if verdict is None or not self._fresh(state, verdict.stamp_ns):
            return "verdict_stale"
        if verdict.mode in DAMPED:
            return "" if self._damps(command) else "command_not_damping"
        if plan is None or not self._fresh(state, plan.stamp_ns):
            return "plan_stale"
        return self._command_fault(state, command)

    def state_fault(self, state: LowState) -> str:
        """Name of the first bound that the LowState itself violates, or an empty string."""
        limits = self._limits
        if not _finite(state.quaternion_wxyz, state.gyro, state.accelerometer):
            return "imu_not_finite"
        if not abs(float(np.dot(state.quaternion_wxyz, state.quaternion_wxyz)) - 1.0) <= UNIT_TOLERANCE:
            return "imu_quaternion"
        if not _finite(state.q, state.dq, state.tau):
            return "joints_not_finite"
        if not _finite(state.foot_force):
            return "feet_not_finite"
        if not ((self._q_min <= state.q) & (state.q <= self._q_max)).all():
            return "joint_position"
        if not (np.abs(state.dq) <= limits.dq_max).all():
            return "joint_velocity"
        if not (state.temperature <= limits.temperature_max).all():
            return "temperature"
        if state.voltage is not None and not limits.voltage_min <= state.voltage:
            return "battery"
        return ""

    def _command_fault(self, state: LowState, command: LowCommand) -> str:
        limits = self._limits
        if not ((self._q_min <= command.q) & (command.q <= self._q_max)).all():
            return "command_position"
        if not (np.abs(command.dq) <= limits.dq_max).all():
            return "command_velocity"
        if not ((command.kp >= 0.0) & (command.kp <= limits.kp_max)).all():
            return "command_kp"
        if not ((command.kd >= 0.0) & (command.kd <= limits.kd_max)).all():
            return "command_kd"
        if not (np.abs(commanded_torque(state, command)) <= self._tau_max).all():
            return "command_torque"
        return ""

    def _damps(self, command: LowCommand) -> bool:
        pushes = command.kp.any() or command.tau.any() or command.dq.any()
        return not pushes and bool(((command.kd >= 0.0) & (command.kd <= self._limits.kd_max)).all())

    def _fresh(self, state: LowState, stamp_ns: int) -> bool:
        return 0 <= state.stamp_ns - stamp_ns <= self._max_age_ns


def _finite(*arrays: Array) -> bool:
    return isfinite(float(np.concatenate(arrays).sum()))
