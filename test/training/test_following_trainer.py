"""A trainer beside a robot: it survives kills, a full disk, and policies that fail."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from core_values import A1
from places import HELPERS
from recorded_walk import Walk, walk, write_walk

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.file import read_policy
from safe_locomotion.policy.network import Network
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.recording.integrity import FRESH_S, is_open
from safe_locomotion.recording.writer import EpisodeWriter
from safe_locomotion.training.gait.episodes.follow import (
    FLIGHT,
    PAGE,
    STATUS,
    Follower,
    follow,
    read_json,
)
from safe_locomotion.training.gait.episodes.found import FlownEpisodes
from safe_locomotion.training.gait.episodes.learning_page import learning_page
from safe_locomotion.training.gait.episodes.robot_learner import (
    CHECKPOINT,
    POLICIES,
    RobotLearner,
    RobotLearning,
    digest_of,
)
from safe_locomotion.training.gait.episodes.trajectories import longest_streak

torch.set_num_threads(1)
STEPS = 40
OPTIONS = RobotLearning(task="efficient", trajectories=2, steps=STEPS, seed=5)
FIRST = "learner_0000"
TWO_WALKS = 1300  #: LowStates of standing up and two trajectories
LONG_AGO_S = 10.0 * FRESH_S


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Walk, Path]:
    """A walk under the first policy, and the folder of its episode."""
    folder = tmp_path_factory.mktemp("flown")
    contract, data = read_policy(RobotLearner(OPTIONS).write(folder))
    walked = walk(TWO_WALKS, PolicyRuntime(contract, data, A1, learning=True))
    write_walk(walked, folder / "episodes" / "a1_20260102_030405", digest="0" * 64)
    return walked, folder / "episodes"


def grow_old(episode: Path) -> None:
    """Let the file of an episode be unchanged for a while."""
    bag = episode / f"{episode.name}.mcap"
    then = bag.stat().st_mtime - LONG_AGO_S
    os.utime(bag, (then, then))


@contextmanager
def smallest_files(most: int) -> Iterator[None]:
    """No file may be larger, as on a disk that is nearly full [byte]."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def status_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / STATUS).read_text())


def test_it_publishes_a_policy_and_updates_when_there_is_enough(
    flown: tuple[Walk, Path], tmp_path: Path
) -> None:
    """Status, policy, checkpoint and page agree, and nothing is half written."""
    follower = Follower(OPTIONS, tmp_path / "none", tmp_path)
    assert FIRST in follower.look()
    assert status_of(tmp_path)["policy"] == FIRST and status_of(tmp_path)["found"] == 0
    assert "No update yet" in (tmp_path / PAGE).read_text()

    lines: list[str] = []
    follower = Follower(OPTIONS, flown[1], tmp_path)
    follow(follower, updates=1, say=lines.append, wait=lambda _: None)
    assert any(line.startswith("update 1:") for line in lines)
    status = status_of(tmp_path)
    assert (status["policy"], status["updates"]) == ("learner_0001", 1)
    assert status["latest"] == "a1_20260102_030405"
    contract, _ = read_policy(tmp_path / POLICIES / "learner_0001.onnx")
    assert contract.exploration is not None
    page = (tmp_path / PAGE).read_text()
    assert "data:image/png;base64," in page and "1 updates" in page
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    (row,) = follower.learner.history
    assert 5.0 < row["power_w"] < 300.0 and 0.05 < row["speed_mps"] < 0.6
    assert row["walked_s"] == pytest.approx(2 * STEPS * 0.008)
    assert 0.2 < row["width_m"] < 0.35


def test_a_trainer_that_is_killed_ends_in_the_same_state(
    flown: tuple[Walk, Path], tmp_path: Path
) -> None:
    """SIGKILL before the checkpoint, and before the status: the end is that of no kill."""
    straight = tmp_path / "straight"
    killed = tmp_path / "killed"
    words = [str(HELPERS / "killed_trainer.py"), str(flown[1]), str(straight), str(killed)]
    done = subprocess.run(
        [sys.executable, *words, str(STEPS)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 2
    for name in ("learner_0000", "learner_0001"):
        files = [folder / POLICIES / f"{name}.onnx" for folder in (straight, killed)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert status_of(straight) == status_of(killed)
    learners = [RobotLearner(OPTIONS) for _ in range(2)]
    for learner, folder in zip(learners, (straight, killed), strict=True):
        learner.load(folder)
    assert learners[0].history == learners[1].history


def test_a_full_disk_is_said_and_the_learning_goes_on_after_it(
    flown: tuple[Walk, Path], tmp_path: Path
) -> None:
    """The update that could not be written is not made twice, and is the same."""
    Follower(OPTIONS, tmp_path / "none", tmp_path).look()
    before = (tmp_path / CHECKPOINT).read_bytes()
    follower = Follower(OPTIONS, flown[1], tmp_path)
    with smallest_files(8_000):
        assert "too large" in follower.look()
        assert follower.look() == ""  # it was said
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert read_json(tmp_path / STATUS)["fault"]
    assert follower.learner.updates == 1
    follower.look()
    assert not follower.fault and not status_of(tmp_path)["fault"]
    assert status_of(tmp_path)["policy"] == "learner_0001"
    other = tmp_path / "other"
    Follower(OPTIONS, flown[1], other).look()
    files = [folder / POLICIES / "learner_0001.onnx" for folder in (tmp_path, other)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_update_whose_policy_failed_is_thrown_away(
    flown: tuple[Walk, Path], tmp_path: Path
) -> None:
    """The same weights fly again, under another name and with other noise; a kill changes nothing.

    The old walks are not used again, because they would give the same update.
    """
    follower = Follower(OPTIONS, flown[1], tmp_path)
    follower.look()
    assert follower.learner.policy == "learner_0001"
    (tmp_path / FLIGHT).write_text(json.dumps({"rejected": {"learner_0001": "the robot fell"}}))
    for each in (Follower(OPTIONS, flown[1], tmp_path), follower):
        assert "learner_0001 is thrown away (the robot fell)" in each.look()
        assert each.learner.policy == "learner_0000_1"
        assert not each.learner.may_reject and each.learner.updates == 0
        assert each.look() == ""
    (row,) = status_of(tmp_path)["rejected"]
    assert (row["policy"], row["reason"]) == ("learner_0001", "the robot fell")
    assert "the robot fell" in (tmp_path / PAGE).read_text()
    first, data = read_policy(tmp_path / POLICIES / "learner_0000_1.onnx")
    again, same = read_policy(RobotLearner(OPTIONS).write(tmp_path / "new"))
    seen = np.random.default_rng(0).normal(size=(4, first.observation_width)).astype(np.float32)
    np.testing.assert_array_equal(
        Network(first, data).sequence(seen), Network(again, same).sequence(seen)
    )
    assert first.exploration is not None and again.exploration is not None
    assert first.exploration.seed != again.exploration.seed
    with pytest.raises(ConfigurationError, match="no update to throw away"):
        follower.learner.reject("again")


def test_noise_is_new_after_each_start(tmp_path: Path) -> None:
    """A policy that is loaded again flies on with noise that it has not used."""
    learner = RobotLearner(OPTIONS)
    seeds = set()
    for flown in (0, 1, 7):
        contract, _ = read_policy(learner.write(tmp_path, flown=flown))
        assert contract.exploration is not None
        seeds.add(contract.exploration.seed)
    assert len(seeds) == 3


def test_an_open_episode_waits_and_one_that_was_cut_off_counts(
    flown: tuple[Walk, Path], tmp_path: Path
) -> None:
    """The trajectories of a recorder that was killed are those before the kill."""
    walked, folder = flown
    wanted = FlownEpisodes(folder, OPTIONS).of(FIRST)
    cut = tmp_path / "a1_20260102_030406"
    write_walk(walked, cut, digest="0" * 64, end="")
    fresh = FlownEpisodes(tmp_path, OPTIONS)
    assert is_open(cut) and fresh.of(FIRST) == [] and fresh.latest == ""
    grow_old(cut)
    found = fresh.of(FIRST)
    assert fresh.latest == cut.name and len(found) >= len(wanted) - 1 >= 1
    for one, other in zip(found, wanted, strict=False):
        np.testing.assert_array_equal(one.actions, other.actions)
        np.testing.assert_allclose(one.rewards, other.rewards)


def test_an_episode_whose_recorder_lives_is_open(flown: tuple[Walk, Path], tmp_path: Path) -> None:
    """However long nothing was written, until it is closed."""
    path = tmp_path / "a1_20260102_030407"
    info = replace(read_info_of(flown[1]), policies={FIRST: ""})
    writer = EpisodeWriter(path, info)
    grow_old(path)
    assert is_open(path)
    writer.close("walk over")
    assert not is_open(path)
    assert is_open(tmp_path / "none")


def read_info_of(folder: Path):
    from safe_locomotion.recording.reader import episode_paths, read_info

    return read_info(episode_paths(folder)[0])


def test_descriptions_of_old_episodes_are_read_once(
    flown: tuple[Walk, Path], tmp_path: Path
) -> None:
    """A second look opens no file of an episode that it knows."""
    for k in range(3):
        (tmp_path / f"a1_2026010{k}_030405").symlink_to(flown[1] / "a1_20260102_030405")
    episodes = FlownEpisodes(tmp_path, OPTIONS)
    found = episodes.of("another")
    assert found == []
    opened: list[str] = []
    listening = True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event == "open" and str(arguments[0]).endswith((".mcap", ".yaml")):
            opened.append(str(arguments[0]))

    sys.addaudithook(hear)
    try:
        assert episodes.of("another") == []
        assert episodes.of("a third") == []
    finally:
        listening = False
    assert not opened


def test_a_trained_policy_learns_on(tmp_path: Path) -> None:
    """Its actions are those of the file, with less noise. A policy of another task is refused."""
    learner = RobotLearner(OPTIONS)
    path = learner.write(tmp_path, explores=False, name="given")
    options = replace(OPTIONS, start=digest_of(path), seed=9)
    begun = RobotLearner(options, path)
    contract, data = read_policy(begun.write(tmp_path / "new"))
    given, same = read_policy(path)
    seen = np.random.default_rng(0).normal(size=(8, given.observation_width)).astype(np.float32)
    np.testing.assert_allclose(
        Network(contract, data).sequence(seen), Network(given, same).sequence(seen), atol=1e-6
    )
    assert contract.exploration is not None
    assert max(contract.exploration.deviation) == pytest.approx(0.1, rel=1e-5)
    with pytest.raises(ConfigurationError, match="its gait is not that of the task"):
        RobotLearner(replace(options, task="two_leg"), path)
    begun.save(tmp_path / "new")
    with pytest.raises(ConfigurationError, match="belongs to another learner"):
        RobotLearner(OPTIONS).load(tmp_path / "new")


def test_the_longest_streak() -> None:
    """By hand."""
    flags = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1], dtype=bool)
    assert longest_streak(flags) == 3
    assert longest_streak(~flags[:2]) == 0
    assert longest_streak(flags[:2]) == 2


@pytest.mark.parametrize("task", ["efficient", "catwalk", "two_leg"])
def test_the_page_shows_the_figures_and_the_paper(task: str) -> None:
    """Text that came from elsewhere is escaped, and a missing figure is no error."""
    history = [
        {"reward": 0.1 * k, "recovery_share": 0.2, "falls": 0.0, "walked_s": 32.0, "streak_s": 1.0}
        for k in range(3)
    ]
    rejected = [{"policy": "learner_0001", "reason": "<b>fell</b>"}]
    page = learning_page(task, history, rejected, {"walking_s": 120.0, "falls": [{}]})
    assert "&lt;b&gt;fell&lt;/b&gt;" in page and "1 falls" in page
    assert "1.6 min of walking in them" in page and "2.0 min of walking in all" in page
    assert page.count("<tr>") == 4
