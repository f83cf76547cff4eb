"""Networks of usual sizes in learned locomotion, with random weights, to measure their time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from safe_locomotion.policy.contract import RecurrentTensor

HIDDEN = 256
LATENT = 32
OPSET = 17
IR_VERSION = 8
Shapes = dict[str, tuple[int, ...]]


@dataclass
class GraphBuilder:
    """Collects nodes and weights of a graph.

    Each method that adds a layer returns the name of its output.
    """

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)

    def weight(self, name: str, *shape: int, scale: float | None = None) -> str:
        """Add normal random numbers, by default with standard deviation 1 / sqrt(inputs)."""
        deviation = 1.0 / np.sqrt(shape[-1]) if scale is None else scale
        self.weights[name] = (deviation * self.rng.normal(size=shape)).astype(np.float32)
        return name

    def apply(self, op: str, x: str, y: str) -> str:
        """Add an operator with one input."""
        self.nodes.append(helper.make_node(op, [x], [y]))
        return y

    def linear(
        self, x: str, y: str, inputs: int, outputs: int, *, scale: float | None = None
    ) -> str:
        """Add y = x W' + b."""
        w = self.weight(f"{y}.weight", outputs, inputs, scale=scale)
        b = self.weight(f"{y}.bias", outputs, scale=0.1)
        self.nodes.append(helper.make_node("Gemm", [x, w, b], [y], transB=1))
        return y

    def lstm(self, x: str, y: str, inputs: int, h: tuple[str, str], c: tuple[str, str]) -> str:
        """Add one step of an LSTM layer; memories (1, 1, 256) go from h[0], c[0] to h[1], c[1]."""
        w = self.weight(f"{y}.w", 1, 4 * HIDDEN, inputs)
        r = self.weight(f"{y}.r", 1, 4 * HIDDEN, HIDDEN)
        b = self.weight(f"{y}.b", 1, 8 * HIDDEN, scale=0.05)
        self.weights.setdefault("axis0", np.array([0], dtype=np.int64))
        self.nodes += [
            helper.make_node("Unsqueeze", [x, "axis0"], [f"{y}.x"]),
            helper.make_node(
                "LSTM", [f"{y}.x", w, r, b, "", h[0], c[0]], ["", h[1], c[1]], hidden_size=HIDDEN
            ),
            helper.make_node("Squeeze", [h[1], "axis0"], [y]),
        ]
        return y

    def model(self, inputs: Shapes, outputs: Shapes) -> onnx.ModelProto:
        """The collected graph, with float32 inputs and outputs of these shapes."""
        tensors = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, "policy", _values(inputs), _values(outputs), tensors)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )


def _values(shapes: Shapes) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]


def mlp(
    inputs: int, outputs: int, *, hidden: int = HIDDEN, seed: int = 0, scale: float = 0.05
) -> onnx.ModelProto:
    """Two hidden layers with tanh (paper 1, section VI)."""
    b = GraphBuilder(np.random.default_rng(seed))
    b.apply("Tanh", b.linear("observation", "l0", inputs, hidden), "a0")
    b.apply("Tanh", b.linear("a0", "l1", hidden, hidden), "a1")
    b.linear("a1", "action", hidden, outputs, scale=scale)
    return b.model({"observation": (1, inputs)}, {"action": (1, outputs)})


def lstm_memories() -> tuple[RecurrentTensor, ...]:
    """Memories of `lstm_pair`."""
    return tuple(
        RecurrentTensor(input=f"{k}_in", output=f"{k}_out", shape=(1, 1, HIDDEN))
        for k in ("h0", "c0", "h1", "c1")
    )


def lstm_pair(inputs: int, outputs: int, *, seed: int = 0) -> onnx.ModelProto:
    """The student network of ALARM.

    LSTM 256 and MLP encode the observation. Another LSTM 256 and MLP act on observation and code.
    """
    b = GraphBuilder(np.random.default_rng(seed))
    x = b.lstm("observation", "e_h", inputs, ("h0_in", "h0_out"), ("c0_in", "c0_out"))
    x = b.apply("Elu", b.linear(x, "e0", HIDDEN, 256), "e0a")
    x = b.apply("Elu", b.linear(x, "e1", 256, 128), "e1a")
    b.linear(x, "latent", 128, LATENT)
    b.nodes.append(helper.make_node("Concat", ["observation", "latent"], ["seen"], axis=1))
    x = b.lstm("seen", "a_h", inputs + LATENT, ("h1_in", "h1_out"), ("c1_in", "c1_out"))
    for k, (n, m) in enumerate(((HIDDEN, 256), (256, 128), (128, 64))):
        x = b.apply("Elu", b.linear(x, f"p{k}", n, m), f"p{k}a")
    b.linear(x, "action", 64, outputs, scale=0.05)
    memories = lstm_memories()
    return b.model(
        {"observation": (1, inputs)} | {pair.input: pair.shape for pair in memories},
        {"action": (1, outputs)} | {pair.output: pair.shape for pair in memories},
    )
