"""`train joint --task alarm` and `experiment alarm-fig3|alarm-fig4` on the CPU, as short as can be.

The first runs in the real world. The experiments run on point masses, which need no kernels.
"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch
from alarm_worlds import PointWorld

from safe_locomotion.cli.experiment import experiment
from safe_locomotion.cli.main import main
from safe_locomotion.cli.train import train
from safe_locomotion.cli.training.alarm import VARIANTS as CHOICES
from safe_locomotion.training.joint.alarm.learning.export import read_alarm
from safe_locomotion.training.joint.alarm.learning.variants import VARIANTS
from safe_locomotion.training.joint.alarm.pictures import SHOWN

torch.set_num_threads(1)
ENVS = 4
STEPS = 24 * ENVS  #: of one iteration
SHORT = ("--envs", str(ENVS), "--device", "cpu")


def called(command, *words: str) -> Result:
    """The answer of a command, whose errors are raised."""
    return CliRunner().invoke(command, words, standalone_mode=False, catch_exceptions=False)


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of experiments move point masses."""
    monkeypatch.setattr(
        "safe_locomotion.training.joint.alarm.experiment.make_world",
        lambda options: PointWorld(options.envs, options.seed),
    )


def test_an_iteration_in_the_real_world_gives_a_policy(tmp_path: Path) -> None:
    """The policy in the folder names the command that repeats it."""
    out = tmp_path / "run"
    words = ("joint", "--task", "alarm", *SHORT, "--steps", str(STEPS), "--out", str(out))
    done = called(train, *words)
    assert done.return_value == 0 and "1 of 1" in done.output
    contract = read_alarm(out, "untrained")[1]
    assert "train joint --task alarm --variant alarm --seed 0" in contract.origin.command


def test_the_choices_of_the_command_are_the_variants() -> None:
    """The command line knows them without importing torch."""
    assert set(CHOICES) == set(VARIANTS)


def test_the_flat_task_has_options_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """`--task alarm` decides which help is shown and which options are known."""
    assert main(["train", "joint", "--task", "alarm", "--help"]) == 0
    assert "--variant" in capsys.readouterr().out
    assert main(["train", "joint", "--help"]) == 0
    assert "--iterations" in capsys.readouterr().out
    assert main(["train", "joint", "--task=alarm", "--iterations", "3", "--out", "x"]) == 2
    assert "--iterations" in capsys.readouterr().err


@pytest.mark.usefixtures("points")
def test_two_figures_are_trained_in_two_parts(tmp_path: Path) -> None:
    """No time gives status 3. With --resume a training that both figures need is made once.

    Each figure has its results, its picture and its page, and figure 4 a walk of each policy.
    """
    words = ("alarm-fig3", "alarm-fig4", "--variants", "alarm", "--runs", "1", *SHORT)
    words = (*words, "--steps", str(STEPS), "--walk-s", "0.2", "--out", str(tmp_path))
    first = called(experiment, *words, "--minutes", "0")
    assert first.return_value == 3 and "no iteration yet" in first.output
    done = called(experiment, *words, "--resume")
    assert done.return_value == 0 and "run 2 of 2: no_constraints, seed 0" in done.output
    three, four = (json.loads((tmp_path / f"alarm_fig{k}.json").read_text()) for k in (3, 4))
    assert [(c["variant"], c["iterations"]) for c in three["cells"]] == [("alarm", 1)]
    assert [cell["variant"] for cell in four["cells"]] == ["alarm", "no_constraints"]
    assert all(cell["last"]["violations"] >= 0.0 for cell in four["cells"])
    assert [walk["variant"] for walk in four["walks"]] == ["alarm", "no_constraints"]
    assert all({"joint_torque", "falls"} <= set(walk) for walk in four["walks"])
    pictures = [(tmp_path / f"alarm_fig{k}.html").read_text().count("<img") for k in (3, 4)]
    assert pictures == [len(SHOWN), 3]
    assert (tmp_path / "alarm_fig3.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "joint", "--task", "alarm", "--variant", "alam"], "'alam' is not one of"),
        (["train", "joint", "--task", "alarm", "--device", "cuda:99"], "choose --device cpu"),
        (["train", "joint", "--task", "alarm", "--envs", "3", "--device", "cpu"], "multiple of 4"),
        (["train", "joint", "--task", "alarm", "--delta", "nan", "--device", "cpu"], "delta"),
        (["experiment", "alarm-fig3", "--variants", "alam", "--device", "cpu"], "choose one of"),
        (["experiment", "alarm-fig3", "fig3", "--device", "cpu"], "'fig3' is not one of"),
    ],
)
@pytest.mark.usefixtures("points")
def test_bad_input_is_refused_in_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says what can be chosen."""
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
