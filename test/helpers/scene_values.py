"""Scenes of an A1 for tests: a maker under the measures of the paper, margins, predicted states."""

import numpy as np
from core_values import A1

from safe_locomotion.config import load_config
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import Array
from safe_locomotion.ui.scene import Bar, Scene
from safe_locomotion.ui.scene_builder import SceneMaker

#: With the paper's measures, a component of the trigger set is a number of the state itself.
PAPER = {
    "supervisor.trigger_set.roll_rate": "raw",
    "supervisor.trigger_set.attitude": "vertical",
    "supervisor.trigger_set.height": "odom",
    "supervisor.trigger_set.lookahead": 0.0,
}
CONFIG = load_config("a1", PAPER)


def scene_maker() -> SceneMaker:
    """A fresh maker of scenes."""
    return SceneMaker(A1, CONFIG)


def margins(**changes: float) -> tuple[tuple[str, float], ...]:
    """Margins of a verdict in the middle of the box, but for the given components."""
    return tuple((name, changes.get(name, 1.0)) for name in COMPONENTS)


def states(**columns: list[float]) -> Array:
    """Predicted states that stay as they are, but for the columns `c0` to `c11` that are given."""
    n = len(next(iter(columns.values())))
    out = np.zeros((n, 12))
    out[:, 5] = A1.nominal_height
    for column, values in columns.items():
        out[:, int(column[1:])] = values
    return out


def bars(scene: Scene) -> dict[str, Bar]:
    """Bars by name."""
    return {bar.name: bar for bar in scene.bars}
