"""Robot time from 32-bit ticks."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.backends.tick_clock import (
    ANCHOR_STEP_NS,
    COMPARISON_NS,
    MICROSECOND_TICK_NS,
    MILLISECOND_TICK_NS,
    SLEW,
    TICK_UNITS,
    Drift,
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


@given(ticks, st.integers(-(2**31), 2**31 - 1), st.sampled_from([1_000, 1_000_000]))
def test_a_distance_has_no_direction(start: int, step: int, tick_ns: int) -> None:
    """It is the time of the ticks between two of them, across a wrap too."""
    clock = TickClock(tick_ns=tick_ns)
    clock.update(start, 0)
    assert clock.distance_s((start + step) % 2**32) == abs(step) * tick_ns / 1e9


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


def followed(robot_ppm: float, seconds: float, late_ns: int = 0, ahead_ns: int = 0) -> list[int]:
    """Offsets each second of a robot whose quartz runs fast by `robot_ppm` parts in a million.

    States arrive up to `late_ns` late. The clock of this machine is set forward by `ahead_ns`
    after the first state.
    """
    rng = random.Random(1)
    clock = TickClock(drift=Drift())
    start = 1_700_000_000_000_000_000
    clock.update(0, start)
    offsets = []
    for k in range(1, int(500 * seconds)):
        before = clock.stamp_ns
        true = start + ahead_ns + round(2_000_000 * k / (1.0 + robot_ppm * 1e-6))
        assert clock.update(2 * k, true + rng.randrange(late_ns + 1)) is TickStep.NEXT
        assert abs(clock.stamp_ns - before - 2_000_000) <= 2_000_000 * SLEW + 1
        if k % 500 == 0:
            offsets.append(true - clock.stamp_ns)
    return offsets


@pytest.mark.parametrize("robot_ppm", [-100.0, 0.0, 60.0])
def test_stamps_follow_the_clock_of_this_machine(robot_ppm: float) -> None:
    """A quartz that is wrong by 100 parts in a million ends 2 ms off, not 12 ms in two minutes."""
    offsets = followed(robot_ppm, 120.0, late_ns=3_000_000)
    assert abs(offsets[-1]) < 2_500_000
    assert abs(offsets[-1] - offsets[-20]) < 300_000


def test_a_clock_that_is_set_moves_stamps_slowly() -> None:
    """After a jump of an hour, robot time goes on and gains no more than the stated part."""
    offsets = followed(0.0, 20.0, ahead_ns=3_600_000_000_000)
    gained = offsets[0] - offsets[-1]
    assert 0 < gained <= 20.0 * SLEW * 1e9


def test_without_a_drift_the_ticks_alone_count() -> None:
    """Beside a simulated robot a run is repeatable, whatever the clock of this machine says."""
    clock = TickClock()
    clock.update(0, 0)
    for k in range(1, 2000):
        clock.update(2 * k, 10_000_000_000 * k)
    assert clock.stamp_ns == 1999 * 2_000_000


def test_the_tick_of_a_corrected_stamp_is_found() -> None:
    """A command answers the stamp before the last correction."""
    clock = TickClock(drift=Drift(rate=SLEW))
    clock.update(0, 0)
    stamps = []
    for k in range(1, 20):
        clock.update(2 * k, 0)
        stamps.append(clock.stamp_ns)
    assert [clock.tick_of(stamp) for stamp in stamps] == [2 * k for k in range(1, 20)]
