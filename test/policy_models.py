"""Networks for tests of policies: built node by node with fixed weights, each beside the same arithmetic in numpy."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from core_values import A1
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from safe_locomotion.policy_contract import (
    GaitAction,
    GaitTerm,
    JointAction,
    Origin,
    PolicyContract,
    RecurrentTensor,
    observation_term,
)

Floats = NDArray[np.float32]
HIDDEN = 256
OPSET = 17
ORIGIN = Origin(command="python -m nothing", seed=3, commit="0" * 40)
VELOCITY_TERMS = (
    observation_term("base_angular_velocity", 0.25),
    observation_term("projected_gravity"),
    observation_term("velocity_command", (2.0, 2.0, 0.25)),
    observation_term("joint_position"),
    observation_term("joint_velocity", 0.05),
    observation_term("previous_action", width=12),
)
GAIT_TERMS = (
    observation_term("previous_gait"),
    observation_term("base_height"),
    observation_term("base_rpy"),
    observation_term("base_velocity"),
    observation_term("base_angular_velocity"),
)


def joint_contract(**changes: Any) -> PolicyContract:
    """Twelve joint targets about the standing pose from a 45-wide observation, at 100 Hz."""
    values: dict[str, Any] = {
        "name": "test_joint",
        "kind": "joint",
        "robot": "a1",
        "rate_hz": 100,
        "observation": VELOCITY_TERMS,
        "default_pose": tuple(A1.q_stand.tolist()),
        "action_limit": 100.0,
        "origin": ORIGIN,
        "joint": JointAction(scale=(0.25,) * 12, kp=(20.0,) * 12, kd=(0.5,) * 12),
    }
    return PolicyContract(**{**values, **changes})


def gait_contract(**changes: Any) -> PolicyContract:
    """The action and observation of paper 1, at 125 Hz."""
    y = (-0.13, 0.13, -0.13, 0.13)
    terms = (
        GaitTerm(name="frequency", width=1, scale=(0.1,), nominal=(2.5,), lower=(1.5,), upper=(4.0,)),
        GaitTerm(name="swing_ratio", width=1, scale=(0.02,), nominal=(0.45,), lower=(0.2,), upper=(0.7,)),
        GaitTerm(name="phase_offsets", width=3, scale=(0.02,) * 3, nominal=(0.5, 0.5, 0.0), lower=(0.0,) * 3, upper=(1.0,) * 3),
        GaitTerm(
            name="foot_y",
            width=4,
            scale=(0.05,) * 4,
            nominal=y,
            lower=tuple(v - 0.06 for v in y),
            upper=tuple(v + 0.06 for v in y),
        ),
    )
    values: dict[str, Any] = {
        "name": "test_gait",
        "kind": "gait",
        "robot": "a1",
        "rate_hz": 125,
        "observation": GAIT_TERMS,
        "default_pose": tuple(A1.q_stand.tolist()),
        "action_limit": 10.0,
        "origin": ORIGIN,
        "gait": GaitAction(terms=terms, clip=1.0),
    }
    return PolicyContract(**{**values, **changes})


@dataclass
class Builder:
    """Collects nodes and weights of a graph."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, Floats] = field(default_factory=dict)

    def weight(self, name: str, *shape: int, scale: float | None = None) -> str:
        size = 1.0 / np.sqrt(shape[-1]) if scale is None else scale
        self.weights[name] = (size * self.rng.normal(size=shape)).astype(np.float32)
        return name

    def linear(self, x: str, y: str, width_in: int, width_out: int, *, scale: float | None = None) -> str:
        """y = x W' + b."""
        w = self.weight(f"{y}.weight", width_out, width_in, scale=scale)
        self.nodes.append(helper.make_node("Gemm", [x, w, self.weight(f"{y}.bias", width_out, scale=0.1)], [y], transB=1))
        return y

    def apply(self, op: str, x: str, y: str) -> str:
        self.nodes.append(helper.make_node(op, [x], [y]))
        return y

    def lstm(self, x: str, y: str, width_in: int, h: tuple[str, str], c: tuple[str, str]) -> str:
        """One LSTM layer of one step; memories (1, 1, 256) from h[0], c[0] to h[1], c[1]."""
        w = self.weight(f"{y}.w", 1, 4 * HIDDEN, width_in)
        r, b = self.weight(f"{y}.r", 1, 4 * HIDDEN, HIDDEN), self.weight(f"{y}.b", 1, 8 * HIDDEN, scale=0.05)
        self.weights.setdefault("axis0", np.array([0], dtype=np.int64))
        self.nodes.append(helper.make_node("Unsqueeze", [x, "axis0"], [f"{y}.x"]))
        self.nodes.append(helper.make_node("LSTM", [f"{y}.x", w, r, b, "", h[0], c[0]], ["", h[1], c[1]], hidden_size=HIDDEN))
        self.nodes.append(helper.make_node("Squeeze", [h[1], "axis0"], [y]))
        return y

    def model(self, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
        def values(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

        tensors = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, "policy", values(inputs), values(outputs), tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def mlp(width_in: int, width_out: int, *, hidden: int = HIDDEN, seed: int = 0, scale: float = 0.05) -> onnx.ModelProto:
    """Two hidden layers with tanh."""
    b = Builder(np.random.default_rng(seed))
    b.apply("Tanh", b.linear("observation", "l0", width_in, hidden), "a0")
    b.apply("Tanh", b.linear("a0", "l1", hidden, hidden), "a1")
    b.linear("a1", "action", hidden, width_out, scale=scale)
    return b.model({"observation": (1, width_in)}, {"action": (1, width_out)})


def lstm_tensors() -> tuple[RecurrentTensor, ...]:
    """Memories of `lstm_pair`."""
    return tuple(RecurrentTensor(input=f"{k}_in", output=f"{k}_out", shape=(1, 1, HIDDEN)) for k in ("h0", "c0", "h1", "c1"))


def lstm_pair(width_in: int, width_out: int, *, seed: int = 0) -> onnx.ModelProto:
    """LSTM 256 and MLP encoder into a latent beside the observation, LSTM 256 and MLP actor (ALARM)."""
    b, latent = Builder(np.random.default_rng(seed)), 32
    x = b.lstm("observation", "e_h", width_in, ("h0_in", "h0_out"), ("c0_in", "c0_out"))
    x = b.apply("Elu", b.linear(x, "e0", HIDDEN, 256), "e0a")
    x = b.apply("Elu", b.linear(x, "e1", 256, 128), "e1a")
    b.linear(x, "latent", 128, latent)
    b.nodes.append(helper.make_node("Concat", ["observation", "latent"], ["seen"], axis=1))
    x = b.lstm("seen", "a_h", width_in + latent, ("h1_in", "h1_out"), ("c1_in", "c1_out"))
    for k, (n, m) in enumerate(((HIDDEN, 256), (256, 128), (128, 64))):
        x = b.apply("Elu", b.linear(x, f"p{k}", n, m), f"p{k}a")
    b.linear(x, "action", 64, width_out, scale=0.05)
    memories = lstm_tensors()
    inputs = {"observation": (1, width_in)} | {pair.input: pair.shape for pair in memories}
    return b.model(inputs, {"action": (1, width_out)} | {pair.output: pair.shape for pair in memories})
