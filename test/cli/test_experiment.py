"""`safe-locomotion experiment` on the CPU, as short as it can be."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

from safe_locomotion.cli.experiment import experiment
from safe_locomotion.errors import ConfigurationError

SHORT = (
    *("--runs", "1", "--robots", "1", "--steps", "2", "--seeking", "1"),
    *("--critic-updates", "5", "--device", "cpu"),
)


def test_two_updates_give_results_and_a_page(tmp_path: Path) -> None:
    """One file and one page for each figure; a second call with --resume adds an update."""
    words = ["fig4b", *SHORT, "--updates", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(experiment, words, standalone_mode=False, catch_exceptions=False)
    assert done.return_value == 0
    words = ["fig4b", *SHORT, "--updates", "2", "--resume", "--out", str(tmp_path)]
    done = CliRunner().invoke(experiment, words, standalone_mode=False, catch_exceptions=False)
    assert "continues after 1 updates" in done.output
    content = json.loads((tmp_path / "paper1_fig4b.json").read_text())
    assert [cell["updates"] for cell in content["cells"]] == [2] * 4
    assert content["minutes"] > 0.0 and "--updates 2" in content["command"]
    assert "<h1>fig4b</h1>" in (tmp_path / "paper1_fig4b.html").read_text()


def test_two_devices_share_the_runs(tmp_path: Path) -> None:
    """Two processes on the CPU; the page holds all runs, and so do the exported policies."""
    words = ["recovery", *SHORT[2:], "--runs", "2", "--devices", "cpu,cpu", "--updates", "1"]
    words += ["--export", "--out", str(tmp_path)]
    done = CliRunner().invoke(experiment, words, standalone_mode=False, catch_exceptions=False)
    assert done.return_value == 0
    content = json.loads((tmp_path / "paper1_recovery.json").read_text())
    assert [(cell["task"], cell["seed"]) for cell in content["cells"]] == [
        ("recovery", 0),
        ("recovery", 1),
    ]
    written = sorted(path.name for path in (tmp_path / "policies").iterdir())
    assert written == ["a1-recovery-trpo-s0.onnx", "a1-recovery-trpo-s1.onnx"]
    assert sorted(path.name for path in tmp_path.glob("part_*")) == ["part_0", "part_1"]


def test_a_device_named_twice_is_refused(tmp_path: Path) -> None:
    """Two processes on one GPU would only be slower."""
    words = ["fig4b", *SHORT, "--devices", "cuda:0,cuda:0", "--out", str(tmp_path)]
    with pytest.raises(ConfigurationError, match="cuda:0 is named twice"):
        CliRunner().invoke(experiment, words, standalone_mode=False, catch_exceptions=False)


def test_no_time_leaves_a_checkpoint_and_says_so(tmp_path: Path) -> None:
    """Exit status 3: more is to be done."""
    words = ["fig4b", *SHORT, "--minutes", "0", "--out", str(tmp_path)]
    done = CliRunner().invoke(experiment, words, standalone_mode=False, catch_exceptions=False)
    assert done.return_value == 3
    assert (tmp_path / "checkpoint.pt").exists()


def test_a_device_that_is_not_here_is_refused(tmp_path: Path) -> None:
    """The error says what can be chosen."""
    words = ["fig4b", "--device", "cuda:99", "--out", str(tmp_path)]
    with pytest.raises(ConfigurationError, match="choose --device cpu"):
        CliRunner().invoke(experiment, words, standalone_mode=False, catch_exceptions=False)
