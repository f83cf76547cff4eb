"""Contract of a policy: written text reads back to the last bit, and unclear text is refused."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_models import GAIT_TERMS, VELOCITY_TERMS, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import lstm_memories
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.action import JointAction
from safe_locomotion.policy.contract import (
    PARITY_PAIRS,
    PolicyContract,
    RecurrentTensor,
    contract_from_json,
    with_parity,
)
from safe_locomotion.policy.term import observation_term
from safe_locomotion.types import JOINTS

ISAAC = tuple(
    f"{leg}_{kind}" for leg in ("FL", "FR", "RL", "RR") for kind in ("hip", "thigh", "calf")
)


def recorded(contract: PolicyContract, seed: int = 0) -> PolicyContract:
    """The contract with random recorded pairs."""
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(PARITY_PAIRS, contract.observation_width)).astype(np.float32)
    return with_parity(
        contract,
        observations,
        rng.normal(size=(PARITY_PAIRS, contract.action_width)).astype(np.float32),
        1e-4,
    )


@pytest.mark.parametrize(
    "contract", [joint_contract(), gait_contract(), joint_contract(recurrent=lstm_memories())]
)
def test_text_and_back_is_the_identity(contract: PolicyContract) -> None:
    """Both kinds read back equal, with and without memories and recorded pairs."""
    for c in (contract, recorded(contract)):
        assert contract_from_json(c.to_json()) == c


@settings(max_examples=50)
@given(
    st.floats(min_value=1e-6, max_value=119.9), st.floats(-1.0, 1.0), st.integers(-(2**53), 2**53)
)
def test_no_digit_is_lost(kp: float, scale: float, seed: int) -> None:
    """Gains, scales and seeds read back as the same numbers."""
    action = JointAction(scale=(scale,) * 12, kp=(kp,) * 12, kd=(0.5,) * 12)
    c = joint_contract(joint=action, origin=replace(joint_contract().origin, seed=seed))
    assert contract_from_json(c.to_json()) == c


@pytest.mark.parametrize("order", [JOINTS, ISAAC, tuple(reversed(JOINTS))])
def test_joint_order_is_one_permutation(order: tuple[str, ...]) -> None:
    """`to_policy` brings SDK order into the policy's order, and its argsort brings it back."""
    to_policy = joint_contract(joint_order=order).to_policy
    names = np.array(JOINTS)
    assert tuple(names[to_policy]) == order
    assert tuple(names[to_policy][np.argsort(to_policy)]) == JOINTS


def test_isaac_order_is_its_own_inverse() -> None:
    """Isaac's order FL FR RL RR swaps the sides of the SDK's order FR FL RR RL."""
    swapped = [*(3, 4, 5), *(0, 1, 2), *(9, 10, 11), *(6, 7, 8)]
    assert joint_contract(joint_order=ISAAC).to_policy.tolist() == swapped


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"format": 2}, "format: expected 1, found 2"),
    ({"name": "../a"}, "name: expected letters"),
    ({"name": ""}, "name: expected letters"),
    ({"rate_hz": 60}, "rate_hz: expected a divisor of 500, found 60"),
    ({"rate_hz": 0}, "rate_hz: expected a divisor of 500"),
    ({"rate_hz": -100}, "rate_hz: expected a divisor of 500"),
    ({"rate_hz": 1000}, "rate_hz: expected a divisor of 500"),
    ({"joint_order": JOINTS[:11]}, "joint_order: expected each of"),
    ({"joint_order": (*JOINTS[:11], "FR_hip")}, "joint_order: expected each of"),
    ({"default_pose": (0.0,) * 11}, "default_pose: expected 12 numbers, found 11"),
    ({"default_pose": (math.nan,) * 12}, "default_pose: expected finite numbers"),
    ({"action_limit": 0.0}, "action_limit: expected positive"),
    ({"action_limit": math.nan}, "action_limit: expected positive"),
    ({"action_limit": math.inf}, "action_limit: expected positive"),
    ({"kind": "gait"}, "action: expected exactly the field 'gait', found joint"),
    ({"joint": None}, "action: expected exactly the field 'joint', found none"),
    (
        {"gait": gait_contract().gait},
        "action: expected exactly the field 'joint', found gait and joint",
    ),
    ({"observation": ()}, "observation: expected at least one term"),
    (
        {"observation": (replace(VELOCITY_TERMS[0], name="smell"),)},
        "expected terms out of base_angular_velocity",
    ),
    (
        {"observation": (replace(VELOCITY_TERMS[0], width=4),)},
        "base_angular_velocity: width: expected 3, found 4",
    ),
    (
        {"observation": (replace(VELOCITY_TERMS[0], scale=(1.0, 1.0)),)},
        "scale: expected 3 numbers, found 2",
    ),
    (
        {"observation": (replace(VELOCITY_TERMS[0], scale=(1.0, 1.0, math.nan)),)},
        "scale: expected finite numbers",
    ),
    (
        {"observation": (observation_term("previous_action", width=9),)},
        "previous_action: width: expected 12, found 9",
    ),
    ({"observation": GAIT_TERMS}, "previous_gait: expected a policy of kind 'gait'"),
    (
        {"recurrent": (RecurrentTensor(input="h", output="h", shape=(1,)),)},
        "tensor names: expected different",
    ),
    ({"action_output": "observation"}, "tensor names: expected different"),
    ({"action_output": ""}, "tensor names: expected different"),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED)
def test_contradictions_are_refused(changes: dict[str, Any], says: str) -> None:
    """A contradiction is refused with one line that says what was expected and found."""
    with pytest.raises(PolicyRefusedError, match=says) as caught:
        joint_contract(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0])
def test_gains_are_positive_numbers(value: float) -> None:
    """kp must be positive; kd must be zero or positive; NaN and infinity are refused."""
    action = joint_contract().joint
    assert action is not None
    for key in ("kp", "kd"):
        if (key, value) == ("kd", 0.0):
            continue
        with pytest.raises(PolicyRefusedError, match=f"joint action: {key}"):
            replace(action, **{key: (20.0,) * 11 + (value,)})


GAIT_REFUSED = [
    ("frequency", {"lower": (0.0,)}, "within 0..10 Hz"),
    ("frequency", {"upper": (11.0,)}, "within 0..10 Hz"),
    ("frequency", {"upper": (math.inf,)}, "finite"),
    ("frequency", {"nominal": (9.0,)}, "nominal: expected within"),
    ("frequency", {"nominal": (math.nan,)}, "finite"),
    ("frequency", {"width": 2}, "terms of widths"),
    ("swing_ratio", {"lower": (0.0,)}, "inside 0..1"),
    ("swing_ratio", {"upper": (1.0,)}, "inside 0..1"),
    ("phase_offsets", {"upper": (0.9,) * 3}, "offsets wrap"),
    ("foot_y", {"lower": (1.0,) * 4}, "nominal: expected within"),
    ("foot_y", {"scale": (0.1,) * 3}, "expected 4 numbers, found 3"),
]


@pytest.mark.parametrize(("name", "changes", "says"), GAIT_REFUSED)
def test_bounds_that_hold_no_gait_are_refused(
    name: str, changes: dict[str, Any], says: str
) -> None:
    """Each term has bounds of its own; NaN, infinity and a missing term are refused."""
    action = gait_contract().gait
    assert action is not None
    term = next(term for term in action.terms if term.name == name)
    with pytest.raises(PolicyRefusedError, match=says):
        replace(term, **changes)
    others = tuple(term for term in action.terms if term.name != name)
    expected = "each of frequency, swing_ratio, phase_offsets, foot_y once"
    with pytest.raises(PolicyRefusedError, match=expected):
        replace(action, terms=others)


def test_too_few_pairs_and_a_blind_tolerance_are_refused() -> None:
    """There must be 64 pairs of the right width, and the tolerance is at most 1e-3."""
    contract = recorded(joint_contract())
    parity = contract.parity
    assert parity is not None
    for changes, says in (
        ({"actions": parity.actions[:63]}, "expected 64 pairs"),
        ({"tolerance": 0.01}, "within 0..0.001"),
        ({"tolerance": 0.0}, "within 0..0.001"),
        ({"tolerance": math.nan}, "within 0..0.001"),
    ):
        with pytest.raises(PolicyRefusedError, match=says):
            replace(parity, **changes)
    narrow = replace(parity, actions=(parity.actions[0][:11], *parity.actions[1:]))
    with pytest.raises(PolicyRefusedError, match="parity: actions: expected 12 numbers, found 11"):
        replace(contract, parity=narrow)


def changed(path: str, value: Any, *, remove: bool = False) -> str:
    """Text of a contract with one value changed or removed."""
    document = json.loads(recorded(joint_contract()).to_json())
    *parents, last = path.split(".")
    place = document
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if remove:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format":1}',
        changed("colour", "red"),
        changed("joint.colour", "red"),
        changed("observation.0.colour", 1),
        changed("robot", None, remove=True),
        changed("joint.kd", None, remove=True),
        changed("rate_hz", "100"),
        changed("rate_hz", 100.5),
        changed("rate_hz", True),
        changed("action_limit", "100"),
        changed("action_limit", math.nan),
        changed("action_limit", 10**400),
        changed("joint.kp", [math.inf] * 12),
        changed("parity.tolerance", -math.inf),
        changed("joint.kp", 20.0),
        changed("format", 2),
        changed("kind", "dance"),
        changed("origin.seed", 0.5),
        changed("name", "a").replace('"robot": "a1"', '"robot": "a1", "robot": "go1"'),
    ],
)
def test_text_that_is_no_contract_is_refused(text: str) -> None:
    """Wrong keys, types and numbers are refused with one line of at most 500 characters."""
    with pytest.raises(PolicyRefusedError) as caught:
        contract_from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_lifted_legs_read_back_and_contracts_without_them_stay_as_they_were() -> None:
    """A contract without lifted legs is written as before there were any, and reads as none."""
    plain = gait_contract()
    assert plain.gait is not None and plain.gait.lifted_flags == (False,) * 4
    assert '"lifted"' not in plain.to_json()
    lifting = replace(plain, gait=replace(plain.gait, lifted=("FL", "RR")))
    assert lifting.gait is not None and lifting.gait.lifted_flags == (False, True, True, False)
    assert contract_from_json(lifting.to_json()) == lifting


@pytest.mark.parametrize("lifted", [("FL", "FL"), ("FX",), ("FR", "FL", "RR"), JOINTS[:1]])
def test_impossible_lifted_legs_are_refused(lifted: tuple[str, ...]) -> None:
    """Legs are known, named once, and leave two to stand on."""
    action = gait_contract().gait
    assert action is not None
    with pytest.raises(PolicyRefusedError, match="lifted"):
        replace(action, lifted=lifted)
