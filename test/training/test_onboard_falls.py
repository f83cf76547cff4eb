"""Kinds of falls onboard: the episodes are those of `evaluate`, and the kind is the taxonomy's."""

from typing import Any

import pytest

pytest.importorskip("mujoco_warp")
pytest.importorskip("torch")

from table_tools import tool_named

from safe_locomotion.envs.random_gait import SIGMAS
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.walkers import Walker
from safe_locomotion.training.gait.falls.study import ALONE

DURATION = 4.0  # s


@pytest.mark.parametrize(("task", "seed", "first"), [("trot", 1, "z"), ("two_leg", 2, "seen roll")])
def test_a_fall_of_the_learner_alone_is_unseen_and_that_of_evaluate(
    task: str, seed: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery never drove, also where the mode changes within the step that ends the episode."""
    tool: Any = tool_named(monkeypatch, "onboard_falls")
    walks = tool.Walks(task, ALONE, duration=DURATION)
    kind, steps = walks.walk(seed)
    assert kind is not None
    assert (kind.kind, kind.first, kind.airborne) == ("unseen", first, False)
    cell = Cell(task=task, supervisor="off", sigma=SIGMAS[task], duration=DURATION)
    result = Walker(cell, {}, {}, 0).walk(seed)
    assert (result.fell, result.steps) == (True, steps)
    assert walks.walk(seed) == (kind, steps)


def test_an_episode_without_a_fall_has_no_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when the time is up."""
    tool: Any = tool_named(monkeypatch, "onboard_falls")
    assert tool.Walks("trot", ALONE, duration=0.2).walk(1) == (None, 25)
