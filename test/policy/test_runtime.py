"""A loaded policy: memories, gaits within bounds, joint targets, and hazards of its output."""

import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
from core_values import A1, START_NS, estimate
from onnx import TensorProto, helper
from policy_models import NumpyLstmPair, affine, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import GraphBuilder, lstm_memories, lstm_pair, mlp
from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import pack
from safe_locomotion.policy.network import Network
from safe_locomotion.policy.runtime import (
    FAILED,
    NOT_FINITE,
    OUT_OF_RANGE,
    GaitInterpreter,
    JointInterpreter,
    PolicyRuntime,
)
from safe_locomotion.policy.stage import PolicyStage
from safe_locomotion.policy.term import observation_term
from safe_locomotion.types import JOINTS, Estimate, GaitParameters, JointTargets, VelocityCommand

COMMAND = VelocityCommand(vx=0.4)
ISAAC = np.array([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8])
HEIGHT = observation_term("base_height")


def runtime(
    model: onnx.ModelProto, contract: PolicyContract, observations: np.ndarray | None = None
) -> PolicyRuntime:
    """The policy that is packed into a file and read back."""
    data, written = pack(model, contract, observations=observations)
    return PolicyRuntime(written, data, A1)


def at_height(z: float) -> Estimate:
    return estimate(position=np.array((0.0, 0.0, z)))


def by_height(
    policy: np.ndarray, *then: str, contract: PolicyContract | None = None
) -> PolicyRuntime:
    """A policy whose output is f(height * policy), f named operators one after the other."""
    contract = joint_contract(observation=(HEIGHT,)) if contract is None else contract
    model = affine(policy[:, None], np.zeros(len(policy)), *then)
    return runtime(model, contract, np.full((64, 1), 0.27))


def test_memories_are_fed_back_as_by_hand() -> None:
    """100 steps of two LSTM layers equal a loop in numpy, and again after a reset."""
    model = lstm_pair(45, 12, seed=4)
    contract = joint_contract(recurrent=lstm_memories())
    network = Network(contract, model.SerializeToString())
    observations = np.random.default_rng(2).normal(size=(100, 45)).astype(np.float32)
    for _ in range(2):
        by_hand = NumpyLstmPair(model)
        network.reset()
        for row in observations:
            network.observation[0] = row
            np.testing.assert_allclose(network.step()[0], by_hand.step(row), atol=2e-6)
    assert np.abs(network.action).max() > 1e-2


def test_memory_matters_and_reset_forgets() -> None:
    """The same estimate gives another answer the second time; a reset brings the first one back."""
    policy = runtime(lstm_pair(45, 12), joint_contract(recurrent=lstm_memories()))
    targets = []
    for _ in range(2):
        policy.reset()
        targets.append([policy.act(estimate(), COMMAND).joints.q for _ in range(3)])
    np.testing.assert_array_equal(targets[0], targets[1])
    assert np.abs(targets[0][1] - targets[0][0]).max() > 1e-4


def test_states_that_were_only_supposed_leave_no_trace() -> None:
    """Questions about predicted states do not change the later proposals of a policy.

    This holds for a recurrent policy, and for a gait policy that sums up its output.
    """
    gait = gait_contract(observation=(HEIGHT,))
    for make in (
        lambda: runtime(lstm_pair(45, 12), joint_contract(recurrent=lstm_memories())),
        lambda: by_height(np.linspace(-0.3, 0.3, 9), contract=gait),
    ):
        policy = make()
        twin = make()
        stage = PolicyStage(A1, load_config("a1").policy.gait)
        stage.take(policy)
        for step in range(6):
            now = at_height(0.25 + 0.01 * step)
            proposal = stage.update(now, COMMAND)
            expected = twin.act(now, COMMAND)
            if proposal.joints is not None:
                np.testing.assert_array_equal(proposal.joints.q, expected.joints.q)
            assert proposal.gait == expected.gait
            with stage.suppose(COMMAND) as ask:
                supposed = [ask(at_height(0.1)) for _ in range(step)]
            if step > 1 and proposal.gait is not None:
                assert supposed[-1].gait != supposed[0].gait


def test_a_fresh_policy_is_as_good_as_reset() -> None:
    """A fresh policy answers like one after a reset: the parity check leaves zero memory."""
    policy = runtime(lstm_pair(45, 12), joint_contract(recurrent=lstm_memories()))
    first = policy.act(estimate(), COMMAND).joints.q
    policy.reset()
    np.testing.assert_array_equal(policy.act(estimate(), COMMAND).joints.q, first)


def test_joint_targets_are_default_plus_scaled_output_with_the_gains_of_the_file() -> None:
    """Targets and gains are in SDK order, with the stamp of the estimate and the policy's name."""
    scale = np.linspace(0.1, 0.3, 12)
    kp = np.linspace(20.0, 31.0, 12)
    kd = np.linspace(0.5, 1.0, 12)
    contract = joint_contract(observation=(HEIGHT,))
    joint = replace(contract.joint, scale=tuple(scale), kp=tuple(kp), kd=tuple(kd))
    output = np.linspace(-1.0, 1.0, 12)
    policy = by_height(output, contract=replace(contract, joint=joint))
    proposal = policy.act(at_height(0.5), COMMAND)
    assert (proposal.stamp_ns, proposal.policy, proposal.kind, proposal.gait) == (
        START_NS,
        "test_joint",
        "joint",
        None,
    )
    np.testing.assert_allclose(proposal.joints.q, A1.q_stand + 0.5 * scale * output, atol=1e-6)
    np.testing.assert_array_equal((proposal.joints.kp, proposal.joints.kd), (kp, kd))


def test_targets_stay_within_the_bounds_of_the_training() -> None:
    """Targets are cut at the file's bounds before the joint's range; NaN is never cut."""
    contract = joint_contract(observation=(HEIGHT,))
    lower = tuple(A1.q_stand - 0.1)
    upper = tuple(A1.q_stand + np.linspace(0.0, 0.2, 12))
    joint = replace(contract.joint, scale=(1.0,) * 12, lower=lower, upper=upper)
    policy = by_height(np.linspace(-1.0, 1.0, 12), contract=replace(contract, joint=joint))
    expected = A1.q_stand + np.clip(
        0.5 * np.linspace(-1.0, 1.0, 12), -0.1, np.linspace(0.0, 0.2, 12)
    )
    np.testing.assert_allclose(policy.act(at_height(0.5), COMMAND).joints.q, expected, atol=1e-6)
    interpreter = JointInterpreter(policy.contract, joint, A1)
    assert interpreter.read(np.full(12, np.nan)) is None


def test_a_policy_of_another_joint_order_does_the_same() -> None:
    """The same network in Isaac's joint order gives the same targets and gains, step by step."""
    rng = np.random.default_rng(5)
    pose = A1.q_stand + np.linspace(-0.1, 0.1, 12)
    terms = (
        observation_term("joint_position"),
        observation_term("previous_action", width=12),
        observation_term("joint_velocity"),
    )
    w = 0.2 * rng.normal(size=(12, 36))
    b = 0.2 * rng.normal(size=12)
    columns = np.concatenate((ISAAC, 12 + ISAAC, 24 + ISAAC))
    kp = np.linspace(20.0, 31.0, 12)
    contract = joint_contract(observation=terms, default_pose=tuple(pose))
    plain = replace(contract, joint=replace(contract.joint, kp=tuple(kp)))
    isaac = replace(
        plain,
        joint_order=tuple(JOINTS[i] for i in ISAAC),
        default_pose=tuple(pose[ISAAC]),
        joint=replace(plain.joint, kp=tuple(kp[ISAAC])),
    )
    policy = runtime(affine(w, b), plain)
    permuted = runtime(affine(w[ISAAC][:, columns], b[ISAAC]), isaac)
    for _ in range(5):
        e = estimate(q=A1.q_stand + 0.1 * rng.normal(size=12), dq=rng.normal(size=12))
        one = policy.act(e, COMMAND).joints
        other = permuted.act(e, COMMAND).joints
        np.testing.assert_allclose(one.q, other.q, atol=1e-6)
        np.testing.assert_array_equal(one.kp, other.kp)
        assert np.abs(one.q - pose).max() > 0.01


def test_targets_end_at_the_range_and_further_out_are_a_hazard() -> None:
    """A target up to tau_max / kp outside the range is set to its end; further out is a hazard.

    This holds for both ends of every joint.
    """
    contract = joint_contract(observation=(HEIGHT,))
    for joint in range(12):
        for sign, end in ((1.0, A1.q_max[joint]), (-1.0, A1.q_min[joint])):
            policy = by_height(sign * np.eye(12)[joint], contract=contract)
            reach = abs(end - A1.q_stand[joint])
            edge = reach + A1.tau_max[joint] / 20.0
            for distance, expected in (
                (0.9 * reach, 0.9 * reach),
                (1.001 * reach, reach),
                (0.999 * edge, reach),
                (1.001 * edge, None),
            ):
                proposal = policy.act(at_height(distance / 0.25), COMMAND)
                if expected is None:
                    assert proposal is None and policy.hazard == OUT_OF_RANGE
                else:
                    assert policy.hazard == ""
                    assert proposal.joints.q[joint] == pytest.approx(
                        A1.q_stand[joint] + sign * expected, abs=1e-5
                    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_outputs_beyond_the_limit_are_a_hazard(sign: float) -> None:
    """An output above the limit is a hazard for both kinds; the next good output is used."""
    for contract, size in (
        (joint_contract(observation=(HEIGHT,), action_limit=2.0), 12),
        (gait_contract(observation=(HEIGHT,), action_limit=2.0), 9),
    ):
        policy = by_height(sign * np.eye(size)[3], contract=contract)
        for output, hazard in (
            (1.999, ""),
            (2.0, ""),
            (2.001, OUT_OF_RANGE),
            (1e10, OUT_OF_RANGE),
            (1.0, ""),
        ):
            proposal = policy.act(at_height(output), COMMAND)
            assert (proposal is None, policy.hazard) == (bool(hazard), hazard)


def test_outputs_that_are_no_numbers_are_a_hazard() -> None:
    """NaN (a log) and infinity (an exp) give no proposal; the next finite output does."""
    for then, bad in (("Log", -1.0), ("Exp", 1000.0)):
        for contract, size in (
            (joint_contract(observation=(HEIGHT,)), 12),
            (gait_contract(observation=(HEIGHT,)), 9),
        ):
            policy = by_height(np.ones(size), then, contract=contract)
            assert policy.act(at_height(bad), COMMAND) is None
            assert policy.hazard == NOT_FINITE
            assert policy.act(at_height(0.3), COMMAND) is not None
            assert policy.hazard == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_an_estimate_that_is_no_number_gives_no_proposal(value: float) -> None:
    """An estimate that is not finite gives no proposal, although Relu could hide it."""
    policy = by_height(np.ones(12), "Relu")
    assert policy.act(at_height(value), COMMAND) is None
    assert policy.hazard == NOT_FINITE


def test_an_estimate_that_is_no_number_does_not_touch_the_memory() -> None:
    """A policy that saw such an estimate answers like one that did not."""
    contract = joint_contract(recurrent=lstm_memories())
    policy = runtime(lstm_pair(45, 12), contract)
    other = runtime(lstm_pair(45, 12), contract)
    bad = estimate(angular_velocity=np.full(3, np.nan))
    for _ in range(3):
        assert policy.act(bad, COMMAND) is None
        targets = policy.act(estimate(), COMMAND).joints.q
        np.testing.assert_array_equal(targets, other.act(estimate(), COMMAND).joints.q)


def row_by_height() -> onnx.ModelProto:
    """Row floor(height) of a table of one row; ONNX Runtime fails on every other row."""
    b = GraphBuilder(np.random.default_rng(0))
    b.weights |= {"table": np.full((1, 12), 0.1, dtype=np.float32)}
    b.nodes += [
        helper.make_node("Cast", ["observation"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "row"], ["picked"], axis=0),
        helper.make_node("Flatten", ["picked"], ["action"], axis=1),
    ]
    return b.model({"observation": (1, 1)}, {"action": (1, 12)})


def test_an_error_of_the_runtime_is_a_hazard() -> None:
    """An error of ONNX Runtime gives a hazard, not an exception; the next step works again."""
    policy = runtime(row_by_height(), joint_contract(observation=(HEIGHT,)), np.full((64, 1), 0.27))
    assert policy.act(at_height(0.3), COMMAND) is not None
    assert policy.act(at_height(7.0), COMMAND) is None
    assert policy.hazard == FAILED
    assert policy.act(at_height(0.3), COMMAND) is not None
    assert policy.hazard == ""


def test_the_gait_is_integrated_by_hand() -> None:
    """Clipped changes add up over three steps, offsets wrap, and feet are set."""
    output = np.array([1.0, -0.5, 3.0, -1.0, -1.0, 0.2, -0.2, 0.0, 1.0])
    policy = by_height(output, contract=gait_contract(observation=(HEIGHT,)))
    for k in (1, 2, 3):
        gait = policy.act(at_height(1.0), COMMAND).gait
        assert gait.frequency == pytest.approx(2.5 + 0.1 * k)
        assert gait.swing_ratio == pytest.approx(0.45 - 0.01 * k)
        assert gait.phase_offsets == pytest.approx((0.5 + 0.02 * k, 0.5 - 0.02 * k, 1.0 - 0.02 * k))
        assert gait.foot_y == pytest.approx((-0.12, 0.12, -0.13, 0.18))
    policy.reset()
    assert policy.act(at_height(0.0), COMMAND).gait == GaitParameters(
        frequency=2.5,
        swing_ratio=0.45,
        phase_offsets=(0.5, 0.5, 0.0),
        foot_y=(-0.13, 0.13, -0.13, 0.13),
    )


def test_lifted_legs_of_the_contract_are_in_every_gait() -> None:
    """They are a constant: after a reset, after an action and after a recall."""
    action = gait_contract().gait
    assert action is not None
    interpreter = GaitInterpreter(replace(action, lifted=("RR", "FL")))
    kept = interpreter.remember()
    for gait in (interpreter.gait, interpreter.read(np.ones(9))):
        assert gait is not None and gait.lifted == (False, True, True, False)
    interpreter.recall(kept)
    assert interpreter.gait is not None and interpreter.gait.lifted == (False, True, True, False)


def test_a_gait_never_leaves_its_bounds() -> None:
    """Every parameter stays within the contract's bounds, whatever the output.

    The outputs are 2,000 random ones up to the limit, and 200 in one direction.
    """
    contract = gait_contract(observation=(observation_term("velocity_command", 1.5), HEIGHT))
    rng = np.random.default_rng(0)
    policy = runtime(affine(rng.normal(size=(9, 4)), np.zeros(9)), contract)
    bounds = {term.name: (term.lower, term.upper) for term in contract.gait.terms}
    commands = [
        VelocityCommand(vx=x, vy=y, wz=z) for x, y, z in rng.uniform(-1.0, 1.0, size=(2000, 3))
    ]
    reached: dict[str, list[tuple[float, ...]]] = {name: [] for name in bounds}
    for command in (*commands, *[commands[0]] * 200):
        gait = policy.act(estimate(), command).gait
        for name, (lower, upper) in bounds.items():
            value = getattr(gait, name)
            values = value if isinstance(value, tuple) else (value,)
            assert all(lo <= x <= hi for lo, x, hi in zip(lower, values, upper, strict=True))
            reached[name].append(values)
    assert all(x < 1.0 for values in reached["phase_offsets"] for x in values)
    assert np.max(reached["frequency"]) == bounds["frequency"][1][0]


def test_the_network_sees_its_own_gait() -> None:
    """The observed gait is the one after the last step, and the nominal one at first.

    The policy changes the frequency by 0.1 (frequency - 3).
    """
    contract = gait_contract(observation=(observation_term("previous_gait"),))
    matrix = np.zeros((9, 9))
    matrix[0, 0] = 1.0
    policy = runtime(affine(matrix, np.array([-3.0, *[0.0] * 8])), contract)
    frequencies = [policy.act(estimate(), COMMAND).gait.frequency for _ in range(3)]
    assert frequencies == pytest.approx([2.45, 2.395, 2.3345], abs=1e-5)


def test_the_network_sees_its_own_output() -> None:
    """The observed action is the clipped output: a' = a / 2 + 1 gives 1, 1.5, 1.6, 1.6."""
    contract = joint_contract(observation=(observation_term("previous_action", width=12),))
    contract = replace(contract, joint=replace(contract.joint, clip=1.6))
    policy = runtime(affine(0.5 * np.eye(12), np.ones(12)), contract)
    targets = [policy.act(estimate(), COMMAND).joints.q[1] for _ in range(5)]
    outputs = [(target - A1.q_stand[1]) / 0.25 for target in targets]
    assert outputs == pytest.approx([1.0, 1.5, 1.6, 1.6, 1.6], abs=1e-5)


def test_a_policy_for_another_robot_or_with_other_answers_is_refused() -> None:
    """A policy for another robot, other answers or no recorded pairs are refused with one line."""
    data, contract = pack(mlp(45, 12, hidden=16), joint_contract())
    with pytest.raises(PolicyRefusedError, match="robot: expected a1, found go1"):
        PolicyRuntime(replace(contract, robot="go1"), data, A1)
    (first, *rest), *others = contract.parity.actions
    actions = ((first + 1.5e-4, *rest), *others)
    wrong = replace(contract, parity=replace(contract.parity, actions=actions))
    says = r"parity: expected recorded actions within 0.0001, found a difference of 0.00015"
    with pytest.raises(PolicyRefusedError, match=says):
        PolicyRuntime(wrong, data, A1)
    with pytest.raises(PolicyRefusedError, match="parity: expected recorded pairs, found none"):
        PolicyRuntime(replace(contract, parity=None), data, A1)


def test_proposals_do_not_share_memory() -> None:
    """The next step does not write into earlier targets, and gains cannot be written at all."""
    policy = runtime(mlp(45, 12, hidden=16), joint_contract())
    first = policy.act(estimate(), COMMAND).joints
    kept = first.q.copy()
    second = policy.act(estimate(), VelocityCommand(vx=-1.0)).joints
    assert isinstance(second, JointTargets) and not np.array_equal(second.q, kept)
    np.testing.assert_array_equal(first.q, kept)
    with pytest.raises(ValueError, match="read-only"):
        second.kp[0] = 0.0
