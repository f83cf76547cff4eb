"""From a training to a policy that flies: train, stop, resume, page, export, export one run."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch
from places import ROOT

from safe_locomotion.cli.main import cli
from safe_locomotion.cli.policy.flights import fly
from safe_locomotion.envs.episodes import walk_learner
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.errors import ConfigurationError, PolicyRefusedError, UnknownNameError
from safe_locomotion.policy.file import read_policy
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.training.gait.onboard_reward import onboard_rewards

torch.set_num_threads(1)
SHORT = (
    *("--robots", "1", "--steps", "3", "--seeking", "1"),
    *("--critic-updates", "5", "--device", "cpu"),
)


def call(*words: str):
    return CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two updates, stopped after the first."""
    folder = tmp_path_factory.mktemp("trained")
    words = ["train", "gait", "catwalk", "--learner", "recovery_rl", "--seed", "3", *SHORT]
    first = call(*words, "--updates", "1", "--out", str(folder))
    assert first.return_value == 0
    done = call(*words, "--updates", "2", "--resume", "--export", "--out", str(folder))
    assert done.return_value == 0
    assert "continues after 1 updates" in done.output
    assert "TensorBoard is not installed" in done.output or (folder / "tensorboard").exists()
    return folder


def test_the_folder_holds_results_and_a_page(trained: Path) -> None:
    """The file names the run, and the command that repeats it."""
    content = json.loads((trained / "run.json").read_text())
    (cell,) = content["cells"]
    assert (cell["task"], cell["learner"], cell["seed"]) == ("catwalk", "recovery_rl", 3)
    assert cell["updates"] == 2
    assert content["command"].startswith("safe-locomotion train gait catwalk --seed 3")
    assert "--learner recovery_rl" in content["command"]
    assert "<h1>run</h1>" in (trained / "run.html").read_text()


def test_the_policy_flies(trained: Path, tmp_path: Path) -> None:
    """Exported by the training and by `export` it is the same, and it walks on board."""
    written = trained / "policies/a1-catwalk-recovery_rl-s3.onnx"
    contract, data = read_policy(written)
    assert contract.name == written.stem and contract.origin.seed == 3
    assert "catwalk-recovery_rl, seed 3, 2 updates" in contract.origin.command
    target = tmp_path / "mine.onnx"
    assert call("export", str(trained), "--name", "mine", "--out", str(target)).return_value == 0
    other, _ = read_policy(target)
    assert (other.parity, other.gait) == (contract.parity, contract.gait)
    env = GaitEnv(GaitEnvOptions(task="catwalk", duration=0.5, starts=1))
    score = walk_learner(env, PolicyRuntime(contract, data, env.robot.robot), seed=0)
    assert not score.falls


def test_the_policy_flies_over_the_wire(trained: Path) -> None:
    """The whole stack walks under it, and reports what its feet did."""
    policy = trained / "policies/a1-catwalk-recovery_rl-s3.onnx"
    report = fly(["--policy", str(policy), "--duration", "2.1", "--vx", "0.2"])
    assert report["falls"] == 0 and report["hops"] == 0
    assert 0.05 < report["feet_distance_m"] < 0.3
    assert report["options"]["policy"] == str(policy)


def test_rewards_on_board_are_compared_with_those_of_the_training(trained: Path) -> None:
    """The results name the run; a catwalk of whole steps earns what it can on both sides."""
    policy = trained / "policies/a1-catwalk-recovery_rl-s3.onnx"
    (found,) = onboard_rewards([policy], trained / "run.json", episodes=1)
    assert found.task == "catwalk"
    assert 0.0 < found.trained < 3.0  # steps
    assert 100.0 < found.onboard < 400.0
    with pytest.raises(UnknownNameError, match="a1-catwalk-recovery_rl-s3"):
        list(onboard_rewards([ROOT / "models/policies/a1_trot.onnx"], trained / "run.json"))


def test_nothing_to_measure_is_refused() -> None:
    """The error names the help."""
    with pytest.raises(ConfigurationError, match="no policy was named"):
        call("policy", "measure")


def test_a_folder_without_a_training_is_named(tmp_path: Path) -> None:
    """One line, not a traceback."""
    with pytest.raises(ConfigurationError, match=r"holds no checkpoint\.pt"):
        call("export", str(tmp_path), "--name", "none")


def test_one_of_several_runs_must_be_named(trained: Path) -> None:
    """The error lists them."""
    with pytest.raises(UnknownNameError, match="a1-catwalk-recovery_rl-s3"):
        call("export", str(trained), "--name", "none", "--run", "a1-catwalk-ours-s0")


def test_a_comparison_of_recovery_policies_needs_one(tmp_path: Path) -> None:
    """It says where one comes from."""
    with pytest.raises(ConfigurationError, match="needs --recovery FILE"):
        call("experiment", "learned", *SHORT, "--out", str(tmp_path))
    words = ["experiment", "fig3", *SHORT, "--recovery", str(tmp_path / "none.onnx")]
    with pytest.raises(PolicyRefusedError, match=r"none\.onnx"):
        call(*words, "--out", str(tmp_path))
