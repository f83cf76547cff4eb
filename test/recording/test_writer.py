"""Episodes on disk: they come back, other readers open them, a crash costs a second at most."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml
from places import HELPERS
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from safe_locomotion.errors import ConfigurationError, RecordingError
from safe_locomotion.messages import cdr
from safe_locomotion.messages.layouts import FOOT_FORCE_LAYOUT, JOINT_NAMES
from safe_locomotion.messages.topics import TOPICS
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.mcap import McapFile
from safe_locomotion.recording.reader import (
    CUT_OFF,
    OLD_SENSORS,
    episode_paths,
    read_episode,
    read_info,
    recover,
)
from safe_locomotion.recording.writer import METADATA, EpisodeWriter

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 2_000_000
INFO = EpisodeInfo(
    robot="a1",
    policy="trot",
    policies={"trot": "abc"},
    parameters={"supervisor_node": {"intervention.horizon": 10, "bounds": [1.0, 2.0]}},
    software="1.2.3",
    start_ns=START_NS,
    started="2026-01-02T03:04:05.000+00:00",
    why="walk",
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
JOINTS = tuple(JOINT_NAMES)
RUNNER = HELPERS / "recorder_of_nothing.py"


def sensors(k, names=JOINTS):
    """Messages of joints and IMU of LowState k, and its numbers; feet are the last four."""
    rng = np.random.default_rng(k)
    stamp_ns = START_NS + k * PERIOD_NS
    values = rng.normal(size=(3, 16))
    imu = rng.normal(size=10)
    rows = values[:, : len(names)]
    joints = cdr.joint_state(stamp_ns, names, *(row.tobytes() for row in rows))
    covariance = bytes(72)
    parts = [imu[part].tobytes() + covariance for part in (slice(4), slice(4, 7), slice(7, 10))]
    packed_imu = cdr.stamp_head(stamp_ns) + cdr.header_rest("base_link") + b"".join(parts)
    return joints, packed_imu, values, imu


def feet(k, values):
    """Message of the feet of LowState k."""
    stamp = np.array(divmod(START_NS + k * PERIOD_NS, 10**9), dtype=float)
    return cdr.float_array_head(FOOT_FORCE_LAYOUT, 6) + stamp.tobytes() + values[2, 12:].tobytes()


def write(path, n, close=True, names=JOINTS):
    """Write an episode of n LowStates, with a chunk for each 50."""
    writer = EpisodeWriter(path, INFO)
    for k in range(n):
        joints, imu, values, _ = sensors(k, names)
        writer.write("joint_states", START_NS + k * PERIOD_NS, joints)
        writer.write("imu/data", START_NS + k * PERIOD_NS, imu)
        if names is JOINTS:
            writer.write("foot_forces", START_NS + k * PERIOD_NS, feet(k, values))
        if k % 50 == 49:
            writer.sync()
    if close:
        writer.close("walk over", {"joint_states": 3}, replace(INFO, policies={"pace": "def"}))
    return writer


def test_states_and_description_come_back(tmp_path):
    """This holds for every number of every LowState."""
    write(tmp_path / "e", 120)
    record = read_episode(tmp_path / "e")
    assert record.whole and record.duration == pytest.approx(119 * 0.002)
    for k in (0, 7, 119):
        _, _, values, imu = sensors(k)
        s = record.states
        assert s.stamp_ns[k] == START_NS + k * PERIOD_NS
        assert np.array_equal(s.q[k], values[0, :12]) and np.array_equal(s.dq[k], values[1, :12])
        assert np.array_equal(s.tau[k], values[2, :12])
        assert np.array_equal(s.foot_force[k], values[2, 12:])
        assert np.array_equal(s.quaternion_wxyz[k], imu[[3, 0, 1, 2]])
        assert np.array_equal(s.gyro[k], imu[4:7]) and np.array_equal(s.accelerometer[k], imu[7:])
    state = next(iter(record.states.low_states()))
    assert state.stamp_ns == START_NS and np.array_equal(state.q, record.states.q[0])
    counts = {"episode/info": 1, "joint_states": 120, "imu/data": 120, "foot_forces": 120}
    expected = replace(
        INFO,
        end="walk over",
        dropped={"joint_states": 3},
        written=counts,
        policies={"trot": "abc", "pace": "def"},
    )
    assert record.info == expected == read_info(tmp_path / "e")


def test_old_episodes_are_read(tmp_path):
    """Before version 0.3 joints had other names, and the feet were among them."""
    write(tmp_path / "e", 120, names=OLD_SENSORS)
    states = read_episode(tmp_path / "e").states
    assert len(states.stamp_ns) == 120
    for k in (0, 119):
        _, _, values, _ = sensors(k)
        assert np.array_equal(states.q[k], values[0, :12])
        assert np.array_equal(states.foot_force[k], values[2, 12:])


def test_a_state_whose_feet_were_lost_is_left_out(tmp_path):
    """A LowState counts when joints, IMU and feet of its stamp were recorded."""
    writer = EpisodeWriter(tmp_path / "e", INFO)
    for k in range(5):
        joints, imu, values, _ = sensors(k)
        writer.write("joint_states", START_NS + k * PERIOD_NS, joints)
        writer.write("imu/data", START_NS + k * PERIOD_NS, imu)
        if k != 2:
            writer.write("foot_forces", START_NS + k * PERIOD_NS, feet(k, values))
    writer.close("stopped")
    states = read_episode(tmp_path / "e").states
    assert ((states.stamp_ns - START_NS) // PERIOD_NS).tolist() == [0, 1, 3, 4]
    assert np.array_equal(states.foot_force[2], sensors(3)[2][2, 12:])


def test_other_readers_open_it(tmp_path):
    """They find index, counts, QoS, and definitions that decode each message."""
    write(tmp_path / "e", 120)
    types = get_typestore(Stores.EMPTY)
    names = {"/episode/info", *(f"/{topic.name}" for topic in TOPICS)}
    with Reader(tmp_path / "e") as bag:
        assert {c.topic for c in bag.connections} == names
        offered = {c.topic: c.ext.offered_qos_profiles[0] for c in bag.connections}
        assert offered["/safety/verdict"].durability.name == "TRANSIENT_LOCAL"
        assert offered["/joint_states"].reliability.name == "BEST_EFFORT"
        assert bag.message_count == 362 and bag.duration == 119 * PERIOD_NS + 1
        for c in bag.connections:
            types.register(get_types_from_msg(c.msgdef.data, c.msgtype))
        states = [
            types.deserialize_cdr(data, c.msgtype)
            for c, _, data in bag.messages()
            if c.topic == "/joint_states"
        ]
    assert np.array_equal(states[5].position, sensors(5)[2][0, :12])
    assert tuple(states[5].name) == JOINTS


def test_metadata_is_there_from_the_start_and_agrees_with_the_library(tmp_path):
    """While the episode is written, metadata.yaml differs from the library's in counts alone."""

    def metadata():
        text = (tmp_path / "e" / METADATA).read_text()
        return yaml.safe_load(text)["rosbag2_bagfile_information"]

    def topics(given):
        return [topic["topic_metadata"] for topic in given["topics_with_message_count"]]

    writer = write(tmp_path / "e", 500, close=False)
    early = metadata()
    writer.close("walk over")
    late = metadata()
    assert set(early) == set(late) and early["version"] == 8
    assert topics(early) == topics(late)
    assert early["relative_file_paths"] == late["relative_file_paths"] == ["e.mcap"]
    assert late["message_count"] == 1502 and early["starting_time"] == late["starting_time"]


def test_cut_anywhere_the_beginning_is_read(tmp_path):
    """Whole chunks come back in order, however many bytes a power cut leaves or sets to zero."""
    write(tmp_path / "e", 300)
    whole = (tmp_path / "e" / "e.mcap").read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()
    found = []
    for share in np.linspace(0.02, 0.999, 25):
        size = int(share * len(whole))
        for tail in (b"", bytes(500)):
            (cut / "cut.mcap").write_bytes(whole[:size] + tail)
            record = read_episode(cut)
            assert not record.whole
            assert record.states.stamp_ns.tolist() == [
                START_NS + k * PERIOD_NS for k in range(len(record.states))
            ]
        found.append(len(record.states))
    assert found == sorted(found) and found[0] == 0 and found[-1] == 300 and len(set(found)) > 4
    assert all(n % 50 == 0 for n in found)


def test_recovery_makes_a_bag_of_it(tmp_path):
    """A repaired episode has its index; nothing else is left in the folder, or to be repaired."""
    write(tmp_path / "e", 120, close=False).abort()
    (tmp_path / "e" / METADATA).unlink()
    before = read_episode(tmp_path / "e")
    assert before.info.end == CUT_OFF and len(before.states) == 100
    with pytest.raises(FileNotFoundError), Reader(tmp_path / "e"):
        pass
    assert recover(tmp_path / "e") and not recover(tmp_path / "e")
    with Reader(tmp_path / "e") as bag:
        assert bag.message_count == 302
    after = read_episode(tmp_path / "e")
    assert after.whole and after.info.end == CUT_OFF and after.info.policies == INFO.policies
    assert np.array_equal(after.states.q, before.states.q)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e"]
    assert sorted(path.name for path in (tmp_path / "e").iterdir()) == ["e.mcap", METADATA]


def test_kill_costs_a_second_at_most(tmp_path):
    """After kill -9 while recording, all but the last second is there."""
    process = subprocess.Popen(
        [sys.executable, RUNNER, tmp_path], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        for _ in range(75):
            process.stdout.readline()
    finally:
        process.kill()
        printed = process.communicate()[0].split()
    last_ns = int(printed[-1]) if printed else time.monotonic_ns()
    (path,) = episode_paths(tmp_path)
    stamps = [m.stamp_ns for m in read_messages(path)]
    assert stamps[-1] > last_ns - 1_000_000_000
    assert read_info(path).end == CUT_OFF
    assert recover(path)
    with Reader(path) as bag:
        assert bag.message_count == len(stamps) + 1


def read_messages(path):
    """Messages of a file, whole or not."""
    return list(McapFile(path / f"{path.name}.mcap").messages())


def test_full_disk_ends_the_episode_not_the_recorder(tmp_path):
    """A file that cannot grow is a fault; what was written before can be read."""
    limit = 500_000
    command = [sys.executable, RUNNER, tmp_path, str(limit)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=ENVIRONMENT
    )
    faults = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.split(" ", 1)[1:]]
    assert any("cannot record: File too large" in fault for fault in faults)
    (path,) = episode_paths(tmp_path)
    assert (path / f"{path.name}.mcap").stat().st_size <= limit
    assert len(read_messages(path)) > 10 and read_info(path).robot == "a1"


def test_a_folder_that_cannot_be_made(tmp_path):
    """The error says why, also when the folder exists already."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot record: Not a directory"):
        EpisodeWriter(tmp_path / "file" / "e", INFO)
    EpisodeWriter(tmp_path / "e", INFO).abort()
    with pytest.raises(RecordingError, match="exists already"):
        EpisodeWriter(tmp_path / "e", INFO)


def test_what_is_no_episode_is_refused(tmp_path):
    """An empty folder and a file of another kind are no episodes."""
    with pytest.raises(ConfigurationError, match="no episode"):
        read_episode(tmp_path)
    (tmp_path / "a.mcap").write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="not an MCAP file"):
        read_episode(tmp_path)
    shutil.copy(tmp_path / "a.mcap", tmp_path / "b.mcap")
    with pytest.raises(ConfigurationError):
        recover(tmp_path)
    assert episode_paths(tmp_path / "nowhere") == []
