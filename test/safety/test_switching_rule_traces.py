"""Criteria on short traces, to the nanosecond: what they predict and when recovery ends."""

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from core_values import START_NS

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.switching_rule import (
    CRITERIA,
    STEP_NS,
    InterventionParameters,
    SwitchingRule,
)

SHIPPED = load_config("a1").supervisor.intervention
DWELL_NS = 1_000_000_000


@dataclass
class Asked:
    """A model with given answers that records the questions."""

    stays_safe: bool = False
    least_steps: int | None = None
    questions: list[str] = field(default_factory=list)

    def learner_stays_safe(self) -> bool:
        self.questions.append("safe")
        return self.stays_safe

    def least_recovery_steps(self) -> int | None:
        self.questions.append("steps")
        return self.least_steps


class Play:
    """A rule on a clock."""

    def __init__(self, criterion: Any, **changes: Any) -> None:
        self.rule = SwitchingRule(
            replace(SHIPPED, criterion=criterion, dwell_time=DWELL_NS * 1e-9, **changes)
        )

    def at(self, ns: int, triggered: bool = False, **said: Any) -> tuple[bool, str]:
        """Whether recovery acts, and which predictions were asked for."""
        outlook = Asked(**said)
        acts = self.rule.recovers(START_NS + ns, triggered, outlook)
        assert self.rule.recovered_last is acts
        return acts, " ".join(outlook.questions)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_before_the_first_decision_recovery_has_acted(criterion: Any) -> None:
    """The first decision is therefore a hand-back, which is tested if the criterion tests any."""
    play = Play(criterion)
    assert play.rule.recovered_last is True
    looks = {"reachability": "safe", "planning": "safe"}.get(criterion, "")
    assert play.at(0, stays_safe=True) == (False, looks)
    assert play.at(1, stays_safe=False) == (False, "")
    assert play.at(2, triggered=True) == (criterion != "off", "")


@pytest.mark.parametrize("criterion", ["reachability", "planning"])
def test_a_horizon_of_zero_asks_nothing(criterion: Any) -> None:
    """The learner drives again when the trigger ends. A horizon of one step does ask."""
    play = Play(criterion, horizon=0)
    assert [play.at(0), play.at(1, triggered=True), play.at(2)] == [
        (False, ""),
        (True, ""),
        (False, ""),
    ]
    assert Play("reachability", horizon=1).at(0) == (True, "safe")


def test_dwell_ends_when_its_time_has_passed_since_the_last_trigger() -> None:
    """A new trigger starts the time over, and a new walk ends it."""
    play = Play("dwell")
    assert play.at(0, triggered=True) == (True, "")
    assert play.at(5, triggered=True) == (True, "")
    assert play.at(5 + DWELL_NS - 1) == (True, "")
    assert play.at(5 + DWELL_NS) == (False, "")
    assert play.at(6 + DWELL_NS, triggered=True) == (True, "")
    play.rule.reset()
    assert play.at(7 + DWELL_NS) == (False, "")


@pytest.mark.parametrize("steps", [1, 3])
def test_a_plan_lasts_its_steps(steps: int) -> None:
    """It lasts from the tick on which it is made, to the nanosecond.

    Until its end only the safety of the learner is asked for, and at its end nothing.
    """
    play = Play("planning")
    assert play.at(0, triggered=True) == (True, "")
    assert play.at(7, least_steps=steps) == (True, "safe steps")
    assert play.at(8, least_steps=9) == (True, "safe")
    assert play.at(7 + steps * STEP_NS - 1) == (True, "safe")
    assert play.at(7 + steps * STEP_NS) == (False, "")
    assert play.at(8 + steps * STEP_NS) == (False, "")


def test_without_a_plan_recovery_stays_and_asks_again() -> None:
    """This goes on until a plan is found or the learner is predicted to stay safe."""
    play = Play("planning")
    assert [play.at(k) for k in range(3)] == [(True, "safe steps")] * 3
    assert play.at(3, stays_safe=True) == (False, "safe")


@pytest.mark.parametrize("end", ["safe", "trigger", "alone", "reset", "over"])
def test_a_plan_that_has_ended_is_forgotten(end: str) -> None:
    """The next plan is made anew and counted from its own tick."""
    play = Play("planning")
    assert play.at(0, least_steps=5) == (True, "safe steps")
    if end == "safe":
        assert play.at(1, stays_safe=True) == (False, "safe")
    elif end == "over":
        assert play.at(5 * STEP_NS) == (False, "")
    elif end == "trigger":
        assert play.at(1, triggered=True) == (True, "")
    elif end == "alone":
        assert play.rule.alone() is True
    else:
        play.rule.reset()
    later = 5 * STEP_NS + 1
    if end in ("safe", "over"):
        assert play.at(later, triggered=True) == (True, "")
    assert play.at(later, least_steps=2) == (True, "safe steps")
    assert play.at(later + 2 * STEP_NS - 1) == (True, "safe")
    assert play.at(later + 2 * STEP_NS) == (False, "")


@pytest.mark.parametrize("forget", ["alone", "reset"])
def test_recovery_that_acted_alone_or_before_a_walk_is_recovery_that_acted(forget: str) -> None:
    """The learner that drove before is tested again."""
    play = Play("reachability")
    assert play.at(0, stays_safe=True) == (False, "safe")
    getattr(play.rule, forget)()
    assert play.rule.recovered_last is True
    assert play.at(1) == (True, "safe")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"horizon": -1}, "horizon: must lie within 0 and 50 (found -1)"),
        ({"horizon": 51}, "horizon: must lie within 0 and 50 (found 51)"),
        (
            {"criterion": "planning", "horizon": 1},
            "horizon: planning needs 2 steps, one of each policy (found 1)",
        ),
        *(
            ({name: bad}, f"{name}: must lie within {least} and 1 (found {bad})")
            for name, least in (("recovery_speed", 0), ("capture_margin", -2))
            for bad in (least - 1e-9, math.nextafter(1.0, 2.0), math.nan, math.inf, -math.inf)
        ),
        *(
            ({name: bad}, f"{name}: must be finite and not negative (found {bad})")
            for name in ("dwell_time", "uncertainty")
            for bad in (-1e-9, math.nan, math.inf, -math.inf)
        ),
    ],
)
def test_settings_that_no_criterion_can_use_are_refused(changes: dict[str, Any], said: str) -> None:
    """The error names the setting and the value found."""
    with pytest.raises(ConfigurationError, match=f"^intervention: {re.escape(said)}$"):
        replace(SHIPPED, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"horizon": 0, "criterion": "planning"},
        {"horizon": 2, "criterion": "planning"},
        {"horizon": 1, "criterion": "reachability"},
        {"horizon": 50},
        {"recovery_speed": 0.0},
        {"recovery_speed": 1.0},
        {"capture_margin": -2.0},
        {"capture_margin": 1.0},
        {"dwell_time": 0.0},
        {"uncertainty": 0.0},
        {"dwell_time": 1e9, "uncertainty": 1e9},
    ],
)
def test_the_ends_of_what_is_allowed_are_allowed(changes: dict[str, Any]) -> None:
    """A value on its bound is accepted."""
    assert isinstance(replace(SHIPPED, **changes), InterventionParameters)
