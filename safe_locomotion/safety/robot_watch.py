"""Robot watch: the hazards that only the bridge can see."""

import numpy as np

from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.bounds import BoundedRow, joint_bounds, range_bounds
from safe_locomotion.types import JOINTS, N_JOINTS, NANOSECONDS, LowState

NO_HAZARDS: frozenset[str] = frozenset()
OUTSIDE = "outside"
NOT_FINITE = "not finite"
HOT = "hot"


class RobotWatch:
    """Finds on every LowState what is wrong with the robot or with the link to it.

    A jump of the stamp and commands by others are events. They are reported for `HELD` states, so
    that every listener receives them. A jump is over sooner, once the robot is known to be damped.
    """

    HELD = 50  #: states, 0.1 s

    def __init__(self, robot: RobotModel, limits: GateLimits) -> None:
        self._robot = robot
        self._limits = limits
        self._max_gap_ns = round(limits.max_gap * NANOSECONDS)
        self._range = joint_bounds(robot, limits, OUTSIDE, NOT_FINITE)
        self._joints = BoundedRow(self._range)
        cool = range_bounds(-np.inf, limits.temperature_warning, HOT)
        self._usual = BoundedRow(self._range, cool)
        self._stamp_ns: int | None = None
        self._jump_ns = 0  # stamp of the first state after the newest jump
        self._foreign_commands = 0
        self._since_ns: dict[str, int] = {}
        self._held: dict[str, int] = {}

    def update(self, state: LowState, foreign_commands: int, commanded: bool) -> frozenset[str]:
        """Hazards that hold now.

        Args:
            state: newest reading.
            foreign_commands: number of low commands by others since the link was opened.
            commanded: the motors receive commands, so their drives should be on.
        """
        self._note_events(state.stamp_ns, foreign_commands)
        limits = self._limits
        low = state.voltage is not None and not limits.voltage_warning <= state.voltage
        off = commanded and state.motors_on is False
        unusual = self._usual.fault(np.concatenate((state.q, state.temperature)))
        if not (low or off or self._held or unusual):
            self._since_ns.clear()
            return NO_HAZARDS
        hot = np.count_nonzero(state.temperature <= limits.temperature_warning) != N_JOINTS
        mismatch = self._joints.fault(state.q) == OUTSIDE
        conditions = (
            ("robot_mismatch", mismatch, limits.mismatch_time),
            ("motor_off", off, limits.motor_off_time),
            ("motor_hot", hot, limits.warning_time),
            ("battery_low", low, limits.warning_time),
        )
        lasting = [
            name for name, holds, time in conditions if self._lasts(name, holds, state, time)
        ]
        return frozenset(lasting) | self._events()

    def begin(self) -> None:
        """Take the next state as the first: nobody has read any for a while."""
        self._stamp_ns = None
        self._held.pop("state_jump", None)

    def damped(self, stamp_ns: int) -> None:
        """Forget a jump up to this stamp, because the robot is damped there.

        No time of a damped robot matters. A robot that rises right afterwards must not be stopped
        by a jump of before.

        Args:
            stamp_ns: of the state whose answer is damping.
        """
        if self._jump_ns <= stamp_ns:
            self._held.pop("state_jump", None)

    @property
    def commanded_by_others(self) -> bool:
        """Whether low commands by others were seen within the last `HELD` states."""
        return "foreign_publisher" in self._held

    def mismatch(self, state: LowState) -> str:
        """Names the joints outside this robot's ranges, for a message; empty if there are none."""
        robot = self._robot
        inside = (self._range.lower <= state.q) & (state.q <= self._range.upper)
        return ", ".join(
            f"{JOINTS[i]} at {state.q[i]:.2f} rad, "
            f"outside {robot.q_min[i]:.2f}..{robot.q_max[i]:.2f}"
            for i in np.flatnonzero(~inside).tolist()
        )

    def _note_events(self, stamp_ns: int, foreign_commands: int) -> None:
        if self._stamp_ns is not None and not 0 < stamp_ns - self._stamp_ns <= self._max_gap_ns:
            self._held["state_jump"] = self.HELD
            self._jump_ns = stamp_ns
            self._since_ns.clear()
        if foreign_commands > self._foreign_commands:
            self._held["foreign_publisher"] = self.HELD
        self._stamp_ns = stamp_ns
        self._foreign_commands = foreign_commands

    def _lasts(self, name: str, holds: bool, state: LowState, time: float) -> bool:
        """Whether a condition has held for `time` [s]."""
        if not holds:
            self._since_ns.pop(name, None)
            return False
        since_ns = self._since_ns.setdefault(name, state.stamp_ns)
        return state.stamp_ns - since_ns >= time * NANOSECONDS

    def _events(self) -> frozenset[str]:
        """Events that are still reported. Each call counts as one state."""
        events = frozenset(self._held)
        self._held = {name: left - 1 for name, left in self._held.items() if left > 1}
        return events
