"""The last gate before the motors: one readable conjunction; anything else is damping, with the reason.

Every comparison is written `lo <= x <= hi`, so that NaN fails it. The numbers of a state and of a command are compared as one
row each, which costs a fraction of one comparison per bound; the bound that failed is looked up only when one did.
"""

import numpy as np

from safe_locomotion.commands import commanded_torque, damping_command
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.bounds import BoundedRow, joint_range, symmetric_bounds
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

LARGEST = float(np.finfo(np.float64).max)  #: a bound that finite numbers alone meet
UNIT_TOLERANCE = (
    0.02  #: on the squared length of the IMU's quaternion; an IMU that is still booting sends zeros
)


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
        self._torque = BoundedRow(
            [
                (
                    *symmetric_bounds(robot.tau_max * limits.torque_margin),
                    "command_torque",
                    "command_torque",
                )
            ]
        )
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
        hottest = np.full(N_JOINTS, limits.temperature_max)
        return BoundedRow(
            [
                (*symmetric_bounds(LARGEST, 10), "imu_not_finite", "imu_not_finite"),
                (*joint_range(robot, limits), "joint_position", "joints_not_finite"),
                (*symmetric_bounds(limits.dq_max), "joint_velocity", "joints_not_finite"),
                (*symmetric_bounds(LARGEST), "joints_not_finite", "joints_not_finite"),
                (*symmetric_bounds(LARGEST, N_LEGS), "feet_not_finite", "feet_not_finite"),
                (np.full(N_JOINTS, -np.inf), hottest, "temperature", "temperature"),
            ]
        )

    @staticmethod
    def _command_row(robot: RobotModel, limits: GateLimits) -> BoundedRow:
        zeros = np.zeros(N_JOINTS)
        parts = [
            (*joint_range(robot, limits), "command_position"),
            (*symmetric_bounds(limits.dq_max), "command_velocity"),
            (zeros, np.full(N_JOINTS, limits.kp_max), "command_kp"),
            (zeros, np.full(N_JOINTS, limits.kd_max), "command_kd"),
            (*symmetric_bounds(robot.tau_max * limits.feedforward_margin), "command_feedforward"),
        ]
        return BoundedRow([(lower, upper, name, name) for lower, upper, name in parts])

    def report(self, hazards: frozenset[str]) -> None:
        """What is wrong with the robot or the link to it: a fault refuses every command that moves, until the next report."""
        self._hazard = next(
            (name for name in sorted(hazards) if HAZARDS[name].severity is Severity.FAULT), ""
        )

    def damping(self, state: LowState, reason: str) -> LowCommand:
        """The command that replaces a refused one."""
        return damping_command(state.stamp_ns, self._limits.damping, q=state.q, reason=reason)

    def filter(
        self, state: LowState, verdict: Verdict | None, plan: StancePlan | None, command: LowCommand
    ) -> LowCommand:
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
        """Name of the first bound that the LowState itself violates, or an empty string; each state is judged once."""
        if state is not self._checked:
            self._checked, self._checked_fault = state, self._judge(state)
        return self._checked_fault

    def _judge(self, state: LowState) -> str:
        s = state
        row = np.concatenate(
            (
                s.quaternion_wxyz,
                s.gyro,
                s.accelerometer,
                s.q,
                s.dq,
                s.tau,
                s.foot_force,
                s.temperature,
            )
        )
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
        return not pushes and bool(
            ((command.kd >= 0.0) & (command.kd <= self._limits.kd_max)).all()
        )

    def _fresh(self, state: LowState, stamp_ns: int) -> bool:
        return 0 <= state.stamp_ns - stamp_ns <= self._max_age_ns
