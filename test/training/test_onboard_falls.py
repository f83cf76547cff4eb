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

SEED = 1  #: whose learner falls early when it is alone
DURATION = 4.0  # s


def test_a_fall_of_the_learner_alone_is_unseen_and_that_of_evaluate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Recovery never drove; the height left its bounds first. A shorter episode has no fall."""
    tool: Any = tool_named(monkeypatch, "onboard_falls")
    kind, steps = tool.Walks("trot", ALONE, duration=DURATION).walk(SEED)
    assert kind is not None
    assert (kind.kind, kind.first, kind.airborne) == ("unseen", "z", False)
    cell = Cell(supervisor="off", sigma=SIGMAS["trot"], duration=DURATION)
    result = Walker(cell, {}, {}, 0).walk(SEED)
    assert (result.fell, result.steps) == (True, steps)
    short = tool.Walks("trot", ALONE, duration=0.2).walk(SEED)
    assert short == (None, 25)
