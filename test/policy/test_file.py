"""Policy files: written whole, checked when read, refused with one line, never flown damaged."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from core_values import A1, LIMITS
from places import HELPERS
from policy_models import HEIGHT, from_height, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import lstm_memories, lstm_pair, mlp
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import (
    BYTES_MAX,
    check_fit,
    find_policy,
    load_policy,
    pack,
    policy_names,
    read_policy,
    unpack,
    write_policy,
)

FUZZ_CASES = 700  #: of each of three sorts of mutation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with one policy, `good`."""
    write_policy(from_height(), HEIGHT, tmp_path / "policies" / "good.onnx")
    return tmp_path / "policies"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Contract and recorded pairs read back exactly; the pairs are the network's answers."""
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
    """The first 64 observations of the exporter are recorded, with a plain session's answers.

    A sealed file is still a valid ONNX file.
    """
    model = mlp(45, 12, hidden=16)
    seen = np.random.default_rng(9).normal(size=(100, 45)).astype(np.float32)
    written = write_policy(model, joint_contract(), tmp_path / "p.onnx", observations=seen)
    np.testing.assert_array_equal(written.parity.observations, seen[:64])
    path = str(tmp_path / "p.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = [session.run(["action"], {"observation": row[None]})[0] for row in seen[:64]]
    np.testing.assert_allclose(written.parity.actions, np.concatenate(answers), atol=1e-6)
    onnx.checker.check_model(onnx.load(path))
    says = r"observations: expected 64 of width 45, found shape \(63, 45\)"
    with pytest.raises(PolicyRefusedError, match=says):
        pack(model, joint_contract(), observations=seen[:63])


def test_sizes_left_open_become_one() -> None:
    """A batch size that the exporter left open becomes 1."""
    model = from_height()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    data, contract = pack(model, HEIGHT)
    assert unpack(data) == contract


def test_a_policy_that_would_be_refused_is_not_written(folder: Path) -> None:
    """The existing file stays as it was, and no other file is left behind."""
    before = (folder / "good.onnx").read_bytes()
    with pytest.raises(PolicyRefusedError, match="shape"):
        write_policy(mlp(44, 12, hidden=8), joint_contract(), folder / "good.onnx")
    assert (folder / "good.onnx").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["good.onnx"]


def test_names_and_paths_inside_the_folders_are_found(folder: Path) -> None:
    """A policy is found by name, by path, by a path with dots, and by a link inside the folder."""
    good = (folder / "good.onnx").resolve()
    for name in ("good", str(good), str(folder / "." / ".." / "policies" / "good.onnx")):
        assert find_policy(name, [folder]) == good
    (folder / "link.onnx").symlink_to(good)
    assert find_policy("link", [folder]) == good


def test_paths_that_lead_elsewhere_are_refused(folder: Path, tmp_path: Path) -> None:
    """Paths that end outside the folders are refused, and so are loops and missing files.

    Dots, symbolic links to files and symbolic links to folders are ways to lead outside.
    """
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
        says = r"policy: expected (a file inside|a file that exists)"
        with pytest.raises(PolicyRefusedError, match=says):
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
    """Folders, pipes, devices, links, and missing, too large, empty or unreadable files fail."""
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
    """A flipped bit, a cut or an extra byte is refused before anything parses the file."""
    data, _ = pack(from_height(), HEIGHT)
    rng = np.random.default_rng(0)
    for at in (0, 1, len(data) - 1, len(data) - 70, *rng.integers(len(data), size=200).tolist()):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(PolicyRefusedError, match="checksum"):
            unpack(bytes(damaged))
    for damaged in (data[:-1], data[1:], data + b"\0", data[: len(data) // 2], b"", data * 2):
        with pytest.raises(PolicyRefusedError, match="checksum"):
            unpack(bytes(damaged))


def joint(**changes: float) -> PolicyContract:
    """A contract with these gains on its last joint, and 1 on the others."""
    gains = {key: (1.0,) * 11 + (value,) for key, value in changes.items()}
    return replace(HEIGHT, joint=replace(HEIGHT.joint, **gains))


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
    """Another robot, and gains or a pose beyond its limits, are refused; the limits are allowed."""
    with pytest.raises(PolicyRefusedError, match=says):
        check_fit(contract, A1, LIMITS)
    check_fit(joint(kp=120.0), A1, LIMITS)
    check_fit(joint(kd=8.0), A1, LIMITS)


def test_loading_compares_with_the_robot(tmp_path: Path) -> None:
    """Loading refuses gains that this robot's gate would refuse, although the file is valid."""
    write_policy(from_height(), joint(kp=120.1), tmp_path / "stiff.onnx")
    with pytest.raises(PolicyRefusedError, match=r"kp: expected at most 120, found 120\.1"):
        load_policy("stiff", A1, LIMITS, [tmp_path])


def test_feet_that_no_leg_reaches_are_refused() -> None:
    """Foot positions 0.5 m beside the base are refused for legs of 0.4 m."""
    contract = gait_contract()
    *others, feet = contract.gait.terms
    assert feet.name == "foot_y"
    wide = replace(contract.gait, terms=(*others, replace(feet, upper=(0.5,) * 4)))
    check_fit(contract, A1, LIMITS)
    with pytest.raises(PolicyRefusedError, match="gait action foot_y: bounds: expected within"):
        check_fit(replace(contract, gait=wide), A1, LIMITS)


def test_mutants_never_crash_and_never_fly_on_a_bad_contract(tmp_path: Path) -> None:
    """No file with mutated bytes is accepted, and no mutant crashes the process that reads it.

    The 2,100 mutants are bytes of files, bytes of models sealed again, and contracts sealed again.
    """
    log = tmp_path / "log"
    program = [sys.executable, str(HELPERS / "policy_fuzz.py"), str(FUZZ_CASES), "0", str(log)]
    path = os.pathsep.join(folder for folder in (str(HELPERS), *sys.path) if folder)
    done = subprocess.run(
        program,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{log.read_text()}\n{done.stderr[-2000:]}"
    told = json.loads(done.stdout)
    assert sum(told.values()) == 3 * FUZZ_CASES
    assert "file_accepted" not in told
    assert told["model_refused"] > 0.9 * FUZZ_CASES and told["metadata_refused"] > 0.8 * FUZZ_CASES
