"""Bar panel: the places of the bars of the trigger set over the robot.

Each bar lies across the robot, positive to its left, as seen from behind. Its bounds lie half a
`BAR_LENGTH` from the middle. Its value is a box from the middle to the side.
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

LABEL_ASIDE = 0.24  #: from the end of a bar to the middle of its text [m]
LEAST_LENGTH = 0.002  #: of the box of a value in the middle [m]
#: Size of the whole track [m].
TRACK_SIZE: Vector = (0.25 * BAR_DEPTH, BAR_LENGTH * BAR_OVERSHOOT, 0.5 * BAR_HEIGHT)
#: Size of the part of the track within the bounds [m].
BOUNDS_SIZE: Vector = (0.5 * BAR_DEPTH, BAR_LENGTH, 0.5 * BAR_HEIGHT)


@dataclass(frozen=True, kw_only=True, slots=True)
class BarBoxes:
    """The boxes of one bar in odom, turned by the robot's heading.

    Attributes:
        bar: the bar itself.
        middle: of the track [m]; its size is `TRACK_SIZE`.
        value: middle of the box that shows the value [m].
        value_size: size of that box [m].
        label: middle of the text [m].
    """

    bar: Bar
    middle: Vector
    value: Vector
    value_size: Vector
    label: Vector


def bar_panel(scene: Scene) -> tuple[BarBoxes, ...]:
    """The boxes of all bars, the first bar on top."""
    return tuple(_boxes(scene, bar, row) for row, bar in enumerate(scene.bars))


def headline_place(scene: Scene) -> Vector:
    """Place of the headline in odom [m]."""
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
    """A place to the left of the base and above it [m]."""
    x, y, z = scene.position
    return x - left * sin(scene.heading), y + left * cos(scene.heading), z + up
