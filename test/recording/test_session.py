"""Sessions: when episodes begin and end, and how they fail."""

import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.mcap import McapFile
from safe_locomotion.recording.reader import episode_paths, read_info
from safe_locomotion.recording.session import Session, SessionSettings
from safe_locomotion.types import Mode

TICK_NS = 10_000_000


class Robot:
    """A session with its clock, and a robot that sends a message each 10 ms."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.stamp_ns = 10**18
        chosen = SessionSettings(directory=str(folder), free_mb=0.0, **settings)
        self.session = Session(chosen, self.describe, self.clock)
        self.session.change_mode(self.stamp_ns, Mode.STAND)

    def clock(self):
        return self.stamp_ns * 1e-9

    def describe(self, why, start_ns):
        return EpisodeInfo(
            robot="a1", why=why, start_ns=start_ns, started="2026-01-02T03:04:05.000+00:00"
        )

    def live(self, seconds, mode=None):
        """Stay in a mode for a while."""
        if mode is not None:
            self.session.change_mode(self.stamp_ns, mode)
        for _ in range(round(seconds * 100)):
            self.stamp_ns += TICK_NS
            self.session.add("imu/data", self.stamp_ns, b"1234")
            self.session.settle()

    def episodes(self):
        """(why, end, seconds) of each episode on the disk."""
        self.session.close()
        found = []
        for path in episode_paths(self.folder):
            messages = McapFile(path / f"{path.name}.mcap").messages()
            stamps = [m.stamp_ns for m in messages if m.topic == "/imu/data"]
            info = read_info(path)
            found.append((info.why, info.end, round((stamps[-1] - stamps[0]) * 1e-9, 1)))
        return found


def test_each_walk_is_an_episode(tmp_path):
    """It lasts from a second before the walk to a second after it, in a folder of its own."""
    robot = Robot(tmp_path)
    for seconds in (3.0, 2.0):
        robot.live(5.0, Mode.STAND)
        robot.live(seconds, Mode.WALK)
    robot.live(3.0, Mode.SIT)
    assert robot.episodes() == [("walk", "walk over", 5.0), ("walk", "walk over", 4.0)]
    assert robot.session.finished == 2 and not robot.session.fault


def test_a_fall_ends_the_walk(tmp_path):
    """The episode holds the fall and the second after it."""
    robot = Robot(tmp_path)
    robot.live(3.0)
    robot.live(2.0, Mode.WALK)
    robot.live(4.0, Mode.FALLEN)
    assert robot.episodes() == [("walk", "fall", 4.0)]


def test_walking_on_within_the_second_after_a_walk(tmp_path):
    """A new walk begins a new episode at once; the last one ends for its own reason."""
    robot = Robot(tmp_path)
    robot.live(2.0)
    robot.live(2.0, Mode.WALK)
    robot.live(0.5, Mode.STAND)
    robot.live(2.0, Mode.WALK)
    assert robot.episodes() == [("walk", "walk over", 3.5), ("walk", "stopped", 2.0)]


def test_a_request_makes_one_long_episode(tmp_path):
    """It lasts until the request to stop, through walks; a fall splits it."""
    robot = Robot(tmp_path)
    robot.live(2.0)
    assert robot.session.request(True, "service") is None
    assert robot.session.request(True, "service") == "already recording"
    robot.live(1.0)
    robot.live(2.0, Mode.WALK)
    robot.live(2.0, Mode.STAND)
    robot.live(3.0, Mode.FALLEN)
    assert robot.session.request(False, "remote") is None
    assert robot.session.request(False, "remote") == "nothing is being recorded"
    assert robot.episodes() == [("service", "fall", 7.0), ("fall", "remote", 2.0)]


def test_a_walk_begins_no_episode_where_only_requests_count(tmp_path):
    """A request within a walk takes over the episode of that walk."""
    robot = Robot(tmp_path / "a", start="service")
    robot.live(2.0, Mode.WALK)
    assert robot.episodes() == []
    robot = Robot(tmp_path / "b")
    robot.live(2.0, Mode.WALK)
    assert robot.session.request(True, "remote") is None
    robot.live(3.0, Mode.STAND)
    assert robot.episodes() == [("walk", "stopped", 5.0)]


def test_an_episode_can_begin_with_the_first_message(tmp_path):
    """No request and no walk is needed then."""
    robot = Robot(tmp_path, start="always")
    robot.live(2.0)
    assert [why for why, _, _ in robot.episodes()] == ["always"]


def test_what_cannot_be_written_is_a_fault_until_it_can(tmp_path):
    """While a file is in the place of the folder, walks are lost; the next one is recorded."""
    folder = tmp_path / "there"
    folder.write_text("")
    robot = Robot(folder)
    robot.live(2.0, Mode.WALK)
    assert "cannot record" in robot.session.fault and not robot.session.recording
    assert "cannot record" in robot.session.request(True, "service")
    folder.unlink()
    robot.live(2.0, Mode.STAND)
    robot.live(2.0, Mode.WALK)
    assert robot.session.recording and not robot.session.fault
    assert len(robot.episodes()) == 1


def test_space_is_left_on_the_disk(tmp_path):
    """With less space than must stay free, nothing is written."""
    robot = Robot(tmp_path)
    robot.session = Session(
        SessionSettings(directory=str(tmp_path), free_mb=1e12), robot.describe, robot.clock
    )
    robot.live(1.0, Mode.WALK)
    assert "must stay free" in robot.session.fault and robot.episodes() == []


def test_without_the_library_there_is_a_reason(tmp_path, monkeypatch):
    """Without rosbags the session says what to install, and goes on."""
    import sys

    monkeypatch.setitem(sys.modules, "rosbags", None)
    loaded = ("rosbags.", "safe_locomotion.recording.writer")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    robot = Robot(tmp_path)
    robot.session.warm_up()
    assert "pip install rosbags" in robot.session.fault
    robot.live(2.0, Mode.WALK)
    assert "pip install rosbags" in robot.session.fault and robot.episodes() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"directory": ""},
        {"sync": 1.5},
        {"sync": 0.0},
        {"pre_roll": -1.0},
        {"post_roll": float("nan")},
        {"free_mb": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    """The error names the setting."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        SessionSettings(**{"directory": "x", **wrong})
