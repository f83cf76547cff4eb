"""Trainings of ALARM: a kill changes nothing, and what is no checkpoint is refused in one line."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from alarm_worlds import SMALL, PointWorld

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.joint.alarm.learning.files import CHECKPOINT, HISTORY
from safe_locomotion.training.joint.alarm.learning.training import (
    DivergedError,
    Training,
    TrainingOptions,
    read_history,
    train,
)

torch.set_num_threads(1)
ENVS = 8
ITERATIONS = 4
OPTIONS = TrainingOptions(
    envs=ENVS, steps=ITERATIONS * ENVS * SMALL.horizon, settings=SMALL, device="cpu", seed=3
)


def make(options: TrainingOptions) -> PointWorld:
    """A world of point masses."""
    return PointWorld(options.envs, options.seed)


def trained(options: TrainingOptions, folder: Path, *, resume: bool = False) -> Training:
    """A training with time enough."""
    return train(options, make, folder, minutes=9.0, resume=resume, tell=print)


def same(a: Training, b: Training) -> bool:
    """Whether figures and weights agree bit for bit; times differ."""
    rows = [[{**row, "seconds": 0.0} for row in one.history] for one in (a, b)]
    weights = [one.agent.networks.state_dict() for one in (a, b)]
    return rows[0] == rows[1] and all(torch.equal(weights[0][k], weights[1][k]) for k in weights[1])


@pytest.mark.parametrize("variant", ["alarm", "two_stage", "dreamwaq"])
def test_a_resumed_training_has_the_same_curve(variant: str, tmp_path: Path) -> None:
    """Two iterations, a new process' worth of objects, and two more: bit for bit as without."""
    options = replace(OPTIONS, variant=variant, settings=replace(SMALL, first_stage=0.5))
    straight = trained(options, tmp_path / "straight")
    halves = tmp_path / "halves"
    halves.mkdir()
    first = Training(options, make)
    first.iterate()
    first.iterate()
    first.save(halves)
    resumed = trained(options, halves, resume=True)
    assert same(straight, resumed)
    assert resumed.agent.imitating == (variant == "two_stage")
    assert len(read_history(halves)) == ITERATIONS


def test_a_training_stopped_within_an_iteration_has_the_same_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint is that of the last whole iteration."""
    step = PointWorld.step
    taken: list[int] = []

    def stopped(world: PointWorld, action: torch.Tensor) -> None:
        taken.append(1)
        if len(taken) == SMALL.horizon * 2 + 3:
            raise KeyboardInterrupt
        step(world, action)

    with monkeypatch.context() as patch:
        patch.setattr(PointWorld, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(OPTIONS, make, tmp_path, minutes=9, resume=False, tell=print, checkpoint_s=0.0)
    resumed = trained(OPTIONS, tmp_path, resume=True)
    assert same(trained(OPTIONS, tmp_path / "straight"), resumed)


def test_more_steps_continue_a_training(tmp_path: Path) -> None:
    """The number of steps may grow; progress is told with the time left."""
    told: list[str] = []
    trained(replace(OPTIONS, steps=ENVS), tmp_path)
    watched: list[int] = []
    more = train(
        OPTIONS,
        make,
        tmp_path,
        minutes=9.0,
        resume=True,
        tell=told.append,
        watch=lambda number, _: watched.append(number),
    )
    assert more.done and told[0] == "continues after 1 iterations"
    assert watched == [2, 3, 4] and "4 of 4" in told[-1] and "min left" in told[-1]


def test_no_time_makes_a_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    """Zero minutes are over at once."""
    made = train(OPTIONS, make, tmp_path, minutes=0.0, resume=False, tell=print)
    assert not made.done and (tmp_path / CHECKPOINT).exists()
    assert same(trained(OPTIONS, tmp_path, resume=True), trained(OPTIONS, tmp_path / "straight"))


@pytest.mark.parametrize("changed", [{"seed": 4}, {"variant": "no_en"}, {"envs": 16}])
def test_a_checkpoint_of_another_training_is_refused(
    changed: dict[str, object], tmp_path: Path
) -> None:
    """The curve would not go on."""
    train(OPTIONS, make, tmp_path, minutes=0.0, resume=False, tell=print)
    with pytest.raises(ConfigurationError, match="belongs to another training"):
        trained(replace(OPTIONS, **changed), tmp_path, resume=True)


@pytest.mark.parametrize("content", [b"PK\x03\x04 not really", b"", b"plain words", b"\x80\x02."])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    """One line instead of a traceback, also for a history that is none."""
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(ConfigurationError, match="not a checkpoint"):
        trained(OPTIONS, tmp_path, resume=True)
    train(OPTIONS, make, tmp_path, minutes=0.0, resume=False, tell=print)
    (tmp_path / HISTORY).write_bytes(content)
    with pytest.raises(ConfigurationError, match="not a checkpoint"):
        trained(OPTIONS, tmp_path, resume=True)


def test_numbers_that_are_not_finite_end_a_training(tmp_path: Path) -> None:
    """The error names them, and the last checkpoint stays."""

    class Broken(PointWorld):
        """Rewards are infinite."""

        def step(self, action: torch.Tensor) -> None:
            super().step(action)
            self.reward.fill_(float("inf"))

    with pytest.raises(DivergedError, match="iteration 1: reward"):
        train(OPTIONS, lambda o: Broken(o.envs), tmp_path, minutes=9.0, resume=False, tell=print)
    assert trained(OPTIONS, tmp_path, resume=True).done
