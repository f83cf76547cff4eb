"""The last gate before the motors: one readable conjunction; anything else is damping, with the reason.

Every comparison is written `lo <= x <= hi`, so that NaN fails it. The numbers of a state and of a command are compared as one
row each, which costs a fraction of one comparison per bound; the bound that failed is looked up only when one did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.modes import DAMPED, HAZARDS, RAMPED, Severity
from safe_locomotion.rate_limit import RateLimit
from safe_locomotion.robots import RobotModel
from safe_locomotion.types import JOINTS, N_JOINTS, N_LEGS, NANOSECONDS, Array, LowCommand, LowState, StancePlan, Verdict

LARGEST = float(np.finfo(np.float64).max)  #: a bound that finite numbers alone meet
NO_HAZARDS: frozenset[str] = frozenset()
UNIT_TOLERANCE = 0.02  #: on the squared length of the IMU's quaternion; an IMU that is still booting sends zeros


@dataclass(frozen=True, kw_only=True, slots=True)
class GateLimits:
    """Bounds of the gate and of the watch on the robot; none has a default: they come from the robot's configuration file.

    Attributes:
        max_age: of verdict and plan against the LowState [s].
        position_margin: how far a measured joint may lie outside its range [rad].
        dq_max: joint speed, measured and commanded [rad/s].
        torque_margin: factor on the robot's peak torque that a command may ask for.
        feedforward_margin: the same for its feed-forward alone, whatever stiffness and damping take away from it at this moment.
        torque_step: largest change of the torque commanded to a joint, per hip, thigh and calf, from one command to the next [Nm].
        position_step: the same for its position target, where it has stiffness [rad].
        step_time: for which commands may be clamped to these steps without interruption before they are refused [s].
        kp_max, kd_max: motor gains [Nm/rad, Nm s/rad].
        temperature_max: of a motor [deg C].
        temperature_warning: of a motor, from which the robot sits down [deg C].
        voltage_min: of the battery [V].
        voltage_warning: of the battery, below which the robot sits down [V].
        warning_time: for which a warning threshold must be passed [s].
        mismatch_time: for which joints must be outside their range for the robot to count as another one [s].
        motor_off_time: for which a motor may report that its drive is off while it is commanded [s].
        max_gap: longest step between two stamps [s].
        damping: kd of the command that replaces a refused one [Nm s/rad].
    """

    max_age: float
    position_margin: float
    dq_max: float
    torque_margin: float
    feedforward_margin: float
    torque_step: tuple[float, float, float]
    position_step: tuple[float, float, float]
    step_time: float
    kp_max: float
    kd_max: float
    temperature_max: float
    temperature_warning: float
    voltage_min: float
    voltage_warning: float
    warning_time: float
    mismatch_time: float
    motor_off_time: float
    max_gap: float
    damping: float

    def __post_init__(self) -> None:
        """Refuse a gate whose own answer would not pass it or would not damp, and warnings that come after the gate."""
        if not 0.0 < self.damping <= self.kd_max:
            raise ConfigurationError(f"limits: damping: must be positive and at most kd_max (found {self.damping})")
        if not self.temperature_warning <= self.temperature_max:
            raise ConfigurationError(
                f"limits: temperature_warning: must be at most temperature_max (found {self.temperature_warning})"
            )
        if not self.voltage_min <= self.voltage_warning:
            raise ConfigurationError(f"limits: voltage_warning: must be at least voltage_min (found {self.voltage_warning})")
        for name in ("torque_step", "position_step"):
            if not all(step > 0.0 for step in getattr(self, name)):
                raise ConfigurationError(f"limits: {name}: must be positive (found {getattr(self, name)})")
        if not self.max_gap > 0.0:
            raise ConfigurationError(f"limits: max_gap: must be positive (found {self.max_gap})")


def damping_command(stamp_ns: int, state: LowState | None, kd: float, reason: str = "") -> LowCommand:
    """Zero position gain and torque; the motors only resist motion."""
    zeros = np.zeros(N_JOINTS)
    q = zeros if state is None or not np.isfinite(state.q).all() else state.q
    return LowCommand(stamp_ns=stamp_ns, q=q, dq=zeros, tau=zeros, kp=zeros, kd=np.full(N_JOINTS, kd), reason=reason)


def commanded_torque(state: LowState, command: LowCommand) -> Array:
    """Torque (12,) the motors would produce now: tau + kp (q* - q) + kd (dq* - dq) [Nm]."""
    return command.tau + command.kp * (command.q - state.q) + command.kd * (command.dq - state.dq)


class _Row:
    """Numbers that are compared with their bounds all at once.

    Args:
        parts: of each stretch of the row: lower and upper bound (n,), the reason when a number lies outside, and when it is none.
    """

    def __init__(self, parts: Sequence[tuple[Array, Array, str, str]]) -> None:
        self._lower = np.concatenate([lower for lower, _, _, _ in parts])
        self._upper = np.concatenate([upper for _, upper, _, _ in parts])
        self._size = len(self._lower)
        self._outside = [name for lower, _, name, _ in parts for _ in lower]
        self._not_finite = [name for lower, _, _, name in parts for _ in lower]

    def fault(self, row: Array) -> str:
        """Name of the first number that is not one, else of the first that is out of bounds, or an empty string."""
        inside = (self._lower <= row) & (row <= self._upper)
        if np.count_nonzero(inside) == self._size:
            return ""
        bad = np.flatnonzero(~inside).tolist()
        not_finite = [self._not_finite[i] for i in bad if not isfinite(row[i])]
        return not_finite[0] if not_finite else self._outside[bad[0]]


def _within(bound: float | Array, size: int = N_JOINTS) -> tuple[Array, Array]:
    """Bounds (size,) of numbers whose size counts, on either side of zero."""
    upper = np.full(size, bound, dtype=np.float64)
    return -upper, upper


class CommandGate:
    """Lets a command through, clamped where it changes too suddenly, or replaces it by damping.

    Attributes:
        rate: the bound on sudden changes, with its counts.
    """

    def __init__(self, robot: RobotModel, limits: GateLimits) -> None:
        self._limits = limits
        self._max_age_ns = round(limits.max_age * NANOSECONDS)
        self._state = self._state_row(robot, limits)
        self._command = self._command_row(robot, limits)
        self._torque = _Row([(*_within(robot.tau_max * limits.torque_margin), "command_torque", "command_torque")])
        self.rate = RateLimit(
            torque_step=np.tile(limits.torque_step, N_LEGS),
            position_step=np.tile(limits.position_step, N_LEGS),
            patience_ns=round(limits.step_time * NANOSECONDS),
        )
        self._hazard = ""
        self._checked: LowState | None = None
        self._checked_fault = ""

    @staticmethod
    def _state_row(robot: RobotModel, limits: GateLimits) -> _Row:
        hottest = np.full(N_JOINTS, limits.temperature_max)
        return _Row(
            [
                (*_within(LARGEST, 10), "imu_not_finite", "imu_not_finite"),
                (*_joint_range(robot, limits), "joint_position", "joints_not_finite"),
                (*_within(limits.dq_max), "joint_velocity", "joints_not_finite"),
                (*_within(LARGEST), "joints_not_finite", "joints_not_finite"),
                (*_within(LARGEST, N_LEGS), "feet_not_finite", "feet_not_finite"),
                (np.full(N_JOINTS, -np.inf), hottest, "temperature", "temperature"),
            ]
        )

    @staticmethod
    def _command_row(robot: RobotModel, limits: GateLimits) -> _Row:
        zeros = np.zeros(N_JOINTS)
        parts = [
            (*_joint_range(robot, limits), "command_position"),
            (*_within(limits.dq_max), "command_velocity"),
            (zeros, np.full(N_JOINTS, limits.kp_max), "command_kp"),
            (zeros, np.full(N_JOINTS, limits.kd_max), "command_kd"),
            (*_within(robot.tau_max * limits.feedforward_margin), "command_feedforward"),
        ]
        return _Row([(lower, upper, name, name) for lower, upper, name in parts])

    def report(self, hazards: frozenset[str]) -> None:
        """What is wrong with the robot or the link to it: a fault refuses every command that moves, until the next report."""
        self._hazard = next((name for name in sorted(hazards) if HAZARDS[name] is Severity.FAULT), "")

    def damping(self, state: LowState, reason: str) -> LowCommand:
        """The command that replaces a refused one."""
        return damping_command(state.stamp_ns, state, self._limits.damping, reason)

    def filter(self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand) -> LowCommand:
        """`command` when nothing speaks against it, clamped to the largest steps; damping with the reason otherwise."""
        reason = self.refusal(state, verdict, plan, command)
        if not reason and verdict is not None and verdict.mode not in DAMPED:
            wanted = command
            command, lasting = self.rate.limited(state, wanted)
            if command is not wanted:
                reason = "command_step" if lasting else self._command_fault(state, command)
        sent = self.damping(state, reason) if reason else command
        self.rate.sent(sent)
        return sent

    def refusal(self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand) -> str:
        """Name of the first bound that does not hold, or an empty string."""
        fault = self.state_fault(state)
        if fault:
            return fault
        if self._hazard and (verdict is None or verdict.mode not in DAMPED):
            return self._hazard
        if verdict is None or not self._fresh(state, verdict.stamp_ns):
            return "verdict_stale"
        if verdict.mode in DAMPED:
            return "" if self._damps(command) else "command_not_damping"
        if verdict.mode not in RAMPED and (plan is None or not self._fresh(state, plan.stamp_ns)):
            return "plan_stale"
        return self._command_fault(state, command)

    def state_fault(self, state: LowState) -> str:
        """Name of the first bound that the LowState itself violates, or an empty string; each state is judged once."""
        if state is not self._checked:
            self._checked, self._checked_fault = state, self._judge(state)
        return self._checked_fault

    def _judge(self, state: LowState) -> str:
        s = state
        row = np.concatenate((s.quaternion_wxyz, s.gyro, s.accelerometer, s.q, s.dq, s.tau, s.foot_force, s.temperature))
        fault = self._state.fault(row)
        if fault:
            return fault
        if not abs(float(s.quaternion_wxyz.dot(s.quaternion_wxyz)) - 1.0) <= UNIT_TOLERANCE:
            return "imu_quaternion"
        if s.voltage is not None and not self._limits.voltage_min <= s.voltage:
            return "battery"
        return ""

    def _command_fault(self, state: LowState, command: LowCommand) -> str:
        c = command
        fault = self._command.fault(np.concatenate((c.q, c.dq, c.kp, c.kd, c.tau)))
        return fault or self._torque.fault(commanded_torque(state, c))

    def _damps(self, command: LowCommand) -> bool:
        pushes = command.kp.any() or command.tau.any() or command.dq.any()
        return not pushes and bool(((command.kd >= 0.0) & (command.kd <= self._limits.kd_max)).all())

    def _fresh(self, state: LowState, stamp_ns: int) -> bool:
        return 0 <= state.stamp_ns - stamp_ns <= self._max_age_ns


def _joint_range(robot: RobotModel, limits: GateLimits) -> tuple[Array, Array]:
    """Ends of the joints' ranges (12,) with the margin [rad]."""
    return robot.q_min - limits.position_margin, robot.q_max + limits.position_margin


class RobotWatch:
    """What is wrong with the robot or the link to it, on every LowState: the hazards that only the bridge can see.

    A jump of the stamp and commands by others are events: they are reported for `HELD` states, so that every listener hears them.
    """

    HELD = 50  #: 0.1 s of states

    def __init__(self, robot: RobotModel, limits: GateLimits) -> None:
        self._robot, self._limits = robot, limits
        self._max_gap_ns = round(limits.max_gap * NANOSECONDS)
        joints, cool = _joint_range(robot, limits), (np.full(N_JOINTS, -np.inf), np.full(N_JOINTS, limits.temperature_warning))
        self._joints = _Row([(*joints, "outside", "not finite")])
        self._usual = _Row([(*joints, "joints", "joints"), (*cool, "motors", "motors")])
        self._stamp_ns: int | None = None
        self._foreign_commands = 0
        self._since_ns: dict[str, int] = {}
        self._held: dict[str, int] = {}

    def update(self, state: LowState, foreign_commands: int, commanded: bool) -> frozenset[str]:
        """Hazards that hold now.

        Args:
            state: newest reading.
            foreign_commands: low commands by others, counted since the link was opened.
            commanded: the motors are told what to do, so their drives should be on.
        """
        stamp_ns, limits = state.stamp_ns, self._limits
        if self._stamp_ns is not None and not 0 < stamp_ns - self._stamp_ns <= self._max_gap_ns:
            self._held["state_jump"] = self.HELD
            self._since_ns.clear()
        if foreign_commands > self._foreign_commands:
            self._held["foreign_publisher"] = self.HELD
        self._stamp_ns, self._foreign_commands = stamp_ns, foreign_commands
        low = state.voltage is not None and not limits.voltage_warning <= state.voltage
        off = commanded and state.motors_on is False
        if not (low or off or self._held or self._usual.fault(np.concatenate((state.q, state.temperature)))):
            self._since_ns.clear()
            return NO_HAZARDS
        hot = np.count_nonzero(state.temperature <= limits.temperature_warning) != N_JOINTS
        lasting = (
            self._lasts("robot_mismatch", self._joints.fault(state.q) == "outside", stamp_ns, limits.mismatch_time),
            self._lasts("motor_off", off, stamp_ns, limits.motor_off_time),
            self._lasts("motor_hot", hot, stamp_ns, limits.warning_time),
            self._lasts("battery_low", low, stamp_ns, limits.warning_time),
        )
        return frozenset(name for name in lasting if name) | self._events()

    @property
    def commanded_by_others(self) -> bool:
        """Low commands by others were seen a moment ago."""
        return "foreign_publisher" in self._held

    def mismatch(self, state: LowState) -> str:
        """Which joints this robot cannot have where the state says, in words; empty when there are none."""
        lower, upper = _joint_range(self._robot, self._limits)
        outside = np.flatnonzero(~((lower <= state.q) & (state.q <= upper))).tolist()
        return ", ".join(
            f"{JOINTS[i]} at {state.q[i]:.2f} rad, outside {self._robot.q_min[i]:.2f}..{self._robot.q_max[i]:.2f}"
            for i in outside
        )

    def _lasts(self, name: str, holds: bool, stamp_ns: int, time: float) -> str:
        """The name once it has held for `time`."""
        if not holds:
            self._since_ns.pop(name, None)
            return ""
        since_ns = self._since_ns.setdefault(name, stamp_ns)
        return name if stamp_ns - since_ns >= time * NANOSECONDS else ""

    def _events(self) -> frozenset[str]:
        """Events that are still reported; each call is one state."""
        events = frozenset(self._held)
        self._held = {name: left - 1 for name, left in self._held.items() if left > 1}
        return events
