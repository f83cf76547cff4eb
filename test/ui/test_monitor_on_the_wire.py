"""The monitor beside a running stack and a simulated robot: its markers, frames and RViz file."""

import signal
import sys
from math import inf, nan

import numpy as np
import pytest
import yaml
from ros_world import children, ros_tester

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from places import HELPERS, ROOT
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.subscriptions import NEWEST
from safe_locomotion.robot.description import robot_description
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.types import Mode
from safe_locomotion.ui.monitor_node import MonitorSettings
from safe_locomotion.ui.scene_topics import VERDICTS

ROBOT = str(HELPERS / "wire_robot.py")
RVIZ = ROOT / "config/rviz/safety.rviz"
WALKING = {
    "robot",
    "contacts",
    "forces",
    "friction_cones",
    "swing_targets",
    "next_footholds",
    "footholds",
    "prediction",
    "bar_tracks",
    "bars",
    "bar_texts",
    "text",
}
ON_A_FALL = {"falls", "fall_texts"}
#: By display of RViz, the key of its topic and the type; None for displays without a topic.
DISPLAYS = {
    "rviz_default_plugins/Grid": None,
    "rviz_default_plugins/TF": None,
    "rviz_default_plugins/MarkerArray": ("Topic", "visualization_msgs/msg/MarkerArray"),
    "rviz_default_plugins/Odometry": ("Topic", "nav_msgs/msg/Odometry"),
    "rviz_default_plugins/RobotModel": ("Description Topic", "std_msgs/msg/String"),
}
#: Stands in for `tf2_msgs`, which comes with ROS distributions only. The bytes are those of a
#: TFMessage; the type of the topic is another one here.
TF2 = "from std_msgs.msg import UInt8MultiArray as TFMessage\n"
TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


def displays():
    """Displays of the shipped RViz file."""
    return yaml.safe_load(RVIZ.read_text())["Visualization Manager"]["Displays"]


def wanted_qos(topic):
    """The QoS of a display."""
    reliable = topic["Reliability Policy"] == "Reliable"
    lasting = topic["Durability Policy"] == "Transient Local"
    return QoSProfile(
        depth=topic["Depth"],
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if lasting else DurabilityPolicy.VOLATILE,
    )


def commands(sdk_domain, **options):
    """Command lines of stack and monitor."""
    given = StackOptions(
        graph="composed",
        lock_step=True,
        sdk_options={"domain": sdk_domain},
        watchers=("monitor",),
        **options,
    )
    return [process.command() for process in stack(given)[1:]]


def walk(t, verdicts):
    """Stand up and step on the spot."""

    def mode():
        return decisions.verdict_from(verdicts[-1]).mode if verdicts else None

    assert t.spin_until(lambda: mode() is Mode.PASSIVE)
    assert t.call(Trigger, "stand").success
    assert t.spin_until(lambda: mode() is Mode.STAND)
    assert t.call(Trigger, "walk").success
    assert t.spin_until(lambda: mode() is Mode.WALK)


def check_every_display(t):
    """Each display fits the type and QoS of its topic; returns the topics."""
    found = {}
    for display in displays():
        assert display["Class"] in DISPLAYS, "a display that this test does not know"
        if DISPLAYS[display["Class"]] is None:
            assert not any(key.endswith("Topic") for key in display)
            continue
        key, message_type = DISPLAYS[display["Class"]]
        topic = display[key]
        publishers = t.node.get_publishers_info_by_topic(topic["Value"])
        assert publishers, f"{display['Name']}: no publisher of {topic['Value']}"
        for publisher in publishers:
            assert publisher.topic_type == message_type
            compatible, why = qos_check_compatible(publisher.qos_profile, wanted_qos(topic))
            assert compatible != QoSCompatibility.ERROR, (display["Name"], why)
        found[topic["Value"]] = wanted_qos(topic)
    return found


def test_a_walking_robot_is_seen(tmp_path, monkeypatch, ros_domain, wire_domain):
    """All namespaces but those of falls appear, at the places of `odom`, in the displays of RViz.

    With `tf2_msgs`, the frames form one tree from odom, and the URDF is on `robot_description`,
    also for late subscribers. The robot walks on after the monitor has ended.
    """
    (tmp_path / "tf2_msgs").mkdir()
    (tmp_path / "tf2_msgs" / "msg.py").write_text(TF2)
    monkeypatch.syspath_prepend(str(tmp_path))
    robot = [sys.executable, ROBOT, str(wire_domain), "90", str(tmp_path / "robot.json")]
    with ros_tester() as t, children(robot, *commands(wire_domain)) as (_, composed, monitor):
        verdicts = t.collect(JointState, "safety/verdict", VERDICTS)
        frames = []
        t.node.create_subscription(UInt8MultiArray, "/tf", frames.append, TF_QOS, raw=True)
        clock = t.collect(Clock, "/clock", NEWEST)
        diagnostics = t.collect(DiagnosticArray, "/diagnostics", 10)
        walk(t, verdicts)
        topics = check_every_display(t)
        assert set(topics) == {"/safety/markers", "/odom", "/robot_description"}
        arrays = t.collect(MarkerArray, "safety/markers", topics["/safety/markers"])
        places = t.collect(Odometry, "odom", NEWEST)
        seen = {}

        def all_seen():
            markers = [marker for array in arrays for marker in array.markers]
            seen.update({m.ns: m for m in markers if m.action == Marker.ADD})
            return set(seen) >= WALKING and places

        assert t.spin_until(all_seen), WALKING - set(seen)
        check_places(arrays, places)
        descriptions = t.collect(String, "robot_description", topics["/robot_description"])
        assert t.spin_until(lambda: descriptions)
        assert descriptions[0].data == robot_description("a1")
        check_tree(frames, places)
        check_clock(clock, diagnostics, conversions.stamp_of(places[0]))
        check_rollouts(t, verdicts)
        assert set(displays_namespaces()) == WALKING | ON_A_FALL
        monitor.send_signal(signal.SIGTERM)
        assert monitor.wait(15) == 0
        count = len(verdicts)
        assert t.spin_until(lambda: len(verdicts) > count + 5) and composed.poll() is None


def check_places(arrays, places):
    """The trunk is drawn where `odom` with the same stamp has it."""
    markers = [marker for array in arrays for marker in array.markers]
    trunk = {conversions.stamp_of(m): m for m in markers if m.ns == "robot" and m.id == 0}
    poses = {conversions.stamp_of(message): message.pose.pose for message in places}
    stamps = set(trunk) & set(poses)
    assert stamps
    for stamp_ns in stamps:
        assert trunk[stamp_ns].pose.position == poses[stamp_ns].position


def check_rollouts(t, verdicts):
    """A rollout comes each 0.1 s, though only one verdict in ten is published.

    A process without a processor makes none, so a stretch of the walk without a pause is awaited.
    """

    def close_together():
        walking = [v for v in map(decisions.verdict_from, verdicts[-60:]) if v.mode is Mode.WALK]
        stamps = [v.stamp_ns for v in walking if v.predicted is not None]
        near = np.diff(stamps[-4:]) <= 130_000_000
        return near.size == 3 and near.all()

    assert t.spin_until(close_together)


def displays_namespaces():
    """Namespaces of the marker display in the RViz file."""
    return next(d["Namespaces"] for d in displays() if d["Class"].endswith("MarkerArray"))


def check_tree(frames, places):
    """Each frame has one parent, and all lead to odom; where the base is agrees with `odom`."""
    types = get_typestore(Stores.ROS2_KILTED)
    transforms = [
        transform
        for data in frames
        for transform in types.deserialize_cdr(bytes(data), "tf2_msgs/msg/TFMessage").transforms
    ]
    pairs = {(t.header.frame_id, t.child_frame_id) for t in transforms}
    above = {child: parent for parent, child in pairs}
    assert len(above) == len(pairs) == 18 and above["base_link"] == "odom"
    assert above["trunk"] == "base_link" and above["FR_foot"] == "FR_calf"
    for frame in above:
        root = frame
        for _ in range(7):
            root = above.get(root, root)
        assert root == "odom"
    bases = {
        conversions.stamp_of(t): t.transform for t in transforms if t.child_frame_id == "base_link"
    }
    poses = {conversions.stamp_of(message): message.pose.pose for message in places}
    assert bases.keys() & poses.keys()
    for stamp_ns in bases.keys() & poses.keys():
        for axis in "xyz":
            expected = getattr(poses[stamp_ns].position, axis)
            assert getattr(bases[stamp_ns].translation, axis) == expected
        for axis in "xyzw":
            expected = getattr(poses[stamp_ns].orientation, axis)
            assert getattr(bases[stamp_ns].rotation, axis) == expected


def check_clock(clock, diagnostics, stamp_ns):
    """`/clock` steps by 10 ms of robot time, and /diagnostics has stamps of the same clock."""
    times = [message.clock.sec * 10**9 + message.clock.nanosec for message in clock]
    steps = np.diff(times)
    assert len(steps) > 50 and (steps > 0).all() and np.median(steps) == 10_000_000
    assert not any((time - stamp_ns) % 2_000_000 for time in times)
    rows = [message for message in diagnostics if message.status[0].name.startswith("bridge_node")]
    alive = [m for m in rows if any(row.message == "on time" for row in m.status)]
    assert alive
    assert {(conversions.stamp_of(m) - stamp_ns) % 2_000_000 for m in alive[1:]} == {0}


@pytest.mark.parametrize("rate_hz", [0.5, 3.9, 51.0, nan, inf])
def test_a_rate_at_which_markers_would_die_is_refused(rate_hz):
    """Markers live for half a second; the error names the limits."""
    with pytest.raises(ConfigurationError, match=r"4\.0 and 50\.0"):
        MonitorSettings(rate_hz=rate_hz)


def test_the_monitor_does_not_start_with_an_unknown_trigger_set(ros_domain):
    """It ends with status 2 and one line; it reads the parameters of all nodes."""
    command = [
        sys.executable,
        "-m",
        "safe_locomotion.ui.monitor_node",
        "--ros-args",
        "-p",
        "supervisor.trigger_set.use:='c9'",
    ]
    with children(command) as (monitor,):
        _, said = monitor.communicate(timeout=30)
    assert monitor.returncode == 2 and said.count("\n") == 1, said
    assert "trigger_set" in said and "c9" in said
