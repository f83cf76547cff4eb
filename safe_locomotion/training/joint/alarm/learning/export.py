"""Turns the weights of an ALARM training into one policy file: student encoder and actor.

The graph: `obs` (1, 45), `h_in`, `c_in` -> `actions` (1, 12), `h_out`, `c_out`, `explicit` (1, 11).
The memories hold those of both LSTMs, one behind the other: the encoder's and the actor's. Inside:
normaliser, encoder, actor, and the clip that held in training.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.contract import Origin, PolicyContract, StateEstimate
from safe_locomotion.policy.file import write_policy
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.exporting import code_commit
from safe_locomotion.training.joint.alarm.learning.files import WEIGHTS, read_arrays
from safe_locomotion.training.joint.contract import ACTION, OBSERVED, joint_contract
from safe_locomotion.training.joint.export import walked_observations
from safe_locomotion.training.joint.graph import Graph, Memory
from safe_locomotion.training.joint.task import Drive

DRIVE = Drive(kp=20.0, kd=0.5)  #: section II.A of the paper
EXPLICIT = "explicit"
#: Explicit states: velocity in base [m/s], clearance of the soles [m], contact of the feet, 0 to 1.
TERMS = (("base_velocity", 3), ("foot_height", 4), ("foot_contact", 4))
PARTS = ("student", "actor")

Arrays = dict[str, NDArray[Any]]


def export_alarm(folder: Path, name: str, target: Path) -> PolicyContract:
    """Write the policy of a training to `target`.

    Args:
        folder: with the weights.
        name: of the policy.
        target: file to write.

    Raises:
        ConfigurationError: the folder holds no weights.
        PolicyRefusedError: network and contract do not fit together.
    """
    model, contract = read_alarm(folder, name)
    return write_policy(model, contract, target, observations=walked_observations(model, contract))


def read_alarm(folder: Path, name: str) -> tuple[onnx.ModelProto, PolicyContract]:
    """Model and contract of the policy of a training, without recorded pairs.

    Raises:
        ConfigurationError: the folder holds no weights.
    """
    path = folder / WEIGHTS
    try:
        arrays = read_arrays(path)
        return alarm_model(arrays, DRIVE.bound), alarm_contract(arrays, name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{path}: no weights of an ALARM training ({error})") from error


def alarm_contract(arrays: Arrays, name: str) -> PolicyContract:
    """Contract of the policy with these weights."""
    origin = Origin(
        command=f"{arrays['command']} # {arrays['steps']} steps",
        seed=int(arrays["seed"]),
        commit=code_commit(),
    )
    robot = load_robot(str(arrays["robot"]))
    contract = joint_contract(robot, DRIVE, sum(_cells(arrays)), name=name, origin=origin)
    explicit = int(arrays["explicit"])
    terms = TERMS if explicit == sum(width for _, width in TERMS) else TERMS[:1]
    return replace(contract, estimate=StateEstimate(output=EXPLICIT, terms=terms))


def alarm_model(arrays: Arrays, bound: float) -> onnx.ModelProto:
    """The actor's mean action on the student's latents, as an ONNX model."""
    graph = Graph()
    observed = arrays["student.lstm.weight_ih_l0"].shape[1]
    scale = arrays["scale"]
    offset = arrays["offset"]
    normal = graph.normalised(OBSERVED, offset[:observed], scale[:observed])
    memories = _memories(graph, arrays)
    latent = _part(graph, normal, arrays, "student", memories)
    latent = _first(graph, latent, int(arrays["latent"]), "latent")
    explicit = _first(graph, latent, int(arrays["explicit"]), EXPLICIT)
    seen = graph.add("Concat", normal, latent, axis=1)
    action = _part(graph, seen, arrays, "actor", memories)
    graph.clip(action, bound, ACTION)
    spread = graph.constant("explicit_spread", (1.0 / scale[observed:]).reshape(1, -1))
    middle = graph.constant("explicit_middle", offset[observed:].reshape(1, -1))
    graph.add("Add", graph.add("Mul", explicit, spread), middle, outputs=[EXPLICIT])
    for kind in ("h", "c"):
        parts = [getattr(memory, f"{kind}_out") for memory in memories.values()]
        graph.add("Concat", *parts, outputs=[f"{kind}_out"], axis=2)
    state = (1, 1, sum(_cells(arrays)))
    return graph.model(
        {OBSERVED: (1, observed), "h_in": state, "c_in": state},
        {
            ACTION: (1, len(_layers(arrays, "actor")[-1][1])),
            "h_out": state,
            "c_out": state,
            EXPLICIT: (1, int(arrays["explicit"])),
        },
    )


def _cells(arrays: Arrays) -> list[int]:
    """Cells of the LSTMs that there are."""
    names = [f"{part}.lstm.weight_hh_l0" for part in PARTS]
    return [arrays[name].shape[1] for name in names if name in arrays]


def _memories(graph: Graph, arrays: Arrays) -> dict[str, Memory]:
    """The memory of each LSTM, cut out of the common one."""
    parts = [part for part in PARTS if f"{part}.lstm.weight_hh_l0" in arrays]
    sizes = graph.constant("sizes", np.array(_cells(arrays), dtype=np.int64))
    for kind in ("h", "c"):
        names = [f"{part}_{kind}_in" for part in parts]
        graph.add("Split", f"{kind}_in", sizes, outputs=names, axis=2)
    return {
        part: Memory(
            h_in=f"{part}_h_in",
            c_in=f"{part}_c_in",
            h_out=f"{part}_h_out",
            c_out=f"{part}_c_out",
        )
        for part in parts
    }


def _part(graph: Graph, x: str, arrays: Arrays, part: str, memories: dict[str, Memory]) -> str:
    """LSTM, where there is one, and MLP of one network."""
    start = f"{part}.lstm."
    lstm = {name[len(start) :]: value for name, value in arrays.items() if name.startswith(start)}
    if lstm:
        x = graph.lstm(x, lstm, memories[part], prefix=f"{part}_")
    return graph.mlp(x, _layers(arrays, part), f"{part}_")


def _layers(arrays: Arrays, part: str) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Weight and bias of each layer of an MLP."""
    count = sum(name.startswith(f"{part}.mlp.") for name in arrays) // 2
    return [
        (arrays[f"{part}.mlp.{k}.weight"], arrays[f"{part}.mlp.{k}.bias"]) for k in range(count)
    ]


def _first(graph: Graph, x: str, count: int, name: str) -> str:
    """The first `count` numbers of (1, W)."""
    bounds = [
        graph.constant(f"{name}_{key}", np.array([value], dtype=np.int64))
        for key, value in (("from", 0), ("to", count), ("axis", 1))
    ]
    return graph.add("Slice", x, *bounds)
