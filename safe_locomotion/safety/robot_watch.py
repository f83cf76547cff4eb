"""Robot watch: the hazards that only the bridge can see."""

import numpy as np

from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.bounds import BoundedRow, joint_range
from safe_locomotion.types import JOINTS, N_JOINTS, NANOSECONDS, LowState

NO_HAZARDS: frozenset[str] = frozenset()


class RobotWatch:
    """What is wrong with the robot or the link to it, on every LowState: the hazards that only the bridge can see.

    A jump of the stamp and commands by others are events: they are reported for `HELD` states, so that every listener hears them.
    """

    HELD = 50  #: 0.1 s of states

    def __init__(self, robot: RobotModel, limits: GateLimits) -> None:
        self._robot = robot
        self._limits = limits
        self._max_gap_ns = round(limits.max_gap * NANOSECONDS)
        joints = joint_range(robot, limits)
        cool = (np.full(N_JOINTS, -np.inf), np.full(N_JOINTS, limits.temperature_warning))
        self._joints = BoundedRow([(*joints, "outside", "not finite")])
        self._usual = BoundedRow([(*joints, "joints", "joints"), (*cool, "motors", "motors")])
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
        stamp_ns = state.stamp_ns
        limits = self._limits
        if self._stamp_ns is not None and not 0 < stamp_ns - self._stamp_ns <= self._max_gap_ns:
            self._held["state_jump"] = self.HELD
            self._since_ns.clear()
        if foreign_commands > self._foreign_commands:
            self._held["foreign_publisher"] = self.HELD
        self._stamp_ns = stamp_ns
        self._foreign_commands = foreign_commands
        low = state.voltage is not None and not limits.voltage_warning <= state.voltage
        off = commanded and state.motors_on is False
        if not (
            low
            or off
            or self._held
            or self._usual.fault(np.concatenate((state.q, state.temperature)))
        ):
            self._since_ns.clear()
            return NO_HAZARDS
        hot = np.count_nonzero(state.temperature <= limits.temperature_warning) != N_JOINTS
        lasting = (
            self._lasts(
                "robot_mismatch",
                self._joints.fault(state.q) == "outside",
                stamp_ns,
                limits.mismatch_time,
            ),
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
        lower, upper = joint_range(self._robot, self._limits)
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
