"""Scenes as markers: what is packed is what would have been sent, what is not there is deleted, and RViz has nothing to complain about."""

from dataclasses import replace
from math import isfinite

import numpy as np
import pytest
from core_values import A1, START_NS, estimate, stance_plan, verdict

pytest.importorskip("rclpy")

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.config import load_config
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.nodes import conversions
from safe_locomotion.types import Mode
from safe_locomotion.ui import drawn_markers, packed_markers
from safe_locomotion.ui import scene as look
from safe_locomotion.ui.drawn_markers import DrawnMarkers
from safe_locomotion.ui.markers import LastingMarkers, MovingMarkers
from safe_locomotion.ui.packed_markers import PackedMarkers
from safe_locomotion.ui.scene_builder import SceneMaker

EVERYWHERE = {"robot", "bar_tracks", "contacts", "bars", "bar_texts", "text"}


def predicted(heights):
    """States that only differ in height."""
    states = np.zeros((len(heights), 12))
    states[:, 5] = heights
    return states


def everything():
    """A scene with all that can be in one."""
    maker = SceneMaker(A1, load_config("a1"))
    stance = np.array([False, True, True, True])
    targets = np.full((4, 3), -0.2)
    plan = replace(stance_plan(stance=stance), foot_position=targets, foot_velocity=np.ones((4, 3)))
    maker.update(estimate(), [verdict()], plan)
    maker.update(estimate(), [verdict()], stance_plan())  # a touchdown
    maker.update(estimate(), [verdict(mode=Mode.FALLEN, reasons=("fallen",))], plan)
    e = estimate(position=np.array((0.5, 0.2, 0.27)))
    return maker, maker.update(e, [verdict(predicted=predicted([0.27, 0.25, 0.1]))], plan)


def both(maker):
    """Both messages of a robot."""
    bars = len(maker.bar_names)
    return MovingMarkers(maker.body, bars), LastingMarkers(maker.body, bars)


def sent(markers, scene):
    """Markers of both messages by namespace."""
    moving, lasting = markers
    found = {}
    messages = [deserialize_message(part.fill(scene), MarkerArray) for part in (moving, lasting)]
    for marker in [marker for message in messages for marker in message.markers]:
        found.setdefault(marker.ns, []).append(marker)
    return found


def test_packed_is_what_would_have_been_sent():
    """The message that rclpy would have packed, for names, texts and lists of any length; padding bytes mean nothing."""
    rng = np.random.default_rng(0)
    names = ["a", "ab", "a longer one", "abc", "abcdefg"]
    markers = [
        Marker(
            ns=ns,
            id=i,
            type=i % 4,
            text=ns * i,
            points=[Point()] * (3 * i),
            colors=[ColorRGBA()] * i,
        )
        for i, ns in enumerate(names)
    ]
    packed = PackedMarkers(markers)
    for stamp_ns in (START_NS, 1_999_999_999, 0):
        poses = rng.normal(size=(5, 7))
        sizes = rng.normal(size=(5, 3))
        colors = rng.random((5, 4)).astype(np.float32)
        there = rng.random(5) < 0.5
        packed.place(slice(0, 5), poses[:, :3], poses[:, 3:])
        packed.resize(slice(0, 5), sizes)
        packed.paint(slice(0, 5), colors)
        packed.show(slice(0, 5), there)
        for i, marker in enumerate(markers):
            points = rng.normal(size=(3 * i, 3))
            paints = rng.random((i, 4)).astype(np.float32)
            packed.draw(i, points)
            packed.paint_points(i, paints)
            (x, y, z, w, a, b, c), (sx, sy, sz) = poses[i].tolist(), sizes[i].tolist()
            marker.header.stamp = conversions.time_message(stamp_ns)
            marker.pose = Pose(
                position=Point(x=x, y=y, z=z), orientation=Quaternion(w=w, x=a, y=b, z=c)
            )
            marker.scale, marker.color = Vector3(x=sx, y=sy, z=sz), color(colors[i])
            marker.action = Marker.ADD if there[i] else Marker.DELETE
            marker.points, marker.colors = (
                [Point(x=u, y=v, z=w) for u, v, w in points.tolist()],
                [color(p) for p in paints],
            )
        wanted = MarkerArray(markers=markers)
        got = packed.packed(stamp_ns)
        assert deserialize_message(got, MarkerArray) == wanted and len(got) == len(
            serialize_message(wanted)
        )


def test_drawn_is_what_would_have_been_sent():
    """Texts, lists and poses of any size, some of them gone: the message that rclpy would have packed, of any choice of markers."""
    names = ["a", "ab", "a longer one", "abc"]
    markers = [
        Marker(ns=ns, id=i, type=i, scale=Vector3(x=1.0, y=2.0, z=0.5 * i))
        for i, ns in enumerate(names)
    ]
    for marker in markers:
        marker.header.frame_id, marker.action, marker.pose.orientation.w = (
            "odom",
            Marker.DELETE,
            1.0,
        )
    drawn = DrawnMarkers(markers)
    rng = np.random.default_rng(0)
    for chosen in ([0, 1, 2, 3], [3, 0], [2], []):
        for i, text in zip(chosen, ("", "stands", "recovers: ü", "abc"), strict=False):
            places = rng.normal(size=(i, 3))
            paint = rng.random(4).astype(np.float32)
            (x, y, z), (w, a, b, c) = rng.normal(size=3).tolist(), rng.normal(size=4).tolist()
            drawn.put(i, (0.0, 0.0, 0.0), (w, a, b, c))
            drawn.list_points(i, places, [tuple(paint.tolist())] * i)
            drawn.write(i, (x, y, z), text, tuple(paint.tolist()))
            marker = markers[i]
            marker.pose = Pose(
                position=Point(x=x, y=y, z=z), orientation=Quaternion(w=w, x=a, y=b, z=c)
            )
            marker.points, marker.colors = (
                [Point(x=u, y=v, z=w) for u, v, w in places.tolist()],
                [color(paint)] * i,
            )
            marker.text, marker.color, marker.action = (
                text,
                color(paint),
                Marker.ADD if text else Marker.DELETE,
            )
        for marker in markers:
            marker.header.stamp = conversions.time_message(START_NS)
        wanted = MarkerArray(markers=[markers[i] for i in chosen])
        got = drawn.packed(START_NS, chosen)
        assert deserialize_message(got, MarkerArray) == wanted and len(got) == len(
            serialize_message(wanted)
        )


def color(rgba):
    """A message."""
    r, g, b, a = rgba.tolist()
    return ColorRGBA(r=r, g=g, b=b, a=a)


def test_a_middleware_that_packs_otherwise_is_refused(monkeypatch):
    """What would write numbers into the wrong places stops the start-up instead."""
    monkeypatch.setattr(packed_markers, "_COLOR_AT", packed_markers._COLOR_AT + 4)
    with pytest.raises(SafeLocomotionError, match="packs here otherwise"):
        PackedMarkers([Marker(ns="here")])
    for name, instead in (("_TEXTURE", bytes(4)), ("_ADD", drawn_markers._DELETE)):
        with monkeypatch.context() as other, pytest.raises(SafeLocomotionError, match="packs"):
            other.setattr(drawn_markers, name, instead)
            DrawnMarkers([Marker(ns="here"), Marker(ns="there")])
    monkeypatch.setattr(packed_markers, "serialize_message", lambda message: bytes(400))
    with pytest.raises(SafeLocomotionError, match="0 places"):
        PackedMarkers([Marker(ns="here")])


def test_everything_is_there():
    """A scene with everything in it: all namespaces, numbers unique within each, stamps of the estimate, in odom, for half a second."""
    maker, scene = everything()
    found = sent(both(maker), scene)
    there = {ns for ns, group in found.items() if any(m.action == Marker.ADD for m in group)}
    assert there == EVERYWHERE | {
        *(
            "forces",
            "friction_cones",
            "swing_targets",
            "next_footholds",
            "footholds",
            "prediction",
            "falls",
            "fall_texts",
        )
    }
    for group in found.values():
        assert len({m.id for m in group}) == len(group)
        assert all(
            conversions.stamp_of(m) == scene.stamp_ns and m.header.frame_id == "odom" for m in group
        )
        assert all(m.lifetime.sec == 0 and m.lifetime.nanosec == 500_000_000 for m in group)


def test_places_and_colours():
    """The robot's shapes where the scene has them, an arrow from the ground along the force, states coloured one by one."""
    maker, scene = everything()
    found = sent(both(maker), scene)
    places = [[m.pose.position.x, m.pose.position.y, m.pose.position.z] for m in found["robot"]]
    np.testing.assert_array_equal(places, scene.shapes.position)
    assert [m.pose.orientation.w for m in found["robot"]] == scene.shapes.quaternion_wxyz[
        :, 0
    ].tolist()
    arrow = found["forces"][1]
    foot = scene.feet[1]
    assert [arrow.points[0].x, arrow.points[0].y, arrow.points[0].z] == list(foot.ground)
    assert arrow.points[1].z - arrow.points[0].z == pytest.approx(look.FORCE_SCALE * foot.force[2])
    assert found["forces"][0].action == Marker.DELETE
    cone = [[p.x, p.y, p.z] for p in found["friction_cones"][1].points]
    assert (
        cone[:3] == [list(foot.ground), foot.cone[0].tolist(), foot.cone[3].tolist()]
        and len(cone) == 12
    )
    assert found["friction_cones"][0].action == Marker.DELETE
    assert [m.action == Marker.ADD for m in found["swing_targets"]] == [
        foot.target is not None for foot in scene.feet
    ]
    top = found["bars"][0]
    assert top.scale.y == pytest.approx(abs(scene.bars[0].share) * look.BAR_LENGTH / 2)
    assert (top.color.r, top.color.g, top.color.b) == pytest.approx(look.WHITE[:3])
    states = found["prediction"][0]
    assert [(c.r, c.g, c.b, c.a) for c in states.colors] == [
        pytest.approx(c) for c in scene.prediction.colors
    ]
    assert scene.prediction.entry == 2 and len(found["prediction"][1].points) == 3
    ghost = found["prediction"][2]
    assert ghost.pose.position.z == pytest.approx(0.1)
    assert [m.text for m in found["text"]] == [scene.headline, scene.reason]


def test_what_is_gone_is_deleted_and_comes_back():
    """On the same messages: prediction and swing foot go and come; a robot alone has no list without points and no empty text."""
    maker, full = everything()
    markers = both(maker)
    bare = SceneMaker(A1, load_config("a1")).update(estimate(), [verdict(mode=Mode.STAND)])
    for scene, count in ((full, 3), (bare, 0), (full, 3)):
        found = sent(markers, scene)
        assert sum(m.action == Marker.ADD for m in found["prediction"]) == count
        assert found["swing_targets"][0].action == (Marker.ADD if count else Marker.DELETE)
    there = {
        ns
        for ns, group in sent(both(maker), bare).items()
        if any(m.action == Marker.ADD for m in group)
    }
    assert there == EVERYWHERE | {"text"}


@pytest.mark.parametrize("which", ["full", "bare", "broken"])
def test_rviz_has_nothing_to_complain_about(which):
    """What is added has finite places, positive sizes, texts that are not empty, as many colours as points or none."""
    maker, scene = everything()
    if which == "bare":
        scene = SceneMaker(A1, load_config("a1")).update(estimate())
    if which == "broken":
        bad = estimate(
            position=np.full(3, np.nan), velocity=np.full(3, np.inf), ground_normal=np.zeros(3)
        )
        scene = maker.update(bad, [verdict()], stance_plan(force=np.full((4, 3), np.nan)))
    for group in sent(both(maker), scene).values():
        for m in (m for m in group if m.action == Marker.ADD):
            p = m.pose.position
            o = m.pose.orientation
            k = m.scale
            assert all(map(isfinite, (p.x, p.y, p.z, o.w, o.x, o.y, o.z, k.x, k.y, k.z))), m.ns
            assert o.w**2 + o.x**2 + o.y**2 + o.z**2 == pytest.approx(1.0), m.ns
            assert all(
                map(isfinite, (q for point in m.points for q in (point.x, point.y, point.z)))
            ), m.ns
            if m.type == Marker.TEXT_VIEW_FACING:
                assert m.text and k.z > 0.0
            elif m.type in (
                Marker.SPHERE_LIST,
                Marker.CUBE_LIST,
                Marker.LINE_STRIP,
                Marker.TRIANGLE_LIST,
                Marker.ARROW,
            ):
                assert m.points and len(m.colors) in (0, len(m.points)), m.ns
            else:
                assert min(k.x, k.y, k.z) > 0.0, m.ns
