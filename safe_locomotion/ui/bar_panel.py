"""Bar panel: where the bars of the trigger set float over the robot, so that RViz and the web viewer draw the same.

Each bar lies across the robot, positive to its left, as one sees it from behind: its bounds half a `BAR_LENGTH` from the middle, its
value a box from the middle to where it lies between them.
"""

from dataclasses import dataclass
from math import cos, sin

from safe_locomotion.rotations import Vector
from safe_locomotion.ui.scene import (
    BAR_DEPTH,
    BAR_HEIGHT,
    BAR_LENGTH,
    BAR_OVERSHOOT,
    BAR_PITCH,
    BARS_ABOVE,
    TEXT_ABOVE,
    Bar,
    Scene,
)

LABEL_ASIDE = 0.24  #: [m] from the end of a bar to the middle of its text
LEAST_LENGTH = 0.002  #: [m] of a value in the middle
TRACK_SIZE: Vector = (
    0.25 * BAR_DEPTH,
    BAR_LENGTH * BAR_OVERSHOOT,
    0.5 * BAR_HEIGHT,
)  #: [m] of the whole track
BOUNDS_SIZE: Vector = (
    0.5 * BAR_DEPTH,
    BAR_LENGTH,
    0.5 * BAR_HEIGHT,
)  #: [m] of the part of it within the bounds


@dataclass(frozen=True, kw_only=True, slots=True)
class BarBoxes:
    """One bar: boxes in odom, turned by the robot's heading.

    Attributes:
        bar: what it shows.
        middle: of the track, `TRACK_SIZE` large, which goes as far as a bar is drawn [m].
        value: middle of the box that is the value [m].
        value_size: of it [m].
        label: of the text [m].
    """

    bar: Bar
    middle: Vector
    value: Vector
    value_size: Vector
    label: Vector


def bar_panel(scene: Scene) -> tuple[BarBoxes, ...]:
    """The bars, the first one on top."""
    return tuple(_boxes(scene, bar, row) for row, bar in enumerate(scene.bars))


def headline_place(scene: Scene) -> Vector:
    """Where the headline stands."""
    x, y, z = scene.position
    return x, y, z + TEXT_ABOVE


def _boxes(scene: Scene, bar: Bar, row: int) -> BarBoxes:
    height = BARS_ABOVE + BAR_PITCH * (len(scene.bars) - 1 - row)
    end = 0.5 * BAR_LENGTH * bar.share
    return BarBoxes(
        bar=bar,
        middle=_beside(scene, 0.0, height),
        value=_beside(scene, 0.5 * end, height),
        value_size=(BAR_DEPTH, max(LEAST_LENGTH, abs(end)), BAR_HEIGHT),
        label=_beside(scene, -0.5 * BAR_LENGTH * BAR_OVERSHOOT - LABEL_ASIDE, height),
    )


def _beside(scene: Scene, left: float, up: float) -> Vector:
    x, y, z = scene.position
    return x - left * sin(scene.heading), y + left * cos(scene.heading), z + up
