"""Predictions of a scene: where the learner would enter the trigger set, how long they show."""

from math import nan

import numpy as np
import pytest
from core_values import START_NS, estimate, verdict
from scene_values import margins, scene_maker, states

from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import Array, Estimate
from safe_locomotion.ui import scene as s

MS = 1_000_000


def prediction(e: Estimate, given: tuple[tuple[str, float], ...], predicted: Array) -> s.Prediction:
    """The prediction of a scene after one verdict."""
    scene = scene_maker().update(e, [verdict(margins=given, predicted=predicted)])
    assert scene.prediction is not None
    return scene.prediction


@pytest.mark.parametrize(
    ("columns", "entry", "components"),
    [
        ({"c10": [0.0, 0.2, 0.4, 0.5]}, None, ()),
        ({"c10": [0.0, 0.2, 0.51, 0.6]}, 2, ("lateral_velocity",)),
        ({"c5": [0.27, 0.25, 0.22, 0.199]}, 3, ("height",)),
        ({"c0": [0.0, -0.27, 0.0, 0.0], "c1": [0.0, 0.3, 0.0, 0.0]}, 1, ("roll", "pitch")),
    ],
)
def test_the_first_state_in_the_trigger_set(
    columns: dict[str, list[float]], entry: int | None, components: tuple[str, ...]
) -> None:
    """States are green up to the first outside the box of the paper, and red from there on."""
    p = prediction(estimate(), margins(height=0.6), states(**columns))
    assert p.entry == entry and p.components == components
    assert len(p.position) == len(p.quaternion_wxyz) == 4
    first = 4 if entry is None else entry
    assert p.colors == (s.GREEN,) * first + (s.RED,) * (4 - first)
    assert p.telling == min(first, 3)


def test_a_state_that_is_not_finite_is_in_the_trigger_set() -> None:
    """The prediction ends before it."""
    p = prediction(estimate(), margins(height=0.6), states(c6=[0.0, 0.0, nan, 0.0]))
    assert p.entry == 2 and "roll_rate" in p.components
    assert len(p.position) == len(p.quaternion_wxyz) == 2 and np.isfinite(p.position).all()
    assert p.colors == (s.GREEN, s.GREEN) and p.telling == 1


@pytest.mark.parametrize(("gain", "entry"), [(0.1, 1), (-0.1, None)])
def test_a_prediction_adds_to_what_the_supervisor_measured(gain: float, entry: int | None) -> None:
    """At 0.45 m/s to the left, a gain of 0.1 m/s enters the trigger set and a loss does not."""
    e = estimate(velocity=np.array((0.0, 0.45, 0.0)))
    given = margins(height=0.6, lateral_velocity=0.1)
    assert prediction(e, given, states(c10=[0.2, 0.2 + gain])).entry == entry


def test_a_state_that_is_in_the_trigger_set_already_is_the_entry() -> None:
    """Index 0 is now; the body is drawn at the last state."""
    e = estimate(velocity=np.array((0.0, 0.6, 0.0)))
    p = prediction(e, margins(lateral_velocity=-0.2), states(c10=[0.6, 0.1]))
    assert p.entry == 0 and p.colors == (s.RED, s.RED) and p.telling == 1


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_predictions_are_in_odom(yaw: float) -> None:
    """A velocity to the robot's left leaves the box at every heading; the body keeps its yaw."""
    e = estimate(quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, yaw))
    ahead = states(c9=[0.0, -0.7 * np.sin(yaw)], c10=[0.0, 0.7 * np.cos(yaw)], c2=[yaw, yaw])
    p = prediction(e, margins(), ahead)
    assert p.components == ("lateral_velocity",)
    np.testing.assert_allclose(np.abs(p.quaternion_wxyz[1] @ e.quaternion_wxyz), 1.0)


def test_the_newest_prediction_is_shown_for_a_quarter_of_a_second() -> None:
    """Later verdicts without a prediction keep it until then."""
    make = scene_maker()
    first = verdict(margins=margins(), predicted=states(c5=[0.27, 0.26]))
    second = verdict(
        stamp_ns=START_NS + 8 * MS, margins=margins(), predicted=states(c5=[0.27, 0.25])
    )
    plain = verdict(stamp_ns=START_NS + 10 * MS, margins=margins())
    scene = make.update(estimate(stamp_ns=START_NS + 10 * MS), [first, second, plain])
    assert scene.prediction is not None and scene.prediction.stamp_ns == second.stamp_ns
    assert make.update(estimate(stamp_ns=START_NS + 250 * MS), [plain]).prediction is not None
    assert make.update(estimate(stamp_ns=START_NS + 259 * MS), [plain]).prediction is None
