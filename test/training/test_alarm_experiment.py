"""Experiments of ALARM: which run goes where, and what one that diverges does to the others."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

import torch
from alarm_worlds import SMALL, PointWorld

from safe_locomotion.training.joint.alarm.experiment import (
    Share,
    runs_of,
    shares_of,
    train_on_devices,
    train_runs,
)
from safe_locomotion.training.joint.alarm.learning.training import TrainingOptions

torch.set_num_threads(1)
COMMON = TrainingOptions(envs=4, steps=1, settings=SMALL, device="cpu")


def share(folder: Path, *, minutes: float, seeds: int = 2) -> Share:
    """Two variants, seed by seed."""
    runs = runs_of(["alarm", "no_en"], seeds, COMMON, folder)
    return Share(runs=tuple(runs), minutes=minutes, resume=True)


def test_runs_are_shared_among_devices(tmp_path: Path) -> None:
    """Each run has one device; its folder and its curve do not depend on it."""
    whole = share(tmp_path, minutes=1.0)
    parts = shares_of(whole, ["cuda:0", "cuda:1", "cuda:2"])
    assert [len(part.runs) for part in parts] == [2, 1, 1]
    assert {run.options.device for run in parts[2].runs} == {"cuda:2"}
    placed = {run.folder: run for part in parts for run in part.runs}
    assert set(placed) == {run.folder for run in whole.runs}
    for run in whole.runs:
        assert placed[run.folder].options.identity == run.options.identity


def test_two_processes_answer_whether_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds its run done by the files in its folder."""
    whole = share(tmp_path, minutes=9.0, seeds=1)
    with monkeypatch.context() as patch:
        patch.setattr(
            "safe_locomotion.training.joint.alarm.experiment.make_world",
            lambda options: PointWorld(options.envs),
        )
        assert train_runs(whole, tell=print)
    assert train_on_devices(whole, ["cpu", "cpu"], tell=print)


def test_a_run_that_diverges_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and the experiment is not done."""

    class Broken(PointWorld):
        """Rewards are infinite."""

        def step(self, action: torch.Tensor) -> None:
            super().step(action)
            self.reward.fill_(float("inf"))

    monkeypatch.setattr(
        "safe_locomotion.training.joint.alarm.experiment.make_world",
        lambda o: (Broken if o.variant == "alarm" else PointWorld)(o.envs),
    )
    told: list[str] = []
    whole = share(tmp_path, minutes=9.0, seeds=1)
    assert not train_runs(whole, tell=told.append)
    assert any("alarm, seed 0: iteration 1: reward" in line for line in told)
    assert [run.done for run in whole.runs] == [False, True]
    changed = replace(whole.runs[1], options=replace(whole.runs[1].options, envs=8))
    assert not changed.done
