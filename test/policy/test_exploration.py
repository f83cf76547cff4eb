"""Exploring policies: their noise is bounded and known, and nobody flies one by mistake."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from core_values import A1, estimate
from policy_models import affine, gait_contract, joint_contract

from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import contract_from_json
from safe_locomotion.policy.exploration import BOUND, STEPS, Exploration
from safe_locomotion.policy.file import SUFFIX, load_policy, pack, write_policy
from safe_locomotion.policy.loader import PolicyLoader
from safe_locomotion.policy.network import Float32
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.stage import PolicyStage
from safe_locomotion.policy.term import observation_term
from safe_locomotion.types import GaitParameters, VelocityCommand

COMMAND = VelocityCommand(vx=0.4)
MEAN = np.array([0.2, -0.3, 0.0, 0.4, -0.1, 0.9, -0.95, 0.1, 0.0])
DEVIATION = (0.3, 0.02, 0.0, 0.5, 1.0, 0.3, 0.3, 0.0, 0.1)
NOISE = Exploration(deviation=DEVIATION, seed=7)
LIMITS = load_config("a1").bridge.limits


def model() -> onnx.ModelProto:
    """A network whose output is always `MEAN`."""
    return affine(np.zeros((9, 1)), MEAN)


def contract(exploration: Exploration | None = NOISE):
    """A gait policy that observes the height alone."""
    return gait_contract(observation=(observation_term("base_height"),), exploration=exploration)


def packed(exploration: Exploration | None = NOISE):
    """Model and contract as a file has them; the recorded pairs are without noise."""
    observations: Float32 = np.full((64, 1), 0.27, dtype=np.float32)
    return pack(model(), contract(exploration), observations=observations)


def explorer() -> PolicyRuntime:
    """A policy that explores."""
    data, written = packed()
    return PolicyRuntime(written, data, A1, learning=True)


def actions(policy: PolicyRuntime, count: int) -> np.ndarray:
    """Actions that are recorded in so many steps."""
    proposals = [policy.act(estimate(), COMMAND) for _ in range(count)]
    return np.array([proposal.action for proposal in proposals if proposal is not None])


def test_the_noise_has_the_deviations_of_the_contract_and_is_bounded() -> None:
    """Mean and deviation over 4,000 steps; a deviation of 0 adds nothing."""
    noise = actions(explorer(), 4000) - MEAN
    deviation = np.array(DEVIATION)
    assert np.abs(noise / np.where(deviation, deviation, 1.0)).max() <= BOUND + 1e-6
    np.testing.assert_allclose(noise.std(axis=0), deviation, rtol=0.05, atol=1e-6)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.05)
    off = np.corrcoef(noise[:, deviation > 0.0].T) - np.eye(7)
    assert np.abs(off).max() < 0.08


def test_the_robot_gets_what_is_cut_and_the_record_what_was_drawn() -> None:
    """A mean of 0.9 with noise of 0.3 leaves the clip of 1; the gait stays within its bounds."""
    policy = explorer()
    terms = contract().gait.terms
    drawn = []
    for _ in range(500):
        proposal = policy.act(estimate(), COMMAND)
        assert proposal is not None
        gait = proposal.gait
        assert isinstance(gait, GaitParameters)
        assert terms[0].lower[0] <= gait.frequency <= terms[0].upper[0]
        assert terms[1].lower[0] <= gait.swing_ratio <= terms[1].upper[0]
        bounds = zip(terms[3].lower, gait.foot_y, terms[3].upper, strict=True)
        assert all(lower <= y <= upper for lower, y, upper in bounds)
        nominal = terms[3].nominal[0]
        cut = min(1.0, max(-1.0, float(proposal.action[5])))
        assert gait.foot_y[0] == pytest.approx(nominal + 0.05 * cut, abs=1e-9)
        drawn.append(float(proposal.action[5]))
    assert max(drawn) > 1.0


def test_equal_seeds_walk_alike_and_others_do_not() -> None:
    """The noise is part of the file."""
    first = actions(explorer(), 50)
    np.testing.assert_array_equal(first, actions(explorer(), 50))
    data, written = packed(replace(NOISE, seed=8))
    other = actions(PolicyRuntime(written, data, A1, learning=True), 50)
    assert np.abs(first - other).max() > 0.1


def test_a_reset_does_not_repeat_the_noise() -> None:
    """Else each walk of an update would explore the same way."""
    policy = explorer()
    first = actions(policy, 20)
    policy.reset()
    assert np.abs(first - actions(policy, 20)).max() > 0.1


def test_suppositions_do_not_change_the_noise() -> None:
    """The planning criterion asks on, and then the walk goes on as if it had not."""
    straight = actions(explorer(), 30)
    policy = explorer()
    asked = [actions(policy, 10)]
    kept = policy.remember()
    actions(policy, 7)
    policy.recall(kept)
    asked.append(actions(policy, 20))
    np.testing.assert_array_equal(straight, np.concatenate(asked))


def test_the_noise_goes_on_after_its_last_row() -> None:
    """It begins again."""
    found = actions(explorer(), STEPS + 3)
    np.testing.assert_array_equal(found[:3], found[STEPS:])


def test_a_stage_flies_one_that_was_loaded_for_learning() -> None:
    """The proposal keeps what was drawn."""
    stage = PolicyStage(A1, load_config("a1").policy.gait)
    stage.take(explorer())
    proposal = stage.update(estimate(), COMMAND)
    np.testing.assert_array_equal(proposal.action, actions(explorer(), 1)[0])


def test_it_is_refused_where_nobody_learns(tmp_path: Path) -> None:
    """By the runtime, by the reader of files, and by the loader beside a control loop."""
    data, written = packed()
    with pytest.raises(PolicyRefusedError, match=r"explore: true"):
        PolicyRuntime(written, data, A1)
    path = tmp_path / f"learner{SUFFIX}"
    write_policy(model(), contract(), path, observations=np.full((64, 1), 0.27, np.float32))
    with pytest.raises(PolicyRefusedError, match=r"explore: true"):
        load_policy(str(path), A1, LIMITS, [tmp_path])
    with pytest.raises(PolicyRefusedError, match=r"explore: true"):
        PolicyLoader(A1, LIMITS, [tmp_path]).load("learner")
    learner = PolicyLoader(A1, LIMITS, [tmp_path], learning=True).load("learner")
    assert learner is not None and learner.contract.exploration == NOISE


def test_the_configuration_does_not_explore() -> None:
    """No robot's file turns it on."""
    for robot in ("a1", "go1", "go2", "laikago"):
        assert load_config(robot).policy.explore is False
    assert load_config("a1", {"policy.explore": True}).policy.explore is True


@pytest.mark.parametrize(
    "changes",
    [
        {"deviation": (0.3,) * 8},
        {"deviation": (0.3,) * 8 + (-0.1,)},
        {"deviation": (0.3,) * 8 + (1.1,)},
        {"deviation": (0.3,) * 8 + (float("nan"),)},
        {"seed": -1},
    ],
)
def test_impossible_noise_is_refused(changes: dict[str, object]) -> None:
    """Wrong length, negative, too much, not a number, no seed."""
    with pytest.raises(PolicyRefusedError, match="exploration"):
        contract(Exploration(**{"deviation": DEVIATION, "seed": 0, **changes}))


def test_joint_policies_do_not_explore() -> None:
    """Noise in joint targets has no controller behind it."""
    with pytest.raises(PolicyRefusedError, match="kind 'gait'"):
        joint_contract(exploration=Exploration(deviation=(0.1,) * 12, seed=0))


def test_contracts_without_it_stay_as_they_are() -> None:
    """Releases before this one read them."""
    assert "exploration" not in json.loads(contract(None).to_json())
    assert contract_from_json(contract().to_json()) == contract()
