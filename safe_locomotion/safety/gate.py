"""The last gate before the motors: a command passes if every bound holds, else damping is sent.

The damping command carries the name of the first bound that failed. Every comparison is written
`lo <= x <= hi`, so that NaN fails it.
"""

import numpy as np

from safe_locomotion.commands import commanded_torque, damping_command
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.bounds import (
    BoundedRow,
    finite_bounds,
    joint_bounds,
    range_bounds,
    symmetric_bounds,
)
from safe_locomotion.safety.hazards import HAZARDS, Severity
from safe_locomotion.safety.rate_limit import RateLimit
from safe_locomotion.types import (
    DAMPED,
    N_JOINTS,
    N_LEGS,
    NANOSECONDS,
    RAMPED,
    LowCommand,
    LowState,
    StancePlan,
    Verdict,
)

IMU_NUMBERS = 10  #: quaternion, gyroscope and accelerometer
#: Largest error of the squared length of the IMU's quaternion. An IMU that still boots sends zeros.
UNIT_TOLERANCE = 0.02


class CommandGate:
    """Passes a command, clamps it where it changes too suddenly, or replaces it by damping.

    Attributes:
        rate: the bound on sudden changes, with its counts.
    """

    def __init__(self, robot: RobotModel, limits: GateLimits) -> None:
        self._limits = limits
        self._max_age_ns = round(limits.max_age * NANOSECONDS)
        self._state = self._state_row(robot, limits)
        self._command = self._command_row(robot, limits)
        torque = robot.tau_max * limits.torque_margin
        self._torque = BoundedRow(symmetric_bounds(torque, "command_torque"))
        self.rate = RateLimit(
            torque_step=np.tile(limits.torque_step, N_LEGS),
            position_step=np.tile(limits.position_step, N_LEGS),
            patience_ns=round(limits.step_time * NANOSECONDS),
        )
        self._hazard = ""
        self._checked: LowState | None = None
        self._checked_fault = ""

    @staticmethod
    def _state_row(robot: RobotModel, limits: GateLimits) -> BoundedRow:
        """Bounds in the order of `_judge`: IMU, q, dq, torques, foot forces, temperatures."""
        return BoundedRow(
            finite_bounds(IMU_NUMBERS, "imu_not_finite"),
            joint_bounds(robot, limits, "joint_position", "joints_not_finite"),
            symmetric_bounds(limits.dq_max, "joint_velocity", "joints_not_finite"),
            finite_bounds(N_JOINTS, "joints_not_finite"),
            finite_bounds(N_LEGS, "feet_not_finite"),
            range_bounds(-np.inf, limits.temperature_max, "temperature"),
        )

    @staticmethod
    def _command_row(robot: RobotModel, limits: GateLimits) -> BoundedRow:
        """Bounds in the order of `_command_fault`: q, dq, kp, kd, feed-forward torques."""
        feedforward = robot.tau_max * limits.feedforward_margin
        return BoundedRow(
            joint_bounds(robot, limits, "command_position"),
            symmetric_bounds(limits.dq_max, "command_velocity"),
            range_bounds(0.0, limits.kp_max, "command_kp"),
            range_bounds(0.0, limits.kd_max, "command_kd"),
            symmetric_bounds(feedforward, "command_feedforward"),
        )

    def report(self, hazards: frozenset[str]) -> None:
        """Take the hazards of the robot and of the link to it.

        One of severity FAULT refuses every command that moves, until the next report.
        """
        faults = [name for name in hazards if HAZARDS[name].severity is Severity.FAULT]
        self._hazard = min(faults, default="")

    def damping(self, state: LowState, reason: str) -> LowCommand:
        """The command that replaces a refused one."""
        return damping_command(state.stamp_ns, self._limits.damping, q=state.q, reason=reason)

    def filter(
        self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand
    ) -> LowCommand:
        """The command that is sent: `command` with its steps clamped, or damping with a reason."""
        reason = self.refusal(state, verdict, plan, command)
        if not reason and verdict is not None and verdict.mode not in DAMPED:
            wanted = command
            command, lasting = self.rate.limited(state, wanted)
            if command is not wanted:
                reason = "command_step" if lasting else self._command_fault(state, command)
        sent = self.damping(state, reason) if reason else command
        self.rate.sent(sent)
        return sent

    def refusal(
        self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand
    ) -> str:
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
        """Name of the first bound that the LowState itself violates, or an empty string.

        Each state is judged once.
        """
        if state is not self._checked:
            self._checked = state
            self._checked_fault = self._judge(state)
        return self._checked_fault

    def _judge(self, state: LowState) -> str:
        s = state
        imu = (s.quaternion_wxyz, s.gyro, s.accelerometer)
        row = (*imu, s.q, s.dq, s.tau, s.foot_force, s.temperature)
        fault = self._state.fault(np.concatenate(row))
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
        damped = (command.kd >= 0.0) & (command.kd <= self._limits.kd_max)
        return not pushes and bool(damped.all())

    def _fresh(self, state: LowState, stamp_ns: int) -> bool:
        return 0 <= state.stamp_ns - stamp_ns <= self._max_age_ns
