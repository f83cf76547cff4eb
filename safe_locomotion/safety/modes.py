"""Mode machine: PASSIVE -> STAND_UP -> STAND <-> WALK, STAND -> SIT -> PASSIVE; FALLEN and FAULT from anywhere.

The operator sets a goal (stand, walk, sit); the machine walks the edges towards it, each when its settle condition holds. A robot
that has fallen is damped until someone asks it to `stand`: it then turns over (SELF_RIGHT), stands up and stands. By itself it
does so only where configured, once a fall, and never walks off.

Hazards are rows of a table with a severity; only the highest severity counts, so one more hazard never gives a more permissive
mode.

    hazard                severity  raised by   meaning
    policy_fault          RECOVER   policy      the learner's output is not finite, out of its range, or missing
    command_not_finite    STOP      supervisor  the velocity command has NaN or infinity in it
    battery_low           SIT       bridge      voltage below `voltage_warning` for `warning_time`
    motor_hot             SIT       bridge      a motor above `temperature_warning` for `warning_time`
    fallen                FALLEN    supervisor  tilted past `fall_tilt`, or standing or walking below `fall_height`
    self_right_timeout    FALLEN    supervisor  not on its belly `self_right_timeout` after it began to turn over
    estimate_diverged     FAULT     supervisor  the estimate is not finite, or no longer explains its measurements
    stand_up_timeout      FAULT     supervisor  not standing `stand_up_timeout` after it began to stand up
    state_jump            FAULT     bridge      the stamp went back, stood still or jumped by more than `max_gap`
    robot_mismatch        FAULT     bridge      joints where this robot's cannot be, for `mismatch_time`
    motor_off             FAULT     bridge      a commanded motor reports that its drive is off, for `mismatch_time`
    foreign_publisher     FAULT     bridge      somebody else sends low commands
    estop                 FAULT     operator    emergency stop

While the robot lies there anyway (`LYING`), `fallen` and what hangs on leg odometry say nothing new: see `severity`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.types import LYING, NANOSECONDS, Mode

Goal = Literal["passive", "stand", "walk", "sit"]


class Severity(IntEnum):
    """How far a hazard takes the robot down; ordered. Whatever is not NONE also takes the learner out of control."""

    NONE = 0
    RECOVER = 1  #: the mode stays, the recovery policy drives
    STOP = 2  #: walk no further: stand
    SIT = 3  #: sit down and go passive
    FALLEN = 4  #: damping until `reset` or the request to stand
    FAULT = 5  #: damping, latched until `reset`


#: Every hazard there is.
HAZARDS: dict[str, Severity] = {
    "policy_fault": Severity.RECOVER,
    "command_not_finite": Severity.STOP,
    "battery_low": Severity.SIT,
    "motor_hot": Severity.SIT,
    "fallen": Severity.FALLEN,
    "self_right_timeout": Severity.FALLEN,
    "estimate_diverged": Severity.FAULT,
    "stand_up_timeout": Severity.FAULT,
    "state_jump": Severity.FAULT,
    "robot_mismatch": Severity.FAULT,
    "motor_off": Severity.FAULT,
    "foreign_publisher": Severity.FAULT,
    "estop": Severity.FAULT,
}


def severity(hazards: Iterable[str], mode: Mode | None = None) -> Severity:
    """Highest severity among named hazards; in a mode in which the robot lies there anyway, `fallen` does not count.

    Raises:
        UnknownNameError: a hazard is not in the table.
    """
    worst = Severity.NONE
    for hazard in hazards:
        if hazard not in HAZARDS:
            raise UnknownNameError("hazard", hazard, HAZARDS)
        if hazard != "fallen" or mode not in LYING:
            worst = max(worst, HAZARDS[hazard])
    return worst


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What the edges wait for, judged by the supervisor on this tick; only what the present mode waits for needs to be judged.

    Attributes:
        upright: the trunk's belly is down; awaited in PASSIVE, and in SELF_RIGHT with the legs folded, at rest.
        standing: joints near the standing pose and still; awaited in STAND_UP.
        sitting: joints near the sitting pose and still; awaited in SIT.
        slow: the body moves slowly enough to stop stepping; awaited in WALK.
        still: the body rests on four feet; awaited in STAND. At rest as it lies; awaited in FALLEN.
    """

    upright: bool = False
    standing: bool = False
    sitting: bool = False
    slow: bool = False
    still: bool = False


class ModeMachine:
    """Current mode, when it was entered, the operator's goal, and what hazards leave of it.

    Attributes:
        mode, since_ns: current mode and the stamp at which it was entered; 0 before the first update and after a reset.
        goal: what the operator asked for.
        wanted: `goal` as far as the hazards of the last update allow it.
    """

    def __init__(
        self,
        *,
        settle_time: float,
        stand_up_timeout: float,
        stop_timeout: float,
        self_right_timeout: float,
        self_right_unasked: bool,
    ) -> None:
        """Start passive.

        Args:
            settle_time: a settle condition must hold this long [s].
            stand_up_timeout: longest time in STAND_UP or SIT [s].
            stop_timeout: longest wait on the way down for a robot that does not get slow in WALK or still in STAND [s].
            self_right_timeout: longest time in SELF_RIGHT [s].
            self_right_unasked: a robot that fell and has come to rest gets up and stands without being asked, once.
        """
        self._settle_ns = round(settle_time * NANOSECONDS)
        self._timeout_ns = round(stand_up_timeout * NANOSECONDS)
        self._stop_ns = round(stop_timeout * NANOSECONDS)
        self._self_right_ns = round(self_right_timeout * NANOSECONDS)
        self._self_right_unasked = self_right_unasked
        self.mode = Mode.PASSIVE
        self.since_ns = 0
        self.goal: Goal = "passive"
        self.wanted: Goal = "passive"
        self._worst = Severity.NONE
        self._upright = True  # as far as anybody knows; the first update says
        self._rises_by_itself = False
        self._settled_since_ns: int | None = None
        self._leaving_since_ns: int | None = None

    def request(self, name: str) -> str | None:
        """Take an operator's request; returns why it is refused, or None.

        Raises:
            UnknownNameError: not a request.
        """
        if name == "reset":
            if self.mode in (Mode.FAULT, Mode.FALLEN):
                self.mode = Mode.PASSIVE
                self.since_ns = 0
                self.goal = "passive"
                return None
            return f"nothing to reset: the mode is {self.mode.name}"
        if name not in ("stand", "walk", "sit"):
            raise UnknownNameError("request", name, ("stand", "walk", "sit", "estop", "reset"))
        if self.mode is Mode.FAULT:
            return "the mode is FAULT: call reset first"
        if self.mode is Mode.FALLEN and name != "stand":
            return "the mode is FALLEN: call stand or reset first"
        if name == "sit" and self.mode is Mode.PASSIVE:
            return "already down: the mode is PASSIVE"
        if name == "walk" and self.mode is Mode.PASSIVE and not self._upright:
            return "the mode is PASSIVE and the robot does not lie on its belly: call stand first"
        if name != "sit" and self._worst >= Severity.SIT:
            return f"a hazard of severity {self._worst.name} holds"
        self.goal = "stand" if name == "stand" else "walk" if name == "walk" else "sit"
        return None

    def stand_up_overdue(self, stamp_ns: int) -> bool:
        """Whether standing up has taken longer than its timeout: the hazard `stand_up_timeout`."""
        return self.mode is Mode.STAND_UP and self._overdue(stamp_ns)

    def self_right_overdue(self, stamp_ns: int) -> bool:
        """Whether turning over has taken longer than its timeout: the hazard `self_right_timeout`."""
        return self.mode is Mode.SELF_RIGHT and stamp_ns - self.since_ns > self._self_right_ns

    def update(self, stamp_ns: int, worst: Severity, conditions: Conditions) -> Mode:
        """Mode on this tick, given the highest severity among the hazards that hold now."""
        if self.since_ns == 0:
            self.since_ns = stamp_ns
        self._worst = worst
        self._upright = conditions.upright
        self.wanted = self._limited_goal(worst)
        target = self._target(stamp_ns, worst, conditions)
        if target is not self.mode:
            self._rises_by_itself = (
                self._self_right_unasked
                and target is Mode.FALLEN
                and self.mode is not Mode.SELF_RIGHT
            )
            self.mode = target
            self.since_ns = stamp_ns
            self._settled_since_ns = self._leaving_since_ns = None
        if self.mode is Mode.PASSIVE and self.goal == "sit":
            self.goal = "passive"
        return self.mode

    def _target(self, stamp_ns: int, worst: Severity, conditions: Conditions) -> Mode:
        settled = self._settled(stamp_ns, conditions)
        waited = self._waited(stamp_ns)
        if worst is Severity.FAULT or self.mode is Mode.FAULT:
            return Mode.FAULT
        if self.mode is Mode.FALLEN:
            return self._get_up(worst, settled)
        if worst is Severity.FALLEN:
            return Mode.PASSIVE if self.mode is Mode.PASSIVE else Mode.FALLEN
        rising = self.wanted in ("stand", "walk")
        if self.mode is Mode.PASSIVE:
            return (
                (Mode.STAND_UP if conditions.upright else Mode.SELF_RIGHT)
                if rising
                else Mode.PASSIVE
            )
        if self.mode is Mode.SELF_RIGHT:
            return (Mode.STAND_UP if settled else Mode.SELF_RIGHT) if rising else Mode.FALLEN
        if self.mode is Mode.STAND_UP:
            if self.wanted == "sit":
                return Mode.SIT
            return Mode.STAND if settled else Mode.STAND_UP
        if self.mode is Mode.STAND:
            onwards = {"walk": Mode.WALK, "sit": Mode.SIT}.get(self.wanted, Mode.STAND)
            return onwards if settled or waited else Mode.STAND
        if self.mode is Mode.WALK:
            return (
                Mode.STAND if self.wanted != "walk" and (conditions.slow or waited) else Mode.WALK
            )
        if rising:
            return Mode.STAND_UP
        return Mode.PASSIVE if settled or self._overdue(stamp_ns) else Mode.SIT

    def _get_up(self, worst: Severity, at_rest: bool) -> Mode:
        """FALLEN, until somebody asks to stand or the robot, where it may, has come to rest."""
        if self._rises_by_itself and at_rest and worst < Severity.SIT:
            self.goal = self.wanted = "stand"
        return (
            Mode.SELF_RIGHT if self.goal == "stand" else Mode.FALLEN
        )  # what is SIT or worse has dropped the goal

    def _limited_goal(self, worst: Severity) -> Goal:
        if worst >= Severity.SIT:
            # Neither to rise again nor, lying there already, to rise by itself once the hazard is gone.
            self.goal = "sit"
        elif worst is Severity.STOP and self.goal == "walk":
            return "stand"
        return self.goal

    def _settled(self, stamp_ns: int, conditions: Conditions) -> bool:
        """Whether the condition of this mode's edge has held for the settle time; judged on every tick, whatever the goal."""
        awaited = {
            Mode.STAND_UP: conditions.standing,
            Mode.STAND: conditions.still,
            Mode.SIT: conditions.sitting,
            Mode.FALLEN: conditions.still,
            Mode.SELF_RIGHT: conditions.upright,
        }
        if not awaited.get(self.mode):
            self._settled_since_ns = None
            return False
        if self._settled_since_ns is None:
            self._settled_since_ns = stamp_ns
        return stamp_ns - self._settled_since_ns >= self._settle_ns

    def _waited(self, stamp_ns: int) -> bool:
        """Whether a robot on its way down has been waited for long enough: better stop or sit unsettled than never."""
        if not (
            (self.mode is Mode.WALK and self.wanted != "walk")
            or (self.mode is Mode.STAND and self.wanted == "sit")
        ):
            self._leaving_since_ns = None
            return False
        if self._leaving_since_ns is None:
            self._leaving_since_ns = stamp_ns
        return stamp_ns - self._leaving_since_ns > self._stop_ns

    def _overdue(self, stamp_ns: int) -> bool:
        return stamp_ns - self.since_ns > self._timeout_ns
