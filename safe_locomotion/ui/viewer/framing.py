"""First view of a browser: the whole robot in the part of the picture that nothing covers."""

from dataclasses import dataclass
from math import hypot, tan

from safe_locomotion.rotations import Vector
from safe_locomotion.ui.viewer.overlay import PHONE

FIELD_OF_VIEW = 0.75  #: vertical [rad]
EYE: Vector = (1.05, -1.25, 0.75)  #: of a wide page, from the robot [m]
MIDDLE: Vector = (0.0, 0.0, 0.16)  #: point in the middle of a wide page [m]
HALF_WIDTH = 0.52  #: of a robot with its footholds, as seen from there [m]
HALF_HEIGHT = 0.36  #: the same [m]
TOP_PHONE = 0.17  #: share of a phone's page under the letters
BOTTOM_PHONE = 0.42  #: share of a phone's page under the panel
TOP = 0.16  #: the same of a wide page
BOTTOM = 0.16


@dataclass(frozen=True, kw_only=True)
class View:
    """Place of a camera and the point that it looks at, from the robot [m]."""

    position: Vector
    look_at: Vector


def framed(width: int, height: int) -> View:
    """The view that shows the robot between letters and panel of a page [px].

    The camera moves away along its line of sight until the robot fits. Then it moves down, so that
    the robot stands in the middle of the free part.
    """
    wide = max(1, width)
    high = max(1, height)
    phone = wide <= PHONE
    top = TOP_PHONE if phone else TOP
    bottom = BOTTOM_PHONE if phone else BOTTOM
    free = 1.0 - top - bottom
    needed = max(HALF_HEIGHT / free, HALF_WIDTH * high / wide)
    sight = tuple(eye - middle for eye, middle in zip(EYE, MIDDLE, strict=True))
    distance = hypot(*sight)
    scale = needed / (distance * tan(0.5 * FIELD_OF_VIEW))
    along = hypot(sight[0], sight[1]) / distance
    down = needed * (bottom - top) / along
    middle = (MIDDLE[0], MIDDLE[1], MIDDLE[2] - down)
    eye = (
        middle[0] + scale * sight[0],
        middle[1] + scale * sight[1],
        middle[2] + scale * sight[2],
    )
    return View(position=eye, look_at=middle)
