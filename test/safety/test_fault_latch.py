"""The bridge's own memory of a FAULT: what latches it, and that only a reset clears it."""

import pytest
from core_values import START_NS, TICK_NS, verdict

from safe_locomotion.safety.fault_latch import FaultLatch
from safe_locomotion.safety.hazards import HAZARDS, Severity
from safe_locomotion.types import DAMPED, Mode

HELD = {"not_reset"}
FAULTS = [name for name, row in HAZARDS.items() if row.severity is Severity.FAULT]


def latched(stamp_ns: int = START_NS) -> FaultLatch:
    """A latch that has heard of the emergency stop."""
    latch = FaultLatch()
    latch.hear(verdict(mode=Mode.FAULT, reasons=("estop",), stamp_ns=stamp_ns))
    return latch


def test_a_fresh_latch_holds_nothing() -> None:
    """Before the first FAULT nothing is refused."""
    latch = FaultLatch()
    assert not latch.latched and not latch.hazards and not latch.causes


@pytest.mark.parametrize("name", HAZARDS)
def test_each_hazard_of_severity_fault_latches(name: str) -> None:
    """The milder ones do not; the cause is kept for the operator."""
    latch = FaultLatch()
    latch.hear(verdict(mode=Mode.WALK))
    latch.report(frozenset({name}))
    assert latch.latched == (name in FAULTS)
    assert latch.hazards == (HELD if name in FAULTS else set())
    assert latch.causes == ({name} if name in FAULTS else set())


@pytest.mark.parametrize("mode", [None, *Mode])
def test_a_jump_in_time_latches_only_where_the_robot_is_not_damped(mode: Mode | None) -> None:
    """A damped robot may be switched off and on; any other fault latches there too."""
    latch = FaultLatch()
    if mode is not None:
        latch.hear(verdict(mode=mode))
        latch.reset(START_NS)
    latch.report(frozenset({"state_jump"}))
    assert latch.latched is (mode is not None and mode not in DAMPED)
    latch.report(frozenset({"state_jump", "robot_mismatch"}))
    assert latch.latched and "robot_mismatch" in latch.causes


@pytest.mark.parametrize("mode", Mode)
def test_of_all_modes_only_fault_latches(mode: Mode) -> None:
    """A fallen robot may stand up by request, so FALLEN does not latch."""
    latch = FaultLatch()
    latch.hear(verdict(mode=mode))
    assert latch.latched == (mode is Mode.FAULT)


@pytest.mark.parametrize("mode", Mode)
def test_no_later_verdict_and_no_end_of_hazards_clears_it(mode: Mode) -> None:
    """Whoever wrote the verdict, and however late it comes."""
    latch = latched()
    for k in range(1, 600):
        latch.hear(verdict(mode=mode, stamp_ns=START_NS + k * TICK_NS))
        latch.report(frozenset())
        assert latch.hazards == HELD and "estop" in latch.causes


def test_reset_clears_it_and_a_verdict_under_way_does_not_latch_again() -> None:
    """A FAULT on the state of the reset or before is old; one on the next state latches."""
    latch = latched()
    latch.reset(START_NS + TICK_NS)
    assert not latch.latched and not latch.hazards and not latch.causes
    for stamp_ns, holds in ((0, False), (TICK_NS, False), (TICK_NS + 1, True)):
        latch.hear(verdict(mode=Mode.FAULT, stamp_ns=START_NS + stamp_ns))
        assert latch.latched is holds


def test_a_hazard_that_still_holds_latches_again_after_a_reset() -> None:
    """A reset is no way around a second publisher that stays."""
    latch = latched()
    latch.reset(START_NS)
    latch.report(frozenset({"second_publisher"}))
    assert latch.hazards == HELD and latch.causes == {"second_publisher"}


def test_the_first_state_may_latch() -> None:
    """A stamp of 0 counts: robot time may begin there."""
    assert latched(stamp_ns=0).latched


def test_words_that_are_no_hazards_do_not_break_it() -> None:
    """A verdict comes over the wire, so its reasons may be anything."""
    latch = FaultLatch()
    latch.hear(verdict(mode=Mode.FAULT, reasons=("no such hazard", "battery_low")))
    assert latch.hazards == HELD and latch.causes == set()


def test_causes_add_up() -> None:
    """A second cause does not hide the first."""
    latch = latched()
    latch.report(frozenset({"motor_off", "motor_hot"}))
    assert latch.causes == {"estop", "motor_off"}
