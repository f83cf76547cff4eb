"""Trainings of a grid: a kill changes nothing, a foreign checkpoint is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait.checkpoint import CHECKPOINT
from safe_locomotion.training.gait.grid import LEARNERS, Run
from safe_locomotion.training.gait.trainer import Trainer, TrainingOptions, train
from safe_locomotion.training.gait.world.world import GaitWorld

torch.set_num_threads(1)
TASKS = ("efficient", "catwalk", "pacing")
RUNS = tuple(
    Run(task=TASKS[k % 3], learner=learner, horizon=5) for k, learner in enumerate(LEARNERS)
)
SMALL = TrainingOptions(runs=RUNS, updates=3, robots=2, steps=3, seeking=2, critic_updates=5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path, list[str]]:
    """A training of all learners without a break, its folder and what it told."""
    folder = tmp_path_factory.mktemp("whole")
    told: list[str] = []
    return train(SMALL, folder, minutes=9.0, resume=False, tell=told.append), folder, told


def test_every_learner_learns(whole: tuple[Trainer, Path, list[str]]) -> None:
    """All updates were made, every run has its figures, and progress was told."""
    trainer, _, told = whole
    assert trainer.updates == 3
    for figures in trainer.history:
        assert np.isfinite(figures["episode_reward"]).all()
        assert figures["steps"].tolist() == [6.0] * len(RUNS)
    assert any("seeks falls" in line for line in told)
    assert "3 of 3" in told[-1] and "min left" in told[-1]


def test_a_resumed_training_has_the_same_curve(
    whole: tuple[Trainer, Path, list[str]], tmp_path: Path
) -> None:
    """Two updates, a new process' worth of objects, and the third: bit for bit as without."""
    told: list[str] = []
    first = replace(SMALL, updates=2)
    train(first, tmp_path, minutes=9.0, resume=False, tell=told.append)
    resumed = train(SMALL, tmp_path, minutes=9.0, resume=True, tell=told.append)
    assert "continues after 2 updates" in told
    straight = whole[0]
    for a, b in zip(straight.history, resumed.history, strict=True):
        assert all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)
    for part, other in zip(straight.learner.parts, resumed.learner.parts, strict=True):
        assert torch.equal(part[0].policies.parameters, other[0].policies.parameters)


def test_a_training_stopped_in_the_middle_of_a_round_has_the_same_curve(
    whole: tuple[Trainer, Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint is that of the last whole update, here of none."""
    step = GaitWorld.step
    taken: list[int] = []

    def stopped(world: GaitWorld) -> None:
        taken.append(1)
        if len(taken) == SMALL.steps * SMALL.seeking + 2:
            raise KeyboardInterrupt
        step(world)

    with monkeypatch.context() as patch:
        patch.setattr(GaitWorld, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(SMALL, tmp_path, minutes=9.0, resume=False, tell=print)
    resumed = train(SMALL, tmp_path, minutes=9.0, resume=True, tell=print)
    for a, b in zip(whole[0].history, resumed.history, strict=True):
        assert all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def test_a_checkpoint_of_another_grid_is_refused(whole: tuple[Trainer, Path, list[str]]) -> None:
    """Also one with another number of steps: its curve would not go on."""
    _, folder, _ = whole
    with pytest.raises(ConfigurationError, match="belongs to another grid"):
        train(replace(SMALL, steps=4), folder, minutes=1.0, resume=True, tell=print)


@pytest.mark.parametrize("content", [b"PK\x03\x04 not really", b"", b"plain words", b"\x80\x02."])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    """One line instead of a traceback."""
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(ConfigurationError, match="not a checkpoint"):
        train(SMALL, tmp_path, minutes=1.0, resume=True, tell=print)
