"""Driving by a pad: sticks, chords, the dead-man, the emergency stop and missing readings."""

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from core_values import CONFIG_FILE
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.operator.driving import NO_WISH, PadDriver, Wish, shaped
from safe_locomotion.operator.pad import ACTIONS, AXES, BUTTONS, Pad, parse_chord
from safe_locomotion.types import VelocityCommand

DRIVING = load_config(CONFIG_FILE).driving
MAP = DRIVING.remote
MS = 1_000_000
START_NS = 1_700_000_000_000_000_000
ZERO = VelocityCommand()
FULL_AHEAD = Pad(pressed=frozenset({"R1"}), ly=1.0)
#: Of A1, Go1 and Go2: stand or lie, damp, others; walk; low level.
FIRMWARE = (
    *(frozenset({shoulder, button}) for shoulder in ("L1", "L2") for button in "ABXY"),
    frozenset({"start"}),
)
CHORDS = {name: parse_chord(getattr(MAP, name)) for name in (*ACTIONS, "estop")}


def pad(*pressed: str, **sticks: float) -> Pad:
    return Pad(pressed=frozenset(pressed), **sticks)


def driver(**changes: Any) -> PadDriver:
    """A driver after one reading of a pad at rest."""
    one = PadDriver(replace(DRIVING, **changes), MAP)
    one.update(START_NS, Pad())
    return one


def held(one: PadDriver, reading: Pad, start_ms: int, end_ms: int, step_ms: int = 10) -> list[Wish]:
    """Wishes while a reading stays the same from `start_ms` until `end_ms`."""
    return [one.update(START_NS + t * MS, reading) for t in range(start_ms, end_ms, step_ms)]


@pytest.mark.parametrize(("expo", "at_half"), [(0.0, 0.5), (1.0, 0.125), (0.5, 0.3125)])
def test_curve_of_a_stick(expo: float, at_half: float) -> None:
    """The curve is 0 in the dead-band, cubic outside, 1 at the end and beyond, and odd."""
    for sign in (1.0, -1.0):
        assert shaped(sign * 0.1, 0.1, expo) == 0.0
        assert 0.0 < sign * shaped(sign * math.nextafter(0.1, 1.0), 0.1, expo) < 1e-12
        assert shaped(sign * 0.55, 0.1, expo) == pytest.approx(sign * at_half)
        assert shaped(sign * 1.0, 0.1, expo) == shaped(sign * 7.0, 0.1, expo) == sign
    for stick in (math.nan, math.inf, -math.inf):
        assert shaped(stick, 0.1, expo) == 0.0


def test_a_stick_moves_its_own_axis_up_to_its_speed() -> None:
    """Left stick: ahead and sideways; right stick: turning; its other axis means nothing."""
    expected = {
        "ly": VelocityCommand(vx=DRIVING.vx),
        "lx": VelocityCommand(vy=-DRIVING.vy),
        "rx": VelocityCommand(wz=-DRIVING.wz),
        "ry": ZERO,
    }
    for name in AXES:
        wish = driver().update(START_NS, pad("R1", **{name: 1.0}))
        assert wish == Wish(drives=True, command=expected[name]), name


@pytest.mark.parametrize("button", BUTTONS)
def test_only_the_dead_man_lets_the_sticks_through(button: str) -> None:
    """With any button but the dead-man the velocity is zero and nobody drives."""
    wish = driver().update(START_NS, Pad(pressed=frozenset({button}), lx=1.0, ly=1.0, rx=1.0))
    assert wish.drives is (button == "R1")
    assert (wish.command != ZERO) is (button == "R1")


def test_letting_go_stops_on_the_next_reading() -> None:
    """The velocity is zero on the first reading without the dead-man."""
    one = driver()
    assert one.update(START_NS, FULL_AHEAD).command.vx == DRIVING.vx
    assert one.update(START_NS + MS, replace(FULL_AHEAD, pressed=frozenset())) == NO_WISH


def test_without_a_dead_man_sticks_alone_drive() -> None:
    """Without a dead-man the person drives while a stick is outside its dead-band."""
    one = PadDriver(DRIVING, replace(MAP, dead_man="none"))
    assert not one.update(START_NS, Pad()).drives
    assert one.update(START_NS, Pad(ly=1.0)) == Wish(
        drives=True, command=VelocityCommand(vx=DRIVING.vx)
    )


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("dead_man", [frozenset(), frozenset({"R1"})])
def test_a_chord_asks_once_after_the_debounce(action: str, dead_man: frozenset[str]) -> None:
    """A held chord requests once, and again only after all buttons were released."""
    one = driver()
    chord = Pad(pressed=CHORDS[action] | dead_man)
    wishes = held(one, chord, 0, 1000)
    assert [w.request for w in wishes[:3]] == ["", "", ""] and wishes[3].request == action
    assert [w.request for w in wishes[4:]] == [""] * (len(wishes) - 4)
    assert held(one, Pad(pressed=dead_man), 1000, 1020)[-1].request == ""
    assert [w.request for w in held(one, chord, 1020, 1200)].count(action) == 1


def test_every_set_of_three_buttons_asks_for_what_its_chord_says() -> None:
    """Of all sets of up to three buttons only the configured chords make a request.

    The emergency stop has priority.
    """
    for size in range(4):
        for pressed in combinations(BUTTONS, size):
            wish = held(driver(), Pad(pressed=frozenset(pressed)), 0, 60)[3]
            asked = frozenset(pressed) - {"R1"}
            assert wish.estop is (CHORDS["estop"] <= asked), pressed
            expected = next((name for name in ACTIONS if CHORDS[name] == asked), "")
            assert wish.request == ("" if wish.estop else expected), pressed


def test_bouncing_and_passing_by_ask_for_nothing() -> None:
    """A bouncing contact requests nothing; a chord released one by one requests only once."""
    one = driver()
    chord = Pad(pressed=CHORDS["stand"])
    for t in range(0, 200, 20):
        assert held(one, chord, t, t + 10)[0].request == ""
        assert held(one, Pad(), t + 10, t + 20)[0].request == ""
    rolled = driver()
    assert [w.request for w in held(rolled, pad("R2", "up"), 10, 100) if w.request] == ["stand"]
    assert not any(w.request for w in held(rolled, pad("R2", "A"), 100, 300))


def test_a_button_that_is_stuck_from_the_start_asks_for_nothing() -> None:
    """A button that is pressed at the first reading requests nothing until it was released.

    The same holds for the first reading after a missing one.
    """
    one = PadDriver(DRIVING, MAP)
    assert not any(w.request for w in held(one, pad("R2", "A"), 0, 500))
    held(one, Pad(), 500, 510)
    one.update(START_NS + 510 * MS, None)
    assert not any(w.request for w in held(one, pad("R2", "A"), 520, 900))
    held(one, Pad(), 900, 910)
    assert [w.request for w in held(one, pad("R2", "A"), 910, 1000)].count("walk") == 1


@pytest.mark.parametrize("more", [frozenset(), frozenset({"R1"}), frozenset(BUTTONS)])
def test_the_emergency_stop_is_immediate_and_silences_everything_else(more: frozenset[str]) -> None:
    """The stop counts on the first reading, whatever else is pressed, without any other wish.

    Releasing its buttons makes no request either.
    """
    one = driver()
    assert one.update(START_NS, Pad(pressed=CHORDS["estop"] | more, ly=1.0)) == Wish(estop=True)
    assert held(one, pad("R1", "L2", ly=1.0), 10, 60)[-1].request == ""


def test_a_reading_that_never_changes_stops_moving_the_robot() -> None:
    """After `frozen_time` the velocity is zero but the person keeps driving; a change ends it."""
    one = driver(frozen_time=2.0)
    limit = 2_000 * MS
    one.update(START_NS + MS, FULL_AHEAD)
    assert one.update(START_NS + MS + limit, FULL_AHEAD).command.vx == DRIVING.vx
    assert one.update(START_NS + MS + limit + 1, FULL_AHEAD) == Wish(drives=True, frozen=True)
    assert one.update(START_NS + MS + limit + 2, FULL_AHEAD, changed=True).command.vx == DRIVING.vx
    assert one.update(START_NS + 3 * limit, replace(FULL_AHEAD, ly=0.99)).command.vx > 0.0


def test_a_clock_that_goes_back_neither_freezes_nor_asks() -> None:
    """After the clock went back, times count from the first reading after that."""
    one = driver()
    one.update(START_NS, pad("R2", "A"))
    assert one.update(START_NS - 1000 * MS, pad("R2", "A")).request == ""
    assert one.update(START_NS - 960 * MS, pad("R2", "A")).request == "walk"


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**10),
            st.none()
            | st.builds(
                Pad,
                pressed=st.frozensets(st.sampled_from(BUTTONS)),
                **dict.fromkeys(AXES, st.floats(allow_nan=True, allow_infinity=True)),
            ),
        ),
        max_size=20,
    )
)
def test_no_sequence_of_readings_drives_without_the_dead_man_or_past_the_limits(
    readings: list[tuple[int, Pad | None]],
) -> None:
    """Any readings give velocities within full speed, and zero without the dead-man.

    The emergency stop comes without a request.
    """
    one = PadDriver(DRIVING, MAP)
    for now_ns, reading in readings:
        wish = one.update(now_ns, reading)
        c = wish.command
        assert abs(c.vx) <= DRIVING.vx and abs(c.vy) <= DRIVING.vy and abs(c.wz) <= DRIVING.wz
        if reading is None or "R1" not in reading.pressed or CHORDS["estop"] <= reading.pressed:
            assert c == ZERO and not wish.drives
        assert wish.request in (*ACTIONS, "") and not (wish.estop and wish.request)


@pytest.mark.parametrize("robot", ["a1", "go1", "go2"])
def test_the_firmware_of_a_robot_acts_on_no_chord_but_the_stop(robot: str) -> None:
    """Its programs lie down at L2+A, go limp at L2+B, and unlock at start, also beside ours."""
    remote = load_config(robot).driving.remote
    for name in ACTIONS:
        chord = parse_chord(getattr(remote, name))
        assert not any(firmware <= chord for firmware in FIRMWARE), name
    assert parse_chord(remote.estop) == {"L2", "B"}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"dead_man": "L9"}, "unknown dead_man 'L9'; choose one of: R1, L1,"),
        ({"walk": "L2+Z"}, "unknown button of walk 'Z'; choose one of:"),
        ({"forward": "+ly"}, "unknown axis"),
        ({"estop": "none"}, "estop: needs a chord"),
        ({"estop": "R1+B"}, "must not need the dead-man"),
        ({"walk": "B"}, "one chord is part of the other"),
        ({"walk": "L2+B+A"}, "one chord is part of the other"),
        ({"walk": "R2+up"}, "the same chord|part of the other"),
        ({"walk": "R1+A"}, "must not contain the dead-man"),
    ],
)
def test_a_mapping_that_cannot_be_told_apart_is_refused(change: dict[str, str], match: str) -> None:
    """A map with ambiguous chords or unknown names is an error at start-up."""
    with pytest.raises(ConfigurationError, match=match):
        replace(MAP, **change).actions  # noqa: B018
    if "unknown" in match:
        with pytest.raises(UnknownNameError):
            replace(MAP, **change)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("deadband", (-0.01, 1.0, math.nan)),
        ("expo", (-0.01, 1.01, math.nan)),
        *(
            (name, (0.0, -1.0, math.inf, math.nan))
            for name in ("vx", "vy", "wz", "debounce", "frozen_time")
        ),
    ],
)
def test_numbers_without_a_meaning_are_refused(name: str, values: tuple[float, ...]) -> None:
    """Numbers just outside their range, infinity and NaN are errors that name the parameter."""
    for value in values:
        with pytest.raises(ConfigurationError, match=name):
            replace(DRIVING, **{name: value})
