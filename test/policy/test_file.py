"""Policy files: written whole, read with suspicion; every refusal is one line, and no damaged file ever flies."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from core_values import A1, LIMITS
from onnx import TensorProto, helper, numpy_helper
from places import HELPERS
from policy_models import affine, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import lstm_memories, lstm_pair, mlp
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract, observation_term
from safe_locomotion.policy.file import (
    BYTES_MAX,
    CONTRACT_KEY,
    check_fit,
    find_policy,
    load_policy,
    pack,
    policy_names,
    read_policy,
    seal,
    unpack,
    write_policy,
)

HEIGHT = joint_contract(observation=(observation_term("base_height"),))
FUZZ_CASES = 700  #: of each of three sorts of mutation


def small() -> onnx.ModelProto:
    """Twelve joint targets from one number."""
    return affine(0.1 * np.ones((12, 1)), np.zeros(12))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with one policy, `good`."""
    write_policy(small(), HEIGHT, tmp_path / "policies" / "good.onnx")
    return tmp_path / "policies"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Contract with its recorded pairs, to the last bit; the pairs are what the network says."""
    for name, model, contract in (
        ("joint", mlp(45, 12, hidden=16), joint_contract()),
        ("gait", mlp(19, 9, hidden=16), gait_contract()),
        ("lstm", lstm_pair(45, 12), joint_contract(recurrent=lstm_memories())),
    ):
        written = write_policy(model, contract, tmp_path / f"{name}.onnx")
        read, data = read_policy(tmp_path / f"{name}.onnx")
        assert read == written and replace(read, parity=None) == contract
        assert load_policy(name, A1, LIMITS, [tmp_path]).parity_error == 0.0
        assert (tmp_path / f"{name}.onnx").read_bytes() == data
    assert policy_names([tmp_path]) == ("gait", "joint", "lstm")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "gait.onnx",
        "joint.onnx",
        "lstm.onnx",
    ]


def test_recorded_pairs_are_the_given_observations_and_plain_answers(tmp_path: Path) -> None:
    """The first 64 of what the exporter saw, with the answers of a session of its own; a sealed file is still plain ONNX."""
    model = mlp(45, 12, hidden=16)
    seen = np.random.default_rng(9).normal(size=(100, 45)).astype(np.float32)
    written = write_policy(model, joint_contract(), tmp_path / "p.onnx", observations=seen)
    np.testing.assert_array_equal(written.parity.observations, seen[:64])
    session = onnxruntime.InferenceSession(
        str(tmp_path / "p.onnx"), providers=["CPUExecutionProvider"]
    )
    answers = np.concatenate(
        [session.run(["action"], {"observation": row[None]})[0] for row in seen[:64]]
    )
    np.testing.assert_allclose(written.parity.actions, answers, atol=1e-6)
    onnx.checker.check_model(onnx.load(tmp_path / "p.onnx"))
    with pytest.raises(
        PolicyRefusedError, match=r"observations: expected 64 of width 45, found shape \(63, 45\)"
    ):
        pack(model, joint_contract(), observations=seen[:63])


def test_sizes_left_open_become_one() -> None:
    """Exporters name the batch; on the robot there is one."""
    model = small()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    data, contract = pack(model, HEIGHT)
    assert unpack(data) == contract


def test_a_policy_that_would_be_refused_is_not_written(folder: Path) -> None:
    """The file that was there stays as it was, and nothing else is left behind."""
    before = (folder / "good.onnx").read_bytes()
    with pytest.raises(PolicyRefusedError, match="shape"):
        write_policy(mlp(44, 12, hidden=8), joint_contract(), folder / "good.onnx")
    assert (folder / "good.onnx").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["good.onnx"]


def test_names_and_paths_inside_the_folders_are_found(folder: Path) -> None:
    """By name, by path, and by a path that takes a way round."""
    good = (folder / "good.onnx").resolve()
    for name in ("good", str(good), str(folder / "." / ".." / "policies" / "good.onnx")):
        assert find_policy(name, [folder]) == good
    (folder / "link.onnx").symlink_to(good)
    assert find_policy("link", [folder]) == good


def test_paths_that_lead_elsewhere_are_refused(folder: Path, tmp_path: Path) -> None:
    """Outside, out by dots, out by symbolic links to files and folders, loops, and what is not there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "evil.onnx").write_bytes((folder / "good.onnx").read_bytes())
    (folder / "link.onnx").symlink_to(outside / "evil.onnx")
    (folder / "way").symlink_to(outside)
    (folder / "loop.onnx").symlink_to(folder / "loop.onnx")
    (tmp_path / "policies_more").mkdir()
    (tmp_path / "policies_more" / "a.onnx").write_bytes(b"")
    for path in (
        "link",
        str(outside / "evil.onnx"),
        str(folder / ".." / "outside" / "evil.onnx"),
        str(folder / "link.onnx"),
        str(folder / "way" / "evil.onnx"),
        str(tmp_path / "policies_more" / "a.onnx"),
        "/etc/passwd",
        "../outside/evil.onnx",
    ):
        with pytest.raises(
            PolicyRefusedError, match=r"policy: expected (a file inside|a file that exists)"
        ):
            find_policy(path, [folder])
    for path in (
        str(folder / "loop.onnx"),
        str(folder / "none.onnx"),
        "./none.onnx",
        "a\x00b.onnx",
        "x" * 5000 + ".onnx",
    ):
        with pytest.raises(PolicyRefusedError, match="policy: expected a file that exists"):
            find_policy(path, [folder])
    for name in ("bad", "", "loop", "a\x00b", "..", "x" * 5000):
        with pytest.raises(PolicyRefusedError, match="policy: expected"):
            find_policy(name, [folder])
    with pytest.raises(PolicyRefusedError, match="expected one of: good, link, loop, found 'bad'"):
        find_policy("bad", [folder])


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe that nobody writes to, a device, a link, a file without permission, one that is too large, an empty one."""
    (tmp_path / "folder.onnx").mkdir()
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "link.onnx").symlink_to("/dev/zero")
    with (tmp_path / "large.onnx").open("wb") as large:
        large.truncate(BYTES_MAX + 1)
    (tmp_path / "empty.onnx").touch()
    for name, says in (
        ("folder.onnx", "regular file|readable file"),
        ("pipe.onnx", "regular file"),
        ("link.onnx", "readable file"),
        ("none.onnx", "readable file"),
        ("large.onnx", f"file size: expected at most {BYTES_MAX} bytes, found {BYTES_MAX + 1}"),
        ("empty.onnx", "end of the file"),
    ):
        with pytest.raises(PolicyRefusedError, match=says):
            read_policy(tmp_path / name)
    with pytest.raises(PolicyRefusedError, match="regular file"):
        read_policy(Path("/dev/zero"))
    if os.geteuid() != 0:
        (tmp_path / "empty.onnx").chmod(0)
        with pytest.raises(PolicyRefusedError, match="readable file"):
            read_policy(tmp_path / "empty.onnx")


def test_every_byte_counts() -> None:
    """One bit anywhere, a cut or an extra byte: refused before anything parses it."""
    data, _ = pack(small(), HEIGHT)
    rng = np.random.default_rng(0)
    for at in (0, 1, len(data) - 1, len(data) - 70, *rng.integers(len(data), size=200).tolist()):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(PolicyRefusedError, match="checksum"):
            unpack(bytes(damaged))
    for damaged in (data[:-1], data[1:], data + b"\0", data[: len(data) // 2], b"", data * 2):
        with pytest.raises(PolicyRefusedError, match="checksum"):
            unpack(bytes(damaged))


def resealed(change: Callable[[onnx.ModelProto], None]) -> bytes:
    """A valid file, changed by one who knows how to seal."""
    model = onnx.load_model_from_string(pack(small(), HEIGHT)[0])
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
    """Ten thousand by ten thousand numbers out of twice ten thousand."""
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((10_000, 1), dtype=np.float32), "column")
    )
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((1, 10_000), dtype=np.float32), "line")
    )
    model.graph.node.append(helper.make_node("MatMul", ["column", "line"], ["large"]))


def not_utf8(model: onnx.ModelProto) -> None:
    model.producer_name = "PRODUCER"


REFUSED: list[tuple[Callable[[onnx.ModelProto], object], str]] = [
    (lambda m: m.metadata_props.pop(), "metadata: expected one entry 'safe_locomotion', found 0"),
    (lambda m: m.metadata_props.append(m.metadata_props[0]), "duplicate keys in metadata_props"),
    (rewritten(lambda d: d.update(format=2)), "format: expected 1, found 2"),
    (rewritten(lambda d: d.update(rate_hz=130)), "rate_hz: expected a divisor of 500, found 130"),
    (rewritten(lambda d: d.update(parity=None)), "parity: expected recorded pairs, found none"),
    (rewritten(lambda d: d["joint_order"].reverse() or d["joint_order"].pop()), "joint_order: expected each of"),
    (rewritten(lambda d: d.update(observation_input="obs")), "inputs of the model: expected obs, found observation"),
    (rewritten(lambda d: d.update(action_output="a")), "outputs of the model: expected a, found action"),
    (
        rewritten(lambda d: d.update(recurrent=[{"input": "h", "output": "g", "shape": [1]}])),
        "inputs of the model: expected h, observation",
    ),
    (lambda m: m.graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 2), "graph|shape"),
    (lambda m: m.graph.input[0].type.tensor_type.__setattr__("elem_type", TensorProto.DOUBLE), "graph|float32"),
    (lambda m: m.graph.input[0].type.tensor_type.shape.dim[0].__setattr__("dim_param", "n"), "shape: expected .1, 1., found .'n', 1."),
    (lambda m: m.opset_import.append(helper.make_opsetid("com.evil", 1)), "operator sets: expected the standard one alone, found com.evil"),
    (lambda m: m.opset_import[0].__setattr__("version", 99), r"operator set: expected one version in 11..21, found \[99\]"),
    (lambda m: m.opset_import.pop(), "operator set: expected one version"),
    (lambda m: m.__setattr__("ir_version", 99), r"ir_version\): expected 3..10, found 99"),
    (lambda m: m.graph.node[0].__setattr__("domain", "com.evil"), "operators: expected standard ones of neural layers, found com.evil"),
    (lambda m: m.graph.node[0].__setattr__("op_type", "Mystery"), "operators: expected standard ones of neural layers, found Mystery"),
    (lambda m: m.graph.node.append(helper.make_node("RandomNormal", [], ["r"], shape=[9])), "found RandomNormal"),
    (loop, "found Loop"),
    (lambda m: m.functions.add(name="f"), "functions: expected none, found f"),
    (external, "data inside the file, found external data"),
    (huge, "at most 8388608 numbers"),
    (outer_product, "tensor 'large': expected at most 8388608 numbers"),
    (lambda m: m.graph.initializer[0].__setattr__("raw_data", b"abc"), "data of shape"),
    (lambda m: m.graph.initializer[0].__setattr__("data_type", TensorProto.STRING), "type: expected float"),
    (lambda m: m.graph.sparse_initializer.add(), "dense tensors"),
    (lambda m: m.graph.node[0].input.__setitem__(0, "nowhere"), "graph: expected one that the ONNX checker accepts"),
    (lambda m: m.graph.ClearField("node"), "nodes: expected 1..2000, found 0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), REFUSED)
def test_models_that_must_not_fly_are_refused(
    change: Callable[[onnx.ModelProto], object], says: str
) -> None:
    """Sealed, so that the reason itself is what refuses them; one line each."""
    with pytest.raises(PolicyRefusedError, match=says) as caught:
        unpack(resealed(change))
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused() -> None:
    """Protobuf lets it pass."""
    model = resealed(not_utf8)[: -len(seal(b""))]
    with pytest.raises(PolicyRefusedError, match="text of 'producer_name': expected UTF-8"):
        unpack(seal(model.replace(b"PRODUCER", b"\xff\xfePRODUC")))


def test_a_sealed_file_left_alone_flies() -> None:
    """The twin of the refusals above."""
    assert unpack(resealed(lambda _: None)).name == HEIGHT.name


def joint(**changes: float) -> PolicyContract:
    return replace(
        HEIGHT,
        joint=replace(
            HEIGHT.joint, **{key: (1.0,) * 11 + (value,) for key, value in changes.items()}
        ),
    )


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        (replace(HEIGHT, robot="go1"), "robot: expected a1, found go1"),
        (joint(kp=120.1), "joint action: kp: expected at most 120, found 120.1"),
        (joint(kd=8.1), "joint action: kd: expected at most 8, found 8.1"),
        (
            replace(HEIGHT, default_pose=(0.0,) * 12),
            "default_pose: expected inside the joints' ranges",
        ),
    ],
)
def test_contracts_that_do_not_suit_the_robot_are_refused(
    contract: PolicyContract, says: str
) -> None:
    """Robot, gains and pose against the robot's own limits; the limits themselves are fine."""
    with pytest.raises(PolicyRefusedError, match=says):
        check_fit(contract, A1, LIMITS)
    check_fit(joint(kp=120.0), A1, LIMITS)
    check_fit(joint(kd=8.0), A1, LIMITS)


def test_loading_compares_with_the_robot(tmp_path: Path) -> None:
    """A file that is fine in itself, with gains that this robot's gate would refuse on every cycle."""
    write_policy(small(), joint(kp=120.1), tmp_path / "stiff.onnx")
    with pytest.raises(PolicyRefusedError, match=r"kp: expected at most 120, found 120\.1"):
        load_policy("stiff", A1, LIMITS, [tmp_path])


def test_feet_that_no_leg_reaches_are_refused() -> None:
    """Half a metre beside the base is too far for legs of 0.4 m."""
    contract = gait_contract()
    feet = next(term for term in contract.gait.terms if term.name == "foot_y")
    terms = tuple(
        replace(feet, upper=(0.5,) * 4) if term is feet else term for term in contract.gait.terms
    )
    check_fit(contract, A1, LIMITS)
    with pytest.raises(PolicyRefusedError, match="gait action foot_y: bounds: expected within"):
        check_fit(replace(contract, gait=replace(contract.gait, terms=terms)), A1, LIMITS)


def test_weights_that_changed_fail_parity(tmp_path: Path) -> None:
    """Sealed again after one weight moved by one percent: the recorded pairs notice."""

    def nudge(model: onnx.ModelProto) -> None:
        weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
        weights[3] *= 1.01
        model.graph.initializer[0].CopyFrom(
            numpy_helper.from_array(weights, model.graph.initializer[0].name)
        )

    (tmp_path / "p.onnx").write_bytes(resealed(nudge))
    with pytest.raises(PolicyRefusedError, match="parity: expected recorded actions within"):
        load_policy("p", A1, LIMITS, [tmp_path])


def test_mutants_never_crash_and_never_fly_on_a_bad_contract(tmp_path: Path) -> None:
    """2,100 mutants: bytes of files, bytes of models sealed again, and contracts sealed again, in a process of their own."""
    tests = HELPERS
    program = [
        sys.executable,
        str(tests / "policy_fuzz.py"),
        str(FUZZ_CASES),
        "0",
        str(tmp_path / "log"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in (str(tests), *sys.path) if path),
    }
    done = subprocess.run(
        program, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"{(tmp_path / 'log').read_text()}\n{done.stderr[-2000:]}"
    told = json.loads(done.stdout)
    assert sum(told.values()) == 3 * FUZZ_CASES
    assert "file_accepted" not in told
    assert told["model_refused"] > 0.9 * FUZZ_CASES and told["metadata_refused"] > 0.8 * FUZZ_CASES
