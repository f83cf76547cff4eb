"""The ONNX model in a policy file: which models may run in the control loop.

A model is checked before anything runs it. Its operators must be on a list: arithmetic of layers
whose time does not depend on their input. It has no loops, no branches, no random numbers, no
functions, no operators of other vendors and no data outside the file.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

from safe_locomotion.errors import one_line
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.refusal import refuse

#: Of the standard operators; known to ONNX Runtime 1.18, the oldest supported version.
OPSETS = range(11, 22)
IR_MAX = 10  #: version of the file layout that the same ONNX Runtime knows
NODES_MAX = 2_000
ELEMENTS_MAX = 1 << 23  #: numbers in one tensor, given or computed: 32 MiB in float32

_NAMES = """
Abs Add And ArgMax BatchNormalization Cast Ceil Celu Clip Concat Constant Conv Cos Div Dropout Elu
Equal Erf Exp Flatten Floor GRU Gather Gelu Gemm Greater GreaterOrEqual HardSigmoid HardSwish
Identity LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max Mean Min Mish
Mul Neg Not Or PRelu Pow RNN Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu
Reshape Selu Shape Sigmoid Sign Sin Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh
ThresholdedRelu Transpose Unsqueeze Where
"""
OPERATORS = frozenset(_NAMES.split())
DATA_TYPES = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
)


def decode(data: bytes) -> onnx.ModelProto:
    """The model in these bytes; its structure is not checked.

    Raises:
        PolicyRefusedError: the bytes are not an ONNX model.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # DecodeError of protobuf, which has no types
        found = f"other bytes ({one_line(error, 300)})"
        raise refuse("file", "an ONNX model", found) from error
    _check_text(model)
    return model


def _check_text(message: Any) -> None:
    """Refuse text that is not UTF-8, which protobuf returns as bytes."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            texts = [value] if isinstance(value, str | bytes) else value
            if any(isinstance(text, bytes) for text in texts):
                raise refuse(f"text of {field.name!r}", "UTF-8", "other bytes")
        elif field.type == field.TYPE_MESSAGE:
            for part in value if hasattr(value, "__len__") else (value,):
                _check_text(part)


def parse_model(data: bytes) -> onnx.ModelProto:
    """The model in these bytes, its structure checked.

    Raises:
        PolicyRefusedError: see `decode` and `check_model`.
    """
    model = decode(data)
    check_model(model)
    return model


def check_model(model: onnx.ModelProto) -> None:
    """Refuse a model that may not run in the control loop.

    Raises:
        PolicyRefusedError: the model breaks a rule of this module.
    """
    if not 3 <= model.ir_version <= IR_MAX:
        raise refuse("ONNX layout (ir_version)", f"3..{IR_MAX}", model.ir_version)
    _check_operator_sets(model)
    _check_nodes(model)
    for tensor in _tensors(model.graph):
        _check_tensor(tensor)
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except Exception as error:  # the checker raises classes of its own that share no base
        raise refuse("graph", "one that the ONNX checker accepts", one_line(error, 300)) from error
    for value in inferred.graph.value_info:
        _check_size(value)


def check_tensors(model: onnx.ModelProto, contract: PolicyContract) -> None:
    """Refuse a model whose inputs and outputs are not those of its contract.

    Raises:
        PolicyRefusedError: a tensor is missing, not expected, not float32 or of another shape.
    """
    c = contract
    inputs = {pair.input: pair.shape for pair in c.recurrent}
    inputs[c.observation_input] = (1, c.observation_width)
    outputs = {pair.output: pair.shape for pair in c.recurrent}
    outputs[c.action_output] = (1, c.action_width)
    if c.estimate is not None:
        outputs[c.estimate.output] = (1, c.estimate.width)
    given = {tensor.name for tensor in model.graph.initializer}
    found = [value for value in model.graph.input if value.name not in given]
    _check_values("input", found, inputs)
    _check_values("output", list(model.graph.output), outputs)


def shape_of(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Sizes of a tensor; a size that is left open is a name or "?"."""
    dims = value.type.tensor_type.shape.dim
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims
    )


def _check_values(
    what: str, found: list[onnx.ValueInfoProto], expected: dict[str, tuple[int, ...]]
) -> None:
    names = [value.name for value in found]
    if sorted(names) != sorted(expected):
        listed = ", ".join(sorted(names)) or "none"
        raise refuse(f"{what}s of the model", ", ".join(sorted(expected)), listed)
    for value in found:
        shape = shape_of(value)
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            kind = onnx.helper.printable_type(value.type)
            raise refuse(f"{what} {value.name!r}: type", "float32", kind)
        if shape != expected[value.name]:
            raise refuse(f"{what} {value.name!r}: shape", expected[value.name], shape)


def _check_operator_sets(model: onnx.ModelProto) -> None:
    versions = [(entry.domain, entry.version) for entry in model.opset_import]
    domains = sorted({domain for domain, _ in versions} - {"", "ai.onnx"})
    if domains:
        raise refuse("operator sets", "the standard one alone", ", ".join(domains))
    if len(versions) != 1 or versions[0][1] not in OPSETS:
        expected = f"one version in {OPSETS[0]}..{OPSETS[-1]}"
        raise refuse("operator set", expected, [version for _, version in versions][:4])
    if model.functions:
        raise refuse("functions", "none", ", ".join(function.name for function in model.functions))


def _check_nodes(model: onnx.ModelProto) -> None:
    graph = model.graph
    if not 0 < len(graph.node) <= NODES_MAX:
        raise refuse("nodes", f"1..{NODES_MAX}", len(graph.node))
    foreign = sorted({node.domain for node in graph.node} - {"", "ai.onnx"})
    unknown = sorted({node.op_type for node in graph.node} - OPERATORS)
    if foreign or unknown:
        raise refuse("operators", "standard ones of neural layers", ", ".join(foreign + unknown))
    for node in graph.node:
        for attribute in node.attribute:
            _check_attribute(attribute, node.op_type)
    if graph.sparse_initializer:
        raise refuse("weights", "dense tensors", "sparse ones")


def _check_attribute(attribute: onnx.AttributeProto, operator: str) -> None:
    holds_graph = attribute.HasField("g") or attribute.graphs
    is_sparse = attribute.HasField("sparse_tensor") or attribute.sparse_tensors
    if holds_graph or is_sparse:
        what = f"attribute {attribute.name!r} of {operator}"
        raise refuse(what, "numbers", "a graph or a sparse tensor")


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(tensor: TensorProto) -> None:
    where = f"weights {tensor.name!r}"
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        raise refuse(where, "data inside the file", "external data")
    if tensor.data_type not in DATA_TYPES:
        raise refuse(f"{where}: type", "float, double, int32, int64 or bool", tensor.data_type)
    if not all(size >= 0 for size in tensor.dims) or prod(tensor.dims) > ELEMENTS_MAX:
        raise refuse(f"{where}: shape", f"at most {ELEMENTS_MAX} numbers", tuple(tensor.dims))
    try:
        numpy_helper.to_array(tensor)
    except Exception as error:  # whatever is wrong with the data
        raise refuse(where, f"data of shape {tuple(tensor.dims)}", one_line(error, 300)) from error


def _check_size(value: onnx.ValueInfoProto) -> None:
    sizes = [size for size in shape_of(value) if isinstance(size, int)]
    if prod(sizes) > ELEMENTS_MAX:
        raise refuse(f"tensor {value.name!r}", f"at most {ELEMENTS_MAX} numbers", shape_of(value))


def fix_batch(model: onnx.ModelProto) -> None:
    """Set every open size of inputs and outputs to 1: one robot and one step."""
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 1
