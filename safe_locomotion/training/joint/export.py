"""Turns the weights of `joint.ppo` into a policy file, operator by operator.

No tracing and no torch. The graph: `obs` (1, 45), `h_in`, `c_in` (1, 1, 256) -> `actions` (1, 12),
`h_out`, `c_out`. Inside: normaliser, LSTM, MLP with ELU, and the clip that held in training.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

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
from safe_locomotion.training.exporting import code_commit
from safe_locomotion.training.joint.contract import joint_contract
from safe_locomotion.training.joint.graph import Graph, Memory
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
    return write_policy(model, contract, target, observations=walked_observations(model, contract))


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


def walked_observations(model: onnx.ModelProto, contract: PolicyContract) -> NDArray[np.float32]:
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
    graph = Graph()
    mean = weights["obs_normalizer._mean"]
    scale = 1.0 / (weights["obs_normalizer._std"] + _NORMALISER_EPSILON)
    normal = graph.normalised("obs", mean, scale)
    lstm = {name[8:]: value for name, value in weights.items() if name.startswith("rnn.rnn.")}
    memory = Memory(h_in="h_in", c_in="c_in", h_out="h_out", c_out="c_out")
    latent = graph.lstm(normal, lstm, memory)
    layers = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in _layers(weights)]
    graph.clip(graph.mlp(latent, layers, ""), bound, "actions")
    state = (1, 1, lstm["weight_hh_l0"].shape[1])
    return graph.model(
        {"obs": (1, lstm["weight_ih_l0"].shape[1]), "h_in": state, "c_in": state},
        {"actions": (1, len(layers[-1][1])), "h_out": state, "c_out": state},
    )


def _layers(weights: Weights) -> list[str]:
    """Names of the MLP's layers in order."""
    return sorted(
        {name.rsplit(".", 1)[0] for name in weights if name.startswith("mlp.")},
        key=lambda n: int(n.split(".")[1]),
    )
