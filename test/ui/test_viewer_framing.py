"""The first view of a browser shows the whole robot, whatever the shape of the page."""

from itertools import product

import numpy as np
import pytest

pytest.importorskip("viser")

from safe_locomotion.ui.viewer.framing import (
    BOTTOM,
    BOTTOM_PHONE,
    FIELD_OF_VIEW,
    TOP,
    TOP_PHONE,
    framed,
)
from safe_locomotion.ui.viewer.overlay import PHONE


def on_page(point, width, height):
    """Place of a point of the scene on the page: shares of its width and height from top left."""
    view = framed(width, height)
    eye = np.array(view.position)
    ahead = np.array(view.look_at) - eye
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, ahead)
    to = np.array(point) - eye
    half = np.tan(0.5 * FIELD_OF_VIEW) * (to @ ahead)
    return 0.5 + 0.5 * (to @ right) / (half * width / height), 0.5 - 0.5 * (to @ up) / half


@pytest.mark.parametrize(
    "size", [(360, 740), (390, 844), (844, 390), (594, 390), (740, 360), (1085, 900), (1920, 1080)]
)
def test_the_robot_is_whole_between_letters_and_panel(size):
    """The box of an A1 with its feet lies in the free part of the page."""
    width, height = size
    phone = width <= PHONE
    top = TOP_PHONE if phone else TOP
    bottom = BOTTOM_PHONE if phone else BOTTOM
    for corner in product((-0.27, 0.3), (-0.19, 0.19), (0.0, 0.36)):
        x, y = on_page(corner, width, height)
        assert 0.0 <= x <= 1.0 and top - 0.04 <= y <= 1.0 - bottom + 0.04, (corner, x, y)


def test_a_page_without_a_size_has_a_view():
    """A page that has not been laid out says 0."""
    assert np.isfinite(framed(0, 0).position).all()
