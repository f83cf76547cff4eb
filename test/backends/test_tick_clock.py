"""Robot time from 32-bit ticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.backends.tick_clock import (
    ANCHOR_STEP_NS,
    COMPARISON_NS,
    MICROSECOND_TICK_NS,
    MILLISECOND_TICK_NS,
    TICK_UNITS,
    TickClock,
    TickStep,
    TickUnit,
    tick_difference,
)
from safe_locomotion.errors import BackendError

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


def heard(unit: TickUnit, start: int, tick_ns: int, period_ns: int, delays: list[int]) -> list[int]:
    """What a unit says of states that arrive with these delays [ns], each `period_ns` later."""
    said = []
    for index, delay in enumerate(delays):
        tick = (start + index * period_ns // tick_ns) % 2**32
        said.append(unit.hear(tick, index * period_ns + delay))
    return said


@given(
    ticks,
    st.sampled_from(list(TICK_UNITS.values())),
    st.sampled_from([1_000_000, 2_000_000]),
    st.lists(st.integers(0, 20_000_000), min_size=130, max_size=150),
)
def test_the_unit_is_found_in_a_tenth_of_a_second(
    start: int, tick_ns: int, period_ns: int, delays: list[int]
) -> None:
    """Whatever the first tick and delays up to 20 ms: unknown at first, then right for ever."""
    said = heard(TickUnit(), start, tick_ns, period_ns, [*delays, 0])
    assert said[0] is None
    assert set(said) <= {None, tick_ns}
    if (len(delays) - 1) * period_ns > COMPARISON_NS + 20_000_000:
        assert said[-1] == tick_ns


def test_a_configured_unit_counts_from_the_first_state_and_is_checked() -> None:
    """States are handed out at once. The wrong unit is an error that names what was seen."""
    right = TickUnit(MICROSECOND_TICK_NS)
    assert set(heard(right, 5, MICROSECOND_TICK_NS, 2_000_000, [0] * 200)) == {MICROSECOND_TICK_NS}
    wrong = TickUnit(MILLISECOND_TICK_NS)
    assert wrong.hear(5, 0) == MILLISECOND_TICK_NS
    with pytest.raises(BackendError, match=r"rose by 100000 in 100 ms.*not a count in ms;"):
        wrong.hear(100_005, COMPARISON_NS)


def test_a_tick_in_no_unit_is_an_error() -> None:
    """Ticks of 10 ms, and a robot that runs at three times the speed, are refused."""
    for ticks_in_100_ms in (10, 300, 30_000, 10**9):
        unit = TickUnit()
        assert unit.hear(0, 0) is None
        with pytest.raises(BackendError, match="us or ms"):
            unit.hear(ticks_in_100_ms, COMPARISON_NS)


def test_a_reboot_begins_the_comparison_anew() -> None:
    """A tick that falls back is not compared with the one before it."""
    unit = TickUnit()
    assert unit.hear(1000, 0) is None
    assert unit.hear(1, COMPARISON_NS) is None
    assert unit.hear(101, 2 * COMPARISON_NS) == MILLISECOND_TICK_NS
