"""Gait clock: the phase rule, numbers by hand, starts, stops and changed parameters."""

import math
from copy import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from core_values import START_NS, TROT
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.control.gait import (
    LATEST_LIFT_OFF,
    PHASE_OFFSETS,
    GaitClock,
    GaitPhase,
    executable,
    phase_offsets,
)
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.types import GaitParameters

TICK = 0.004  #: [s], 250 Hz
TICK_NS = 4_000_000


def gait(
    name: str = "trot", *, frequency: float = 2.5, swing_ratio: float = 0.45
) -> GaitParameters:
    return replace(
        TROT, frequency=frequency, swing_ratio=swing_ratio, phase_offsets=phase_offsets(name)
    )


def run(
    clock: GaitClock, parameters: GaitParameters, ticks: range, *, step: bool = True
) -> list[GaitPhase]:
    return [clock.update(START_NS + k * TICK_NS, parameters, step=step) for k in ticks]


def leg_phase(parameters: GaitParameters, leg: int, time: float) -> float:
    """The rule of paper 1, section V, leg by leg."""
    offset = 0.0 if leg == 0 else parameters.phase_offsets[leg - 1]
    return math.fmod(parameters.frequency * time + offset, 1.0)


GAITS = st.builds(
    gait,
    st.sampled_from(sorted(PHASE_OFFSETS)),
    frequency=st.floats(1.0, 4.0),
    swing_ratio=st.floats(0.1, 0.9),
)


@settings(max_examples=25, deadline=None)
@given(parameters=GAITS)
def test_phases_are_those_of_the_rule(parameters: GaitParameters) -> None:
    """After the first stride every leg is where plain arithmetic says.

    This holds for stance, progress, time to touchdown and durations.
    """
    clock = GaitClock()
    first = math.ceil(1.0 / parameters.frequency / TICK) + 1
    for k, phase in enumerate(run(clock, parameters, range(2 * first + 5))):
        if k <= first:
            continue
        for leg in range(4):
            p = leg_phase(parameters, leg, k * TICK)
            lift_off = 1.0 - parameters.swing_ratio
            if min(abs(p - lift_off), p, 1.0 - p) < 1e-9:
                continue
            swing = p >= lift_off
            progress = (p - lift_off) / parameters.swing_ratio if swing else 0.0
            assert phase.stance[leg] == (not swing)
            assert phase.swing_progress[leg] == pytest.approx(progress, abs=1e-7)
            assert phase.time_to_touchdown[leg] == pytest.approx(
                (1.0 - p) / parameters.frequency if swing else 0.0, abs=1e-7
            )
        assert phase.stance_duration == pytest.approx(
            (1.0 - parameters.swing_ratio) / parameters.frequency
        )
        assert phase.swing_duration == pytest.approx(parameters.swing_ratio / parameters.frequency)


def test_trot_by_hand() -> None:
    """2 Hz and swing ratio 0.4 give a stride of 0.5 s and a stance of 0.3 s.

    FL and RR lift off 0.05 s after the start, FR and RL at 0.3 s.
    """
    clock = GaitClock()
    parameters = gait(frequency=2.0, swing_ratio=0.4)
    stance = {}
    for ms in (0, 48, 52, 248, 252, 296, 304, 400, 496, 504):
        phase = clock.update(START_NS + ms * 1_000_000, parameters, step=True)
        stance[ms] = "".join("s" if flag else "-" for flag in phase.stance)
        if ms == 400:
            np.testing.assert_allclose(phase.swing_progress, (0.5, 0.0, 0.0, 0.5), atol=1e-9)
            np.testing.assert_allclose(phase.time_to_touchdown, (0.1, 0.0, 0.0, 0.1), atol=1e-9)
    assert stance == {
        0: "ssss",
        48: "ssss",
        52: "s--s",
        248: "s--s",
        252: "ssss",
        296: "ssss",
        304: "-ss-",
        400: "-ss-",
        496: "-ss-",
        504: "ssss",
    }


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("trot", ((0, 3), (1, 2))),
        ("pace", ((0, 2), (1, 3))),
        ("bound", ((0, 1), (2, 3))),
        ("pronk", ((0, 1, 2, 3),)),
    ],
)
def test_legs_of_a_pair_move_together_and_pairs_in_turn(
    name: str, pairs: tuple[tuple[int, ...], ...]
) -> None:
    """Legs of a pair are equal on every tick, and two pairs take turns.

    Pairs are diagonal, lateral, front and hind, or all four.
    """
    phases = run(GaitClock(), gait(name, swing_ratio=0.45), range(500))
    stance = np.array([phase.stance for phase in phases])
    for pair in pairs:
        assert (stance[:, pair] == stance[:, [pair[0]]]).all()
        assert 0 < stance[:, pair[0]].mean() < 1
    if len(pairs) == 2:
        assert (stance[:, pairs[0][0]] | stance[:, pairs[1][0]]).all()


def test_walk_lifts_one_foot_at_a_time() -> None:
    """With a quarter of the stride in the air legs swing singly, in the order RL, FL, RR, FR."""
    stance = np.array(
        [
            phase.stance
            for phase in run(
                GaitClock(), gait("walk", frequency=1.0, swing_ratio=0.24), range(1000)
            )
        ]
    )
    assert ((~stance).sum(axis=1) <= 1).all()
    swinging = [int(np.flatnonzero(~row)[0]) for row in stance if not row.all()]
    order = [leg for leg, before in zip(swinging[1:], swinging, strict=False) if leg != before]
    assert order[:4] in ([1, 2, 0, 3], [3, 1, 2, 0], [2, 0, 3, 1], [0, 3, 1, 2])


@pytest.mark.parametrize("name", sorted(PHASE_OFFSETS))
@pytest.mark.parametrize("swing_ratio", [0.2, 0.45, 0.5, 0.6, 0.8])
def test_a_stride_begins_without_a_foot_in_mid_air(name: str, swing_ratio: float) -> None:
    """In every gait each swing, also the first, runs without a jump from its start to its end."""
    parameters = gait(name, swing_ratio=swing_ratio)
    progress = np.array(
        [phase.swing_progress for phase in run(GaitClock(), parameters, range(500))]
    )
    rate = parameters.frequency * TICK / swing_ratio
    assert_continuous_swings(progress, rate, first_row_may_lift=True)


def assert_continuous_swings(
    progress: np.ndarray, rate: float, *, first_row_may_lift: bool = False
) -> None:
    """Progress of each leg is 0, then rises by `rate` a tick until it is within a tick of 1.

    It begins with at most LATEST_LIFT_OFF.
    """
    assert (progress[0] <= (LATEST_LIFT_OFF if first_row_may_lift else 0.0)).all()
    for before, now in pairwise(progress):
        for a, b in zip(before, now, strict=True):
            if b > 0.0 and a > 0.0 and b > a:
                assert b == pytest.approx(a + rate, abs=1e-6)
            elif b > 0.0:
                assert b <= max(rate, LATEST_LIFT_OFF) + 1e-6
            elif a > 0.0:
                assert a >= 1.0 - rate - 1e-6


@settings(max_examples=25, deadline=None)
@given(parameters=GAITS, toggles=st.lists(st.integers(1, 150), min_size=1, max_size=8))
def test_starting_and_stopping_at_any_time_interrupts_no_swing(
    parameters: GaitParameters, toggles: list[int]
) -> None:
    """Feet in the air finish their swing, and none lifts off while the clock is stopped.

    When stepping resumes, no foot appears in mid-air.
    """
    clock = GaitClock()
    step = True
    k = 0
    rows = []
    for ticks in toggles:
        phases = run(clock, parameters, range(k, k + ticks), step=step)
        if not step:
            stance = np.array([phase.stance for phase in phases])
            assert (stance[1:] | ~stance[:-1]).all()
        rows += [phase.swing_progress for phase in phases]
        k = k + ticks
        step = not step
    assert_continuous_swings(
        np.array(rows),
        parameters.frequency * TICK / parameters.swing_ratio,
        first_row_may_lift=True,
    )


@settings(max_examples=25, deadline=None)
@given(parameters=GAITS, ticks=st.integers(1, 400))
def test_after_a_stop_all_feet_are_down_within_a_swing(
    parameters: GaitParameters, ticks: int
) -> None:
    """After a stop all feet are down, and `stepping` says so.

    A new stride begins with FR at the start of its stance.
    """
    clock = GaitClock()
    run(clock, parameters, range(ticks))
    assert clock.stepping
    swing = math.ceil(parameters.swing_ratio / parameters.frequency / TICK) + 1
    phase = run(clock, parameters, range(ticks, ticks + swing), step=False)[-1]
    assert all(phase.stance) and not clock.stepping
    assert not any(phase.swing_progress) and not any(phase.time_to_touchdown)
    again = run(clock, parameters, range(ticks + swing + 7, ticks + swing + 300))
    fresh = run(GaitClock(), parameters, range(293))
    for a, b in zip(again, fresh, strict=True):
        np.testing.assert_array_equal(a.stance, b.stance)


def test_a_clock_that_never_stepped_stands() -> None:
    """All feet of a clock that never stepped are down and stay down."""
    clock = GaitClock()
    assert not clock.stepping
    assert all(all(phase.stance) for phase in run(clock, gait(), range(300), step=False))
    assert clock.schedule(gait(), np.linspace(0.0, 2.0, 50)).all()


@settings(max_examples=25, deadline=None)
@given(parameters=GAITS, ticks=st.integers(0, 300), stop_for=st.integers(0, 40), step=st.booleans())
def test_schedule_is_what_update_returns_later(
    parameters: GaitParameters, ticks: int, stop_for: int, step: bool
) -> None:
    """The schedule is the stance at future times, apart from ties of rounding.

    This holds while stepping, just after resuming, and while the last feet land.
    """
    clock = GaitClock()
    run(clock, parameters, range(ticks))
    run(clock, parameters, range(ticks, ticks + stop_for), step=False)
    now = ticks + stop_for
    run(clock, parameters, range(now, now + 1), step=step)
    times = TICK * np.arange(1, 120)
    # A lift-off or touchdown on a tick may round to either side of it.
    expected = clock.schedule(parameters, times)
    sooner = clock.schedule(parameters, times - 1e-8)
    later = clock.schedule(parameters, times + 1e-8)
    assert expected.shape == (119, 4)
    phases = run(clock, parameters, range(now + 1, now + 120), step=step)
    got = np.array([phase.stance for phase in phases])
    assert ((got == expected) | (sooner != later)).all()


def test_schedule_does_not_advance_the_clock() -> None:
    """Asking for a schedule changes nothing."""
    asked = GaitClock()
    left_alone = GaitClock()
    for k in range(200):
        asked.schedule(gait(), np.linspace(0.0, 1.0, 10))
        phase = asked.update(START_NS + k * TICK_NS, gait(), step=True)
        assert phase == left_alone.update(START_NS + k * TICK_NS, gait(), step=True)


def test_a_copy_goes_on_by_itself() -> None:
    """A clock is not changed by what a copy of it does."""
    copied = GaitClock()
    left_alone = GaitClock()
    for k in range(200):
        phase = copied.update(START_NS + k * TICK_NS, gait(), step=True)
        assert phase == left_alone.update(START_NS + k * TICK_NS, gait(), step=True)
        run(copy(copied), gait("pace", swing_ratio=0.6), range(k, k + 30, 3))


@settings(max_examples=25, deadline=None)
@given(
    frequencies=st.lists(st.floats(0.5, 4.0), min_size=20, max_size=60),
    ratios=st.lists(st.floats(0.3, 0.6), min_size=60, max_size=60),
)
def test_phase_does_not_jump_when_frequency_changes(
    frequencies: list[float], ratios: list[float]
) -> None:
    """The phase of FR, read from its swing, advances by frequency times the tick.

    It does so for any frequency and swing ratio before.
    """
    clock = GaitClock()
    expected = 0.0
    for k, (frequency, ratio) in enumerate(zip(frequencies, ratios, strict=False)):
        parameters = gait(frequency=frequency, swing_ratio=ratio)
        phase = clock.update(START_NS + 20 * k * TICK_NS, parameters, step=True)
        expected = (expected + frequency * 20 * TICK) % 1.0 if k else 0.0
        if not phase.stance[0]:
            assert phase.swing_progress[0] == pytest.approx(
                (expected - (1.0 - ratio)) / ratio, abs=1e-6
            )


def test_a_foot_does_not_jump_into_mid_air_when_offsets_change() -> None:
    """From trot to pace in one tick, feet that are down lift off when their next swing starts."""
    clock = GaitClock()
    trot = gait("trot")
    pace = gait("pace")
    for when in range(100, 200, 7):
        clock = GaitClock()
        rows = run(clock, trot, range(when))
        after = run(clock, pace, range(when, when + 300))
        down = np.array(rows[-1].stance)
        progress = np.array([phase.swing_progress for phase in after])
        rate = pace.frequency * TICK / pace.swing_ratio
        assert (progress[0][down] <= LATEST_LIFT_OFF).all()
        for before, now in pairwise(progress):
            lifted = (before == 0.0) & (now > 0.0)
            assert (now[lifted] <= max(rate, LATEST_LIFT_OFF)).all()


def test_a_gait_by_name() -> None:
    """A gait has its standard offsets; another name is an error that lists them."""
    assert phase_offsets("trot") == (0.5, 0.5, 0.0)
    assert phase_offsets("pace") == (0.5, 0.0, 0.5)
    with pytest.raises(
        UnknownNameError,
        match=r"^unknown gait 'gallop'; choose one of: bound, pace, pronk, trot, walk$",
    ):
        phase_offsets("gallop")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gait_that_is_not_finite_cannot_be_executed(value: float) -> None:
    """NaN or infinity in any field is refused."""
    assert executable(TROT)
    bad_offsets = [tuple(np.where(np.arange(3) == i, value, 0.5)) for i in range(3)]
    bad_feet = [tuple(np.where(np.arange(4) == i, value, 0.1)) for i in range(4)]
    for changes in (
        {"frequency": value},
        {"swing_ratio": value},
        *({"phase_offsets": offsets} for offsets in bad_offsets),
        *({"foot_y": feet} for feet in bad_feet),
    ):
        assert not executable(replace(TROT, **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"frequency": 0.0}, False),
        ({"frequency": -1.0}, False),
        ({"frequency": 1e-3}, True),
        ({"swing_ratio": 0.0}, False),
        ({"swing_ratio": 1.0}, False),
        ({"swing_ratio": math.nextafter(1.0, 0.0)}, True),
        ({"swing_ratio": 1e-3}, True),
        ({"swing_ratio": -0.1}, False),
    ],
)
def test_a_gait_needs_a_stride_and_both_phases(changes: dict[str, float], expected: bool) -> None:
    """A gait needs a frequency above zero and a swing ratio strictly between 0 and 1."""
    assert executable(replace(TROT, **changes)) is expected


def test_a_stamp_that_jumps_back_holds_the_phase() -> None:
    """Nothing moves on that tick, and the gait goes on from there."""
    clock = GaitClock()
    parameters = gait()
    before = run(clock, parameters, range(130))[-1]
    back = run(clock, parameters, range(-1000, -999))[-1]
    np.testing.assert_array_equal(back.swing_progress, before.swing_progress)
    after = run(clock, parameters, range(-999, -998))[-1]
    moved = [
        now - was
        for now, was in zip(after.swing_progress, before.swing_progress, strict=True)
        if was > 0.0
    ]
    assert moved
    np.testing.assert_allclose(
        moved, parameters.frequency * TICK / parameters.swing_ratio, atol=1e-9
    )
