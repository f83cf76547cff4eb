"""The flight check: right contracts fly, wrong ones are caught, and the error is named."""

from collections import Counter
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from core_values import A1
from hypothesis import given
from hypothesis import strategies as st
from policy_models import gait_contract, joint_contract

from safe_locomotion.cli.main import main
from safe_locomotion.evaluation.flight.course import COURSE, TRIAL_COURSE, Segment, length, script
from safe_locomotion.evaluation.flight.flight import Flight, Followed, fly
from safe_locomotion.evaluation.flight.judgement import judge
from safe_locomotion.evaluation.flight.permutations import (
    PERMUTATIONS,
    changes,
    joint_signs,
    with_joint_order,
)
from safe_locomotion.evaluation.flight.search import attempts, best
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import find_policy, read_policy, write_policy
from safe_locomotion.policy.runtime import JointInterpreter
from safe_locomotion.policy.term import ObservationHistory, observation_term
from safe_locomotion.types import JOINTS, VelocityCommand

pytest.importorskip("mujoco")

SHIPPED = "a1_velocity_lstm"
FORWARD = VelocityCommand(vx=0.4)
SHORT = (
    Segment(name="stand", duration=1.15, command=VelocityCommand()),
    Segment(name="forward", duration=1.4, command=FORWARD),
)
BY_TYPE = tuple(
    f"{leg}_{kind}" for kind in ("hip", "thigh", "calf") for leg in ("FL", "FR", "RL", "RR")
)


@pytest.fixture(scope="module")
def shipped() -> tuple[PolicyContract, bytes]:
    """Contract and network of a shipped policy."""
    return read_policy(find_policy(SHIPPED))


def flight(**changed) -> Flight:
    """A flight without a fault, over two segments."""
    values = {
        "policy": "p",
        "duration": 20.0,
        "followed": (
            Followed(
                segment="stand",
                command=VelocityCommand(),
                driven=1.0,
                velocity_error=0.01,
                turn_error=0.02,
            ),
            Followed(
                segment="forward",
                command=FORWARD,
                driven=1.0,
                velocity_error=0.04,
                turn_error=0.03,
            ),
        ),
        "falls": 0,
        "uses": 0,
        "recovery": 0.0,
        "triggers": Counter(),
        "faults": Counter(),
        "gate_trips": Counter(),
        "tilt_rate": 0.2,
        "roughness": 0.7,
    }
    return Flight(**{**values, **changed})


def missed(**changed) -> tuple[Followed, Followed]:
    """Segments of `flight`, the second one changed."""
    first, second = flight().followed
    return first, replace(second, **changed)


def test_courses_command_each_axis_for_their_durations() -> None:
    """The flight lasts 20 s; both courses stand, and move along every axis."""
    assert length(COURSE) == pytest.approx(20.0) and length(TRIAL_COURSE) < length(COURSE)
    for course in (COURSE, TRIAL_COURSE):
        steps = script(course)
        assert steps[0].command == VelocityCommand() and steps[0].time == 0.0
        assert all(any(getattr(s.command, axis) for s in steps) for axis in ("vx", "vy", "wz"))
        ends = [step.time for step in steps[1:]] + [length(course)]
        durations = [end - step.time for step, end in zip(steps, ends, strict=True)]
        assert durations == pytest.approx([segment.duration for segment in course])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"falls": 1, "duration": 7.5}, "fell after 7.5 s"),
        ({"uses": 4}, "saved 4 times"),
        ({"recovery": 0.2}, "recovery drove 20 % of the time"),
        ({"recovery": nan}, "never drove"),
        ({"recovery": 1.0, "faults": Counter(policy_failed=9)}, "never drove; gave no proposal"),
        ({"faults": Counter(policy_not_finite=1)}, "gave no proposal: policy_not_finite"),
        ({"gate_trips": Counter(command_step=1)}, "the gate refused: command_step"),
        ({"followed": missed(velocity_error=0.11)}, "forward (off by 0.11 m/s)"),
        ({"followed": missed(turn_error=0.21)}, "forward (off by 0.21 rad/s)"),
        ({"followed": missed(velocity_error=nan)}, "forward (hardly drove)"),
        ({"followed": missed(driven=0.9)}, "forward (drove 90 %)"),
        ({"followed": flight().followed[:1]}, "does not follow to the end"),
        ({"followed": ()}, "does not follow to the end"),
        ({"followed": flight().followed[1:]}, "does not follow to the end"),
    ],
)
def test_each_single_failure_grounds_a_policy(changed, says) -> None:
    """A flight with one fault does not fly, and the line says which; without it, it flies."""
    good = judge(flight(), 2)
    assert good.flies and good.line.startswith("stands; follows within 0.04 m/s and 0.03 rad/s")
    found = judge(flight(**changed), 2)
    assert not found.flies and says in found.line


@given(st.permutations(JOINTS), st.booleans())
def test_an_order_by_name_moves_the_numbers_with_their_joints(order, mirrored: bool) -> None:
    """The network's output, put into the new order, gives the same joint targets."""
    contract = joint_contract()
    assert contract.joint is not None
    varied = replace(
        contract, joint=replace(contract.joint, scale=tuple(0.2 + 0.01 * i for i in range(12)))
    )
    if mirrored:
        varied = next(joint_signs(varied))[1]
    changed = with_joint_order(varied, tuple(order))
    action = np.linspace(-0.5, 0.5, 12)
    assert varied.joint is not None and changed.joint is not None
    before = JointInterpreter(varied, varied.joint, A1).read(action[varied.to_policy])
    after = JointInterpreter(changed, changed.joint, A1).read(action[changed.to_policy])
    assert before is not None and after is not None
    np.testing.assert_array_equal(before.q, after.q)
    assert with_joint_order(changed, varied.joint_order) == varied


def test_what_is_mirrored_twice_is_as_before() -> None:
    """Each permutation of signs is its own inverse, and changes action and observation alike."""
    contract = joint_contract()
    for kind in ("joint sign", "sign of the observation"):
        for index, (_, changed) in enumerate(PERMUTATIONS[kind](contract)):
            assert changed != contract
            assert list(PERMUTATIONS[kind](changed))[index][1] == contract


WITH_HISTORY = joint_contract(
    observation=(
        observation_term("joint_position", ages=(0, 1)),
        observation_term("velocity_command", (2.0, 2.0, 0.25), ages=(2, 1)),
    ),
    history=ObservationHistory(order="term", start="zero"),
)


def test_histories_change_in_order_and_start() -> None:
    """Frames of a history are reversed, and begin with copies; other contracts have none."""
    found = {change.name: change.contract for change in changes(WITH_HISTORY, ["history"])}
    assert [term.ages for term in found["newest first"].observation] == [(0, 1), (1, 2)]
    assert [term.ages for term in found["oldest first"].observation] == [(1, 0), (2, 1)]
    assert found["copies before the first frame"].history == ObservationHistory(
        order="term", start="repeat"
    )
    assert len(found) == 3 and not changes(joint_contract(), ["history"])


@pytest.mark.parametrize("contract", [joint_contract(), gait_contract(), WITH_HISTORY])
def test_changes_are_different_contracts_that_fit(contract: PolicyContract) -> None:
    """No change is the contract itself, none comes twice, and each names its property."""
    found = changes(contract)
    assert len(found) > 5
    assert all(change.contract != contract for change in found)
    assert len({(change.kind, change.name) for change in found}) == len(found)
    assert {change.kind for change in found} <= set(PERMUTATIONS)


def test_the_shipped_policy_may_fly_and_says_how_it_followed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a flight nothing is said to fly; after it, the shipped policy is, with status 0."""
    assert main(["policy", "check", SHIPPED]) == 0
    assert "it may fly" not in capsys.readouterr().out
    monkeypatch.setattr("safe_locomotion.evaluation.flight.course.COURSE", SHORT)
    assert main(["policy", "check", SHIPPED, "--fly"]) == 0
    said = capsys.readouterr().out
    assert "stands; follows within" in said and "it may fly" in said and "[rad/s]" in said
    assert [line.split()[0] for line in said.splitlines()[5:7]] == ["stand", "forward"]


def test_a_wrong_import_is_caught_and_nobody_falls(
    shipped: tuple[PolicyContract, bytes],
    tmp_path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Joints grouped by type pass on paper; the flight grounds them with status 1."""
    contract, model = shipped
    wrong = with_joint_order(contract, BY_TYPE)
    write_policy(model, replace(wrong, parity=None), tmp_path / "wrong.onnx")
    assert main(["policy", "check", str(tmp_path / "wrong.onnx")]) == 0
    capsys.readouterr()
    monkeypatch.setattr("safe_locomotion.evaluation.flight.course.COURSE", SHORT)
    assert main(["policy", "check", str(tmp_path / "wrong.onnx"), "--fly", "--no-search"]) == 1
    said = capsys.readouterr().out
    assert "it must not fly" in said and "refused  flight:" in said and "fell" not in said


def test_the_change_that_mends_a_wrong_import_is_found(
    shipped: tuple[PolicyContract, bytes],
) -> None:
    """Of three changes of a wrong contract, the right joint order is the one that walks."""
    contract, model = shipped
    wrong = with_joint_order(contract, BY_TYPE)
    tried = [
        change
        for change in changes(wrong, ["joint order", "action scale"])
        if change.name in ("by leg, FR FL RR RL", "x 2")
    ]
    assert len(tried) == 2
    walk = best(list(attempts(model, tried, 1, SHORT)))
    assert [trial.change.kind for trial in walk] == ["joint order"]
    assert walk[0].change.contract.joint_order == contract.joint_order
    assert walk[0].change.contract == contract


def test_a_flight_tells_its_progress_and_can_be_ended(
    shipped: tuple[PolicyContract, bytes],
) -> None:
    """The time flown is told in order; what the listener raises ends the flight."""
    told: list[float] = []

    def tell(elapsed: float) -> None:
        told.append(elapsed)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fly(*shipped, SHORT, tell=tell)
    assert told == sorted(told) and 0.0 < told[0] < told[-1] < 0.5


def test_constants_have_no_unit_to_be_wrong_about() -> None:
    """Other scales of the observation leave the numbers that the contract chooses itself."""
    contract, _ = read_policy(find_policy(SHIPPED))
    chosen = observation_term("constant", (0.5, 3.0), width=2)
    terms = (*contract.observation, chosen)
    with_chosen = replace(contract, observation=terms, parity=None)
    variants = [changed for _, changed in PERMUTATIONS["observation scale"](with_chosen)]
    assert all(changed.observation[-1] == chosen for changed in variants)
    assert any(changed != with_chosen for changed in variants)
