"""Bars of a scene against numbers computed by hand: values, colours, texts and places."""

from math import inf, nan

import numpy as np
import pytest
from core_values import A1, estimate, verdict
from scene_values import bars, margins, scene_maker

from safe_locomotion.config import load_config
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import Mode
from safe_locomotion.ui import scene as s
from safe_locomotion.ui.bar_panel import bar_panel, headline_place
from safe_locomotion.ui.scene_builder import SceneMaker

SIDEWAYS = estimate(velocity=np.array((0.0, 0.4, 0.0)))


def test_bars_show_the_margins_of_the_supervisor() -> None:
    """The margin gives the value, the measured side its sign.

    Margin 0.5 in the box 0.2 .. 0.3 is 0.275 or 0.225.
    """
    low = estimate(
        position=np.array((0.0, 0.0, 0.22)), quaternion_wxyz=quaternion_from_rpy(-0.2, 0.1, 0.0)
    )
    judged = verdict(margins=margins(height=0.5, roll=-0.5, pitch=0.1))
    found = bars(scene_maker().update(low, [judged]))
    height = found["height"]
    roll = found["roll"]
    pitch = found["pitch"]
    assert height.value == pytest.approx(0.225) and height.share == pytest.approx(-0.5)
    assert roll.value == pytest.approx(-0.39) and roll.outside and roll.color == s.RED
    assert pitch.value == pytest.approx(0.9 * 0.26) and pitch.color == s.AMBER
    assert found["roll_rate"].value == 0.0 and found["roll_rate"].color == s.GREEN
    assert (roll.low, roll.high) == (-0.26, 0.26)
    assert roll.text == "roll -0.390 rad (-0.26 .. 0.26)"


def test_bars_without_margins_are_measured() -> None:
    """The bars of a robot that does not walk follow from the estimate."""
    e = estimate(velocity=np.array((0.0, 0.3, 0.0)), angular_velocity=np.array((-0.6, 0.0, 0.0)))
    scene = scene_maker().update(e, [verdict(mode=Mode.STAND)])
    found = bars(scene)
    assert not scene.judged and found["lateral_velocity"].value == pytest.approx(0.3)
    assert found["roll_rate"].value == pytest.approx(-0.6) and found["roll_rate"].outside
    assert found["height"].margin == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("margin", "color"), [(1.0, s.GREEN), (0.1, s.AMBER), (-0.2, s.RED)], ids=str
)
def test_the_bar_of_the_capture_point(margin: float, color: s.Rgba) -> None:
    """Its value is the distance beyond the feet; margin 1 is half a standing width within them."""
    judged = verdict(margins=(*margins(), ("capture", margin)))
    bar = bars(scene_maker().update(SIDEWAYS, [judged]))["capture"]
    assert bar.value == pytest.approx(-margin * CapturePoint(A1).half_width)
    assert bar.share == pytest.approx(1.0 - margin) and bar.color == color
    assert bar.text == f"capture {bar.value:+.3f} m ({bar.low:g} .. 0)"


def test_the_capture_point_is_measured_without_its_margin() -> None:
    """An estimate that is not finite lies outside."""
    bar = bars(scene_maker().update(SIDEWAYS, [verdict()]))["capture"]
    assert bar.value == pytest.approx(CapturePoint(A1).beyond(SIDEWAYS))
    lost = estimate(velocity=np.full(3, nan))
    bar = bars(scene_maker().update(lost, [verdict()]))["capture"]
    assert bar.outside and bar.share == s.BAR_OVERSHOOT


def test_the_capture_point_has_no_bar_where_it_does_not_count() -> None:
    """With `intervention.capture` off, only the components of the trigger set have bars."""
    maker = SceneMaker(A1, load_config("a1", {"supervisor.intervention.capture": False}))
    names = tuple(bar.name for bar in maker.update(SIDEWAYS, [verdict()]).bars)
    assert names == maker.bar_names == COMPONENTS


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_a_component_that_is_not_finite_is_in_the_trigger_set(bad: float) -> None:
    """NaN and infinities are drawn in red at the end of the track."""
    scene = scene_maker().update(estimate(velocity=np.array((0.0, bad, 0.0))), [verdict()])
    bar = bars(scene)["lateral_velocity"]
    assert bar.outside and bar.color == s.RED and abs(bar.share) == s.BAR_OVERSHOOT
    assert "lateral velocity" in scene.reason
    scene = scene_maker().update(estimate(), [verdict(margins=margins(pitch=-inf))])
    assert bars(scene)["pitch"].outside and bars(scene)["pitch"].share == s.BAR_OVERSHOOT


def test_bars_float_over_the_robot() -> None:
    """Seen from behind, left is positive at every heading: the high bound is on the left."""
    e = estimate(
        position=np.array((1.0, 2.0, 0.3)), quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, np.pi / 2)
    )
    scene = scene_maker().update(e, [verdict(margins=margins(height=0.0, roll=1.0))])
    boxes = {b.bar.name: b for b in bar_panel(scene)}
    top = 0.3 + s.BARS_ABOVE + 5 * s.BAR_PITCH
    assert boxes["height"].middle == pytest.approx((1.0, 2.0, top))
    assert boxes["height"].value == pytest.approx((1.0 - s.BAR_LENGTH / 4, 2.0, top))
    assert boxes["height"].value_size[1] == pytest.approx(s.BAR_LENGTH / 2)
    assert boxes["roll"].value_size[1] < 0.01
    heights = [b.middle[2] for b in boxes.values()]
    assert heights == sorted(heights, reverse=True) and headline_place(scene)[2] > max(heights)
    assert boxes["height"].label[0] > 1.0 + s.BAR_LENGTH / 2
