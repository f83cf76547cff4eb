"""The recorder as a process over real DDS: complete episodes of both graphs, and failures."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from places import HELPERS
from random_values import random_low_state
from ros_world import children, ros_tester
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import SetBool

from safe_locomotion.messages import encode
from safe_locomotion.messages.ticks import TickBatch
from safe_locomotion.messages.topics import TICKS
from safe_locomotion.nodes.tick_feed import TICKS_QOS
from safe_locomotion.recording.reader import episode_paths, read_episode, read_info
from safe_locomotion.robot.description import robot_description
from safe_locomotion.runtime.stack import StackOptions, stack

FEEDER = str(HELPERS / "feeder.py")
PERIOD_NS = 2_000_000


def recorder(folder, graph="composed", **parameters):
    """Command line of the recorder of a graph."""
    settings = {"free_mb": 0.0, **parameters}
    options = StackOptions(graph=graph, record=str(folder), overrides={"recorder_node": settings})
    return stack(options)[-1].command()


def feeder(graph, seconds, *more):
    """Command line of a robot that walks from 0.5 s on."""
    return [sys.executable, FEEDER, graph, str(seconds), *more]


def steps(trace):
    """Steps between the stamps of a trace, in ticks."""
    return set((np.diff(trace.stamp_ns) // PERIOD_NS).tolist())


def assert_complete(record):
    """Each message comes on its own period, and none is missing."""
    each_tick = (record.states, record.estimates, record.verdicts, record.commands)
    assert [steps(trace) for trace in each_tick] == [{1}] * 4
    assert len({len(trace) for trace in each_tick}) == 1
    assert steps(record.plans) == {2}
    assert steps(record.proposals) == {4} and steps(record.steps) == {4}
    assert not record.info.dropped


def shared_memory_of(pid):
    """Files through which a process talks to others; a killed process leaves them behind."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if "/dev/shm/" in line}


def test_a_walk_of_the_composed_graph(tmp_path, ros_domain):
    """The episode holds every tick, from standing to after the fall, with the learner's steps."""
    with (
        children(recorder(tmp_path, post_roll=0.4)) as (process,),
        children(feeder("ticks", 3.0, "1.5")) as (robot,),
    ):
        assert robot.wait(60) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    (path,) = episode_paths(tmp_path)
    record = read_episode(path)
    assert_complete(record)
    assert (record.info.why, record.info.end, record.whole) == ("walk", "fall", True)
    assert record.duration == pytest.approx(1.9, abs=0.1)
    assert record.verdicts.components == tuple(f"m{k}" for k in range(6))
    assert len(record.verdicts.predicted) > 10
    assert record.proposals.policies == ("learner",)
    assert record.steps.observation.shape[1] == 10
    assert np.array_equal(record.steps.action[0], np.arange(9.0))
    check_frames(path, record)


def check_frames(path, record):
    """The URDF comes first; fifty times a second the frames of all links follow the robot."""
    types = get_typestore(Stores.ROS2_KILTED)
    with Reader(path) as bag:
        found = [
            (c.topic, t, types.deserialize_cdr(d, c.msgtype))
            for c, t, d in bag.messages()
            if c.topic in ("/tf", "/robot_description")
        ]
    ((description, stamp_ns),) = [(m.data, t) for name, t, m in found if name != "/tf"]
    assert description == robot_description("a1") and stamp_ns == record.info.start_ns
    frames = [(stamp_ns, m.transforms) for name, stamp_ns, m in found if name == "/tf"]
    stamps = np.array([stamp_ns for stamp_ns, _ in frames])
    assert len(frames) > 50 and set(np.diff(stamps[1:])) == {20_000_000}
    for stamp_ns, transforms in frames:
        (k,) = np.flatnonzero(record.estimates.stamp_ns == stamp_ns)
        names = [transform.child_frame_id for transform in transforms]
        assert len(set(names)) == 18 and names[:2] == ["base_link", "trunk"]
        place = transforms[0].transform.translation
        assert [place.x, place.y, place.z] == record.estimates.position[k].tolist()


def test_kill_while_recording_five_processes(tmp_path, ros_domain):
    """After kill -9 an episode that the remote requested is complete up to its last second."""
    with (
        children(recorder(tmp_path, "nodes", start="service")) as (process,),
        ros_tester() as tester,
    ):
        remote = tester.node.create_publisher(String, "remote/request", 10)
        assert tester.spin_until(lambda: remote.get_subscription_count() > 0)
        remote.publish(String(data="record"))
        assert tester.spin_until(lambda: episode_paths(tmp_path))
        answer = tester.call(SetBool, "record", SetBool.Request(data=True))
        assert answer.message == "already recording"
        with children(feeder("topics", 2.5)) as (robot,):
            assert robot.wait(60) == 0
            left = shared_memory_of(process.pid)
            process.kill()
            process.wait(10)
    for file in left:  # no other process of this domain is alive
        file.unlink(missing_ok=True)
    (path,) = episode_paths(tmp_path)
    record = read_episode(path)
    assert not record.whole and record.info.why == "remote"
    assert steps(record.states) == steps(record.commands) == {1} and steps(record.plans) == {2}
    assert record.duration > 1.5
    assert np.allclose(record.commands.latency, 1e-3)


def status_rows(tester):
    """A function that gives the rows of the recorder on /diagnostics since this call."""
    messages = tester.collect(DiagnosticArray, "/diagnostics", 10)

    def rows():
        found = [row for message in messages for row in message.status]
        return [row for row in found if row.name == "recorder_node: recorder"]

    return rows


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, ros_domain):
    """The service says why, /diagnostics warns, and the recorder lives on until SIGINT."""
    (tmp_path / "file").write_text("")
    with children(recorder(tmp_path / "file" / "episodes")) as (process,), ros_tester() as tester:
        rows = status_rows(tester)
        answer = tester.call(SetBool, "record", SetBool.Request(data=True))
        assert not answer.success and "cannot record" in answer.message
        assert tester.spin_until(lambda: any("cannot record" in row.message for row in rows()))
        assert rows()[-1].level == DiagnosticStatus.WARN and process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def batch(number, state):
    """The message of `recording/ticks` with this number, which holds one LowState."""
    ticks = TickBatch()
    for _ in range(number):
        ticks.take()
    ticks.add("joint_states", state.stamp_ns, encode.joint_states(state))
    return ticks.take()


def test_lost_batches_are_counted(tmp_path, ros_domain):
    """Batches 9 to 11 never came, and the last one is cut; a publisher may restart at 0.

    The losses are on /diagnostics and in the episode.
    """
    state = random_low_state(1)
    with children(recorder(tmp_path, start="always")) as (process,), ros_tester() as tester:
        rows = status_rows(tester)
        publisher = tester.node.create_publisher(UInt8MultiArray, TICKS, TICKS_QOS)
        assert tester.spin_until(lambda: publisher.get_subscription_count() > 0)
        for number in (7, 8, 12, 13, 0, 1):
            publisher.publish(batch(number, state))
        publisher.publish(batch(2, state)[:-1])

        def counted():
            values = [{value.key: value.value for value in row.values} for row in rows()]
            return any(value.get("dropped recording/ticks") == "4" for value in values)

        assert tester.spin_until(counted), rows()
        assert rows()[-1].level == DiagnosticStatus.WARN
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    (path,) = episode_paths(tmp_path)
    info = read_info(path)
    assert info.dropped == {"recording/ticks": 4}
    assert info.written["joint_states"] == 6
