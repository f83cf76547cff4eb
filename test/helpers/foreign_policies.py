"""Our walking policy as other projects would have written it, each in its own convention.

The shipped network is kept. A linear layer before it takes the other project's observation, and a
linear layer behind it gives the other project's action. So each of these policies walks exactly
when its convention is read rightly. None of this uses the code that imports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import yaml
from core_values import A1
from onnx import TensorProto, helper, numpy_helper
from places import ROOT

from safe_locomotion.types import JOINTS, Array

SHIPPED = ROOT / "models/policies/a1_velocity_lstm.onnx"
RATE = 100
SCALE = 0.25
KP = 25.0
KD = 0.6
WIDTHS = {
    "base_velocity": 3,
    "base_angular_velocity": 3,
    "projected_gravity": 3,
    "velocity_command": 3,
    "joint_position": 12,
    "joint_velocity": 12,
    "previous_action": 12,
}
#: Where the terms stand in the observation of the shipped network, whose scales are 1.
PLACES = {
    "base_angular_velocity": 0,
    "projected_gravity": 3,
    "velocity_command": 6,
    "joint_position": 9,
    "joint_velocity": 21,
    "previous_action": 33,
}
LEGS = ("FL", "FR", "RL", "RR")
KINDS = ("hip", "thigh", "calf")
BY_LEG = tuple(f"{leg}_{kind}" for leg in LEGS for kind in KINDS)
BY_KIND = tuple(f"{leg}_{kind}" for kind in KINDS for leg in LEGS)
#: Hip and thigh of legged_gym's A1 [rad]; every calf is at -1.5.
GYM_LEGS = {"FL": (0.1, 0.8), "FR": (-0.1, 0.8), "RL": (0.1, 1.0), "RR": (-0.1, 1.0)}
GYM_POSE = {
    f"{leg}_{kind}": angle
    for leg, angles in GYM_LEGS.items()
    for kind, angle in zip(KINDS, (*angles, -1.5), strict=True)
}
Terms = Sequence[tuple[str, float | tuple[float, ...]]]


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """A policy in the convention of another project.

    Attributes:
        layout: of the project.
        source: file of the network.
        words: of `policy import` behind source and target.
    """

    layout: str
    source: Path
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How a project writes a frame of its observation, and its action.

    Attributes:
        terms: our names of the terms in its order, with its scales; others are constants.
        order: of its joints.
        pose: (12,) its default pose in that order [rad].
        scale: (12,) of its action in that order; a negative one turns the joint's axis.
    """

    terms: Terms
    order: tuple[str, ...]
    pose: Array
    scale: Array

    @property
    def width(self) -> int:
        """Numbers of a frame."""
        return sum(self.size(name, factors) for name, factors in self.terms)

    def size(self, name: str, factors: float | tuple[float, ...]) -> int:
        """Numbers of a term; an unknown one has a number for each factor."""
        return WIDTHS.get(name) or len(np.atleast_1d(factors))

    def front(self) -> tuple[Array, Array]:
        """W (45, F) and b (45,): our observation is W x + b for a frame x."""
        matrix = np.zeros((45, self.width))
        offset = np.zeros(45)
        to_sdk = [JOINTS.index(name) for name in self.order]
        signs = np.sign(self.scale)
        at = 0
        for name, factors in self.terms:
            size = self.size(name, factors)
            place = PLACES.get(name)
            for k in range(size if place is not None else 0):
                joint = to_sdk[k] if size == 12 else k
                gain = 1.0 / np.broadcast_to(factors, size)[k]
                if name in ("joint_position", "joint_velocity"):
                    gain *= signs[k]
                if name == "previous_action":
                    gain = self.scale[k] / SCALE
                    offset[place + joint] = (self.pose[k] - A1.q_stand[joint]) / SCALE
                if name == "joint_position":
                    offset[place + joint] = self.pose[k] - A1.q_stand[joint]
                matrix[place + joint, at + k] = gain
            at += size
        return matrix, offset

    def back(self) -> tuple[Array, Array]:
        """W (12, 12) and b (12,): its action is W a + b for our action a."""
        matrix = np.zeros((12, 12))
        offset = np.zeros(12)
        for k, name in enumerate(self.order):
            joint = JOINTS.index(name)
            matrix[k, joint] = SCALE / self.scale[k]
            offset[k] = (A1.q_stand[joint] - self.pose[k]) / self.scale[k]
        return matrix, offset


@cache
def shipped() -> onnx.ModelProto:
    """The network of the shipped policy."""
    model = onnx.load(SHIPPED)
    del model.metadata_props[:]
    return model


def in_order(order: Sequence[str], values: Array) -> Array:
    """A vector (12,) in SDK order in another order."""
    return np.array([values[JOINTS.index(name)] for name in order])


def gemm(x: str, y: str, weights: dict[str, Array], matrix: Array, offset: Array) -> onnx.NodeProto:
    """The node y = x W' + b, whose weights are added."""
    weights |= {f"{y}_w": matrix, f"{y}_b": offset}
    return helper.make_node("Gemm", [x, f"{y}_w", f"{y}_b"], [y], transB=1)


def model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, Array],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    tensors: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A network of these nodes."""
    given = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]
    ends = [
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in part.items()]
        for part in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "policy", *ends, [*given, *tensors])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network(matrix: Array, offset: Array, back: tuple[Array, Array]) -> onnx.ModelProto:
    """Our network between two linear layers, with the names that rsl_rl's exporter gives."""
    own = onnx.ModelProto()
    own.CopyFrom(shipped())
    for node in own.graph.node:
        node.input[:] = ["own" if name == "obs" else name for name in node.input]
        node.output[:] = ["answer" if name == "actions" else name for name in node.output]
    weights: dict[str, Array] = {}
    first = gemm("obs", "own", weights, matrix, offset)
    last = gemm("answer", "actions", weights, *back)
    state = (1, 1, 256)
    return model(
        [first, *own.graph.node, last],
        weights,
        {"obs": (1, matrix.shape[1]), "h_in": state, "c_in": state},
        {"actions": (1, 12), "h_out": state, "c_out": state},
        own.graph.initializer,
    )


def spread(matrix: Array, width: int, places: Sequence[int]) -> Array:
    """The matrix of a frame for a whole observation; all but the newest frame counts nothing."""
    whole = np.zeros((matrix.shape[0], width))
    whole[:, list(places)] = matrix
    return whole


def term_places(convention: Convention, frames: int) -> list[int]:
    """Places of the newest frame where each term has all its frames together, oldest first."""
    places: list[int] = []
    at = 0
    for name, factors in convention.terms:
        size = convention.size(name, factors)
        at += size * frames
        places += range(at - size, at)
    return places


def written(path: Path, convention: Convention, places: Sequence[int] = (), width: int = 0) -> Path:
    """File of a network that reads this convention, at these places of a wider observation."""
    matrix, offset = convention.front()
    if width:
        matrix = spread(matrix, width, places)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(network(matrix, offset, convention.back()), path)
    return path


def listed(values: Array | Sequence[float]) -> str:
    """Numbers as an option takes them."""
    return ",".join(repr(float(value)) for value in values)


def gains() -> tuple[str, ...]:
    """Options of the gains and of the rate."""
    return ("--kp", str(KP), "--kd", str(KD), "--rate", str(RATE))


def dumped(path: Path, document: object) -> str:
    """A YAML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


Builder = Callable[[Path], Fixture]
