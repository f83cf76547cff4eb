"""Mutates valid policy files and tries to fly them.

It is a program of its own, so that a crash of a library is seen from outside.

usage: policy_fuzz.py COUNT SEED LOG; prints as JSON how many of each sort were refused and
accepted. LOG names the case in progress.
"""

import json
import math
import sys
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from core_values import A1, LIMITS, estimate
from policy_models import affine, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import mlp
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract, RecurrentTensor
from safe_locomotion.policy.file import _SEAL, CONTRACT_KEY, check_fit, pack, seal, unpack
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.term import Clock, ObservationHistory, observation_term
from safe_locomotion.types import JOINTS, VelocityCommand

NASTY: list[Any] = [
    math.nan, math.inf, -math.inf, None, True, False, "", "x" * 5000, "\x00", "FR_hip", "gait",
    "joint", "go1", "../../etc/passwd", 0, -1, 1, 7, 12, 60, 500, 501, 2**31, 2**63, 10**30, 0.0,
    -0.0, 1e-320, 1e-9, 1e6, 1e308, -1e308, [], {}, [[]], [0.0] * 12,
]  # fmt: skip


def recurrent_files() -> tuple[bytes, PolicyContract]:
    """A small network with one memory."""
    model = affine(0.1 * np.ones((12, 1)), np.zeros(12))
    memory = onnx.helper.make_tensor_value_info
    model.graph.input.append(memory("h_in", onnx.TensorProto.FLOAT, (1, 1, 4)))
    model.graph.output.append(memory("h_out", onnx.TensorProto.FLOAT, (1, 1, 4)))
    model.graph.node.append(onnx.helper.make_node("Tanh", ["h_in"], ["h_out"]))
    contract = joint_contract(
        observation=(observation_term("base_height"),),
        recurrent=(RecurrentTensor(input="h_in", output="h_out", shape=(1, 1, 4)),),
    )
    return pack(model, contract)


def remembering_file() -> tuple[bytes, PolicyContract]:
    """A small network that observes three frames of terms with bounds, and a clock."""
    ages = (2, 1, 0)
    height = observation_term("base_height", ages=ages)
    terms = (
        replace(height, lower=(0.0,), upper=(1.0,)),
        observation_term("clock", width=2, ages=ages),
        observation_term("constant", 0.5, width=1, ages=ages),
    )
    contract = joint_contract(
        observation=terms,
        history=ObservationHistory(order="frame", start="repeat"),
        clock=Clock(frequency=2.0, offsets=(0.0, 0.25)),
    )
    return pack(affine(0.1 * np.ones((12, 12)), np.zeros(12)), contract)


def files() -> list[bytes]:
    """Valid files of both kinds, without and with memory and history."""
    packed = (
        pack(mlp(45, 12, hidden=8), joint_contract()),
        pack(mlp(19, 9, hidden=8), gait_contract()),
        recurrent_files(),
        remembering_file(),
    )
    return [data for data, _ in packed]


def body(data: bytes) -> bytes:
    """The file without its checksum."""
    return data[: -len(_SEAL) - 64]


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Flips, overwrites, cuts, repeats or inserts a few bytes."""
    raw = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        # Most of a file is recorded pairs; the graph stands before them.
        at = int(rng.integers(len(raw) if rng.random() < 0.3 else min(len(raw), 4000)))
        match int(rng.integers(5)):
            case 0:
                raw[at] ^= 1 << int(rng.integers(8))
            case 1:
                raw[at : at + 4] = rng.bytes(4)
            case 2:
                del raw[at : at + int(rng.integers(1, 40))]
            case 3:
                raw[at:at] = raw[at : at + int(rng.integers(1, 40))]
            case _:
                raw[at:at] = rng.bytes(int(rng.integers(1, 8)))
    return bytes(raw)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything inside a JSON document; of a long list only its ends."""
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    found = [] if not path else [path]
    for key, child in children:
        if not isinstance(key, int) or key < 2 or key == len(node) - 1:
            found += places(child, (*path, key))
    return found


def mutate_metadata(data: bytes, rng: np.random.Generator) -> bytes:
    """Replaces, removes, adds or exchanges values of the contract, or spoils its text."""
    model = onnx.load_model_from_string(body(data))
    entry = next(entry for entry in model.metadata_props if entry.key == CONTRACT_KEY)
    document = json.loads(entry.value)
    for _ in range(int(rng.integers(1, 3))):
        found = places(document)
        path = found[int(rng.integers(len(found)))]
        place = document
        for key in path[:-1]:
            place = place[key]
        match int(rng.integers(6)):
            case 0 | 1:
                place[path[-1]] = NASTY[int(rng.integers(len(NASTY)))]
            case 2:
                del place[path[-1]]
            case 3 if isinstance(place, list):
                place.append(place[path[-1]])
            case 4 if isinstance(place[path[-1]], float):
                place[path[-1]] *= float(rng.normal(scale=10.0))
            case _ if isinstance(place, dict):
                place[f"{path[-1]}_"] = place[path[-1]]
            case _:
                place.reverse()
    text = json.dumps(document)
    if rng.random() < 0.1:
        at = int(rng.integers(len(text)))
        text = text[:at] + text[at + 1 :]
    entry.value = text
    if rng.random() < 0.05:
        model.metadata_props.add(key=CONTRACT_KEY, value=text)
    return seal(model.SerializeToString())


def check_by_hand(contract: PolicyContract, data: bytes) -> None:
    """Check independently what a contract that flies on an A1 must say.

    The network must repeat the recorded actions.
    """
    assert contract.robot == "a1" and contract.format == 1
    assert 500 % contract.rate_hz == 0 and contract.rate_hz > 0
    assert sorted(contract.joint_order) == sorted(JOINTS)
    assert contract.parity is not None and contract.parity.tolerance <= 1e-3
    if contract.joint is not None:
        assert contract.kind == "joint" and contract.gait is None
        assert (
            all(0.0 < kp <= LIMITS.kp_max for kp in contract.joint.kp)
            and len(contract.joint.kp) == 12
        )
        assert (
            all(0.0 <= kd <= LIMITS.kd_max for kd in contract.joint.kd)
            and len(contract.joint.kd) == 12
        )
        assert len(contract.joint.scale) == 12 and all(map(math.isfinite, contract.joint.scale))
    else:
        assert contract.kind == "gait" and contract.gait is not None
        for term in contract.gait.terms:
            assert all(
                lo <= x <= hi
                for lo, x, hi in zip(term.lower, term.nominal, term.upper, strict=True)
            )
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feed = {value.name: np.zeros(value.shape, dtype=np.float32) for value in session.get_inputs()}
    feed[contract.observation_input] = np.array(contract.parity.observations[:1], dtype=np.float32)
    answer = session.run([contract.action_output], feed)[0][0]
    assert np.abs(answer - contract.parity.actions[0]).max() <= contract.parity.tolerance


def fly(data: bytes) -> str:
    """Why the file was refused; "" when it flew as its contract says."""
    try:
        contract = unpack(data)
        check_fit(contract, A1, LIMITS)
        policy = PolicyRuntime(contract, data, A1)
    except PolicyRefusedError as error:
        assert "\n" not in str(error) and 10 < len(str(error)) < 1000, str(error)[:300]
        return str(error)
    check_by_hand(contract, data)
    for height in (0.27, 0.1, -3.0):
        proposal = policy.act(
            estimate(position=np.array((0.0, 0.0, height))), VelocityCommand(vx=0.3)
        )
        assert (proposal is None) == bool(policy.hazard)
        if proposal is not None and proposal.joints is not None:
            assert ((A1.q_min <= proposal.joints.q) & (proposal.joints.q <= A1.q_max)).all()
        elif proposal is not None:
            assert (
                proposal.gait is not None
                and 0.0 < proposal.gait.frequency <= 10.0
                and 0.0 < proposal.gait.swing_ratio < 1.0
            )
    return ""


def main(count: int, seed: int, log: Path) -> dict[str, int]:
    """Fly `count` mutants of each sort."""
    valid = files()
    told = Counter[str]()
    for data in valid:
        assert fly(data) == "", fly(data)
    with log.open("wb", buffering=0) as under_way:
        for case in range(count):
            rng = np.random.default_rng((seed, case))
            data = valid[case % len(valid)]
            for sort in ("file", "model", "metadata"):
                if sort == "file":
                    mutant = mutate_bytes(data, rng)
                elif sort == "model":
                    mutant = seal(mutate_bytes(body(data), rng))
                else:
                    mutant = mutate_metadata(data, rng)
                under_way.seek(0)
                under_way.write(f"{sort} {case:8d}\n".encode())
                refused = fly(mutant)
                told[f"{sort}_{'refused' if refused or mutant == data else 'accepted'}"] += 1
    return dict(told)


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
