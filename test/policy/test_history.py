"""Observations with a past: frames of several ages, bounds, clocks and earlier actions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, estimate
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_models import affine, joint_contract

from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract, contract_from_json
from safe_locomotion.policy.file import pack
from safe_locomotion.policy.observation import Observer
from safe_locomotion.policy.runtime import NOT_FINITE, PolicyRuntime
from safe_locomotion.policy.stage import PolicyStage
from safe_locomotion.policy.term import (
    AGE_MAX,
    Clock,
    ObservationHistory,
    ObservationTerm,
    observation_term,
)
from safe_locomotion.types import Estimate, VelocityCommand

COMMAND = VelocityCommand(vx=0.4)
HEIGHT = observation_term("base_height")
SPEED = observation_term("base_velocity", (2.0, 3.0, 4.0))


def history(order: str = "term", start: str = "repeat") -> ObservationHistory:
    return ObservationHistory(order=order, start=start)  # type: ignore[arg-type]


def old(term: ObservationTerm, *ages: int) -> ObservationTerm:
    return replace(term, ages=ages)


def seeing(*terms: ObservationTerm, **changes) -> PolicyContract:
    return joint_contract(observation=terms, **changes)


def at(z: float, vx: float = 0.0) -> Estimate:
    return estimate(position=np.array((0.0, 0.0, z)), velocity=np.array((vx, 0.0, 0.0)))


def heights(observer: Observer, *values: float) -> list[list[float]]:
    """Observations of a robot at these heights, one after the other."""
    return [observer.write(at(z), COMMAND, [0.0] * 12)[0].tolist() for z in values]


def test_ages_count_policy_steps_by_hand() -> None:
    """Oldest first, newest first and with gaps; the first frame stands for those before it."""
    observer = Observer(seeing(old(HEIGHT, 2, 1, 0), history=history()))
    assert heights(observer, 1, 2, 3, 4) == [[1, 1, 1], [1, 1, 2], [1, 2, 3], [2, 3, 4]]
    observer = Observer(seeing(old(HEIGHT, 0, 3), history=history(start="zero")))
    assert heights(observer, 1, 2, 3, 4, 5) == [[1, 0], [2, 0], [3, 0], [4, 1], [5, 2]]


def test_terms_or_frames_follow_one_another_by_hand() -> None:
    """By term all ages of the height come first; by frame each has its height and its speed."""
    terms = (old(HEIGHT, 1, 0), old(SPEED, 1, 0))
    rows = {}
    for order in ("term", "frame"):
        observer = Observer(seeing(*terms, history=history(order)))
        observer.write(at(1.0, 5.0), COMMAND, [0.0] * 12)
        rows[order] = observer.write(at(2.0, 6.0), COMMAND, [0.0] * 12)[0].tolist()
    assert rows["term"] == [1, 2, *(10, 0, 0), *(12, 0, 0)]
    assert rows["frame"] == [1, *(10, 0, 0), 2, *(12, 0, 0)]


ages = st.lists(st.integers(0, 7), min_size=1, max_size=4).map(tuple)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_history_equals_a_plain_list_of_frames(data: st.DataObject) -> None:
    """Observations equal those of a list that keeps every frame since the last reset.

    Orders, starts, ages, scales and resets are random.
    """
    order = data.draw(st.sampled_from(("term", "frame")))
    start = data.draw(st.sampled_from(("repeat", "zero")))
    common = data.draw(ages)
    terms = [
        old(term, *(common if order == "frame" else data.draw(ages)))
        for term in (HEIGHT, SPEED, observation_term("joint_velocity", 0.05))
    ]
    observer = Observer(seeing(*terms, history=history(order, start)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    frames: list[dict[str, np.ndarray]] = []
    for reset in data.draw(st.lists(st.booleans(), min_size=1, max_size=20)):
        if reset:
            observer.reset()
            frames = []
        e = estimate(
            position=np.array((0.0, 0.0, rng.normal())),
            velocity=rng.normal(size=3),
            dq=rng.normal(size=12),
        )
        frames.insert(
            0,
            {
                "base_height": e.position[2:],
                "base_velocity": e.velocity * (2.0, 3.0, 4.0),
                "joint_velocity": 0.05 * e.dq,
            },
        )

        def frame(term: ObservationTerm, age: int, past: list = frames) -> np.ndarray:
            if age < len(past):
                return past[age][term.name]
            return past[-1][term.name] * (start == "repeat")

        if order == "term":
            expected = [frame(term, age) for term in terms for age in term.ages]
        else:
            expected = [frame(term, age) for age in common for term in terms]
        row = observer.write(e, COMMAND, [0.0] * 12)[0]
        np.testing.assert_allclose(row, np.concatenate(expected), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_frame_that_is_not_finite_stays_visible_until_it_is_too_old(value: float) -> None:
    """With three ages the observation is finite again on the third step after it."""
    bounded = replace(old(HEIGHT, 2, 1, 0), lower=(0.0,), upper=(9.0,))
    observer = Observer(seeing(bounded, history=history()))
    finite = [bool(np.isfinite(row).all()) for row in heights(observer, 1, 2, value, 4, 5, 6)]
    assert finite == [True, True, False, False, False, True]


def test_bounds_hold_after_the_scale() -> None:
    """2 x 0.9 is cut to 1.5, and 3 x -0.9 to -2; other terms pass."""
    term = replace(SPEED, lower=(-1.5, -2.0, -9.0), upper=(1.5, 2.0, 9.0))
    observer = Observer(seeing(term, HEIGHT))
    e = estimate(velocity=np.array((0.9, -0.9, 0.5)), position=np.array((0.0, 0.0, 50.0)))
    row = observer.write(e, COMMAND, [0.0] * 12)[0]
    np.testing.assert_allclose(row, (1.5, -2.0, 2.0, 50.0))


def test_constants_clock_and_earlier_actions_by_hand() -> None:
    """The scales are the constants; the clock is a sine of robot time; actions come one by one.

    At 100 Hz a clock of 12.5 Hz passes an eighth of a period on each step.
    """
    contract = seeing(
        observation_term("constant", (0.5, -2.0), width=2),
        observation_term("clock", width=2),
        observation_term("earlier_action", width=12),
        observation_term("previous_action", width=12),
        clock=Clock(frequency=12.5, offsets=(0.0, 0.25)),
    )
    observer = Observer(contract)
    for _ in range(2):
        observer.reset()
        rows = [observer.write(at(0.3), COMMAND, [float(k)] * 12)[0].copy() for k in range(3)]
        np.testing.assert_allclose([row[:2] for row in rows], [(0.5, -2.0)] * 3)
        eighth = math.sqrt(0.5)
        phases = [(0.0, 1.0), (eighth, eighth), (1.0, 0.0)]
        np.testing.assert_allclose([row[2:4] for row in rows], phases, atol=1e-6)
        assert [row[4] for row in rows] == [0.0, 0.0, 1.0]
        assert [row[16] for row in rows] == [0.0, 1.0, 2.0]


def remembering() -> PolicyRuntime:
    """Targets that depend on the heights of the last three steps, the clock and past actions."""
    contract = seeing(
        old(HEIGHT, 2, 1, 0),
        observation_term("clock", width=1),
        observation_term("earlier_action", width=12),
        history=history(start="zero"),
        clock=Clock(frequency=3.0, offsets=(0.1,)),
    )
    rng = np.random.default_rng(0)
    data, written = pack(affine(0.2 * rng.normal(size=(12, 16)), np.zeros(12)), contract)
    return PolicyRuntime(written, data, A1)


def test_supposed_states_leave_no_trace_in_the_history() -> None:
    """Questions about predicted states do not change what the policy observes later."""
    policy = remembering()
    twin = remembering()
    for step in range(8):
        now = at(0.25 + 0.02 * step)
        np.testing.assert_array_equal(
            policy.act(now, COMMAND).joints.q, twin.act(now, COMMAND).joints.q
        )
        kept = policy.remember()
        for _ in range(step):
            policy.act(at(0.1), COMMAND)
        policy.recall(kept)


def test_a_policy_that_takes_over_knows_nothing_of_the_past() -> None:
    """A history starts anew when the stage lets the policy take over."""
    policy = remembering()
    fresh = policy.act(at(0.3), COMMAND).joints.q.copy()
    policy.act(at(0.5), COMMAND)
    assert np.abs(policy.act(at(0.3), COMMAND).joints.q - fresh).max() > 1e-3
    stage = PolicyStage(A1, load_config("a1").policy.gait)
    stage.take(policy)
    np.testing.assert_array_equal(stage.update(at(0.3), COMMAND).joints.q, fresh)


def test_a_policy_that_saw_no_number_flies_again_when_the_frame_is_gone() -> None:
    """There is no proposal while a frame of the history is not finite; then it comes back."""
    policy = remembering()
    hazards = []
    for z in (0.3, math.nan, 0.3, 0.3, 0.3):
        policy.act(at(z), COMMAND)
        hazards.append(policy.hazard)
    assert hazards == ["", NOT_FINITE, NOT_FINITE, NOT_FINITE, ""]


def test_the_text_of_a_contract_keeps_the_past() -> None:
    """Ages, bounds, history and clock read back; a contract without them does not name them."""
    contract = remembering().contract
    terms = (*contract.observation, replace(HEIGHT, ages=(5,), lower=(0.0,), upper=(1.0,)))
    full = replace(contract, observation=terms, parity=None, layout="isaaclab")
    assert contract_from_json(full.to_json()) == full
    text = joint_contract().to_json()
    assert not [key for key in ("ages", "lower", "history", "clock", "layout") if key in text]


FRAMES = {"history": history("frame")}
REFUSED = [
    ({"observation": (old(HEIGHT, 1, 0),)}, "history: expected its order and start"),
    ({"observation": (old(HEIGHT, 1), SPEED), **FRAMES}, "the same ages for all terms"),
    ({"observation": (observation_term("clock", width=1),)}, "expected the field 'clock'"),
    (
        {
            "observation": (observation_term("clock", width=1),),
            "clock": Clock(frequency=1.0, offsets=(0.0, 0.5)),
        },
        "observation clock: width: expected 2, found 1",
    ),
    (
        {"observation": (observation_term("constant", width=9000),)},
        "observation: expected at most 8192 numbers",
    ),
    (
        {"observation": (observation_term("constant", width=700, ages=(99,)),), **FRAMES},
        "history: expected at most 65536 numbers",
    ),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED)
def test_a_past_that_contradicts_itself_is_refused(changes: dict, says: str) -> None:
    """Ages without a history, unequal frames, a clock of another width, and too many numbers."""
    with pytest.raises(PolicyRefusedError, match=says):
        joint_contract(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ages": ()}, "ages: expected policy steps"),
        ({"ages": (-1,)}, "ages: expected policy steps"),
        ({"ages": (AGE_MAX + 1,)}, "ages: expected policy steps"),
        ({"lower": (0.0,)}, "bounds: expected lower and upper"),
        ({"lower": (2.0,), "upper": (1.0,)}, "bounds: expected lower <= upper"),
        ({"lower": (math.nan,), "upper": (1.0,)}, "expected finite numbers"),
        ({"lower": (0.0, 0.0), "upper": (1.0,)}, "expected 1 numbers, found 2"),
    ],
)
def test_a_term_that_holds_no_past_is_refused(changes: dict, says: str) -> None:
    """Ages count back from zero; bounds come in pairs of numbers."""
    with pytest.raises(PolicyRefusedError, match=says):
        replace(HEIGHT, **changes)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_clock_that_does_not_run_is_refused(value: float) -> None:
    """A frequency is a positive number, and there is a phase."""
    with pytest.raises(PolicyRefusedError, match="clock: frequency"):
        Clock(frequency=value, offsets=(0.0,))
    with pytest.raises(PolicyRefusedError, match="clock: offsets"):
        Clock(frequency=1.0, offsets=())
