"""Scenes as markers: every part stands where the scene has it, and what has gone is deleted."""

from dataclasses import replace
from math import isfinite

import numpy as np
import pytest
from core_values import A1, START_NS, estimate, stance_plan, verdict

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.config import load_config
from safe_locomotion.nodes import conversions
from safe_locomotion.types import Mode
from safe_locomotion.ui import scene as look
from safe_locomotion.ui.markers import LastingMarkers, MovingMarkers, cone_sides
from safe_locomotion.ui.scene_builder import SceneMaker

ALWAYS = {"robot", "bar_tracks", "contacts", "bars", "bar_texts", "text"}
SOMETIMES = {
    "forces",
    "friction_cones",
    "swing_targets",
    "next_footholds",
    "footholds",
    "prediction",
    "falls",
    "fall_texts",
}
LISTS = (
    Marker.SPHERE_LIST,
    Marker.CUBE_LIST,
    Marker.LINE_STRIP,
    Marker.TRIANGLE_LIST,
    Marker.ARROW,
)


def predicted(heights):
    """States that differ only in height."""
    states = np.zeros((len(heights), 12))
    states[:, 5] = heights
    return states


def full_scene():
    """A maker, and a scene that shows everything that a scene can show."""
    maker = SceneMaker(A1, load_config("a1"))
    stance = np.array([False, True, True, True])
    targets = np.full((4, 3), -0.2)
    plan = replace(stance_plan(stance=stance), foot_position=targets, foot_velocity=np.ones((4, 3)))
    maker.update(estimate(), [verdict()], plan)
    maker.update(estimate(), [verdict()], stance_plan())  # a touchdown
    maker.update(estimate(), [verdict(mode=Mode.FALLEN, reasons=("fallen",))], plan)
    later = estimate(stamp_ns=START_NS + 3_000_000_000, position=np.array((0.5, 0.2, 0.27)))
    learner = verdict(stamp_ns=later.stamp_ns, predicted=predicted([0.27, 0.25, 0.1]))
    return maker, maker.update(later, [learner], plan)


def bare_scene():
    """A robot that stands, without a plan."""
    return SceneMaker(A1, load_config("a1")).update(estimate(), [verdict(mode=Mode.STAND)])


def both(maker):
    """Both groups of markers of a robot."""
    bars = len(maker.bar_names)
    return MovingMarkers(maker.body, bars), LastingMarkers(maker.body, bars)


def sent(groups, scene):
    """Markers of both messages by namespace, as a subscriber reads them."""
    found = {}
    for group in groups:
        message = deserialize_message(serialize_message(group.update(scene)), MarkerArray)
        for marker in message.markers:
            found.setdefault(marker.ns, []).append(marker)
    return found


def shown(found):
    """Namespaces in which at least one marker is to be seen."""
    return {ns for ns, group in found.items() if any(m.action == Marker.ADD for m in group)}


def numbers(message):
    """The fields of a point, vector, quaternion or colour, as a list."""
    return [getattr(message, name) for name in message.get_fields_and_field_types()]


def points(marker):
    """Points of a list."""
    return [numbers(point) for point in marker.points]


def test_everything_is_there():
    """All namespaces appear; numbers differ within each; stamp, frame and lifetime are right."""
    maker, scene = full_scene()
    found = sent(both(maker), scene)
    assert shown(found) == ALWAYS | SOMETIMES
    for group in found.values():
        assert len({m.id for m in group}) == len(group)
        for m in group:
            assert conversions.stamp_of(m) == scene.stamp_ns
            assert m.header.frame_id == "odom"
            assert (m.lifetime.sec, m.lifetime.nanosec) == (0, 500_000_000)


def test_the_robot_stands_where_the_scene_has_it():
    """Position, quaternion, size and colour of every shape are those of the scene."""
    maker, scene = full_scene()
    robot = sent(both(maker), scene)["robot"]
    shapes = maker.body.shapes
    np.testing.assert_array_equal([numbers(m.pose.position) for m in robot], scene.shapes.position)
    turns = [numbers(m.pose.orientation) for m in robot]
    np.testing.assert_array_equal(np.roll(turns, 1, axis=1), scene.shapes.quaternion_wxyz)
    assert [tuple(numbers(m.scale)) for m in robot] == [shape.size for shape in shapes]
    colors = np.array([numbers(m.color) for m in robot])
    np.testing.assert_allclose(colors, [shape.color for shape in shapes], rtol=1e-6)


def test_forces_and_friction_cones_start_on_the_ground():
    """An arrow lies along the force; a cone has four triangles; a swing foot has neither."""
    maker, scene = full_scene()
    found = sent(both(maker), scene)
    foot = scene.feet[1]
    start, tip = points(found["forces"][1])
    assert start == list(foot.ground)
    np.testing.assert_allclose(np.subtract(tip, start), look.FORCE_SCALE * np.array(foot.force))
    cones = points(found["friction_cones"][0])
    assert cones[:3] == [list(foot.ground), foot.cone[0].tolist(), foot.cone[3].tolist()]
    assert len(cones) == 3 * 12
    assert [m.action == Marker.ADD for m in found["forces"]] == [False, True, True, True]


def test_the_sides_of_a_cone_close_it():
    """Every corner of the rim is in two triangles, and the ground is in all four."""
    foot = full_scene()[1].feet[1]
    sides = cone_sides(foot)
    assert sides.count(foot.ground) == 4
    assert [sides.count(tuple(corner.tolist())) for corner in foot.cone] == [2, 2, 2, 2]


def test_swing_feet_have_a_target_and_a_foothold():
    """The three feet in stance have neither."""
    maker, scene = full_scene()
    found = sent(both(maker), scene)
    assert points(found["swing_targets"][0]) == [list(scene.feet[0].target)]
    assert points(found["next_footholds"][0]) == [list(scene.feet[0].foothold)]


def test_each_contact_has_its_own_colour():
    """A ball stands at the centre of every foot."""
    maker, scene = full_scene()
    contacts = sent(both(maker), scene)["contacts"][0]
    assert points(contacts) == [list(foot.position) for foot in scene.feet]
    wanted = [pytest.approx(foot.color) for foot in scene.feet]
    assert [numbers(color) for color in contacts.colors] == wanted


def test_bars_are_white_until_the_supervisor_judges_by_them():
    """A bar is as long as its share; a verdict with margins gives it the colour of the margin."""
    maker, scene = full_scene()
    top = sent(both(maker), scene)["bars"][0]
    assert top.scale.y == pytest.approx(abs(scene.bars[0].share) * look.BAR_LENGTH / 2)
    assert numbers(top.color) == pytest.approx(look.WHITE)
    found = sent(both(maker), replace(scene, judged=True))
    wanted = [pytest.approx(bar.color) for bar in scene.bars]
    assert [numbers(m.color) for m in found["bars"]] == wanted
    assert [numbers(m.color) for m in found["bar_texts"]] == wanted


def test_a_prediction_is_a_path_with_a_body_where_it_enters_the_trigger_set():
    """States are coloured one by one; the body stands at the first state in the trigger set."""
    maker, scene = full_scene()
    states, path, ghost = sent(both(maker), scene)["prediction"]
    assert scene.prediction.entry == 2
    assert points(states) == points(path) == scene.prediction.position.tolist()
    wanted = [pytest.approx(color) for color in scene.prediction.colors]
    assert [numbers(color) for color in states.colors] == wanted
    assert ghost.pose.position.z == pytest.approx(0.1)


def test_texts_are_those_of_the_scene():
    """Headline, reason, one line for each bar, and when and why the robot fell."""
    maker, scene = full_scene()
    found = sent(both(maker), scene)
    assert [m.text for m in found["text"]] == [scene.headline, scene.reason]
    assert [m.text for m in found["bar_texts"]] == [bar.text for bar in scene.bars]
    assert found["fall_texts"][0].text == "fell 3 s ago: fallen"
    assert points(found["falls"][0]) == [list(fall.position) for fall in scene.falls]


def test_what_is_gone_is_deleted_and_comes_back():
    """Prediction and swing target go and come; a bare scene has no empty list and no empty text."""
    maker, full = full_scene()
    groups = both(maker)
    bare = bare_scene()
    for scene, count in ((full, 3), (bare, 0), (full, 3)):
        found = sent(groups, scene)
        assert sum(m.action == Marker.ADD for m in found["prediction"]) == count
        assert found["swing_targets"][0].action == (Marker.ADD if count else Marker.DELETE)
    assert shown(sent(both(maker), bare)) == ALWAYS


def broken_scene():
    """A scene after an estimate and a plan that are not finite."""
    maker, _ = full_scene()
    bad = estimate(
        position=np.full(3, np.nan), velocity=np.full(3, np.inf), ground_normal=np.zeros(3)
    )
    return maker.update(bad, [verdict()], stance_plan(force=np.full((4, 3), np.nan)))


@pytest.mark.parametrize("make", [lambda: full_scene()[1], bare_scene, broken_scene])
def test_rviz_has_nothing_to_warn_about(make):
    """Shown markers have finite poses, positive sizes, a text, and one colour a point or none."""
    maker, _ = full_scene()
    for group in sent(both(maker), make()).values():
        for m in (m for m in group if m.action == Marker.ADD):
            check_for_rviz(m)


def check_for_rviz(m):
    """What RViz warns about or cannot draw."""
    pose = (*numbers(m.pose.position), *numbers(m.pose.orientation), *numbers(m.scale))
    assert all(map(isfinite, pose)), m.ns
    assert np.linalg.norm(numbers(m.pose.orientation)) == pytest.approx(1.0), m.ns
    assert np.isfinite(points(m)).all(), m.ns
    if m.type == Marker.TEXT_VIEW_FACING:
        assert m.text and m.scale.z > 0.0
    elif m.type in LISTS:
        assert m.points and len(m.colors) in (0, len(m.points)), m.ns
    else:
        assert min(numbers(m.scale)) > 0.0, m.ns
