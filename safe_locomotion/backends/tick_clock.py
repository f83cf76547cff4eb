"""Robot time from the tick of the wire.

The tick is a 32-bit counter without a date. It is unwrapped, and anchored once to Unix time.
"""

from dataclasses import dataclass
from enum import Enum, auto

TICK_MODULUS = 1 << 32
MILLISECOND_TICK_NS = 1_000_000  # Go1, Go2: unitree_sdk2 and legged_sdk 3.8 count milliseconds
ANCHOR_STEP_NS = 40_000_000
"""The first stamp is a multiple of this, which in turn is a multiple of all periods of the stages.
So the robot's ticks alone decide which ticks are due at a lower rate, and a run is repeatable."""
MICROSECOND_TICK_NS = 1_000  # A1: legged_sdk 3.3.1 counts microseconds


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
class TickClock:
    """Unwraps the tick of one robot.

    When the tick jumps back (the robot rebooted, or a replay started again), the stamp jumps back
    too. A consumer that integrates over time must notice it.

    Attributes:
        tick_ns: length of one tick [ns].
        max_gap_ns: a longer step is a gap: states were lost or the robot paused [ns].
        tick, stamp_ns: values of the last update.
    """

    tick_ns: int = MILLISECOND_TICK_NS
    max_gap_ns: int = 100_000_000
    tick: int = 0
    stamp_ns: int = 0
    _started: bool = False

    def update(self, tick: int, now_unix_ns: int) -> TickStep:
        """Advance to `tick`; `now_unix_ns` only anchors the first tick."""
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
        return TickStep.NEXT if step_ns <= self.max_gap_ns else TickStep.GAP

    def tick_of(self, stamp_ns: int) -> int:
        """Tick of a stamp: the inverse of `update`, within +-2^31 ticks of the last one."""
        return (self.tick + (stamp_ns - self.stamp_ns) // self.tick_ns) % TICK_MODULUS
