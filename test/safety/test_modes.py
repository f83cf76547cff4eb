"""The mode machine against a table written by hand, and its settle times to the tick."""

import pytest
from mode_values import FAULT, NO, NONE, SIT, START_NS, STOP, TICK_NS, YES, machine, machine_in

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.safety.hazards import Severity
from safe_locomotion.safety.modes import Conditions, Goal, ModeMachine
from safe_locomotion.types import Mode

#: Next mode by (mode, goal), then by severity NONE (or RECOVER), STOP, SIT, FALLEN, FAULT.
#: Every condition holds and is settled.
SETTLED = {
    ("PASSIVE", "passive"): "PASSIVE PASSIVE PASSIVE PASSIVE FAULT",
    ("PASSIVE", "stand"): "STAND_UP STAND_UP PASSIVE PASSIVE FAULT",
    ("PASSIVE", "walk"): "STAND_UP STAND_UP PASSIVE PASSIVE FAULT",
    ("STAND_UP", "stand"): "STAND STAND SIT FALLEN FAULT",
    ("STAND_UP", "walk"): "STAND STAND SIT FALLEN FAULT",
    ("STAND_UP", "sit"): "SIT SIT SIT FALLEN FAULT",
    ("STAND", "stand"): "STAND STAND SIT FALLEN FAULT",
    ("STAND", "walk"): "WALK STAND SIT FALLEN FAULT",
    ("STAND", "sit"): "SIT SIT SIT FALLEN FAULT",
    ("WALK", "walk"): "WALK STAND STAND FALLEN FAULT",
    ("WALK", "stand"): "STAND STAND STAND FALLEN FAULT",
    ("WALK", "sit"): "STAND STAND STAND FALLEN FAULT",
    ("SIT", "sit"): "PASSIVE PASSIVE PASSIVE FALLEN FAULT",
    ("SIT", "stand"): "STAND_UP STAND_UP PASSIVE FALLEN FAULT",
    ("SIT", "walk"): "STAND_UP STAND_UP PASSIVE FALLEN FAULT",
    ("FALLEN", "stand"): "SELF_RIGHT SELF_RIGHT FALLEN FALLEN FAULT",
    ("FALLEN", "walk"): "FALLEN FALLEN FALLEN FALLEN FAULT",
    ("FALLEN", "passive"): "FALLEN FALLEN FALLEN FALLEN FAULT",
    ("SELF_RIGHT", "stand"): "STAND_UP STAND_UP FALLEN FALLEN FAULT",
    ("SELF_RIGHT", "walk"): "STAND_UP STAND_UP FALLEN FALLEN FAULT",
    ("SELF_RIGHT", "sit"): "FALLEN FALLEN FALLEN FALLEN FAULT",
    ("FAULT", "walk"): "FAULT FAULT FAULT FAULT FAULT",
    ("FAULT", "passive"): "FAULT FAULT FAULT FAULT FAULT",
}
#: The same when no condition holds. Rows that wait for no condition are only above.
WAITING = SETTLED | {
    ("PASSIVE", "stand"): "SELF_RIGHT SELF_RIGHT PASSIVE PASSIVE FAULT",
    ("PASSIVE", "walk"): "SELF_RIGHT SELF_RIGHT PASSIVE PASSIVE FAULT",
    ("SELF_RIGHT", "stand"): "SELF_RIGHT SELF_RIGHT FALLEN FALLEN FAULT",
    ("SELF_RIGHT", "walk"): "SELF_RIGHT SELF_RIGHT FALLEN FALLEN FAULT",
    ("STAND_UP", "stand"): "STAND_UP STAND_UP SIT FALLEN FAULT",
    ("STAND_UP", "walk"): "STAND_UP STAND_UP SIT FALLEN FAULT",
    ("STAND", "stand"): "STAND STAND STAND FALLEN FAULT",
    ("STAND", "walk"): "STAND STAND STAND FALLEN FAULT",
    ("STAND", "sit"): "STAND STAND STAND FALLEN FAULT",
    ("WALK", "walk"): "WALK WALK WALK FALLEN FAULT",
    ("WALK", "stand"): "WALK WALK WALK FALLEN FAULT",
    ("WALK", "sit"): "WALK WALK WALK FALLEN FAULT",
    ("SIT", "sit"): "SIT SIT SIT FALLEN FAULT",
    ("SIT", "stand"): "STAND_UP STAND_UP SIT FALLEN FAULT",
    ("SIT", "walk"): "STAND_UP STAND_UP SIT FALLEN FAULT",
}


def cases(table: dict[tuple[str, str], str]) -> list[tuple[str, str, Severity, str]]:
    return [
        (mode, goal, worst, row.split()[max(worst - 1, 0)])
        for (mode, goal), row in table.items()
        for worst in Severity
    ]


@pytest.mark.parametrize(("mode", "goal", "worst", "expected"), cases(SETTLED))
def test_every_mode_and_goal_under_every_severity_when_settled(
    mode: str, goal: Goal, worst: Severity, expected: str
) -> None:
    """The next mode is that of the table."""
    assert machine_in(Mode[mode], goal).update(START_NS + TICK_NS, worst, YES) is Mode[expected]


@pytest.mark.parametrize(("mode", "goal", "worst", "expected"), cases(WAITING))
def test_every_mode_and_goal_under_every_severity_when_nothing_is_settled(
    mode: str, goal: Goal, worst: Severity, expected: str
) -> None:
    """The next mode is that of the table. Only edges on the way down need no condition."""
    assert machine_in(Mode[mode], goal).update(START_NS + TICK_NS, worst, NO) is Mode[expected]


@pytest.mark.parametrize(
    ("mode", "condition", "goal", "expected"),
    [
        (Mode.STAND_UP, "standing", "stand", Mode.STAND),
        (Mode.STAND, "still", "walk", Mode.WALK),
        (Mode.STAND, "still", "sit", Mode.SIT),
        (Mode.WALK, "slow", "stand", Mode.STAND),
        (Mode.SIT, "sitting", "sit", Mode.PASSIVE),
        (Mode.SELF_RIGHT, "upright", "stand", Mode.STAND_UP),
    ],
)
def test_an_edge_waits_for_its_own_condition_and_no_other(
    mode: Mode, condition: str, goal: Goal, expected: Mode
) -> None:
    """The edge is taken with its condition alone, and not with all other conditions."""
    flags = {"upright": False, "standing": False, "sitting": False, "slow": False, "still": False}
    alone = Conditions(**(flags | {condition: True}))
    others = Conditions(**({name: True for name in flags} | {condition: False}))
    assert machine_in(mode, goal).update(START_NS + TICK_NS, NONE, alone) is expected
    assert machine_in(mode, goal).update(START_NS + TICK_NS, NONE, others) is mode


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(Mode.STAND_UP, Mode.STAND), (Mode.SIT, Mode.PASSIVE), (Mode.SELF_RIGHT, Mode.STAND_UP)],
)
def test_settle_time_to_the_tick(mode: Mode, expected: Mode) -> None:
    """The edge opens settle_time after its condition begins to hold without interruption."""
    machine = machine_in(mode, "sit" if mode is Mode.SIT else "stand", settle_time=0.3)
    for k in range(150):
        assert machine.update(START_NS + k * TICK_NS, NONE, YES) is mode
    machine.update(START_NS + 150 * TICK_NS - 1, NONE, NO)
    first = START_NS + 151 * TICK_NS
    assert machine.update(first, NONE, YES) is mode
    assert machine.update(first + 299_999_999, NONE, YES) is mode
    assert machine.update(first + 300_000_000, NONE, YES) is expected
    assert machine.since_ns == first + 300_000_000


def test_a_change_of_mode_starts_the_settle_time_over() -> None:
    """STAND waits its own settle time before WALK, even if the robot was still before."""
    fresh = machine(settle_time=0.3)
    fresh.request("walk")
    entered = {}
    for k in range(1000):
        mode = fresh.update(START_NS + k * TICK_NS, NONE, YES)
        entered.setdefault(mode, k)
    # Each wait is one tick to see the condition in the new mode and 150 ticks of 2 ms for 0.3 s.
    assert entered == {Mode.STAND_UP: 0, Mode.STAND: 151, Mode.WALK: 302}


def test_the_settle_time_counts_while_the_goal_is_to_stand() -> None:
    """Rest before the request to walk counts, and so does motion between two requests."""
    machine = machine_in(Mode.STAND, "walk", settle_time=0.3)
    machine.update(START_NS, NONE, YES)
    machine.request("stand")
    machine.update(START_NS + 200_000_000, NONE, NO)
    machine.request("walk")
    assert machine.update(START_NS + 400_000_000, NONE, YES) is Mode.STAND
    assert machine.update(START_NS + 699_999_999, NONE, YES) is Mode.STAND
    machine.request("stand")
    assert machine.update(START_NS + 800_000_000, NONE, YES) is Mode.STAND
    machine.request("walk")
    assert machine.update(START_NS + 800_000_001, NONE, YES) is Mode.WALK


def test_stand_up_is_overdue_after_its_timeout_only() -> None:
    """The hazard appears 1 ns past the timeout, in STAND_UP and in no other mode."""
    machine = machine_in(Mode.STAND_UP, "stand", timeout=6.0)
    assert not machine.stand_up_overdue(START_NS + 6_000_000_000)
    assert machine.stand_up_overdue(START_NS + 6_000_000_001)
    for mode in set(Mode) - {Mode.STAND_UP}:
        assert not machine_in(mode, "stand").stand_up_overdue(START_NS + 7_000_000_000)


def test_sitting_down_ends_at_the_timeout() -> None:
    """A robot that cannot reach the sitting pose goes passive 1 ns past the timeout."""
    machine = machine_in(Mode.SIT, "sit", timeout=6.0)
    assert machine.update(START_NS + 6_000_000_000, NONE, NO) is Mode.SIT
    assert machine.update(START_NS + 6_000_000_001, NONE, NO) is Mode.PASSIVE
    assert machine.goal == "passive"


@pytest.mark.parametrize(
    ("goal", "worst"), [("stand", NONE), ("sit", NONE), ("walk", STOP), ("walk", SIT)]
)
def test_a_robot_that_never_gets_slow_stops_stepping_at_the_timeout(
    goal: Goal, worst: Severity
) -> None:
    """The time counts from the tick on which walking is no longer wanted, to the nanosecond."""
    machine = machine_in(Mode.WALK, "walk", stop=4.0)
    machine.update(START_NS + 10**10, NONE, NO)
    machine.goal = goal
    assert machine.update(START_NS + 2 * 10**10, worst, NO) is Mode.WALK
    assert machine.update(START_NS + 2 * 10**10 + 4 * 10**9, worst, NO) is Mode.WALK
    assert machine.update(START_NS + 2 * 10**10 + 4 * 10**9 + 1, worst, NO) is Mode.STAND


def test_a_robot_that_never_gets_still_sits_down_at_the_timeout() -> None:
    """STAND has a wait of its own. A goal to walk or to stand never times out."""
    machine = machine_in(Mode.WALK, "sit", stop=4.0)
    stamps = [START_NS, START_NS + 4 * 10**9 + 1, START_NS + 5 * 10**9, START_NS + 9 * 10**9]
    assert [machine.update(stamp, NONE, NO) for stamp in stamps] == [
        Mode.WALK,
        Mode.STAND,
        Mode.STAND,
        Mode.STAND,
    ]
    assert machine.update(START_NS + 9 * 10**9 + 1, NONE, NO) is Mode.SIT
    for mode, goal in ((Mode.WALK, "walk"), (Mode.STAND, "stand"), (Mode.STAND, "walk")):
        machine = machine_in(mode, goal, stop=4.0)
        assert [machine.update(START_NS + k * 10**10, NONE, NO) for k in range(3)] == [mode] * 3


def test_a_goal_that_comes_back_starts_the_wait_over() -> None:
    """Only an uninterrupted goal to stop counts."""
    machine = machine_in(Mode.WALK, "walk", stop=4.0)
    for start in (START_NS, START_NS + 5 * 10**9):
        assert machine.update(start, STOP, NO) is Mode.WALK
        assert machine.update(start + 3 * 10**9, STOP, NO) is Mode.WALK
        assert machine.update(start + 4 * 10**9, NONE, NO) is Mode.WALK


#: Outcome of each request by mode: the goal it sets, or a refusal.
REQUESTED = {
    "PASSIVE": {"stand": "stand", "walk": "walk", "sit": None, "reset": None},
    "STAND_UP": {"stand": "stand", "walk": "walk", "sit": "sit", "reset": None},
    "STAND": {"stand": "stand", "walk": "walk", "sit": "sit", "reset": None},
    "WALK": {"stand": "stand", "walk": "walk", "sit": "sit", "reset": None},
    "SIT": {"stand": "stand", "walk": "walk", "sit": "sit", "reset": None},
    "FALLEN": {"stand": "stand", "walk": None, "sit": None, "reset": "passive"},
    "SELF_RIGHT": {"stand": "stand", "walk": "walk", "sit": "sit", "reset": None},
    "FAULT": {"stand": None, "walk": None, "sit": None, "reset": "passive"},
}


@pytest.mark.parametrize("mode", list(REQUESTED))
@pytest.mark.parametrize("name", ["stand", "walk", "sit", "reset"])
def test_every_request_in_every_mode(mode: str, name: str) -> None:
    """A request sets its goal. A refused one names the mode and changes nothing."""
    machine = machine_in(Mode[mode], "passive", upright=True)
    refusal = machine.request(name)
    expected = REQUESTED[mode][name]
    if expected is None:
        assert refusal is not None and mode in refusal
        assert (machine.mode, machine.goal, machine.since_ns) == (Mode[mode], "passive", START_NS)
    else:
        assert (refusal, machine.goal) == (None, expected)
        assert machine.mode is (Mode.PASSIVE if name == "reset" else Mode[mode])


@pytest.mark.parametrize(
    ("mode", "name", "text"),
    [
        (Mode.STAND, "reset", "nothing to reset: the mode is STAND"),
        (Mode.FAULT, "stand", "the mode is FAULT: call reset first"),
        (Mode.FALLEN, "walk", "the mode is FALLEN: call stand or reset first"),
        (
            Mode.PASSIVE,
            "walk",
            "the mode is PASSIVE and the robot does not lie on its belly: call stand first",
        ),
        (Mode.PASSIVE, "sit", "already down: the mode is PASSIVE"),
    ],
)
def test_refusals_say_what_to_do(mode: Mode, name: str, text: str) -> None:
    """The caller of the service reads this text."""
    assert machine_in(mode, "passive").request(name) == text


@pytest.mark.parametrize("worst", Severity)
def test_rising_is_refused_while_a_hazard_takes_the_robot_down(worst: Severity) -> None:
    """A severity of SIT or more refuses all requests but the one to sit down."""
    machine = machine_in(Mode.STAND, "stand")
    machine.update(START_NS, worst, NO)
    machine.mode = Mode.STAND
    for name in ("stand", "walk"):
        refusal = machine.request(name)
        assert refusal == (
            f"a hazard of severity {worst.name} holds" if worst >= Severity.SIT else None
        )
    assert machine.request("sit") is None


@pytest.mark.parametrize("worst", [SIT, Severity.FALLEN])
def test_a_lying_robot_does_not_rise_when_the_hazard_is_gone(worst: Severity) -> None:
    """The hazard drops the goal from before it."""
    machine = machine_in(Mode.PASSIVE, "stand")
    assert machine.update(START_NS, worst, YES) is Mode.PASSIVE
    assert machine.update(START_NS + TICK_NS, NONE, YES) is Mode.PASSIVE
    assert machine.goal == "passive"


def test_a_hazard_that_sits_the_robot_down_is_not_forgotten_half_way() -> None:
    """The robot sits down even if the hazard is gone by then."""
    machine = machine_in(Mode.STAND, "walk")
    machine.update(START_NS, SIT, NO)
    modes = [machine.update(START_NS + k * TICK_NS, NONE, YES) for k in range(1, 5)]
    assert modes == [Mode.SIT, Mode.PASSIVE, Mode.PASSIVE, Mode.PASSIVE]


def test_stop_holds_the_goal_back_only_while_it_lasts() -> None:
    """STOP turns walking into standing. The robot walks again when the hazard ends."""
    machine = machine_in(Mode.WALK, "walk")
    assert machine.update(START_NS, STOP, NO) is Mode.WALK
    assert (machine.goal, machine.wanted) == ("walk", "stand")
    assert machine.update(START_NS + 1, STOP, YES) is Mode.STAND
    assert machine.update(START_NS + 2, NONE, YES) is Mode.WALK
    assert machine.wanted == "walk"


def test_fault_stays_until_reset_and_comes_back_while_its_cause_holds() -> None:
    """Only `reset` leaves FAULT, to PASSIVE without a goal. FAULT is entered anew after that."""
    machine = machine_in(Mode.WALK, "walk")
    assert machine.update(START_NS + 1, FAULT, YES) is Mode.FAULT
    for k in range(2, 5):
        assert machine.update(START_NS + k, NONE, YES) is Mode.FAULT
    assert machine.since_ns == START_NS + 1
    assert machine.request("reset") is None
    assert machine.update(START_NS + 10, FAULT, YES) is Mode.FAULT
    assert machine.request("reset") is None
    assert machine.update(START_NS + 20, NONE, YES) is Mode.PASSIVE
    assert (machine.goal, machine.since_ns) == ("passive", START_NS + 20)


def test_first_update_starts_passive_and_sets_the_time() -> None:
    """A new machine is passive since its first stamp and has no goal."""
    fresh = machine(settle_time=0.3)
    assert (fresh.mode, fresh.goal, fresh.wanted, fresh.since_ns) == (
        Mode.PASSIVE,
        "passive",
        "passive",
        0,
    )
    assert fresh.update(START_NS, NONE, YES) is Mode.PASSIVE
    assert fresh.update(START_NS + TICK_NS, NONE, YES) is Mode.PASSIVE
    assert fresh.since_ns == START_NS


def test_unknown_request_names_the_choices() -> None:
    """This is an error and not a refusal, because it is wrong in every mode."""
    with pytest.raises(
        UnknownNameError,
        match=r"^unknown request 'dance'; choose one of: stand, walk, sit, estop, reset$",
    ):
        machine_in(Mode.STAND, "stand").request("dance")


def test_turning_over_is_overdue_after_its_timeout_only() -> None:
    """The hazard appears 1 ns past the timeout, in SELF_RIGHT and in no other mode."""
    one = machine_in(Mode.SELF_RIGHT, "stand")
    assert not one.self_right_overdue(START_NS + 13_000_000_000)
    assert one.self_right_overdue(START_NS + 13_000_000_001)
    for mode in set(Mode) - {Mode.SELF_RIGHT}:
        assert not machine_in(mode, "stand").self_right_overdue(START_NS + 14_000_000_000)


STILL = Conditions(still=True)
MOVING = Conditions()


@pytest.mark.parametrize("unasked", [False, True])
def test_a_robot_that_may_gets_up_by_itself_once_it_lies_still(unasked: bool) -> None:
    """It rises after the settle time at rest, then stands and does not walk.

    A robot that may not rise waits for ever.
    """
    one = fallen(unasked)
    assert [one.update(START_NS + k * 10**8, NONE, MOVING) for k in range(3, 9)] == [
        Mode.FALLEN
    ] * 6
    assert [one.update(START_NS + k * 10**8, NONE, STILL) for k in (9, 11)] == [Mode.FALLEN] * 2
    after = one.update(START_NS + 12 * 10**8, NONE, STILL)
    assert after is (Mode.SELF_RIGHT if unasked else Mode.FALLEN)
    assert (one.goal, one.wanted) == (("stand", "stand") if unasked else ("sit", "sit"))


def fallen(unasked: bool) -> ModeMachine:
    """A machine that walked and fell at START_NS + 0.1 s."""
    one = machine(settle_time=0.3, unasked=unasked)
    one.mode = Mode.WALK
    one.goal = "walk"
    one.since_ns = START_NS
    assert one.update(START_NS + 10**8, Severity.FALLEN, MOVING) is Mode.FALLEN
    return one


@pytest.mark.parametrize("worst", [SIT, Severity.FALLEN])
def test_a_hazard_that_forbids_rising_keeps_a_robot_down_that_may_get_up_by_itself(
    worst: Severity,
) -> None:
    """The robot gets up after the hazard has ended."""
    one = fallen(unasked=True)
    assert {one.update(START_NS + k * 10**9, worst, STILL) for k in range(1, 9)} == {Mode.FALLEN}
    assert one.update(START_NS + 9 * 10**9, STOP, STILL) is Mode.SELF_RIGHT


def test_an_attempt_that_failed_is_not_repeated_unasked() -> None:
    """SELF_RIGHT ends in FALLEN until a request to stand. A reset does not raise the robot."""
    one = fallen(unasked=True)
    one.update(START_NS + 10**9, NONE, STILL)
    assert one.update(START_NS + 2 * 10**9, NONE, STILL) is Mode.SELF_RIGHT
    assert one.update(START_NS + 3 * 10**9, Severity.FALLEN, STILL) is Mode.FALLEN
    assert {one.update(START_NS + k * 10**9, NONE, STILL) for k in range(4, 9)} == {Mode.FALLEN}
    assert one.request("stand") is None
    assert one.update(START_NS + 9 * 10**9, NONE, STILL) is Mode.SELF_RIGHT


def test_a_request_to_walk_right_after_a_reset_still_knows_how_the_robot_lies() -> None:
    """The reset keeps the posture. A machine without a posture takes the request."""
    one = machine_in(Mode.FALLEN, "passive")
    assert one.request("reset") is None
    assert "call stand first" in str(one.request("walk"))
    assert machine().request("walk") is None
