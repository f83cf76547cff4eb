"""The recorder as a process, over real DDS: every tick of either graph, and what becomes of it when something goes wrong."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from places import HELPERS
from random_values import random_low_state
from ros_world import children, ros_tester
from std_msgs.msg import String
from std_srvs.srv import SetBool

from safe_locomotion.messages import encode
from safe_locomotion.messages.cdr import DecodingError
from safe_locomotion.messages.ticks import TickBatch
from safe_locomotion.recording.reader import episode_paths, read_episode, read_info
from safe_locomotion.recording.recorder_node import RecorderLoop
from safe_locomotion.runtime.stack import StackOptions, stack

FEEDER = str(HELPERS / "feeder.py")
PERIOD_NS = 2_000_000


def recorder(folder, graph="composed", **parameters):
    """Command line of the recorder that belongs to a graph."""
    options = StackOptions(
        graph=graph, record=str(folder), overrides={"recorder_node": {"free_mb": 0.0, **parameters}}
    )
    return stack(options)[-1].command()


def feeder(graph, seconds, *more):
    """Command line of a robot that walks from 0.5 s on."""
    return [sys.executable, FEEDER, graph, str(seconds), *more]


def steps(trace):
    """Distances of its stamps, in ticks."""
    return set((np.diff(trace.stamp_ns) // PERIOD_NS).tolist())


def assert_complete(record):
    """Each tick is there, and each message on its own period."""
    assert (
        steps(record.states)
        == steps(record.estimates)
        == steps(record.verdicts)
        == steps(record.commands)
        == {1}
    )
    assert steps(record.plans) == {2} and steps(record.proposals) == steps(record.steps) == {4}
    assert (
        len({len(record.states), len(record.estimates), len(record.verdicts), len(record.commands)})
        == 1
    )
    assert not record.info.dropped


def shared_memory_of(pid):
    """Files through which a process talks to others of its domain; one that is killed leaves them behind."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if "/dev/shm/" in line}


def test_a_walk_of_the_composed_graph(tmp_path, ros_domain):
    """From standing to a second after the fall, every tick, with who drove and what the learner saw and did."""
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
    assert (
        record.verdicts.components == tuple(f"m{k}" for k in range(6))
        and len(record.verdicts.predicted) > 10
    )
    assert record.proposals.policies == ("learner",)
    assert record.steps.observation.shape[1] == 10 and np.array_equal(
        record.steps.action[0], np.arange(9.0)
    )


def test_kill_while_recording_five_processes(tmp_path, ros_domain):
    """Asked for by the remote, kill -9: what was written is complete up to its last second, and can be read."""
    with (
        children(recorder(tmp_path, "nodes", start="service")) as (process,),
        ros_tester() as tester,
    ):
        remote = tester.node.create_publisher(String, "remote/request", 10)
        assert tester.spin_until(lambda: remote.get_subscription_count() > 0)
        remote.publish(String(data="record"))
        assert tester.spin_until(lambda: episode_paths(tmp_path))
        assert (
            tester.call(SetBool, "record", SetBool.Request(data=True)).message
            == "already recording"
        )
        with children(feeder("topics", 2.5)) as (robot,):
            assert robot.wait(60) == 0
            left = shared_memory_of(process.pid)
            process.kill()
            process.wait(10)
    for file in left:  # nobody else of this domain is alive
        file.unlink(missing_ok=True)
    (path,) = episode_paths(tmp_path)
    record = read_episode(path)
    assert not record.whole and record.info.why == "remote"
    assert steps(record.states) == steps(record.commands) == {1} and steps(record.plans) == {2}
    assert record.duration > 1.5
    assert np.allclose(record.commands.latency, 1e-3)


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, ros_domain):
    """The service says why, /diagnostics warns, the recorder stays and ends when it is told to."""
    (tmp_path / "file").write_text("")
    with children(recorder(tmp_path / "file" / "episodes")) as (process,), ros_tester() as tester:
        said = tester.collect(DiagnosticArray, "/diagnostics", 10)
        answer = tester.call(SetBool, "record", SetBool.Request(data=True))
        assert not answer.success and "cannot record" in answer.message

        def rows():
            return [
                row
                for message in said
                for row in message.status
                if row.name == "recorder_node: recorder"
            ]

        assert tester.spin_until(lambda: any("cannot record" in row.message for row in rows()))
        assert rows()[-1].level == DiagnosticStatus.WARN and process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_what_is_lost_is_counted_and_told(tmp_path, ros_domain):
    """A batch that never came and one that is none are drops, on /diagnostics and in the episode; a publisher that restarts is not."""
    state = random_low_state(1)

    def batch(number):
        entry = TickBatch()
        entry._sequence = number
        entry.add("joint_states", state.stamp_ns, encode.joint_states(state))
        return entry.take()

    rclpy.init(
        args=[
            "--ros-args",
            "-p",
            f"directory:={tmp_path}",
            "-p",
            "start:=always",
            "-p",
            "free_mb:=0.0",
        ]
    )
    try:
        loop = RecorderLoop()
        loop.start()
        for number in (7, 8, 12, 13, 0, 1):
            loop._on_ticks(batch(number))
        with pytest.raises(DecodingError):
            loop._on_ticks(batch(2)[:-1])
        row = loop.nodes[0]._status()
        assert row.level == DiagnosticStatus.WARN
        assert {value.key: value.value for value in row.values}["dropped recording/ticks"] == "3"
        loop.close()
        loop.nodes[0].destroy_node()
    finally:
        rclpy.shutdown()
    (path,) = episode_paths(tmp_path)
    assert read_info(path).dropped == {"recording/ticks": 3}
    assert read_info(path).written["joint_states"] == 6
