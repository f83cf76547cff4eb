"""Builds ONNX graphs of recurrent policies, operator by operator, without tracing and torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from safe_locomotion.training.exporting import IR_VERSION, OPSET

Arrays = Mapping[str, NDArray[Any]]
Shaped = Mapping[str, Sequence[int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Names of the memory tensors (1, 1, H) of one LSTM, before and after a step."""

    h_in: str
    c_in: str
    h_out: str
    c_out: str


class Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant; return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(
        self, operator: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any
    ) -> str:
        """Add a node; return the name of its first output."""
        outputs = outputs or [f"t{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return next(name for name in outputs if name)

    def normalised(self, x: str, mean: NDArray[Any], scale: NDArray[Any]) -> str:
        """(x - mean) * scale, with (W,) constants."""
        centred = self.add("Sub", x, self.constant("mean", mean.reshape(1, -1)))
        return self.add("Mul", centred, self.constant("scale", scale.reshape(1, -1)))

    def lstm(self, x: str, weights: Arrays, memory: Memory, prefix: str = "") -> str:
        """One step of torch's LSTM; returns its hidden state (1, H).

        Torch orders the gates input, forget, cell, output; ONNX input, output, forget, cell.

        Args:
            x: (1, F).
            weights: of torch, by the names `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and
                `bias_hh_l0`.
            memory: names of its tensors.
            prefix: of the names of its constants.
        """

        def gates(name: str) -> NDArray[np.float32]:
            i, f, g, o = np.split(weights[name], 4)
            return np.concatenate((i, o, f, g))

        w = self.constant(f"{prefix}lstm_w", gates("weight_ih_l0")[None])
        r = self.constant(f"{prefix}lstm_r", gates("weight_hh_l0")[None])
        biases = np.concatenate((gates("bias_ih_l0"), gates("bias_hh_l0")))
        b = self.constant(f"{prefix}lstm_b", biases[None])
        axis = self.constant(f"{prefix}axis", np.array([0], dtype=np.int64))
        sequence = self.add("Unsqueeze", x, axis)
        self.add(
            "LSTM",
            sequence,
            w,
            r,
            b,
            "",
            memory.h_in,
            memory.c_in,
            outputs=["", memory.h_out, memory.c_out],
            hidden_size=weights["weight_hh_l0"].shape[1],
        )
        return self.add("Squeeze", memory.h_out, axis)

    def mlp(self, x: str, layers: Sequence[tuple[NDArray[Any], NDArray[Any]]], prefix: str) -> str:
        """Linear layers (weight, bias) with ELU between them."""
        for number, (weight, bias) in enumerate(layers):
            if number:
                x = self.add("Elu", x)
            w = self.constant(f"{prefix}w{number}", weight)
            x = self.add("Gemm", x, w, self.constant(f"{prefix}b{number}", bias), transB=1)
        return x

    def clip(self, x: str, bound: float, output: str) -> str:
        """x within plus and minus the bound."""
        low = self.constant("low", np.array(-bound, dtype=np.float32))
        high = self.constant("high", np.array(bound, dtype=np.float32))
        return self.add("Clip", x, low, high, outputs=[output])

    def model(self, inputs: Shaped, outputs: Shaped) -> onnx.ModelProto:
        """The checked model of these float32 inputs and outputs."""

        def values(shaped: Shaped) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
                for name, shape in shaped.items()
            ]

        graph = helper.make_graph(
            self.nodes, "joint_policy", values(inputs), values(outputs), self.constants
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model
