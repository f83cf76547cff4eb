"""The switching rule against transcriptions of the paper's equations, on random traces."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from core_values import START_NS
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.switching_rule import (
    CRITERIA,
    STEP_NS,
    InterventionParameters,
    SwitchingRule,
)

SHIPPED = load_config("a1").supervisor.intervention
TICK_NS = STEP_NS // 2  #: of the policy


@dataclass
class Step:
    """One policy tick of a trace: what the model predicts there, and how often it was asked."""

    triggered: bool
    stays_safe: bool
    least_steps: int | None
    asked: int = 0

    def learner_stays_safe(self) -> bool:
        self.asked += 1
        return self.stays_safe

    def least_recovery_steps(self) -> int | None:
        self.asked += 1
        return self.least_steps


def parameters(criterion: Any, **changes: Any) -> InterventionParameters:
    return replace(SHIPPED, criterion=criterion, **changes)


def played(trace: list[Step], p: InterventionParameters) -> list[bool]:
    """Whether recovery acts, tick by tick."""
    rule = SwitchingRule(p)
    return [
        rule.recovers(START_NS + t * TICK_NS, step.triggered, step) for t, step in enumerate(trace)
    ]


traces = st.lists(
    st.builds(Step, st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(1, 9))),
    min_size=1,
    max_size=30,
)


def equation_1(trace: list[Step]) -> list[bool]:
    """a_t from pi_safe if s_t in C_tri, pi_learner otherwise."""
    return [step.triggered for step in trace]


def equation_2(trace: list[Step]) -> list[bool]:
    """Equation 2 of the paper.

    a_t from pi_safe if s_t in C_tri or (a_t-1 in pi_safe and not exists {a_t..} in pi_learner
    with {s_t+1..s_t+w} not in C_tri).
    """
    actions: list[bool] = []
    for t, step in enumerate(trace):
        before = actions[t - 1] if t > 0 else True
        actions.append(step.triggered or (before and not step.stays_safe))
    return actions


def equation_2_with_definition_2(trace: list[Step]) -> list[bool]:
    """Equation 2 with planning: recovery for the least number i of steps, then the learner.

    The number is searched again if there was none, and after each visit to C_tri. A step is two
    ticks of the policy. Every tick tests i = 0, which is definition 3, because the last action of
    recovery was the first of the plan.
    """
    actions: list[bool] = []
    hand_back: int | None = None
    for t, step in enumerate(trace):
        before = actions[t - 1] if t > 0 else True
        if step.triggered:
            hand_back = None
            actions.append(True)
            continue
        if before and hand_back is None and step.least_steps is not None:
            hand_back = t + 2 * step.least_steps
        acts = before and not step.stays_safe and (hand_back is None or t < hand_back)
        if not acts:
            hand_back = None
        actions.append(acts)
    return actions


@settings(max_examples=100)
@given(traces)
def test_naive_is_equation_1(trace: list[Step]) -> None:
    """The trigger set alone decides, and nothing is predicted."""
    assert played(trace, parameters("naive")) == equation_1(trace)
    assert sum(step.asked for step in trace) == 0


@settings(max_examples=200)
@given(traces)
def test_reachability_is_equation_2(trace: list[Step]) -> None:
    """It predicts only if recovery acted last and the state is outside the trigger set."""
    actions = played(trace, parameters("reachability"))
    assert actions == equation_2(trace)
    for t, step in enumerate(trace):
        before = actions[t - 1] if t > 0 else True
        assert step.asked == (1 if before and not step.triggered else 0)


@settings(max_examples=200)
@given(traces)
def test_planning_is_equation_2_with_definition_2(trace: list[Step]) -> None:
    """The plan is made once and kept, unless fewer steps turn out to be enough."""
    assert played(trace, parameters("planning")) == equation_2_with_definition_2(trace)


@settings(max_examples=200)
@given(traces)
def test_planning_hands_back_no_later_than_reachability(trace: list[Step]) -> None:
    """While recovery acts under both criteria, planning is the first to hand back."""
    pairs = zip(
        played(trace, parameters("planning")),
        played(trace, parameters("reachability")),
        strict=True,
    )
    for planned, waited in pairs:
        assert waited or not planned
        if planned is not waited:
            break


@settings(max_examples=100)
@given(traces, st.integers(0, 20))
def test_dwell_keeps_recovery_for_its_time_after_the_last_trigger(
    trace: list[Step], ticks: int
) -> None:
    """The time is exact to the tick, and nothing is predicted."""
    actions = played(trace, parameters("dwell", dwell_time=ticks * TICK_NS * 1e-9))
    for t, acts in enumerate(actions):
        recent = (
            any(trace[k].triggered for k in range(max(0, t - ticks + 1), t + 1))
            if ticks
            else trace[t].triggered
        )
        assert acts is recent


@settings(max_examples=200)
@given(traces)
def test_off_never_intervenes(trace: list[Step]) -> None:
    """The set is only measured."""
    assert not any(played(trace, parameters("off")))


@settings(max_examples=100)
@given(traces, st.sampled_from(CRITERIA[1:]))
def test_a_state_in_the_trigger_set_is_never_the_learners(
    trace: list[Step], criterion: Any
) -> None:
    """No criterion hands over in the set. One more trigger never gives the learner more."""
    actions = played(trace, parameters(criterion))
    assert all(acts for acts, step in zip(actions, trace, strict=True) if step.triggered)
    if criterion in ("naive", "reachability", "dwell"):
        for t in range(len(trace)):
            worse = [
                replace(step, triggered=step.triggered or k == t) for k, step in enumerate(trace)
            ]
            assert all(
                b or not a
                for a, b in zip(actions, played(worse, parameters(criterion)), strict=True)
            )


@pytest.mark.parametrize("criterion", ["reachability", "planning"])
def test_a_horizon_of_zero_is_the_naive_rule(criterion: Any) -> None:
    """Nothing is predicted, as with the paper's w = 0."""
    trace = [Step(triggered, False, None) for triggered in (False, True, False, False, True, False)]
    assert played(trace, parameters(criterion, horizon=0)) == equation_1(trace)
    assert sum(step.asked for step in trace) == 0


def test_without_a_learner_recovery_acts_and_is_remembered() -> None:
    """The next learner drives only if it is predicted to stay safe."""
    rule = SwitchingRule(parameters("reachability"))
    assert rule.recovers(START_NS, False, Step(False, True, None)) is False
    assert rule.alone() is True
    assert rule.recovers(START_NS, False, Step(False, False, None)) is True
    assert rule.recovers(START_NS, False, Step(False, True, None)) is False
    rule.reset()
    assert rule.recovers(START_NS, False, Step(False, False, None)) is True


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"horizon": -1}, "horizon"),
        ({"horizon": 51}, "horizon"),
        ({"criterion": "planning", "horizon": 1}, "planning needs 2 steps"),
        ({"dwell_time": -0.1}, "dwell_time"),
        ({"dwell_time": float("nan")}, "dwell_time"),
        ({"uncertainty": float("inf")}, "uncertainty"),
        ({"recovery_speed": 1.1}, "recovery_speed"),
        ({"recovery_speed": float("nan")}, "recovery_speed"),
    ],
)
def test_unusable_parameters_are_refused(changes: dict[str, Any], said: str) -> None:
    """The error at start-up names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        replace(SHIPPED, **changes)
