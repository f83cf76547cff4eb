"""Hazards: their severities, all of them in all modes, and their order.

One more hazard never makes a verdict more permissive.
"""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from core_values import A1, TROT, estimate
from hypothesis import given
from hypothesis import strategies as st
from mode_values import FALLEN, FAULT, NONE, RECOVER, SIT, START_NS, STOP, TICK_NS, machine
from places import ROOT

from safe_locomotion.config import load_config
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.pipeline import make_supervisor
from safe_locomotion.safety.fault_latch import NOT_RESET
from safe_locomotion.safety.hazards import HAZARDS, Severity, severity
from safe_locomotion.safety.modes import Conditions, ModeMachine
from safe_locomotion.safety.robot_watch import RobotWatch
from safe_locomotion.safety.sensor_watch import SensorWatch
from safe_locomotion.types import DAMPED, LYING, Mode, Proposal, VelocityCommand, Verdict


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
        ("second_state_source", FAULT),
        ("sensors_frozen", FAULT),
        ("sensors_disagree", FAULT),
        ("second_publisher", FAULT),
        ("not_reset", FAULT),
        ("estop", FAULT),
    ],
)
def test_severity_of_each_hazard(hazard: str, expected: Severity) -> None:
    """The severities are those of this table, written by hand."""
    assert severity([hazard]) is expected


def test_hazard_table_is_complete_and_severities_are_ordered() -> None:
    """There are 18 hazards, none has severity NONE, and the highest severity counts."""
    assert len(HAZARDS) == 18 and all(row.severity is not NONE for row in HAZARDS.values())
    assert list(Severity) == sorted(Severity) == [0, 1, 2, 3, 4, 5]
    assert severity([]) is NONE
    assert severity(["command_not_finite", "estop", "battery_low"]) is FAULT
    assert severity(["battery_low", "command_not_finite"]) is SIT


def test_unknown_hazard_names_the_choices() -> None:
    """An unknown hazard is an error, so it cannot pass as harmless."""
    with pytest.raises(
        UnknownNameError,
        match=r"^unknown hazard 'meteor'; choose one of: policy_fault, command_not_finite,",
    ):
        severity(["estop", "meteor"])


def test_damped_modes() -> None:
    """Motors are damped in three modes. A robot also lies in SELF_RIGHT."""
    assert {Mode.PASSIVE, Mode.FALLEN, Mode.FAULT} == DAMPED
    assert DAMPED | {Mode.SELF_RIGHT} == LYING


@pytest.mark.parametrize("mode", Mode)
def test_fallen_does_not_count_for_a_lying_robot(mode: Mode) -> None:
    """It has no severity in PASSIVE, FALLEN, SELF_RIGHT and FAULT; other hazards keep theirs."""
    assert severity(["fallen"], mode) is (NONE if mode in LYING else FALLEN)
    assert severity(["fallen", "battery_low"], mode) is (SIT if mode in LYING else FALLEN)
    assert severity(["self_right_timeout"], mode) is FALLEN
    with pytest.raises(UnknownNameError):
        severity(["meteor"], mode)


def test_parameters_in_the_table_are_in_the_configuration() -> None:
    """Each word in backticks is the name of a parameter."""
    configuration = (ROOT / "config/a1.yaml").read_text()
    for row in HAZARDS.values():
        for name in re.findall(r"`(\w+)`", row.meaning):
            assert f" {name}: " in configuration, row.name


def test_the_table_says_who_raises_a_hazard() -> None:
    """The hazards that the classes of the bridge name are those that it raises."""
    sources = "".join(map(inspect.getsource, (RobotWatch, SensorWatch)))
    named = re.findall(r'"([a-z_]+)"', sources)
    raised = {name for name in named if name in HAZARDS} | NOT_RESET | {"second_publisher"}
    assert raised == {name for name, row in HAZARDS.items() if row.raised_by == "bridge"}


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
    st.sampled_from(["stand", "walk", "sit", "reset"]),
    st.tuples(st.integers(1, 8 * 10**9), HAZARD_SETS, CONDITIONS),
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


@given(
    past=st.lists(EVENTS, max_size=12),
    hazards=HAZARD_SETS,
    more=HAZARD_SETS,
    conditions=CONDITIONS,
    unasked=st.booleans(),
)
def test_one_more_hazard_never_gives_a_more_permissive_mode(
    past: list[object],
    hazards: frozenset[str],
    more: frozenset[str],
    conditions: Conditions,
    unasked: bool,
) -> None:
    """After the same past, more hazards on a tick give an equal or more restricted mode.

    This also holds on a later tick without hazards.
    """
    fewer = machine(settle_time=0.3, unasked=unasked)
    greater = machine(settle_time=0.3, unasked=unasked)
    stamp = play(fewer, past) + TICK_NS
    play(greater, past)
    for later, (a, b) in enumerate(((hazards, hazards | more), (frozenset(), frozenset()))):
        less = fewer.update(stamp + later, severity(a, fewer.mode), conditions)
        most = greater.update(stamp + later, severity(b, greater.mode), conditions)
        assert PERMISSIVENESS[most] <= PERMISSIVENESS[less]


@given(past=st.lists(EVENTS, max_size=30))
def test_fault_is_left_by_reset_and_fallen_by_reset_and_stand_alone(past: list[object]) -> None:
    """FAULT stays. FALLEN stays or turns into FAULT, or into SELF_RIGHT after a request."""
    one = machine(settle_time=0.3)
    asked = False
    stamp = START_NS
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


#: The intervention is off; test_intervention tests it.
CONFIG = load_config(
    "a1", {"supervisor.intervention.criterion": "off", "supervisor.thresholds.settle_time": 0.0}
)


class Watched:
    """A supervisor that is brought into a mode, with a learner that proposes on every tick."""

    def __init__(self, mode: Mode) -> None:
        self.supervisor = make_supervisor(A1, CONFIG)
        self.stamp_ns = START_NS
        self.upside_down = {"quaternion_wxyz": np.array((0.0, 1.0, 0.0, 0.0))}
        self.tick()
        getattr(self, f"_{mode.name.lower()}")()
        assert self.supervisor.mode is mode

    def tick(self, **changes: Any) -> Verdict:
        self.stamp_ns += TICK_NS
        learner = Proposal(stamp_ns=self.stamp_ns, policy="learner", kind="gait", gait=TROT)
        return self.supervisor.update(
            estimate(stamp_ns=self.stamp_ns, **changes), learner, VelocityCommand()
        )

    def request(self, name: str, **changes: Any) -> None:
        assert self.supervisor.request(name) is None
        self.tick(**changes)

    def _passive(self) -> None:
        pass

    def _stand_up(self) -> None:
        self.request("walk", q=A1.q_sit)

    def _stand(self) -> None:
        self.request("stand")
        self.tick()

    def _walk(self) -> None:
        self.request("walk")
        self.tick()
        self.tick()

    def _sit(self) -> None:
        self._stand()
        self.request("sit")

    def _fallen(self) -> None:
        self._stand()
        self.tick(**self.upside_down)
        self.tick(**self.upside_down)

    def _self_right(self) -> None:
        self._fallen()
        self.request("stand", **self.upside_down)

    def _fault(self) -> None:
        self.request("stand")
        self.supervisor.request("estop")
        self.tick()


#: Mode after one tick with a hazard of severity RECOVER, STOP, SIT, FALLEN and FAULT.
#: The robot lies or stands as usual in the mode before.
AFTER = {
    "PASSIVE": "PASSIVE PASSIVE PASSIVE PASSIVE FAULT",
    "STAND_UP": "STAND_UP STAND_UP SIT FALLEN FAULT",
    "STAND": "STAND STAND SIT FALLEN FAULT",
    "WALK": "WALK STAND STAND FALLEN FAULT",
    "SIT": "SIT SIT SIT FALLEN FAULT",
    "FALLEN": "FALLEN FALLEN FALLEN FALLEN FAULT",
    "SELF_RIGHT": "SELF_RIGHT SELF_RIGHT FALLEN FALLEN FAULT",
    "FAULT": "FAULT FAULT FAULT FAULT FAULT",
}
#: Hazards that do not count in a mode: a lying robot has fallen already, and a damped robot may be
#: switched off and on.
NOTHING_NEW = {("fallen", mode) for mode in LYING} | {("state_jump", mode) for mode in DAMPED}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("hazard", HAZARDS)
def test_every_hazard_in_every_mode(mode: Mode, hazard: str) -> None:
    """The next mode is that of the table, and the verdict names the hazard.

    The learner does not drive under a hazard that counts.
    """
    watched = Watched(mode)
    watched.supervisor.report(frozenset({hazard}))
    posture = (
        watched.upside_down
        if mode in (Mode.FALLEN, Mode.SELF_RIGHT)
        else {"q": A1.q_sit}
        if mode is Mode.STAND_UP
        else {}
    )
    verdict = watched.tick(**posture)
    counts = (hazard, mode) not in NOTHING_NEW
    column = HAZARDS[hazard].severity - RECOVER if counts else 0
    assert verdict.mode is Mode[AFTER[mode.name].split()[column]]
    if counts:
        assert hazard in verdict.reasons and verdict.active == "recovery"
    elif mode not in (Mode.FAULT,):
        assert verdict.active == "learner"


def test_recover_takes_the_learner_and_leaves_the_mode_and_the_command() -> None:
    """The robot walks on under recovery. The learner drives again when the hazard ends."""
    watched = Watched(Mode.WALK)
    forward = VelocityCommand(vx=0.5)

    def tick() -> Verdict:
        watched.stamp_ns += TICK_NS
        learner = Proposal(stamp_ns=watched.stamp_ns, policy="learner", kind="gait", gait=TROT)
        return watched.supervisor.update(estimate(stamp_ns=watched.stamp_ns), learner, forward)

    assert (tick().active, tick().mode) == ("learner", Mode.WALK)
    watched.supervisor.report(frozenset({"policy_fault"}))
    verdict = tick()
    assert (verdict.mode, verdict.active, verdict.command) == (Mode.WALK, "recovery", forward)
    watched.supervisor.report(frozenset())
    assert tick().active == "learner"


def rank(verdict: Verdict) -> tuple[int, bool]:
    """Permissiveness of the mode, and whether the learner drives."""
    return PERMISSIVENESS[verdict.mode], verdict.active == "learner"


@given(mode=st.sampled_from(Mode), few=HAZARD_SETS, more=HAZARD_SETS)
def test_one_more_hazard_never_gives_a_more_permissive_verdict(
    mode: Mode, few: frozenset[str], more: frozenset[str]
) -> None:
    """This holds for mode and driver, on this tick and on later ticks without hazards."""
    verdicts = []
    for hazards in (few, few | more):
        watched = Watched(mode)
        watched.supervisor.report(hazards)
        path = [watched.tick()]
        watched.supervisor.report(frozenset())
        verdicts.append(path + [watched.tick() for _ in range(2)])
    for less, most in zip(*verdicts, strict=True):
        assert rank(most)[0] <= rank(less)[0] and (
            rank(most)[1] <= rank(less)[1] or most.mode is not less.mode
        )
