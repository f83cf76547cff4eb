"""Events of a game controller: every button and axis, both layouts of sticks, lost events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.operator.gamepad import (
    EV_ABS,
    EV_KEY,
    EV_SYN,
    HATS,
    KEYS,
    SYN_DROPPED,
    AxisRange,
    GamepadState,
    is_gamepad,
)
from safe_locomotion.operator.pad import BUTTONS, Pad

STICK = AxisRange(low=-32768, high=32767)
TRIGGER = AxisRange(low=0, high=255)
HAT = AxisRange(low=-1, high=1)
XBOX = {0: STICK, 1: STICK, 3: STICK, 4: STICK, 2: TRIGGER, 5: TRIGGER, 16: HAT, 17: HAT}
OTHER = {0: TRIGGER, 1: TRIGGER, 2: TRIGGER, 5: TRIGGER, 9: TRIGGER, 10: TRIGGER, 16: HAT, 17: HAT}


@pytest.mark.parametrize(("code", "name"), KEYS.items())
def test_every_key_is_its_button_while_it_is_down(code: int, name: str) -> None:
    """A button is pressed from its down event to its up event, and a `PadMap` knows its name."""
    state = GamepadState(XBOX)
    for value, pressed in ((1, {name}), (2, {name}), (0, set()), (0, set())):
        state.take(EV_KEY, code, value)
        assert state.pad == Pad(pressed=frozenset(pressed))
    assert name in BUTTONS


@pytest.mark.parametrize(
    ("ranges", "sticks", "triggers"),
    [
        (XBOX, {"lx": 0, "ly": 1, "rx": 3, "ry": 4}, {"L2": 2, "R2": 5}),
        (OTHER, {"lx": 0, "ly": 1, "rx": 2, "ry": 5}, {"L2": 10, "R2": 9}),
    ],
)
def test_sticks_and_triggers(
    ranges: dict[int, AxisRange], sticks: dict[str, int], triggers: dict[str, int]
) -> None:
    """Forward and right are positive within -1..1; a trigger is pressed above 0.3 of its way."""
    for name, code in sticks.items():
        r = ranges[code]
        sign = -1.0 if name.endswith("y") else 1.0
        for value, share in (
            (r.low, -1.0),
            (r.high, 1.0),
            (r.high + 1000, 1.0),
            (round(0.25 * r.low + 0.75 * r.high), 0.5),
        ):
            state = GamepadState(ranges)
            state.take(EV_ABS, code, value)
            assert getattr(state.pad, name) == pytest.approx(sign * share, abs=0.01)
            assert state.pad.pressed == frozenset()
    for name, code in triggers.items():
        state = GamepadState(ranges)
        for value, pressed in ((0, set()), (76, set()), (77, {name}), (255, {name})):
            state.take(EV_ABS, code, value)
            assert state.pad.pressed == pressed


def test_the_cross_is_four_buttons() -> None:
    """Each axis of the cross presses one of its two buttons, or none."""
    state = GamepadState(XBOX)
    for code, (low, high) in HATS.items():
        for value, pressed in ((-1, {low}), (1, {high}), (0, set())):
            state.take(EV_ABS, code, value)
            assert state.pad.pressed == pressed


def test_lost_events_ask_for_a_reset_that_forgets_what_was_held() -> None:
    """After SYN_DROPPED and a reset the reading is what the device reports."""
    state = GamepadState(XBOX)
    state.take(EV_KEY, 0x137, 1)
    state.take(EV_ABS, 1, -32768)
    assert not state.dropped
    state.take(EV_SYN, SYN_DROPPED, 0)
    assert state.dropped
    state.reset([0x130], {0: 32767})
    assert not state.dropped and state.pad == Pad(pressed=frozenset({"A"}), lx=1.0)


def test_an_axis_without_a_range_or_without_a_value_is_in_its_middle() -> None:
    """An axis without a range, and one without a value, are in their middle."""
    state = GamepadState({0: AxisRange(low=0, high=0), 1: TRIGGER, 2: TRIGGER})
    state.take(EV_ABS, 0, 7)
    assert state.pad == Pad()


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 0x300), st.integers(-(2**31), 2**31 - 1)))
)
def test_no_events_give_a_reading_out_of_range(events: list[tuple[int, int, int]]) -> None:
    """After any events the sticks are within -1..1 and the buttons are known."""
    state = GamepadState(XBOX)
    for event in events:
        state.take(*event)
    pad = state.pad
    assert all(-1.0 <= stick <= 1.0 for stick in (pad.lx, pad.ly, pad.rx, pad.ry))
    assert pad.pressed <= set(BUTTONS)


def test_what_is_a_gamepad() -> None:
    """A gamepad has a stick and the lower button; a mouse and a keyboard are not gamepads."""
    assert is_gamepad([0x130], [0, 1])
    assert not is_gamepad([0x110], [0, 1])
    assert not is_gamepad([0x130], [])
