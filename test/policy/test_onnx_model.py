"""Models that may not fly: each rule of the check refuses a sealed file, with one line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from core_values import A1, LIMITS
from onnx import TensorProto, helper, numpy_helper
from policy_models import HEIGHT, from_height

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.file import CONTRACT_KEY, load_policy, pack, seal, unpack


def resealed(change: Callable[[onnx.ModelProto], None]) -> bytes:
    """A file whose model was changed and then sealed again."""
    model = onnx.load_model_from_string(pack(from_height(), HEIGHT)[0])
    kept = [entry for entry in model.metadata_props if entry.key == CONTRACT_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    change(model)
    return seal(model.SerializeToString())


def rewritten(change: Callable[[dict], None]) -> Callable[[onnx.ModelProto], None]:
    """A change of the contract's JSON."""

    def apply(model: onnx.ModelProto) -> None:
        document = json.loads(model.metadata_props[0].value)
        change(document)
        model.metadata_props[0].value = json.dumps(document)

    return apply


def external(model: onnx.ModelProto) -> None:
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../etc/passwd")


def loop(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Loop", ["", "", "b"], ["never"], body=model.graph))


def huge(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]


def outer_product(model: onnx.ModelProto) -> None:
    """A node that computes 10,000 by 10,000 numbers from two vectors of 10,000."""
    for name, shape in (("column", (10_000, 1)), ("line", (1, 10_000))):
        zeros = np.zeros(shape, dtype=np.float32)
        model.graph.initializer.append(numpy_helper.from_array(zeros, name))
    model.graph.node.append(helper.make_node("MatMul", ["column", "line"], ["large"]))


def not_utf8(model: onnx.ModelProto) -> None:
    model.producer_name = "PRODUCER"


def size(model: onnx.ModelProto, k: int, **value: object) -> None:
    """Change one size of the input."""
    set_fields(model.graph.input[0].type.tensor_type.shape.dim[k], **value)


def set_fields(part: object, **values: object) -> None:
    """Set fields of a part of the model."""
    for name, value in values.items():
        setattr(part, name, value)


REFUSED: list[tuple[Callable[[onnx.ModelProto], object], str]] = [
    (lambda m: m.metadata_props.pop(), "metadata: expected one entry 'safe_locomotion', found 0"),
    (lambda m: m.metadata_props.append(m.metadata_props[0]), "duplicate keys in metadata_props"),
    (rewritten(lambda d: d.update(format=2)), "format: expected 1, found 2"),
    (rewritten(lambda d: d.update(rate_hz=130)), "rate_hz: expected a divisor of 500, found 130"),
    (rewritten(lambda d: d.update(parity=None)), "parity: expected recorded pairs, found none"),
    (
        rewritten(lambda d: d["joint_order"].reverse() or d["joint_order"].pop()),
        "joint_order: expected each of",
    ),
    (
        rewritten(lambda d: d.update(observation_input="obs")),
        "inputs of the model: expected obs, found observation",
    ),
    (
        rewritten(lambda d: d.update(action_output="a")),
        "outputs of the model: expected a, found action",
    ),
    (
        rewritten(lambda d: d.update(recurrent=[{"input": "h", "output": "g", "shape": [1]}])),
        "inputs of the model: expected h, observation",
    ),
    (lambda m: size(m, 1, dim_value=2), "graph|shape"),
    (
        lambda m: set_fields(m.graph.input[0].type.tensor_type, elem_type=TensorProto.DOUBLE),
        "graph|float32",
    ),
    (lambda m: size(m, 0, dim_param="n"), "shape: expected .1, 1., found .'n', 1."),
    (
        lambda m: m.opset_import.append(helper.make_opsetid("com.evil", 1)),
        "operator sets: expected the standard one alone, found com.evil",
    ),
    (
        lambda m: set_fields(m.opset_import[0], version=99),
        r"operator set: expected one version in 11..21, found \[99\]",
    ),
    (lambda m: m.opset_import.pop(), "operator set: expected one version"),
    (lambda m: set_fields(m, ir_version=99), r"ir_version\): expected 3..10, found 99"),
    (
        lambda m: set_fields(m.graph.node[0], domain="com.evil"),
        "operators: expected standard ones of neural layers, found com.evil",
    ),
    (
        lambda m: set_fields(m.graph.node[0], op_type="Mystery"),
        "operators: expected standard ones of neural layers, found Mystery",
    ),
    (
        lambda m: m.graph.node.append(helper.make_node("RandomNormal", [], ["r"], shape=[9])),
        "found RandomNormal",
    ),
    (loop, "found Loop"),
    (lambda m: m.functions.add(name="f"), "functions: expected none, found f"),
    (external, "data inside the file, found external data"),
    (huge, "at most 8388608 numbers"),
    (outer_product, "tensor 'large': expected at most 8388608 numbers"),
    (lambda m: set_fields(m.graph.initializer[0], raw_data=b"abc"), "data of shape"),
    (
        lambda m: set_fields(m.graph.initializer[0], data_type=TensorProto.STRING),
        "type: expected float",
    ),
    (lambda m: m.graph.sparse_initializer.add(), "dense tensors"),
    (
        lambda m: m.graph.node[0].input.__setitem__(0, "nowhere"),
        "graph: expected one that the ONNX checker accepts",
    ),
    (lambda m: m.graph.ClearField("node"), "nodes: expected 1..2000, found 0"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED)
def test_models_that_must_not_fly_are_refused(
    change: Callable[[onnx.ModelProto], object], says: str
) -> None:
    """A model that breaks a rule is refused with one line, although its seal is valid."""
    with pytest.raises(PolicyRefusedError, match=says) as caught:
        unpack(resealed(change))
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused() -> None:
    """Text in another encoding is refused, although protobuf accepts it."""
    model = resealed(not_utf8)[: -len(seal(b""))]
    with pytest.raises(PolicyRefusedError, match="text of 'producer_name': expected UTF-8"):
        unpack(seal(model.replace(b"PRODUCER", b"\xff\xfePRODUC")))


def test_a_sealed_file_left_alone_flies() -> None:
    """The file of the refusals above passes when it is sealed again without a change."""
    assert unpack(resealed(lambda _: None)).name == HEIGHT.name


def test_weights_that_changed_fail_parity(tmp_path: Path) -> None:
    """The recorded pairs detect one weight that changed by 1 % before the file was sealed again."""

    def nudge(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        weights = numpy_helper.to_array(tensor).copy()
        weights[3] *= 1.01
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))

    (tmp_path / "p.onnx").write_bytes(resealed(nudge))
    with pytest.raises(PolicyRefusedError, match="parity: expected recorded actions within"):
        load_policy("p", A1, LIMITS, [tmp_path])
