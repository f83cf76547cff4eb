"""The quota of the folder of episodes: what it deletes, what it never touches, what it says."""

import os
from pathlib import Path

import pytest

pytest.importorskip("rosbags")

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.integrity import check_episode
from safe_locomotion.recording.quota import OWN_FILES, Quota
from safe_locomotion.recording.reader import episode_paths, read_info
from safe_locomotion.recording.session import SPLIT, Session, SessionSettings
from safe_locomotion.recording.summary import SUMMARY_FILE
from safe_locomotion.recording.writer import EpisodeWriter
from safe_locomotion.types import Mode

MEGABYTE = 1_000_000
TICK_NS = 10_000_000


def episode(folder: Path, name: str, megabytes: float, *more: str) -> Path:
    """A closed episode of that size, and more files in its folder."""
    path = folder / name
    path.mkdir(parents=True)
    (path / f"{name}.mcap").write_bytes(b"")
    os.truncate(path / f"{name}.mcap", round(megabytes * MEGABYTE))
    for file in ("metadata.yaml", *more):
        (path / file).write_text("")
    return path


def names(folder: Path) -> list[str]:
    """What is left."""
    return sorted(path.name for path in folder.iterdir())


def roomy(folder: Path) -> float:
    """A disk without end."""
    return 1e15


def test_the_oldest_go_first_until_a_part_of_the_quota_is_free(tmp_path: Path) -> None:
    """Age is that of the name, whatever robot it begins with; the news names each."""
    for name in ("go2_20260101_000000", "a1_20260102_000000", "a1_20260102_000000_2"):
        episode(tmp_path, name, 4.0, "page.png", SUMMARY_FILE)
    episode(tmp_path, "a1_20260103_000000", 4.0)
    quota = Quota(tmp_path, 12.0, 0.0, roomy)
    quota.make_room()
    assert names(tmp_path) == ["a1_20260102_000000_2", "a1_20260103_000000"]
    assert quota.deleted == 2
    assert quota.news.endswith("8 MB: go2_20260101_000000, a1_20260102_000000")
    quota.make_room()
    assert quota.deleted == 2


def test_a_disk_with_too_little_space_costs_episodes_too(tmp_path: Path) -> None:
    """Although they are within the quota; here each deletion frees what it took."""
    for day in (1, 2, 3):
        episode(tmp_path, f"a1_2026010{day}_000000", 4.0)
    quota = Quota(tmp_path, 100.0, 10.0, lambda f: (5.0 + 4.0 * (3 - len(names(f)))) * MEGABYTE)
    quota.make_room()
    assert names(tmp_path) == ["a1_20260103_000000"]


def test_without_a_quota_nothing_is_deleted(tmp_path: Path) -> None:
    """However full the disk is."""
    episode(tmp_path, "a1_20260101_000000", 4.0)
    Quota(tmp_path, 0.0, 1e9, lambda folder: 0.0).make_room()
    assert names(tmp_path)


@pytest.mark.parametrize("kept", ["keep", "notes.txt", "other.mcap"])
def test_an_episode_with_a_file_of_somebody_stays(tmp_path: Path, kept: str) -> None:
    """All its files stay, and a younger episode goes instead."""
    path = episode(tmp_path, "a1_20260101_000000", 9.0, kept)
    before = names(path)
    episode(tmp_path, "a1_20260102_000000", 9.0)
    Quota(tmp_path, 10.0, 0.0, roomy).make_room()
    assert names(tmp_path) == [path.name] and names(path) == before


def test_other_files_and_folders_are_not_touched(tmp_path: Path) -> None:
    """Nor is what a link leads to, in the folder or in an episode."""
    walks = tmp_path / "walks"
    elsewhere = episode(tmp_path, "a1_20250101_000000", 50.0)
    walks.mkdir()
    (walks / elsewhere.name).symlink_to(elsewhere)
    linked = episode(walks, "a1_20250102_000000", 50.0)
    (linked / "page.png").symlink_to(tmp_path / "precious")
    episode(walks, "my_walks", 50.0)
    (walks / "a1_20250103_000000").write_text("a file")
    before = names(walks)
    Quota(walks, 10.0, 0.0, roomy).make_room()
    assert names(walks) == before and (elsewhere / f"{elsewhere.name}.mcap").exists()


def test_an_open_episode_stays_whoever_writes_it(tmp_path: Path) -> None:
    """It is locked until it is closed; then it can go."""
    path = tmp_path / "a1_20260101_000000"
    writer = EpisodeWriter(path, EpisodeInfo(robot="a1", start_ns=10**18))
    writer.write("imu/data", 10**18, os.urandom(12 * MEGABYTE))
    writer.sync()
    quota = Quota(tmp_path, 10.0, 0.0, roomy)
    quota.make_room()
    assert names(tmp_path) == [path.name] and not quota.deleted
    writer.close("stopped")
    quota.make_room()
    assert not names(tmp_path) and quota.deleted == 1


def test_all_files_of_the_package_are_known(tmp_path: Path) -> None:
    """Of a recorder; the summary's name is spelt in another file."""
    path = tmp_path / "a1_20260101_000000"
    EpisodeWriter(path, EpisodeInfo(robot="a1", start_ns=10**18)).close("stopped")
    assert {*names(path), SUMMARY_FILE} <= {*OWN_FILES, f"{path.name}.mcap"}


def test_a_long_recording_is_split_and_stays_within_its_quota(tmp_path: Path) -> None:
    """Each part is whole, the newest minutes are there, and the recording goes on."""
    stamp_ns = 10**18

    def describe(why: str, start_ns: int) -> EpisodeInfo:
        started = f"2026-01-02T03:04:{(stamp_ns - 10**18) // 10**9:02d}"
        return EpisodeInfo(robot="a1", why=why, start_ns=start_ns, started=started)

    settings = SessionSettings(directory=str(tmp_path), free_mb=0.0, quota_mb=10.0)
    session = Session(settings, describe, lambda: stamp_ns * 1e-9)
    session.change_mode(stamp_ns, Mode.STAND)
    session.change_mode(stamp_ns, Mode.WALK)
    said = set()
    for _ in range(6000):
        stamp_ns += TICK_NS
        session.add("imu/data", stamp_ns, os.urandom(4000))
        session.settle()
        said.add(session.quota.news)
        assert session.recording and not session.fault
    session.close()
    episodes = episode_paths(tmp_path)
    taken = sum(file.stat().st_size for path in episodes for file in path.iterdir())
    assert taken <= 10 * MEGABYTE and len(said) - 1 == session.quota.deleted >= 3
    assert [read_info(path).why for path in episodes] == [SPLIT] * len(episodes)
    assert all(not check_episode(path).problems for path in episodes)


@pytest.mark.parametrize("size", [-1.0, 5.0, float("nan")])
def test_a_quota_without_room_for_a_walk_is_refused(tmp_path: Path, size: float) -> None:
    """0 is no quota."""
    with pytest.raises(ConfigurationError, match="quota_mb"):
        SessionSettings(directory=str(tmp_path), quota_mb=size)
