"""Trigger set: every bound at its very ends, how each component is measured, and what is predicted from there."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import START_NS, TICK_NS, estimate
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.rotations import multiply, quaternion_from_rotation_vector, quaternion_from_rpy
from safe_locomotion.safety.trigger_set import (
    COMPONENTS,
    TriggerBounds,
    TriggerSet,
    TriggerState,
    designed_bounds,
)

SHIPPED = load_config("a1").supervisor.trigger_set
BOUNDS = SHIPPED.c1
SAFE = (0.25, 0.0, 0.0, 0.0, 0.0)
RAW = replace(SHIPPED, roll_rate="raw", attitude="vertical", height="odom", lookahead=0.0)
TROT_HZ = 2.5


def box() -> TriggerSet:
    """The set in use; made anew, so that a test of it is also one of its making."""
    return TriggerSet(BOUNDS, 0.1)


def changed(index: int, value: float) -> Any:
    return (*SAFE[:index], value, *SAFE[index + 1 :])


def test_the_shipped_boxes_are_the_papers() -> None:
    """A1 set of section VI, and the two tighter ones of its ablation."""
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
    """On the bound is safe, the next double beyond it triggers, and only that component; so do NaN and infinities."""
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
    """Scalar test, test of arrays and sign of the margin say the same, from well below the box to well above."""
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


def test_margins_of_the_middle_and_of_nothing() -> None:
    """1 in the middle of a side, minus infinity for NaN: a number that is unknown is never safe."""
    margins = dict(box().margins((0.25, math.nan, 0.13, -0.5, 0.0)))
    assert margins == {
        "height": pytest.approx(1.0),
        "roll": -math.inf,
        "pitch": pytest.approx(0.5),
        "lateral_velocity": 0.0,
        "roll_rate": 1.0,
    }


def test_an_array_of_states_is_judged_state_by_state() -> None:
    """Over the last axis, however many there are before it."""
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
    """Whatever the numbers."""
    shipped = box()
    assert shipped.safe(np.array(states)).tolist() == [
        shipped.triggers(state) == () for state in states
    ]


def test_failure_is_below_the_height_of_a_fall() -> None:
    """NaN included: a height that is unknown is no height."""
    shipped = box()
    assert [shipped.failed(h) for h in (0.1, math.nextafter(0.1, 0.0), math.nan, 0.25)] == [
        False,
        True,
        True,
        False,
    ]


def test_the_height_of_a_fall_lies_between_the_ground_and_the_box() -> None:
    """Both ends included; a set that would call a fallen robot safe is refused, with both numbers."""
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
    """A component that is missing or too many is an error, never a safe state."""
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
def test_a_box_without_inside_is_refused(changes: dict[str, float], said: str) -> None:
    """Before anything moves, by the name of the bound and the number found."""
    with pytest.raises(ConfigurationError, match=rf"^trigger set: {re.escape(said)}$"):
        replace(BOUNDS, **changes)


def test_a_box_may_begin_at_the_ground_and_be_as_narrow_as_numbers_are() -> None:
    """The ends of what is allowed."""
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


def test_before_the_first_estimate_nothing_is_known() -> None:
    """And what is unknown is not safe."""
    assert box().triggers(TriggerState(RAW).values) == COMPONENTS


def test_raw_components_are_what_the_estimate_says() -> None:
    """Height in odom, roll and pitch of the quaternion, velocity across the heading, rate about the body's x."""
    for yaw in (0.0, 1.0, -2.5):
        across = 0.3 * np.array((-math.sin(yaw), math.cos(yaw), 0.0)) + 0.7 * np.array(
            (math.cos(yaw), math.sin(yaw), 0.0)
        )
        values = TriggerState(RAW).update(
            estimate(
                quaternion_wxyz=quaternion_from_rpy(0.1, -0.2, yaw),
                velocity=across,
                angular_velocity=np.array((0.4, 5.0, 5.0)),
                position=np.array((9.0, 9.0, 0.28)),
                ground_height=0.02,
            ),
            TROT_HZ,
        )
        assert values == pytest.approx((0.28, 0.1, -0.2, 0.3, 0.4))


def test_a_body_that_stands_upright_on_its_end_is_pitched_by_a_right_angle() -> None:
    """Also where rounding makes the vertical a hair longer than it is; whose attitude is no number, has none."""
    state = TriggerState(replace(RAW, attitude="ground"))
    for x, pitch in (
        (1.0, -90.0),
        (-1.0, 90.0),
        (math.nextafter(1.0, 2.0), -90.0),
        (math.nextafter(-1.0, -2.0), 90.0),
    ):
        values = state.update(estimate(ground_normal=np.array((x, 0.0, 0.0))), TROT_HZ)
        assert math.degrees(values[2]) == pytest.approx(pitch)
    unknown = TriggerState(RAW).update(estimate(quaternion_wxyz=np.full(4, math.nan)), TROT_HZ)
    assert [math.isnan(value) for value in unknown] == [False, True, True, True, False]
    assert box().triggers(unknown) == ("roll", "pitch", "lateral_velocity")


def test_on_a_slope_attitude_and_height_can_be_those_above_the_feet() -> None:
    """A body parallel to a 15 degree slope leans by nothing there, and by 15 degrees against the vertical."""
    lean = math.radians(15.0)
    uphill = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.0, -lean, 0.0),
        ground_normal=np.array((-math.sin(lean), 0.0, math.cos(lean))),
        position=np.array((0.0, 0.0, 1.27)),
        ground_height=1.0,
    )
    against_ground = TriggerState(replace(RAW, attitude="ground", height="feet")).update(
        uphill, TROT_HZ
    )
    against_vertical = TriggerState(RAW).update(uphill, TROT_HZ)
    assert against_ground == pytest.approx((0.27, 0.0, 0.0, 0.0, 0.0), abs=1e-12)
    assert against_vertical == pytest.approx((1.27, 0.0, -lean, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(("measure", "share"), [("half_cycle", 0.5), ("whole_cycle", 1.0)])
def test_a_mean_over_the_cycle_sees_through_a_wobble(measure: Any, share: float) -> None:
    """A wobble of that period has no mean; a steady roll is seen whole once it has lasted as long as the window."""
    state = TriggerState(replace(RAW, roll_rate=measure))
    frequency = share * 5.0
    for k in range(500):
        time = k * TICK_NS * 1e-9
        rate = 3.0 * math.sin(2 * math.pi * 5.0 * time) + (0.4 if time >= 0.5 else 0.0)
        values = state.update(
            estimate(stamp_ns=START_NS + k * TICK_NS, angular_velocity=np.array((rate, 0.0, 0.0))),
            frequency,
        )
        if 0.2 < time < 0.5:
            assert abs(values[4]) < 0.05
        if time > 0.72:
            assert values[4] == pytest.approx(0.4, abs=0.05)


def test_the_mean_starts_over_after_a_gap_and_after_nan() -> None:
    """Neither an old history nor a number that was none says anything about now; an unknown rate is unknown, not zero."""
    state = TriggerState(replace(RAW, roll_rate="half_cycle"))

    def at(ticks: int, rate: float) -> float:
        return state.update(
            estimate(
                stamp_ns=START_NS + ticks * TICK_NS, angular_velocity=np.array((rate, 0.0, 0.0))
            ),
            TROT_HZ,
        )[4]

    for k in range(200):
        at(k, 1.0)
    assert at(200, 1.0) == pytest.approx(1.0)
    assert at(1200, 1.0) == 0.0
    assert at(700, 1.0) == 0.0  # a stamp that jumps back
    assert math.isnan(at(701, math.nan))
    assert [at(702 + k, 0.0) for k in range(3)] == [0.0, 0.0, 0.0]


def test_history_does_not_grow() -> None:
    """Hours of walking keep about a second of samples."""
    state = TriggerState(replace(RAW, roll_rate="whole_cycle"))
    for k in range(5000):
        values = state.update(
            estimate(stamp_ns=START_NS + k * TICK_NS, angular_velocity=np.array((0.2, 0.0, 0.0))),
            1.0,
        )
    assert values[4] == pytest.approx(0.2)
    assert len(state._times) < 1300


def states_rolling_at(rate: float, steps: int, dt: float) -> np.ndarray:
    states = np.zeros((steps, 12))
    states[:, 0] = rate * dt * np.arange(1, steps + 1)
    states[:, 6] = rate
    return states


def test_a_look_ahead_carries_height_and_tilt_on_at_their_rates() -> None:
    """A body that drops and rolls is seen where it will be; what the model predicts is carried on by the same time."""
    state = TriggerState(replace(RAW, lookahead=0.1))
    rates = np.array((1.0, -0.5, 0.7))
    now = estimate(velocity=np.array((0.0, 0.2, -0.4)), angular_velocity=rates)
    assert state.update(now, TROT_HZ) == pytest.approx((0.23, 0.1, -0.05, 0.2, 1.0))
    turned = quaternion_from_rpy(0.2, 0.3, 0.0)
    before = TriggerState(RAW)
    step = 1e-6
    still = before.update(estimate(quaternion_wxyz=turned), TROT_HZ)
    moved = before.update(
        estimate(quaternion_wxyz=multiply(turned, quaternion_from_rotation_vector(step * rates))),
        TROT_HZ,
    )
    ahead = state.update(estimate(quaternion_wxyz=turned, angular_velocity=rates), TROT_HZ)
    for i in (1, 2):
        assert (ahead[i] - still[i]) / 0.1 == pytest.approx((moved[i] - still[i]) / step, rel=1e-4)
    x0 = np.zeros(12)
    states = np.zeros((1, 12))
    states[0, [11, 6, 7]] = -1.0, 0.5, 0.25
    change = state.predicted(x0, states, 0.016)[0] - np.array(state.values)
    np.testing.assert_allclose(change, (-0.1, 0.05, 0.025, 0.0, 0.5), atol=1e-12)


@pytest.mark.parametrize("lookahead", [-0.01, 0.21, math.nan, math.inf])
def test_a_look_too_far_ahead_is_refused(lookahead: float) -> None:
    """Rates say little about later; the ends of what is allowed are."""
    assert [replace(SHIPPED, lookahead=end).lookahead for end in (0.0, 0.2)] == [0.0, 0.2]
    with pytest.raises(ConfigurationError, match="lookahead"):
        replace(SHIPPED, lookahead=lookahead)


def test_predicted_components_go_on_from_the_measured_ones() -> None:
    """Changes of the model's state are added to what was measured, column by column."""
    state = TriggerState(RAW)
    state.update(estimate(angular_velocity=np.array((0.1, 0.0, 0.0))), TROT_HZ)
    x0 = np.zeros(12)
    states = np.zeros((2, 12))
    x0[[5, 0, 1, 10, 6]] = 0.25, 0.01, 0.02, 0.03, 0.04
    states[:, [5, 0, 1, 10, 6]] = np.array((0.25, 0.01, 0.02, 0.03, 0.04)) + np.array(
        [[0.1], [0.2]]
    )
    measured = np.array((0.27, 0.0, 0.0, 0.0, 0.1))
    np.testing.assert_allclose(
        state.predicted(x0, states, 0.016), measured + np.array([[0.1], [0.2]]), atol=1e-12
    )


@pytest.mark.parametrize("steps", [5, 20, 40])
def test_a_predicted_mean_is_the_one_that_will_be_measured(steps: int) -> None:
    """Windows that reach back into the past, and beyond them windows that lie in the prediction alone, for batches too."""
    dt = 0.016
    rate_before = 0.1
    rate_after = 0.4
    predicting, measuring = (TriggerState(replace(RAW, roll_rate="half_cycle")) for _ in range(2))
    for k in range(300):
        now = estimate(
            stamp_ns=START_NS + k * TICK_NS, angular_velocity=np.array((rate_before, 0.0, 0.0))
        )
        predicting.update(now, TROT_HZ), measuring.update(now, TROT_HZ)
    ahead = states_rolling_at(rate_after, steps, dt)
    predicted = predicting.predicted(np.zeros(12), np.stack((ahead, ahead)), dt)[..., 4]
    later = []
    for k in range(300, 300 + 8 * steps):
        now = estimate(
            stamp_ns=START_NS + k * TICK_NS, angular_velocity=np.array((rate_after, 0.0, 0.0))
        )
        later.append(measuring.update(now, TROT_HZ)[4])
    np.testing.assert_allclose(predicted[0], later[7::8], atol=0.016)
    np.testing.assert_array_equal(predicted[0], predicted[1])


def test_where_windows_begin_is_looked_up_alike_one_by_one_and_together() -> None:
    """The newest sample up to each time, those on a sample and those before the first one included."""
    state = TriggerState(replace(RAW, roll_rate="half_cycle"))
    random = np.random.default_rng(0)
    for k in range(200):
        state.update(
            estimate(stamp_ns=START_NS + k * TICK_NS, angular_velocity=random.normal(size=3)),
            TROT_HZ,
        )
    times = np.concatenate((random.uniform(-0.1, 0.5, size=200), state._times))
    assert state._rolled_at_each(times).tolist() == [state._rolled_at(time) for time in times]


def test_a_predicted_mean_is_over_the_stride_of_the_gait_to_come() -> None:
    """After 0.25 s at 0.4 rad/s a stride of 0.25 s is full of it, one of 0.5 s half full: so will it be measured after a change."""
    state = TriggerState(replace(RAW, roll_rate="whole_cycle"))
    for k in range(300):
        rate = 0.4 if k > 300 - 125 else 0.0
        state.update(
            estimate(stamp_ns=START_NS + k * TICK_NS, angular_velocity=np.array((rate, 0.0, 0.0))),
            4.0,
        )
    still = np.zeros((1, 12))
    for frequency, expected in ((None, 0.4), (4.0, 0.4), (2.0, 0.2)):
        mean = float(state.predicted(np.zeros(12), still, 0.002, frequency)[0, 4])
        assert mean == pytest.approx(expected, abs=0.01), frequency


def test_a_designed_box_keeps_the_capture_point_within_reach() -> None:
    """The papers' two robots come out within 7 % of its numbers, and the corner of the box exactly at the reach."""
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
def test_a_design_without_sense_is_refused(changes: dict[str, float]) -> None:
    """A robot without height, or a foot that reaches nowhere; the numbers are named."""
    numbers = {"height": 0.27, "reach": 0.1, "height_slack": 0.05, **changes}
    found = "height {height}, reach {reach}, height slack {height_slack}".format(**numbers)
    with pytest.raises(
        ConfigurationError, match=f"^trigger set: no design for {re.escape(found)}$"
    ):
        designed_bounds(**numbers)


def test_bounds_are_an_ordinary_value() -> None:
    """Equal numbers are equal boxes."""
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
