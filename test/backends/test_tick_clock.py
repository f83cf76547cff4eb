"""Robot time from 32-bit ticks."""

from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.backends.tick_clock import (
    ANCHOR_STEP_NS,
    MICROSECOND_TICK_NS,
    TickClock,
    TickStep,
    tick_difference,
)

ticks = st.integers(0, 2**32 - 1)


@given(ticks, st.integers(-(2**31), 2**31 - 1))
def test_difference_is_right_across_a_wrap(tick: int, step: int) -> None:
    """The difference of a tick and the tick plus a step is the step, within half the range."""
    assert tick_difference((tick + step) % 2**32, tick) == step


@given(ticks, st.lists(st.integers(1, 100), max_size=20), st.sampled_from([1_000, 1_000_000]))
def test_stamps_grow_by_the_ticks(start: int, steps: list[int], tick_ns: int) -> None:
    """From any first tick, stamps start at the anchor and grow only by the ticks."""
    clock = TickClock(tick_ns=tick_ns)
    assert clock.update(start, 1_700_000_000_123_456_789) is TickStep.FIRST
    anchor = clock.stamp_ns
    tick = start
    assert 0 <= 1_700_000_000_123_456_789 - anchor < ANCHOR_STEP_NS and anchor % ANCHOR_STEP_NS == 0
    for step in steps:
        tick = (tick + step) % 2**32
        assert clock.update(tick, 0) is TickStep.NEXT
        assert clock.tick_of(clock.stamp_ns) == tick
    assert clock.stamp_ns - anchor == sum(steps) * tick_ns


def test_repeats_gaps_and_jumps_back_are_named() -> None:
    """Repeats, gaps and jumps back are named, and the stamp follows the tick."""
    clock = TickClock()
    clock.update(1000, 0)
    assert clock.update(1000, 0) is TickStep.REPEAT
    assert clock.update(1100, 0) is TickStep.NEXT
    assert clock.update(1201, 0) is TickStep.GAP
    assert clock.update(1199, 0) is TickStep.BACKWARD
    assert clock.stamp_ns == 199_000_000


def test_microsecond_ticks_wrap_after_71_minutes() -> None:
    """The A1's counter passes 2^32 microseconds without a jump in time."""
    clock = TickClock(tick_ns=MICROSECOND_TICK_NS)
    clock.update(2**32 - 1000, 0)
    assert clock.update(1000, 0) is TickStep.NEXT
    assert clock.stamp_ns == 2_000_000
