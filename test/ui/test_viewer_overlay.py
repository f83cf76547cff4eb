"""The large letters over the picture."""

from dataclasses import replace

import numpy as np
import pytest
from core_values import estimate, stance_plan, verdict
from scene_values import scene_maker, states

from safe_locomotion.types import Mode
from safe_locomotion.ui.viewer.overlay import driver, old, overlay, past, waiting


def scene(**changes):
    """A scene of one verdict."""
    return scene_maker().update(estimate(), [verdict(**changes)], stance_plan())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": Mode.STAND}, "STAND"),
        ({"mode": Mode.FAULT, "reasons": ("estop",)}, "FAULT"),
        ({"mode": Mode.WALK, "active": "learner", "policy": "<trot>"}, "<trot> drives"),
        ({"mode": Mode.WALK, "active": "learner", "policy": ""}, "learner drives"),
        ({"mode": Mode.WALK, "active": "recovery"}, "recovery drives"),
    ],
)
def test_the_letters_say_who_drives(changes, says):
    """The mode where nobody walks, else who walks; names are text, not HTML."""
    shown = scene(**changes)
    assert driver(shown) == says
    page = overlay(shown, 0)
    assert says.replace("<", "&lt;").replace(">", "&gt;") in page and "<trot>" not in page
    assert all(reason in page for reason in changes.get("reasons", ()))


def test_each_beat_is_another_text():
    """A page of a robot at rest hears from the viewer too; else it would turn grey."""
    shown = scene(mode=Mode.STAND)
    assert overlay(shown, 1) != overlay(shown, 2) and waiting(1) != waiting(2)
    assert "sl-lost" in overlay(shown, 1) and "sl-lost" in waiting(1)


def test_an_old_picture_and_one_of_the_past_say_so():
    """The age is in the headline; of the past, what happens now is told too."""
    shown = scene(mode=Mode.STAND)
    assert "no state for 7 s" in old(shown, 7.0, 0)
    page = past(shown, 12.34, "recovery drives")
    assert "12.3 s ago: STAND" in page and "now: recovery drives" in page


def test_what_was_planned_stays_after_a_stop():
    """Footholds, targets, forces and the forecast of the last tick of the walk, until a reset."""
    maker = scene_maker()
    swings = stance_plan(
        stance=np.array([False, True, True, False]),
        foot_position=np.tile((0.2, -0.13, -0.2), (4, 1)),
        foot_velocity=np.tile((1.0, 0.0, 0.0), (4, 1)),
        force=np.tile((0.0, 0.0, 40.0), (4, 1)),
    )
    walks = verdict(mode=Mode.WALK, active="learner", predicted=states(c3=[0.0, 0.1, 0.2]))
    assert maker.update(estimate(), [walks], swings).remains is None
    for stopped in (Mode.FAULT, Mode.FALLEN):
        kept = maker.update(estimate(), [replace(walks, mode=stopped, predicted=None)]).remains
        assert kept is not None and len(kept.targets) == 2 and kept.forces.shape == (2, 2, 3)
        assert kept.prediction is not None and len(kept.prediction.position) == 3
    assert maker.update(estimate(), [replace(walks, mode=Mode.PASSIVE)]).remains is None
