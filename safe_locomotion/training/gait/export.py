"""Writes the policy file of a checkpoint of `evolution`.

Network and normaliser become one ONNX graph, with the contract beside it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.contract import PARITY_PAIRS, Origin, PolicyContract
from safe_locomotion.policy.file import read_policy, write_policy
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.training.exporting import IR_VERSION, OPSET, code_commit
from safe_locomotion.training.gait.evolution import CHECKPOINT, Checkpoint, read_checkpoint
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser
from safe_locomotion.types import Array

LAYERS = 3
RECORDED_EACH = 5
"""Policy steps between two recorded pairs: 64 pairs cover 2.5 s of a walk with a push."""


def export_gait(folder: Path, name: str, target: Path, *, best: bool = True) -> PolicyContract:
    """Write the policy of a search to `target`.

    Args:
        folder: with the checkpoint.
        name: of the policy.
        target: file to write.
        best: use the weights of the best validation instead of the last.

    Raises:
        ConfigurationError: there is no checkpoint.
        PolicyRefusedError: network and contract do not fit together.
    """
    if not (folder / CHECKPOINT).exists():
        raise ConfigurationError(f"{folder} holds no {CHECKPOINT}")
    found = read_checkpoint(folder / CHECKPOINT)
    mlp = found.best if best else found.last
    generations = found.search.best_generation if best else found.search.generation
    env = GaitEnv(_environment(found))
    origin = Origin(
        command=f"{found.command} --generations {generations}",
        seed=found.seed,
        commit=code_commit(),
    )
    contract = replace(env.contract, name=name, origin=origin)
    return write_policy(network(mlp, contract), contract, target, observations=_recorded(env, mlp))


def network(mlp: Mlp, contract: PolicyContract) -> onnx.ModelProto:
    """ONNX graph of the network, in float32.

    action = tanh(W3 tanh(W2 tanh(W1 (o - mean) / deviation + b1) + b2) + b3)
    """
    shape = mlp.shape
    normaliser = mlp.normaliser
    constants = [_constant("mean", normaliser.mean), _constant("scale", 1.0 / normaliser.deviation)]
    nodes = [
        helper.make_node("Sub", [contract.observation_input, "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["x0"]),
    ]
    layers = shape.split(mlp.weights)
    for k, (matrix, bias) in enumerate(layers):
        constants += [_constant(f"W{k}", matrix), _constant(f"b{k}", bias)]
        out = contract.action_output if k == len(layers) - 1 else f"x{k + 1}"
        nodes.append(helper.make_node("Gemm", [f"x{k}", f"W{k}", f"b{k}"], [f"z{k}"], transB=1))
        nodes.append(helper.make_node("Tanh", [f"z{k}"], [out]))
    graph = helper.make_graph(
        nodes,
        "gait_policy",
        [
            helper.make_tensor_value_info(
                contract.observation_input, TensorProto.FLOAT, [1, shape.observation]
            )
        ],
        [
            helper.make_tensor_value_info(
                contract.action_output, TensorProto.FLOAT, [1, shape.action]
            )
        ],
        constants,
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="safe_locomotion",
    )


def read_network(data: bytes, path: Path) -> Mlp:
    """The network in a file that `network` wrote.

    Raises:
        ConfigurationError: the graph is another one.
    """
    found = {entry.name: entry for entry in onnx.load_from_string(data).graph.initializer}
    layers = sum(name.startswith("W") for name in found)
    names = {"mean", "scale", *(f"{part}{k}" for k in range(layers) for part in "Wb")}
    if set(found) != names or layers != LAYERS:
        raise ConfigurationError(f"{path}: holds another network than those trained here")
    value = {name: numpy_helper.to_array(entry).astype(np.float64) for name, entry in found.items()}
    matrices = [value[f"W{k}"] for k in range(layers)]
    shape = MlpShape(
        observation=matrices[0].shape[1],
        hidden=(matrices[0].shape[0], matrices[1].shape[0]),
        action=matrices[2].shape[0],
    )
    parts = [value[f"{part}{k}"].ravel() for k in range(layers) for part in "Wb"]
    normaliser = Normaliser(mean=value["mean"], deviation=1.0 / value["scale"])
    return Mlp(shape, normaliser, np.concatenate(parts))


def write_untrained(path: Path, target: Path) -> None:
    """Write the gait that the task of a policy began with: the same contract, actions of 0.

    Raises:
        PolicyRefusedError: there is no policy file.
        ConfigurationError: it holds another network.
    """
    contract, data = read_policy(path.resolve())
    mlp = read_network(data, path)
    silent = Mlp(mlp.shape, mlp.normaliser, np.zeros_like(mlp.weights))
    write_policy(network(silent, contract), replace(contract, name="untrained"), target)


def _constant(name: str, values: Array) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)


def _environment(found: Checkpoint) -> GaitEnvOptions:
    """Short walks with pushes."""
    return GaitEnvOptions(
        task=found.task,
        duration=PARITY_PAIRS * RECORDED_EACH / RATE_HZ,
        push_share=1.0,
        starts=1,
        simulation=SimulationOptions(robot=found.robot, seed=found.seed),
    )


def _recorded(env: GaitEnv, mlp: Mlp) -> NDArray[np.float32]:
    """Observations (64, O) of walks of this policy."""
    rows: list[NDArray[np.float32]] = []
    seed = 0
    while len(rows) < PARITY_PAIRS:
        observation, _ = env.reset(seed=seed)
        done = False
        while not done and len(rows) < PARITY_PAIRS:
            rows += [observation] if env.steps % RECORDED_EACH == 0 else []
            observation, _, fell, late, _ = env.step(mlp.act(observation))
            done = fell or late
        seed += 1
    return np.array(rows)
