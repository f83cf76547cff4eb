"""The networks in files of other projects: their tensors, and two of them joined into one."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from safe_locomotion.policy.contract import RecurrentTensor
from safe_locomotion.policy.onnx_model import fix_batch, shape_of
from safe_locomotion.policy.refusal import refuse

#: Files of PyTorch, which ONNX readers do not read.
TORCH_SUFFIXES = (".pt", ".pth", ".jit")
BROADCASTING = ("Add", "Div", "Mul", "Sub")
LFS = b"version https://git-lfs"  #: first bytes of a pointer that Git LFS leaves for a file
LOOKED_AT = 256  #: first bytes of a file by which its kind is told
JOINED = "obs"  #: observation of a joined network
NEWEST = "newest"  #: places of the newest frame in it


def load_foreign(path: Path) -> onnx.ModelProto:
    """The model in an ONNX file, with weights that lie in a file beside it.

    Raises:
        PolicyRefusedError: the file is not an ONNX model.
    """
    try:
        model = onnx.load(str(path))
    except Exception as error:  # from protobuf, from the checker or from the file system
        raise refuse("source", "an ONNX model", f"{path}, {kind_of_file(path) or error}") from error
    if not model.graph.node:
        raise refuse("source", "an ONNX model", f"{path}, {kind_of_file(path) or 'no network'}")
    return model


def kind_of_file(path: Path) -> str:
    """What a file is that holds no network, for the user; "" when its first bytes do not say."""
    with path.open("rb") as file:
        first = file.read(LOOKED_AT)
    if not first:
        return "which is empty"
    if first.startswith(LFS):
        return "which is a pointer of Git LFS: `git lfs pull` fetches the file itself"
    if first.startswith(b"PK"):
        return _kind_of_archive(path)
    return "which is text" if _is_text(first) else ""


def _is_text(content: bytes) -> bool:
    return content.isascii() and all(c.isprintable() or c.isspace() for c in content.decode())


def _kind_of_archive(path: Path) -> str:
    """The same for a ZIP archive, as PyTorch writes."""
    try:
        with ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except BadZipFile:
        return "a ZIP archive that is cut off"
    if "constants.pkl" in names:
        return "which is TorchScript: its name must end in .pt"
    if "data.pkl" in names:
        return "a checkpoint of a training: export it with the project's own play or export script"
    return "a ZIP archive without a network"


def without_expand(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without operators Expand that broadcasting makes superfluous.

    PyTorch writes x / norm as x / Expand(norm, Shape(x)). Expand is none of our operators, because
    its size may depend on the input.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    replaced = {}
    for node in model.graph.node:
        if node.op_type != "Expand":
            continue
        shape = makers.get(node.input[1])
        users = [user for user in model.graph.node if node.output[0] in user.input]
        if shape is None or shape.op_type != "Shape":
            continue
        # The other operand has the shape that the operator would give.
        other = shape.input[0]
        if all(user.op_type in BROADCASTING and other in user.input for user in users):
            replaced[node.output[0]] = node.input[0]
    kept = [node for node in model.graph.node if node.output[0] not in replaced]
    for node in kept:
        node.input[:] = [replaced.get(name, name) for name in node.input]
    used = {name for node in kept for name in node.input} | {v.name for v in model.graph.output}
    kept = [node for node in kept if node.op_type != "Shape" or node.output[0] in used]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Metadata of a model by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


class Tensors:
    """Roles of the tensors of a model; open sizes become 1.

    Memories are pairs called X_in and X_out. One other input and one other output must remain.

    Attributes:
        observation: name of the input that is the observation.
        observation_width: its size.
        action: name of the output that is the action.
        action_width: its size; 0 when the file leaves it open.
        recurrent: memories.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        fix_batch(model)
        given = {tensor.name for tensor in model.graph.initializer}
        free = [value for value in model.graph.input if value.name not in given]
        inputs = {value.name: shape_of(value) for value in free}
        outputs = {value.name: shape_of(value) for value in model.graph.output}
        partners = {name: f"{name[:-3]}_out" for name in inputs if name.endswith("_in")}
        pairs = {name: partner for name, partner in partners.items() if partner in outputs}
        others = [name for name in inputs if name not in pairs]
        self.observation = _only("inputs besides memories", others)
        self.action = _only("outputs besides memories", sorted(set(outputs) - set(pairs.values())))
        self.recurrent = tuple(
            RecurrentTensor(input=i, output=o, shape=_known(inputs[i], i)) for i, o in pairs.items()
        )
        seen = _known(inputs[self.observation], self.observation)
        if len(seen) != 2:
            expected = "(1, numbers); images and maps cannot be imported"
            raise refuse(f"shape of the input {self.observation!r}", expected, seen)
        self.observation_width = seen[1]
        self.action_width = _known(outputs[self.action], self.action)[-1]


def _only(what: str, names: list[str]) -> str:
    if len(names) != 1:
        raise refuse(what, "one", ", ".join(names) or "none")
    return names[0]


def _known(shape: tuple[int | str, ...], name: str) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if isinstance(size, int))
    if not shape or sizes != shape:
        raise refuse(f"shape of {name!r}", "sizes", shape)
    return sizes


def join(
    encoder: onnx.ModelProto, actor: onnx.ModelProto, width: int, newest: Sequence[int]
) -> onnx.ModelProto:
    """One network out of an encoder and an actor: action = actor(seen, encoder(observed)).

    Each of the two reads either the whole observation or its newest frame, as its width says. The
    actor reads that first and the encoder's output after it. Memories of both are kept.

    Args:
        encoder: reads an observation and gives a code.
        actor: reads an observation and the code.
        width: of the whole observation.
        newest: places of the newest frame in it.

    Raises:
        PolicyRefusedError: the widths of the two do not fit one another.
    """
    parts = [compose.add_prefix(_bare(encoder), "e_"), compose.add_prefix(_bare(actor), "a_")]
    ends = [Tensors(part) for part in parts]
    seen = ends[1].observation_width - ends[0].action_width
    if not {ends[0].observation_width, seen} <= {width, len(newest)}:
        expected = f"inputs of {width} or {len(newest)} numbers, the actor's with a code behind"
        found = f"{ends[0].observation_width} and {seen} + {ends[0].action_width}"
        raise refuse("encoder and actor", expected, found)
    return _together(parts, ends, width, newest)


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without metadata, whose version of the operators is the only one it names."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return bare


def _together(
    parts: Sequence[onnx.ModelProto], ends: Sequence[Tensors], width: int, newest: Sequence[int]
) -> onnx.ModelProto:
    """The joined graph of two models whose names differ."""
    versions = {entry.version for part in parts for entry in part.opset_import}
    if len(versions) != 1:
        raise refuse("operator sets of encoder and actor", "the same version", sorted(versions))
    encoder, actor = ends
    seen = actor.observation_width - encoder.action_width
    nodes = [
        _view(encoder.observation, whole=encoder.observation_width == width),
        *parts[0].graph.node,
        _view("seen", whole=seen == width),
        helper.make_node("Concat", ["seen", encoder.action], [actor.observation], axis=1),
        *parts[1].graph.node,
    ]
    values = {v.name: v for part in parts for v in (*part.graph.input, *part.graph.output)}
    memories = [pair for end in ends for pair in end.recurrent]
    observation = helper.make_tensor_value_info(JOINED, TensorProto.FLOAT, (1, width))
    graph = helper.make_graph(
        nodes,
        "encoder_and_actor",
        [observation, *(values[pair.input] for pair in memories)],
        [values[actor.action], *(values[pair.output] for pair in memories)],
        [
            numpy_helper.from_array(np.array(newest, dtype=np.int64), NEWEST),
            *(tensor for part in parts for tensor in part.graph.initializer),
        ],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", versions.pop())],
        ir_version=max(part.ir_version for part in parts),
    )


def _view(target: str, *, whole: bool) -> onnx.NodeProto:
    """The whole observation under another name, or its newest frame."""
    if whole:
        return helper.make_node("Identity", [JOINED], [target])
    return helper.make_node("Gather", [JOINED, NEWEST], [target], axis=1)
