"""When episodes begin and end."""

import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.mcap import McapFile
from safe_locomotion.recording.reader import episode_paths, read_info
from safe_locomotion.recording.session import Session, SessionSettings
from safe_locomotion.types import Mode

TICK_NS = 10_000_000


class Robot:
    """A session, a clock, and a robot that says its stamp each 10 ms."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.stamp_ns = 10**18
        self.session = Session(
            SessionSettings(directory=str(folder), free_mb=0.0, **settings),
            self.describe,
            self.clock,
        )
        self.session.change_mode(self.stamp_ns, Mode.STAND)

    def clock(self):
        return self.stamp_ns * 1e-9

    def describe(self, why, start_ns):
        return EpisodeInfo(
            robot="a1", why=why, start_ns=start_ns, started="2026-01-02T03:04:05.000+00:00"
        )

    def live(self, seconds, mode=None):
        """Be in a mode for a while."""
        if mode is not None:
            self.session.change_mode(self.stamp_ns, mode)
        for _ in range(round(seconds * 100)):
            self.stamp_ns += TICK_NS
            self.session.add("imu/data", self.stamp_ns, b"1234")
            self.session.settle()

    def episodes(self):
        """(why, end, seconds) of each on the disk."""
        self.session.close()
        found = []
        for path in episode_paths(self.folder):
            stamps = [
                m.stamp_ns
                for m in McapFile(path / f"{path.name}.mcap").messages()
                if m.topic == "/imu/data"
            ]
            info = read_info(path)
            found.append((info.why, info.end, round((stamps[-1] - stamps[0]) * 1e-9, 1)))
        return found


def test_each_walk_is_an_episode(tmp_path):
    """From a second before a walk to a second after it, each in a folder of its own."""
    robot = Robot(tmp_path)
    for seconds in (3.0, 2.0):
        robot.live(5.0, Mode.STAND)
        robot.live(seconds, Mode.WALK)
    robot.live(3.0, Mode.SIT)
    assert robot.episodes() == [("walk", "walk over", 5.0), ("walk", "walk over", 4.0)]
    assert robot.session.finished == 2 and not robot.session.fault


def test_a_fall_ends_the_walk(tmp_path):
    """The fall and the second after it are in the episode of the walk."""
    robot = Robot(tmp_path)
    robot.live(3.0)
    robot.live(2.0, Mode.WALK)
    robot.live(4.0, Mode.FALLEN)
    assert robot.episodes() == [("walk", "fall", 4.0)]


def test_walking_on_within_the_second_after_a_walk(tmp_path):
    """A new walk begins a new episode at once; the one before ends for its own reason."""
    robot = Robot(tmp_path)
    robot.live(2.0)
    robot.live(2.0, Mode.WALK)
    robot.live(0.5, Mode.STAND)
    robot.live(2.0, Mode.WALK)
    assert robot.episodes() == [("walk", "walk over", 3.5), ("walk", "stopped", 2.0)]


def test_who_asks_gets_one_long_episode(tmp_path):
    """On request all is recorded until the request to stop, walks or not; a fall splits it."""
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


def test_only_on_request(tmp_path):
    """Told to wait for requests, a walk begins nothing; a request in a walk takes the episode over."""
    robot = Robot(tmp_path / "a", start="service")
    robot.live(2.0, Mode.WALK)
    assert robot.episodes() == []
    robot = Robot(tmp_path / "b")
    robot.live(2.0, Mode.WALK)
    assert robot.session.request(True, "remote") is None
    robot.live(3.0, Mode.STAND)
    assert robot.episodes() == [("walk", "stopped", 5.0)]


def test_always(tmp_path):
    """From the first message on."""
    robot = Robot(tmp_path, start="always")
    robot.live(2.0)
    assert [why for why, _, _ in robot.episodes()] == ["always"]


def test_what_cannot_be_written_is_a_fault_until_it_can(tmp_path):
    """A file where the folder should be, then none: the walk is lost, the next one is recorded."""
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
    """Less room than must stay free: nothing is written."""
    robot = Robot(tmp_path)
    robot.session = Session(
        SessionSettings(directory=str(tmp_path), free_mb=1e12), robot.describe, robot.clock
    )
    robot.live(1.0, Mode.WALK)
    assert "must stay free" in robot.session.fault and robot.episodes() == []


def test_without_the_library_there_is_a_reason(tmp_path, monkeypatch):
    """No rosbags: the session says what to install, and goes on."""
    import sys

    monkeypatch.setitem(sys.modules, "rosbags", None)
    for name in [
        name
        for name in sys.modules
        if name.startswith(("rosbags.", "safe_locomotion.recording.writer"))
    ]:
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
def test_settings_that_cannot_be(wrong):
    """Each is refused by its name."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        SessionSettings(**{"directory": "x", **wrong})
