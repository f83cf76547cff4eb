"""Scenes as markers: what is packed is what would have been sent, what is not there is deleted, and RViz has nothing to complain about."""

from dataclasses import replace
from math import isfinite

import numpy as np
import pytest
from core_values import A1, START_NS, estimate, stance_plan, verdict

pytest.importorskip("rclpy")

from geometry_msgs.msg import Point, Pose
from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion import scene as look
from safe_locomotion.config import load_config
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.markers import SceneMarkers
from safe_locomotion.nodes.packed_markers import PackedMarkers
from safe_locomotion.scene import SceneMaker
from safe_locomotion.types import Mode

EVERYWHERE = {"robot", "bar_tracks", "contacts", "bars", "bar_texts", "text"}


def predicted(heights):
    """States that only differ in height."""
    states = np.zeros((len(heights), 12))
    states[:, 5] = heights
    return states


def everything():
    """A scene with all that can be in one."""
    maker, stance = SceneMaker(A1, load_config("a1")), np.array([False, True, True, True])
    targets = np.full((4, 3), -0.2)
    plan = replace(stance_plan(stance=stance), foot_position=targets, foot_velocity=np.ones((4, 3)))
    maker.update(estimate(), [verdict()], plan)
    maker.update(estimate(), [verdict()], stance_plan())  # a touchdown
    maker.update(estimate(), [verdict(mode=Mode.FALLEN, reasons=("fallen",))], plan)
    e = estimate(position=np.array((0.5, 0.2, 0.27)))
    return maker, maker.update(e, [verdict(predicted=predicted([0.27, 0.25, 0.1]))], plan)


def sent(markers, scene):
    """Markers of both messages by namespace."""
    packed, rest = markers.fill(scene)
    found = {}
    for marker in [*deserialize_message(packed, MarkerArray).markers, *rest.markers]:
        found.setdefault(marker.ns, []).append(marker)
    return found


def test_packed_is_what_would_have_been_sent():
    """The message that rclpy would have packed, for names of any length and lists after them; padding bytes mean nothing."""
    rng = np.random.default_rng(0)
    names = ["a", "ab", "a longer one", "abc", "abcdefg"]
    markers = [Marker(ns=ns, id=i, type=i % 4, text=ns * i, points=[Point()] * i) for i, ns in enumerate(names)]
    packed = PackedMarkers(markers)
    for stamp_ns in (START_NS, 1_999_999_999, 0):
        places, turns = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
        got = packed.pack(stamp_ns, places, turns)
        for marker, (x, y, z), (qw, qx, qy, qz) in zip(markers, places.tolist(), turns.tolist(), strict=True):
            marker.header.stamp, marker.pose = conversions.time_message(stamp_ns), Pose()
            marker.pose.position.x, marker.pose.position.y, marker.pose.position.z = x, y, z
            o = marker.pose.orientation
            o.w, o.x, o.y, o.z = qw, qx, qy, qz
        wanted = MarkerArray(markers=markers)
        assert deserialize_message(got, MarkerArray) == wanted and len(got) == len(serialize_message(wanted))


def test_everything_is_there():
    """A scene with everything in it: all namespaces, numbers unique within each, stamps of the estimate, in odom, for half a second."""
    maker, scene = everything()
    found = sent(SceneMarkers(maker.body), scene)
    there = {ns for ns, group in found.items() if any(m.action == Marker.ADD for m in group)}
    assert there == EVERYWHERE | {
        *("forces", "friction_cones", "swing_targets", "next_footholds", "footholds", "prediction", "falls", "fall_texts")
    }
    for group in found.values():
        assert len({m.id for m in group}) == len(group)
        assert all(conversions.stamp_of(m) == scene.stamp_ns and m.header.frame_id == "odom" for m in group)
        assert all(m.lifetime.sec == 0 and m.lifetime.nanosec == 500_000_000 for m in group)


def test_places_and_colours():
    """The robot's shapes where the scene has them, an arrow from the ground along the force, states coloured one by one."""
    maker, scene = everything()
    found = sent(SceneMarkers(maker.body), scene)
    places = [[m.pose.position.x, m.pose.position.y, m.pose.position.z] for m in found["robot"]]
    np.testing.assert_array_equal(places, scene.shapes.position)
    assert [m.pose.orientation.w for m in found["robot"]] == scene.shapes.quaternion_wxyz[:, 0].tolist()
    arrow, foot = found["forces"][1], scene.feet[1]
    assert [arrow.points[0].x, arrow.points[0].y, arrow.points[0].z] == list(foot.ground)
    assert arrow.points[1].z - arrow.points[0].z == pytest.approx(look.FORCE_SCALE * foot.force[2])
    assert found["forces"][0].action == Marker.DELETE
    assert len(found["friction_cones"][0].points) == 3 * 4 * 3
    states = found["prediction"][0]
    assert [(c.r, c.g, c.b, c.a) for c in states.colors] == [pytest.approx(c) for c in scene.prediction.colors]
    assert scene.prediction.entry == 2 and len(found["prediction"][1].points) == 3
    ghost = found["prediction"][2]
    assert ghost.pose.position.z == pytest.approx(0.1)
    assert [m.text for m in found["text"]] == [scene.headline, scene.reason]


def test_what_is_gone_is_deleted_and_comes_back():
    """On the same messages: prediction and swing foot go and come; a robot alone has no list without points and no empty text."""
    maker, full = everything()
    markers, bare = SceneMarkers(maker.body), SceneMaker(A1, load_config("a1")).update(estimate(), [verdict(mode=Mode.STAND)])
    for scene, count in ((full, 3), (bare, 0), (full, 3)):
        found = sent(markers, scene)
        assert sum(m.action == Marker.ADD for m in found["prediction"]) == count
        assert found["swing_targets"][0].action == (Marker.ADD if count else Marker.DELETE)
    there = {ns for ns, group in sent(SceneMarkers(maker.body), bare).items() if any(m.action == Marker.ADD for m in group)}
    assert there == EVERYWHERE | {"text"}


@pytest.mark.parametrize("which", ["full", "bare", "broken"])
def test_rviz_has_nothing_to_complain_about(which):
    """What is added has finite places, positive sizes, texts that are not empty, as many colours as points or none."""
    maker, scene = everything()
    if which == "bare":
        scene = SceneMaker(A1, load_config("a1")).update(estimate())
    if which == "broken":
        bad = estimate(position=np.full(3, np.nan), velocity=np.full(3, np.inf), ground_normal=np.zeros(3))
        scene = maker.update(bad, [verdict()], stance_plan(force=np.full((4, 3), np.nan)))
    for group in sent(SceneMarkers(maker.body), scene).values():
        for m in (m for m in group if m.action == Marker.ADD):
            p, o, k = m.pose.position, m.pose.orientation, m.scale
            assert all(map(isfinite, (p.x, p.y, p.z, o.w, o.x, o.y, o.z, k.x, k.y, k.z))), m.ns
            assert o.w**2 + o.x**2 + o.y**2 + o.z**2 == pytest.approx(1.0), m.ns
            assert all(map(isfinite, (q for point in m.points for q in (point.x, point.y, point.z)))), m.ns
            if m.type == Marker.TEXT_VIEW_FACING:
                assert m.text and k.z > 0.0
            elif m.type in (Marker.SPHERE_LIST, Marker.CUBE_LIST, Marker.LINE_STRIP, Marker.TRIANGLE_LIST, Marker.ARROW):
                assert m.points and len(m.colors) in (0, len(m.points)), m.ns
            else:
                assert min(k.x, k.y, k.z) > 0.0, m.ns
