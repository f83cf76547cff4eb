"""Hazards: their severities, all of them in all modes, and that one more never makes a verdict more permissive."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mode_values import FALLEN, FAULT, NONE, RECOVER, SIT, START_NS, STOP, TICK_NS, machine

from safe_locomotion import modes
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.modes import DAMPED, HAZARDS, LYING, Conditions, ModeMachine, Severity, severity
from safe_locomotion.types import Mode


@pytest.mark.parametrize(
    ("hazard", "expected"),
    [
        ("policy_fault", RECOVER),
        ("command_not_finite", STOP),
        ("battery_low", SIT),
        ("motor_hot", SIT),
        ("fallen", FALLEN),
        ("self_right_timeout", FALLEN),
        ("estimate_diverged", FAULT),
        ("stand_up_timeout", FAULT),
        ("state_jump", FAULT),
        ("robot_mismatch", FAULT),
        ("motor_off", FAULT),
        ("foreign_publisher", FAULT),
        ("estop", FAULT),
    ],
)
def test_severity_of_each_hazard(hazard: str, expected: Severity) -> None:
    """The table of hazards, by hand."""
    assert severity([hazard]) is expected


def test_hazard_table_is_complete_and_severities_are_ordered() -> None:
    """No hazard without a row above, none of severity NONE, worst wins, nothing gives NONE."""
    assert len(HAZARDS) == 13 and Severity.NONE not in HAZARDS.values()
    assert list(Severity) == sorted(Severity) == [0, 1, 2, 3, 4, 5]
    assert severity([]) is NONE
    assert severity(["command_not_finite", "estop", "battery_low"]) is FAULT
    assert severity(["battery_low", "command_not_finite"]) is SIT


def test_unknown_hazard_names_the_choices() -> None:
    """A hazard without a severity cannot pass as harmless."""
    with pytest.raises(UnknownNameError, match=r"^unknown hazard 'meteor'; choose one of: policy_fault, command_not_finite,"):
        severity(["estop", "meteor"])


def test_damped_modes() -> None:
    """Damping in the modes in which nobody drives, and in no other."""
    assert {Mode.PASSIVE, Mode.FALLEN, Mode.FAULT} == DAMPED
    assert DAMPED | {Mode.SELF_RIGHT} == LYING


@pytest.mark.parametrize("mode", Mode)
def test_a_robot_that_lies_there_anyway_is_not_fallen_once_more(mode: Mode) -> None:
    """`fallen` has no severity in PASSIVE, FALLEN, SELF_RIGHT and FAULT, its own elsewhere; other hazards always have theirs."""
    assert severity(["fallen"], mode) is (NONE if mode in LYING else FALLEN)
    assert severity(["fallen", "battery_low"], mode) is (SIT if mode in LYING else FALLEN)
    assert severity(["self_right_timeout"], mode) is FALLEN
    with pytest.raises(UnknownNameError):
        severity(["meteor"], mode)


def test_the_table_in_words_is_the_table() -> None:
    """Every hazard stands in the module's text with its severity, and no other."""
    rows = re.findall(r"^    ([a-z_]+) +([A-Z]+)  ", modes.__doc__ or "", re.MULTILINE)
    assert dict(rows) == {name: worst.name for name, worst in HAZARDS.items()}


#: How much a mode lets the robot do.
PERMISSIVENESS = {
    Mode.FAULT: 0,
    Mode.FALLEN: 1,
    Mode.PASSIVE: 2,
    Mode.SIT: 3,
    Mode.SELF_RIGHT: 4,
    Mode.STAND_UP: 5,
    Mode.STAND: 6,
    Mode.WALK: 7,
}
HAZARD_SETS = st.frozensets(st.sampled_from(sorted(HAZARDS)))
CONDITIONS = st.builds(
    Conditions,
    upright=st.booleans(),
    standing=st.booleans(),
    sitting=st.booleans(),
    slow=st.booleans(),
    still=st.booleans(),
)
EVENTS = st.one_of(
    st.sampled_from(["stand", "walk", "sit", "reset"]), st.tuples(st.integers(1, 8 * 10**9), HAZARD_SETS, CONDITIONS)
)


@given(hazards=HAZARD_SETS, more=HAZARD_SETS)
def test_more_hazards_are_never_less_severe(hazards: frozenset[str], more: frozenset[str]) -> None:
    """Severity is monotone in the set of hazards."""
    assert severity(hazards | more) >= severity(hazards)


def play(machine: ModeMachine, events: list[object]) -> int:
    """Run requests and ticks; returns the last stamp."""
    stamp = START_NS
    for event in events:
        if isinstance(event, str):
            machine.request(event)
        else:
            elapsed, hazards, conditions = event
            stamp += elapsed
            machine.update(stamp, severity(hazards, machine.mode), conditions)
    return stamp


@given(past=st.lists(EVENTS, max_size=12), hazards=HAZARD_SETS, more=HAZARD_SETS, conditions=CONDITIONS, unasked=st.booleans())
def test_one_more_hazard_never_gives_a_more_permissive_mode(
    past: list[object], hazards: frozenset[str], more: frozenset[str], conditions: Conditions, unasked: bool
) -> None:
    """After the same past, more hazards on a tick give the same mode or a more restricted one, then and on a quiet tick later."""
    fewer, greater = (machine(settle_time=0.3, unasked=unasked) for _ in range(2))
    stamp = play(fewer, past) + TICK_NS
    play(greater, past)
    for later, (a, b) in enumerate(((hazards, hazards | more), (frozenset(), frozenset()))):
        less = fewer.update(stamp + later, severity(a, fewer.mode), conditions)
        most = greater.update(stamp + later, severity(b, greater.mode), conditions)
        assert PERMISSIVENESS[most] <= PERMISSIVENESS[less]


@given(past=st.lists(EVENTS, max_size=30))
def test_fault_is_left_by_reset_and_fallen_by_reset_and_stand_alone(past: list[object]) -> None:
    """Whatever happens, FAULT stays; FALLEN turns into itself or FAULT, or into SELF_RIGHT after a request to stand."""
    one, asked, stamp = machine(settle_time=0.3), False, START_NS
    for event in past:
        before = one.mode
        if isinstance(event, str):
            refusal = one.request(event)
            asked = (asked or event == "stand") and event != "reset" if refusal is None else asked
            assert one.mode is before or event == "reset"
            continue
        stamp += event[0]
        after = one.update(stamp, severity(event[1], one.mode), event[2])
        if before is Mode.FAULT:
            assert after is Mode.FAULT
        if before is Mode.FALLEN:
            assert after in (Mode.FALLEN, Mode.FAULT) or (asked and after is Mode.SELF_RIGHT)
        asked = asked and after is before is Mode.FALLEN
