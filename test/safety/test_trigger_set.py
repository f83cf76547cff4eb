"""Trigger set: every bound at its very ends, and boxes that are refused."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.trigger_set import (
    COMPONENTS,
    TriggerBounds,
    TriggerSet,
    designed_bounds,
)

SHIPPED = load_config("a1").supervisor.trigger_set
BOUNDS = SHIPPED.c1
SAFE = (0.25, 0.0, 0.0, 0.0, 0.0)


def box() -> TriggerSet:
    """The set in use, made anew, so that a mutated constructor fails the test."""
    return TriggerSet(BOUNDS, 0.1)


def changed(index: int, value: float) -> Any:
    """A safe state with one component replaced."""
    return (*SAFE[:index], value, *SAFE[index + 1 :])


def test_the_shipped_boxes_are_the_papers() -> None:
    """They are the A1 set of section VI and the two tighter ones of its ablation."""
    shipped = box()
    assert (shipped.low.tolist(), shipped.high.tolist()) == (
        [0.2, -0.26, -0.26, -0.5, -0.5],
        [0.3, 0.26, 0.26, 0.5, 0.5],
    )
    for bounds, tight in ((SHIPPED.c2, 0.375), (SHIPPED.c3, 0.25)):
        assert bounds == replace(BOUNDS, lateral_velocity=tight, roll_rate=tight)
        assert replace(SHIPPED, use="c2").bounds is SHIPPED.c2


@pytest.mark.parametrize("index", range(5))
def test_each_bound_is_exact_at_both_ends(index: int) -> None:
    """The bound is safe; the next double beyond it, NaN and infinity trigger that component."""
    name = COMPONENTS[index]
    shipped = box()
    for bound, away in ((shipped.low[index], -math.inf), (shipped.high[index], math.inf)):
        beyond = math.nextafter(bound, away)
        assert shipped.triggers(changed(index, float(bound))) == ()
        for value in (beyond, away, math.nan, bound + math.copysign(1.0, away)):
            assert shipped.triggers(changed(index, float(value))) == (name,)
            assert not shipped.safe(np.array(changed(index, float(value))))


@pytest.mark.parametrize("index", range(5))
def test_a_sweep_through_the_box_agrees_everywhere(index: int) -> None:
    """The scalar test, the array test and the sign of the margin agree."""
    shipped = box()
    low = float(shipped.low[index])
    high = float(shipped.high[index])
    for value in np.linspace(low - (high - low), high + (high - low), 301).tolist():
        state = changed(index, value)
        inside = low <= value <= high
        assert (shipped.triggers(state) == ()) is inside
        assert bool(shipped.safe(np.array(state))) is inside
        margin = dict(shipped.margins(state))[COMPONENTS[index]]
        assert margin == pytest.approx(min(value - low, high - value) / ((high - low) / 2.0))
        assert margin >= 0.0 if inside else margin < 0.0


def test_margins_of_the_middle_and_of_nan() -> None:
    """The margin is 1 in the middle, and minus infinity for NaN, which is never safe."""
    margins = dict(box().margins((0.25, math.nan, 0.13, -0.5, 0.0)))
    assert margins == {
        "height": pytest.approx(1.0),
        "roll": -math.inf,
        "pitch": pytest.approx(0.5),
        "lateral_velocity": 0.0,
        "roll_rate": 1.0,
    }


def test_an_array_of_states_is_judged_state_by_state() -> None:
    """The components are on the last axis; any number of axes may stand before it."""
    states = np.array(
        [[SAFE, changed(0, 0.31), SAFE], [changed(4, math.nan), SAFE, changed(2, -0.5)]]
    )
    assert box().safe(states).tolist() == [[True, False, True], [False, True, False]]


@given(
    st.lists(
        st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 5), min_size=1, max_size=8
    )
)
def test_arrays_of_states_are_judged_like_single_ones(states: list[Any]) -> None:
    """This holds for all numbers, NaN and infinity included."""
    shipped = box()
    assert shipped.safe(np.array(states)).tolist() == [
        shipped.triggers(state) == () for state in states
    ]


def test_failure_is_below_the_height_of_a_fall() -> None:
    """A height of NaN counts as a fall."""
    shipped = box()
    assert [shipped.failed(h) for h in (0.1, math.nextafter(0.1, 0.0), math.nan, 0.25)] == [
        False,
        True,
        True,
        False,
    ]


def test_the_height_of_a_fall_lies_between_the_ground_and_the_box() -> None:
    """Both ends are allowed. A set in which a fallen robot is safe is refused."""
    for height in (0.0, BOUNDS.height_min):
        assert not TriggerSet(BOUNDS, height).failed(height)
    for height in (-1e-9, math.nextafter(BOUNDS.height_min, 1.0), math.nan, math.inf):
        with pytest.raises(
            ConfigurationError,
            match=rf"^trigger set: it contains falls, .* \(found {height} and 0\.2\)$",
        ):
            TriggerSet(BOUNDS, height)


@pytest.mark.parametrize("values", [SAFE[:4], (*SAFE, 0.0)])
def test_four_or_six_components_are_no_state(values: Any) -> None:
    """A missing or an additional component is an error, never a safe state."""
    for judged in (box().triggers, box().margins):
        with pytest.raises(ValueError, match="zip"):
            judged(values)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"height_min": 0.3}, "0 <= height_min < height_max is needed (found 0.3 and 0.3)"),
        ({"height_min": -0.1}, "0 <= height_min < height_max is needed (found -0.1 and 0.3)"),
        ({"height_max": math.inf}, "0 <= height_min < height_max is needed (found 0.2 and inf)"),
        *(
            ({name: bad}, f"{name}: must be positive (found {bad})")
            for name in COMPONENTS[1:]
            for bad in (0.0, -1.0, math.inf, math.nan)
        ),
    ],
)
def test_an_empty_box_is_refused(changes: dict[str, float], said: str) -> None:
    """The message contains the name of the bound and the number found."""
    with pytest.raises(ConfigurationError, match=rf"^trigger set: {re.escape(said)}$"):
        replace(BOUNDS, **changes)


def test_a_box_may_begin_at_the_ground_and_be_as_narrow_as_numbers_are() -> None:
    """These are the smallest bounds that are allowed."""
    tiny = math.nextafter(0.0, 1.0)
    bounds = TriggerBounds(
        height_min=0.0,
        height_max=tiny,
        roll=tiny,
        pitch=tiny,
        lateral_velocity=tiny,
        roll_rate=tiny,
    )
    assert bounds.height_min == 0.0


@pytest.mark.parametrize("lookahead", [-0.01, 0.21, math.nan, math.inf])
def test_a_look_too_far_ahead_is_refused(lookahead: float) -> None:
    """The largest and the smallest value are accepted."""
    assert [replace(SHIPPED, lookahead=end).lookahead for end in (0.0, 0.2)] == [0.0, 0.2]
    with pytest.raises(ConfigurationError, match="lookahead"):
        replace(SHIPPED, lookahead=lookahead)


def test_a_designed_box_keeps_the_capture_point_within_reach() -> None:
    """Its corner lies at the reach, within 7 % of the paper's numbers for both robots."""
    for height, reach, slack in ((0.27, 0.1, 0.05), (0.45, 0.15, 0.075)):
        bounds = designed_bounds(height=height, reach=reach, height_slack=slack)
        b = bounds.lateral_velocity
        assert b == bounds.roll_rate == pytest.approx(0.5, rel=0.07)
        assert (b + height * b) * math.sqrt(height / 9.81) == pytest.approx(reach)
        assert bounds.roll == bounds.pitch == pytest.approx(0.26, rel=0.07)
        assert (bounds.height_min, bounds.height_max) == pytest.approx(
            (height - slack, height + slack)
        )
    assert designed_bounds(height=0.27, reach=0.1) == designed_bounds(
        height=0.27, reach=0.1, height_slack=0.05
    )


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {name: bad}
            for name in ("height", "reach", "height_slack")
            for bad in (0.0, -0.1, math.nan, math.inf)
        ),
        {"height_slack": 0.27},
    ],
)
def test_an_impossible_design_is_refused(changes: dict[str, float]) -> None:
    """Height, reach and slack must be positive, and the message contains the numbers."""
    numbers = {"height": 0.27, "reach": 0.1, "height_slack": 0.05, **changes}
    found = "height {height}, reach {reach}, height slack {height_slack}".format(**numbers)
    with pytest.raises(
        ConfigurationError, match=f"^trigger set: no design for {re.escape(found)}$"
    ):
        designed_bounds(**numbers)


def test_bounds_are_an_ordinary_value() -> None:
    """Boxes with equal numbers are equal."""
    assert (
        TriggerBounds(
            height_min=0.2,
            height_max=0.3,
            roll=0.26,
            pitch=0.26,
            lateral_velocity=0.5,
            roll_rate=0.5,
        )
        == BOUNDS
    )
