"""Turns the weights of `joint.ppo` into a policy file, operator by operator.

No tracing and no torch. The graph: `obs` (1, 45), `h_in`, `c_in` (1, 1, 256) -> `actions` (1, 12),
`h_out`, `c_out`. Inside: normaliser, LSTM, MLP with ELU, and the clip that held in training.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from safe_locomotion.config import load_config
from safe_locomotion.envs.walk import run_episode
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.requests import Step
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.contract import PARITY_PAIRS, Origin, PolicyContract
from safe_locomotion.policy.file import pack, write_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.training.exporting import IR_VERSION, OPSET, code_commit
from safe_locomotion.training.joint.contract import joint_contract
from safe_locomotion.training.joint.task import JointTask
from safe_locomotion.types import Estimate, Proposal, VelocityCommand

_NORMALISER_EPSILON = 1e-2  #: of `rsl_rl`'s EmpiricalNormalization

WEIGHTS = "joint.npz"  #: of a training, in its folder
_WALK = VelocityCommand(vx=0.4, wz=0.2)
_WALK_TIME = 3.0  #: [s]; the hand-over to a joint policy takes half a second

Weights = dict[str, NDArray[np.float32]]


def export_joint(folder: Path, name: str, target: Path, robot: str = "a1") -> PolicyContract:
    """Write the policy of a training to `target`.

    Args:
        folder: with the weights.
        name: of the policy.
        target: file to write.
        robot: the policy was trained for.

    Raises:
        ConfigurationError: the folder holds no weights.
        PolicyRefusedError: network and contract do not fit together.
    """
    path = folder / WEIGHTS
    if not path.exists():
        raise ConfigurationError(f"{folder} holds no {WEIGHTS}")
    weights = load_weights(path)
    drive = JointTask().drive
    hidden = weights["rnn.rnn.weight_hh_l0"].shape[1]
    model = build_model(weights, drive.bound)
    origin = load_origin(path)
    contract = joint_contract(load_robot(robot), drive, hidden, name=name, origin=origin)
    return write_policy(model, contract, target, observations=_recorded(model, contract))


def load_weights(path: Path) -> Weights:
    """Arrays of the actor by the names that `rsl_rl` gives them."""
    with np.load(path) as file:
        return {
            name: file[name].astype(np.float32)
            for name in file.files
            if file[name].dtype.kind in "fi"
        }


def load_origin(path: Path) -> Origin:
    """Origin of the weights: command, seed and number of iterations, and the exporting commit."""
    with np.load(path) as file:
        command = str(file["command"])
        seed = int(file["seed"])
        iterations = int(file["iteration"])
    return Origin(command=f"{command} # {iterations} iterations", seed=seed, commit=code_commit())


class _Recorder(PolicyRuntime):
    """Keeps its observations since the walk began, when it is reset."""

    rows: list[NDArray[np.float32]]

    def reset(self) -> None:
        super().reset()
        self.rows = []

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        proposal = super().act(estimate, command)
        self.rows.append(self._observer.vector[0].copy())
        return proposal


def _recorded(model: onnx.ModelProto, contract: PolicyContract) -> NDArray[np.float32]:
    """Observations (64, O) in sequence: from the standing robot into the first steps of a walk."""
    data, written = pack(model, contract)
    robot = SimulatedRobot(SimulationOptions(robot=contract.robot, seed=contract.origin.seed))
    config = load_config(contract.robot, {"supervisor.intervention.criterion": "off"})
    recorder = _Recorder(written, data, robot.robot)
    steps = (Step(time=0.1, request="walk", command=_WALK),)
    run_episode(
        robot,
        Pipeline(robot.robot, config, recorder),
        VelocityInput(config.supervisor.command),
        steps,
        duration=_WALK_TIME,
    )
    return np.array(recorder.rows[:PARITY_PAIRS])


def build_model(weights: Weights, bound: float) -> onnx.ModelProto:
    """The actor's mean action as an ONNX model."""
    graph = _Graph()
    scale = 1.0 / (weights["obs_normalizer._std"].reshape(1, -1) + _NORMALISER_EPSILON)
    centred = graph.add(
        "Sub", "obs", graph.constant("mean", weights["obs_normalizer._mean"].reshape(1, -1))
    )
    normal = graph.add("Mul", centred, graph.constant("scale", scale))
    latent = graph.lstm(normal, weights)
    for layer, (name, last) in enumerate(_linear_layers(weights)):
        w = graph.constant(f"w{layer}", weights[f"{name}.weight"])
        latent = graph.add(
            "Gemm", latent, w, graph.constant(f"b{layer}", weights[f"{name}.bias"]), transB=1
        )
        latent = latent if last else graph.add("Elu", latent)
    low = graph.constant("low", np.array(-bound, dtype=np.float32))
    high = graph.constant("high", np.array(bound, dtype=np.float32))
    graph.add("Clip", latent, low, high, outputs=["actions"])
    return graph.model(weights)


def _linear_layers(weights: Weights) -> list[tuple[str, bool]]:
    """Names of the MLP's layers in order, and whether each is the last."""
    names = sorted(
        {name.rsplit(".", 1)[0] for name in weights if name.startswith("mlp.")},
        key=lambda n: int(n.split(".")[1]),
    )
    return [(name, name == names[-1]) for name in names]


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(
        self, operator: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any
    ) -> str:
        """Add a node; return the name of its first output."""
        outputs = outputs or [f"t{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return next(name for name in outputs if name)

    def lstm(self, x: str, weights: Weights) -> str:
        """One step of torch's LSTM.

        Torch orders the gates input, forget, cell, output; ONNX input, output, forget, cell.
        """

        def gates(name: str) -> NDArray[np.float32]:
            i, f, g, o = np.split(weights[f"rnn.rnn.{name}"], 4)
            return np.concatenate((i, o, f, g))

        w = self.constant("lstm_w", gates("weight_ih_l0")[None])
        r = self.constant("lstm_r", gates("weight_hh_l0")[None])
        b = self.constant(
            "lstm_b", np.concatenate((gates("bias_ih_l0"), gates("bias_hh_l0")))[None]
        )
        axis = self.constant("axis", np.array([0], dtype=np.int64))
        hidden = weights["rnn.rnn.weight_hh_l0"].shape[1]
        sequence = self.add("Unsqueeze", x, axis)
        self.add(
            "LSTM",
            sequence,
            w,
            r,
            b,
            "",
            "h_in",
            "c_in",
            outputs=["", "h_out", "c_out"],
            hidden_size=hidden,
        )
        return self.add("Squeeze", "h_out", axis)

    def model(self, weights: Weights) -> onnx.ModelProto:
        observed = weights["rnn.rnn.weight_ih_l0"].shape[1]
        hidden = weights["rnn.rnn.weight_hh_l0"].shape[1]
        actions = weights[_linear_layers(weights)[-1][0] + ".bias"].shape[0]

        def value(name: str, *shape: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        state = (1, 1, hidden)
        graph = helper.make_graph(
            self.nodes,
            "joint_policy",
            [value("obs", 1, observed), value("h_in", *state), value("c_in", *state)],
            [value("actions", 1, actions), value("h_out", *state), value("c_out", *state)],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model
