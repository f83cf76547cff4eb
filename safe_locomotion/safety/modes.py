"""Mode machine: which mode the robot is in, and when it changes.

    PASSIVE -> STAND_UP -> STAND <-> WALK
    STAND_UP, STAND -> SIT -> PASSIVE,  SIT -> STAND_UP
    FALLEN, PASSIVE -> SELF_RIGHT -> STAND_UP
    any mode -> FAULT,  any mode except PASSIVE and FAULT -> FALLEN

The operator sets a goal: stand, walk or sit. The machine moves along the edges towards that goal.
It takes an edge once the edge's settle condition holds.

A robot that has fallen is damped until the operator requests `stand`. It then turns over
(SELF_RIGHT), stands up and stands. Only a robot configured to do so gets up by itself, once per
fall, and it never walks off by itself.

A standing robot that is pushed so hard that it would topple steps in place, in WALK, until it is
slow again. Nobody requests that.

Hazards are in `safety.hazards`.
"""

from typing import Literal, NamedTuple

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.safety.hazards import Severity
from safe_locomotion.types import NANOSECONDS, Mode

Goal = Literal["passive", "stand", "walk", "sit"]


class Conditions(NamedTuple):
    """Settle conditions of the edges, judged by the supervisor on this tick.

    Only the conditions that the present mode waits for need to be judged.

    Attributes:
        upright: PASSIVE: the belly points down. SELF_RIGHT: the robot also rests, its legs folded.
        standing: STAND_UP: the joints are near the standing pose and still.
        sitting: SIT: the joints are near the sitting pose and still.
        slow: WALK: the body is slow enough to stop stepping.
        still: STAND: the body rests on four feet. FALLEN: the robot rests as it lies.
        pushed: STAND: the capture point nears the edge of the feet, so the robot must step.
    """

    upright: bool = False
    standing: bool = False
    sitting: bool = False
    slow: bool = False
    still: bool = False
    pushed: bool = False


class ModeMachine:
    """Current mode, when it was entered, and the goal as far as hazards allow it.

    Attributes:
        mode: current mode.
        since_ns: stamp at which it was entered; 0 before the first update and after a reset.
        goal: what the operator requested.
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
        step_time: float,
    ) -> None:
        """Start passive.

        Args:
            settle_time: time for which a settle condition must hold [s].
            stand_up_timeout: longest time in STAND_UP or SIT [s].
            stop_timeout: longest time to wait for a slow robot in WALK, or a still one in STAND,
                before it goes down anyway [s].
            self_right_timeout: longest time in SELF_RIGHT [s].
            self_right_unasked: a robot that fell and rests gets up and stands without a request,
                once per fall.
            step_time: shortest time for which a pushed robot steps [s].
        """
        self._step_ns = round(step_time * NANOSECONDS)
        self._pushed = False  # WALK was entered because of a push
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
        self._upright = True  # assumed until the first update
        self._rises_by_itself = False
        self._settled_since_ns: int | None = None
        self._leaving_since_ns: int | None = None

    @property
    def catches_itself(self) -> bool:
        """Whether the robot steps only because it was pushed."""
        return self.mode is Mode.WALK and self._pushed and self.wanted != "walk"

    def request(self, name: str) -> str | None:
        """Take an operator's request; returns why it is refused, or None.

        Raises:
            UnknownNameError: not a request.
        """
        if name == "reset":
            return self._reset()
        if name not in ("stand", "walk", "sit"):
            raise UnknownNameError("request", name, REQUESTS)
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

    def _reset(self) -> str | None:
        if self.mode not in (Mode.FAULT, Mode.FALLEN):
            return f"nothing to reset: the mode is {self.mode.name}"
        self.mode = Mode.PASSIVE
        self.since_ns = 0
        self.goal = "passive"
        return None

    def stand_up_overdue(self, stamp_ns: int) -> bool:
        """Whether standing up takes longer than its timeout: the hazard `stand_up_timeout`."""
        return self.mode is Mode.STAND_UP and self._overdue(stamp_ns)

    def self_right_overdue(self, stamp_ns: int) -> bool:
        """Whether turning over takes longer than its timeout: the hazard `self_right_timeout`."""
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
            self._enter(target, stamp_ns)
        if self.mode is Mode.PASSIVE and self.goal == "sit":
            self.goal = "passive"
        return self.mode

    def _enter(self, target: Mode, stamp_ns: int) -> None:
        fell = target is Mode.FALLEN and self.mode is not Mode.SELF_RIGHT
        self._rises_by_itself = self._self_right_unasked and fell
        self._pushed = target is Mode.WALK and self.wanted != "walk"
        self.mode = target
        self.since_ns = stamp_ns
        self._settled_since_ns = None
        self._leaving_since_ns = None

    def _target(self, stamp_ns: int, worst: Severity, conditions: Conditions) -> Mode:
        settled = self._settled(stamp_ns, conditions)
        waited = self._waited(stamp_ns)
        mode = self.mode
        if worst is Severity.FAULT or mode is Mode.FAULT:
            return Mode.FAULT
        if mode is Mode.FALLEN:
            return self._get_up(worst, settled)
        if worst is Severity.FALLEN:
            return Mode.PASSIVE if mode is Mode.PASSIVE else Mode.FALLEN
        if mode is Mode.STAND_UP:
            onwards = Mode.STAND if settled else Mode.STAND_UP
            return Mode.SIT if self.wanted == "sit" else onwards
        if mode is Mode.STAND:
            if conditions.pushed:
                return Mode.WALK
            onwards = {"walk": Mode.WALK, "sit": Mode.SIT}.get(self.wanted, Mode.STAND)
            return onwards if settled or waited else Mode.STAND
        if mode is Mode.WALK:
            steps = self.catches_itself and stamp_ns - self.since_ns < self._step_ns
            stops = self.wanted != "walk" and not steps and (conditions.slow or waited)
            return Mode.STAND if stops else Mode.WALK
        rising = self.wanted in ("stand", "walk")
        if mode is Mode.PASSIVE:
            rise = Mode.STAND_UP if conditions.upright else Mode.SELF_RIGHT
            return rise if rising else Mode.PASSIVE
        if mode is Mode.SELF_RIGHT:
            turn = Mode.STAND_UP if settled else Mode.SELF_RIGHT
            return turn if rising else Mode.FALLEN
        if rising:
            return Mode.STAND_UP
        return Mode.PASSIVE if settled or self._overdue(stamp_ns) else Mode.SIT

    def _get_up(self, worst: Severity, at_rest: bool) -> Mode:
        """FALLEN until a request to stand, or until the robot rests where it may rise by itself.

        A hazard of SIT or worse has dropped the goal, so the robot stays down.
        """
        if self._rises_by_itself and at_rest and worst < Severity.SIT:
            self.goal = "stand"
            self.wanted = "stand"
        return Mode.SELF_RIGHT if self.goal == "stand" else Mode.FALLEN

    def _limited_goal(self, worst: Severity) -> Goal:
        if worst >= Severity.SIT:
            # The robot must not rise once the hazard is gone, neither again nor by itself.
            self.goal = "sit"
        elif worst is Severity.STOP and self.goal == "walk":
            return "stand"
        return self.goal

    def _settled(self, stamp_ns: int, conditions: Conditions) -> bool:
        """Whether the condition of this mode's edge has held for the settle time.

        It is judged on every tick, whatever the goal is.
        """
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
        """Whether a robot on its way down has been given enough time to slow down.

        To stop or sit unsettled is better than never to do so.
        """
        stops = self.mode is Mode.WALK and self.wanted != "walk"
        sits = self.mode is Mode.STAND and self.wanted == "sit"
        if not (stops or sits):
            self._leaving_since_ns = None
            return False
        if self._leaving_since_ns is None:
            self._leaving_since_ns = stamp_ns
        return stamp_ns - self._leaving_since_ns > self._stop_ns

    def _overdue(self, stamp_ns: int) -> bool:
        return stamp_ns - self.since_ns > self._timeout_ns
