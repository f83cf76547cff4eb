"""Robot time from the tick of the wire.

The tick is a 32-bit counter without a date. It is unwrapped, and anchored once to Unix time. On
hardware the stamps then follow the clock of this machine, slowly enough that no stage notices.
"""

from dataclasses import dataclass
from enum import Enum, auto

from safe_locomotion.errors import BackendError
from safe_locomotion.types import NANOSECONDS

TICK_MODULUS = 1 << 32
MILLISECOND_TICK_NS = 1_000_000  # Go1, Go2: unitree_sdk2 and legged_sdk 3.8 count milliseconds
ANCHOR_STEP_NS = 40_000_000
"""The first stamp is a multiple of this, which in turn is a multiple of all periods of the stages.
So the robot's ticks alone decide which ticks are due at a lower rate, and a run is repeatable."""
MICROSECOND_TICK_NS = 1_000  # A1: legged_sdk 3.3.1 counts microseconds
TICK_UNITS = {"us": MICROSECOND_TICK_NS, "ms": MILLISECOND_TICK_NS}
COMPARISON_NS = 100_000_000
"""Ticks are compared with the clock over this time. Delays of some ms do not matter in it."""

SLEW = 200e-6
"""Largest correction of robot time, as part of it: 0.2 ms in a second, 0.4 us in a tick of 2 ms."""
SETTLING_S = 20.0  #: an offset of up to 4 ms shrinks to a third in this time [s]
OFFSET_WINDOW_NS = 1_000_000_000
"""The least of the offsets in this time counts, because a delay on the way makes one larger."""


def tick_difference(later: int, earlier: int) -> int:
    """Signed number of ticks from `earlier` to `later`, correct across a wrap within +-2^31."""
    forward = (later - earlier) % TICK_MODULUS
    return forward if forward < TICK_MODULUS // 2 else forward - TICK_MODULUS


class TickStep(Enum):
    """How a tick follows the one before it."""

    FIRST = auto()
    NEXT = auto()
    REPEAT = auto()
    GAP = auto()
    BACKWARD = auto()


@dataclass(slots=True)
class TickUnit:
    """The unit of a robot's tick, found by comparing it with a steady clock.

    Documents and robots disagree on the unit of the Go1. A wrong one makes the time of the robot
    run a thousand times too fast or too slow.

    Attributes:
        configured_ns: length of one tick as the configuration has it [ns]; None if it does not say.
    """

    configured_ns: int | None = None
    _first: tuple[int, int] | None = None  # tick and time [ns]
    _found: bool = False

    def hear(self, tick: int, now_ns: int) -> int | None:
        """Length of one tick [ns], or None while nobody knows it.

        Args:
            tick: of a new state.
            now_ns: time of a steady clock when the state arrived [ns].

        Raises:
            BackendError: the ticks run in no known unit, or not in the configured one.
        """
        if self._found:
            return self.configured_ns
        if self._first is None or tick_difference(tick, self._first[0]) <= 0:
            self._first = (tick, now_ns)
            return self.configured_ns
        passed_ns = now_ns - self._first[1]
        if not passed_ns >= COMPARISON_NS:
            return self.configured_ns
        self.configured_ns = self._compare(tick_difference(tick, self._first[0]), passed_ns)
        self._found = True
        return self.configured_ns

    def _compare(self, ticks: int, passed_ns: int) -> int:
        """The unit in which the ticks took about as long as the clock says."""
        fits = [ns for ns in TICK_UNITS.values() if 0.5 <= ticks * ns / passed_ns <= 2.0]
        if len(fits) == 1 and self.configured_ns in (None, fits[0]):
            return fits[0]
        names = {ns: name for name, ns in TICK_UNITS.items()}
        wanted = " or ".join(TICK_UNITS)
        if self.configured_ns is not None:
            wanted = names[self.configured_ns]
        raise BackendError(
            f"the robot's tick rose by {ticks} in {passed_ns * 1e-6:.0f} ms, which is not a count"
            f" in {wanted}; set sdk_options.tick_unit to {', '.join(TICK_UNITS)} or auto"
        )


@dataclass(slots=True)
class Drift:
    """How far the clock of this machine is ahead of robot time, and how fast to follow it.

    Two quartzes differ by up to 100 parts in a million, which is 0.36 s in an hour. A clock of
    this machine that is set jumps; robot time never does.

    Attributes:
        offset_ns: least offset in the last whole window; 0 before it [ns].
        rate: correction of robot time, as part of it.
    """

    offset_ns: int = 0
    rate: float = 0.0
    _least_ns: int | None = None
    _passed_ns: int = 0

    def correction(self, step_ns: int, offset_ns: int) -> int:
        """What to add to a step of robot time [ns].

        Args:
            step_ns: the step [ns].
            offset_ns: clock of this machine less robot time, when the state arrived [ns].
        """
        self._least_ns = offset_ns if self._least_ns is None else min(self._least_ns, offset_ns)
        self._passed_ns += step_ns
        if self._passed_ns >= OFFSET_WINDOW_NS:
            self.offset_ns = self._least_ns
            self.rate = min(SLEW, max(-SLEW, self.offset_ns * 1e-9 / SETTLING_S))
            self._least_ns = None
            self._passed_ns = 0
        return round(step_ns * self.rate)


@dataclass(slots=True)
class TickClock:
    """Unwraps the tick of one robot.

    When the tick jumps back (the robot rebooted, or a replay started again), the stamp jumps back
    too. A consumer that integrates over time must notice it.

    Attributes:
        tick_ns: length of one tick [ns].
        max_gap_ns: a longer step is a gap: states were lost or the robot paused [ns].
        drift: lets the stamps follow the clock of this machine, as on hardware; None leaves them
            to the ticks alone, as beside a simulated robot.
        tick, stamp_ns: values of the last update.
    """

    tick_ns: int = MILLISECOND_TICK_NS
    max_gap_ns: int = 100_000_000
    drift: Drift | None = None
    tick: int = 0
    stamp_ns: int = 0
    _started: bool = False

    def update(self, tick: int, now_unix_ns: int) -> TickStep:
        """Advance to `tick`; `now_unix_ns` anchors the first tick, and is what a drift follows."""
        if not self._started:
            self.tick = tick
            self.stamp_ns = now_unix_ns - now_unix_ns % ANCHOR_STEP_NS
            self._started = True
            return TickStep.FIRST
        step_ns = tick_difference(tick, self.tick) * self.tick_ns
        self.tick = tick
        self.stamp_ns = self.stamp_ns + step_ns
        if step_ns == 0:
            return TickStep.REPEAT
        if step_ns < 0:
            return TickStep.BACKWARD
        if step_ns > self.max_gap_ns:
            return TickStep.GAP
        if self.drift is not None:
            self.stamp_ns += self.drift.correction(step_ns, now_unix_ns - self.stamp_ns)
        return TickStep.NEXT

    def distance_s(self, tick: int) -> float:
        """Robot time between the last tick and another one, whichever came first [s].

        Robot time does not run back, so a tick from before the last one says nothing good.
        """
        return abs(tick_difference(tick, self.tick)) * self.tick_ns / NANOSECONDS

    def tick_of(self, stamp_ns: int) -> int:
        """Tick of a stamp: the inverse of `update`, within +-2^31 ticks of the last one."""
        ticks = (stamp_ns - self.stamp_ns + self.tick_ns // 2) // self.tick_ns
        return (self.tick + ticks) % TICK_MODULUS

    @property
    def offset_us(self) -> int:
        """Clock of this machine less robot time, where the stamps follow it [us]."""
        return 0 if self.drift is None else self.drift.offset_ns // 1_000
