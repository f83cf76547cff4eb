"""Files that hold no policy: each command says what they are, in a line and without traceback."""

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import onnx
import pytest
from onnx import helper

from safe_locomotion.bench.policy_networks import GraphBuilder
from safe_locomotion.cli.main import main

GYM = ("--layout", "legged_gym")


def run(*arguments: str | Path) -> int:
    return main(["policy", *map(str, arguments)])


def archive(*names: str) -> bytes:
    """A ZIP archive with files of these names, as PyTorch writes; the same at any time."""
    file = BytesIO()
    with ZipFile(file, "w") as content:
        for name in names:
            content.writestr(ZipInfo(name), "")
    return file.getvalue()


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "which is empty"),
        (b"hello\n", "which is text"),
        (LFS_POINTER, "git lfs pull"),
        (archive("policy/constants.pkl", "policy/data.pkl"), "its name must end in .pt"),
        (archive("model_100/data.pkl"), "a checkpoint of a training: export it"),
        (archive("notes.txt"), "a ZIP archive without a network"),
        (archive("notes.txt")[:30], "a ZIP archive that is cut off"),
        (bytes(range(128, 256)), "Error parsing message"),
        (onnx.ModelProto(ir_version=8).SerializeToString(), "no network"),
    ],
)
def test_what_is_no_model_says_what_it_is(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of another kind is refused in one line that says what it is."""
    (tmp_path / "policy.onnx").write_bytes(content)
    assert run("import", tmp_path / "policy.onnx", tmp_path / "mine.onnx", *GYM) == 2
    said = capsys.readouterr().err
    assert "source: expected an ONNX model" in said and says in said
    assert len(said.splitlines()) == 1


def test_a_network_that_reads_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the input and its shape."""
    b = GraphBuilder(np.random.default_rng(0))
    model = b.model({"pixels": (1, 3, 8, 45)}, {"actions": (1, 12)})
    model.graph.node.append(helper.make_node("Flatten", ["pixels"], ["actions"]))
    onnx.save(model, tmp_path / "vision.onnx")
    assert run("import", tmp_path / "vision.onnx", tmp_path / "mine.onnx", *GYM) == 2
    said = capsys.readouterr().err
    assert "'pixels'" in said and "(1, 3, 8, 45)" in said and "images" in said


@pytest.mark.parametrize("words", [("check",), ("check", "--fly"), ("info",)])
def test_folders_and_empty_files_are_no_policies(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command says so in a line, without a traceback."""
    (tmp_path / "empty.onnx").touch()
    for path, says in ((tmp_path, "found the folder"), (tmp_path / "empty.onnx", "an empty file")):
        assert run(*words, path) in (1, 2)
        said = capsys.readouterr()
        assert says in " ".join((said.out + said.err).split())
