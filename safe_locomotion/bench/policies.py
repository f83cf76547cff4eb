"""Inference of policies on recorded observations, beside ONNX Runtime with default settings."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnxruntime

from safe_locomotion.bench.policy_networks import lstm_memories, lstm_pair, mlp
from safe_locomotion.bench.recording import Recording
from safe_locomotion.bench.timing import Call, Stage
from safe_locomotion.policy.action import JointAction
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.file import pack
from safe_locomotion.policy.network import Float32, Network
from safe_locomotion.policy.observation import Observer
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.term import observation_term
from safe_locomotion.types import N_JOINTS, Estimate, VelocityCommand

POLICIES = (
    "policy_mlp",
    "policy_mlp_plain_run",
    "policy_lstm",
    "policy_lstm_plain_run",
    "policy_act",
)
WARM_UP_STEPS = 32
Seen = tuple[Estimate, VelocityCommand]
Packed = tuple[bytes, PolicyContract]


def policy_stages(recording: Recording) -> list[Stage]:
    """Both networks with bound memory and with plain `run()`, and a whole policy step."""
    contract = _contract(recording)
    files = {
        "policy_mlp": ("an MLP 2 x 256", pack(mlp(contract.observation_width, N_JOINTS), contract)),
        "policy_lstm": ("two LSTM 256 with MLPs", pack(*_recurrent(contract))),
    }
    seen = [(tick.cycle.estimate, tick.command) for tick in recording.walking_ticks]
    rows = _rows(contract, seen)
    stages = [
        stage
        for name, (what, packed) in files.items()
        for stage in _inference(name, what, packed, rows)
    ]
    what = (
        "estimate to proposal of a joint policy, an MLP 2 x 256:"
        " observation, inference, checks, targets"
    )
    packed = files["policy_mlp"][1]
    make = partial(_act, recording, packed)
    return [*stages, Stage(name="policy_act", what=what, make=make, items=seen)]


def _inference(name: str, what: str, packed: Packed, rows: list[Float32]) -> list[Stage]:
    return [
        Stage(
            name=name,
            what=f"inference of {what}, memory bound once, one thread",
            make=partial(bound_memory, *packed),
            items=rows,
        ),
        Stage(
            name=f"{name}_plain_run",
            what=f"inference of {what} by run() of a default session",
            make=partial(plain_run, *packed),
            items=rows,
        ),
    ]


def _contract(r: Recording) -> PolicyContract:
    """Contract of a policy with twelve joint targets and 45 observations at 100 Hz."""
    terms = (
        "base_angular_velocity",
        "projected_gravity",
        "velocity_command",
        "joint_position",
        "joint_velocity",
        "previous_action",
    )
    return PolicyContract(
        name="bench",
        kind="joint",
        robot=r.robot.name,
        rate_hz=100,
        observation=tuple(observation_term(name, width=N_JOINTS) for name in terms),
        default_pose=tuple(r.robot.q_stand.tolist()),
        action_limit=1e3,
        origin=Origin(command="safe-locomotion bench", seed=0, commit=""),
        joint=JointAction(scale=(0.25,) * N_JOINTS, kp=(20.0,) * N_JOINTS, kd=(0.5,) * N_JOINTS),
    )


def _recurrent(contract: PolicyContract) -> tuple[Any, PolicyContract]:
    model = lstm_pair(contract.observation_width, N_JOINTS)
    return model, replace(contract, recurrent=lstm_memories())


def _rows(contract: PolicyContract, seen: list[Seen]) -> list[Float32]:
    """Observations (1, O) of the walk."""
    observer = Observer(contract)
    return [
        observer.write(estimate, command, [0.0] * N_JOINTS).copy() for estimate, command in seen
    ]


def bound_memory(model: bytes, contract: PolicyContract) -> Call:
    """Inference as on the robot: memory is bound once."""
    network = Network(contract, model)

    def step(row: Float32) -> Float32:
        network.observation[:] = row
        return network.step()

    for _ in range(WARM_UP_STEPS):
        network.step()
    network.reset()
    return step


def plain_run(model: bytes, contract: PolicyContract) -> Call:
    """Inference by `run()` of a session with default settings."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    memories = {pair.input: np.zeros(pair.shape, dtype=np.float32) for pair in contract.recurrent}
    names = [contract.action_output, *(pair.output for pair in contract.recurrent)]

    def step(row: Float32) -> Any:
        nonlocal memories
        action, *written = session.run(names, {contract.observation_input: row, **memories})
        memories = dict(zip(memories, written, strict=True))
        return action

    for _ in range(WARM_UP_STEPS):
        step(np.zeros((1, contract.observation_width), dtype=np.float32))
    memories = {name: np.zeros_like(memory) for name, memory in memories.items()}
    return step


def _act(r: Recording, packed: Packed) -> Call:
    policy = PolicyRuntime(packed[1], packed[0], r.robot)
    return lambda item: policy.act(*item)
