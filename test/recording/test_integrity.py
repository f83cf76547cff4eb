"""A closed episode tells whether a bit of it has changed."""

import numpy as np
import pytest
import yaml

pytest.importorskip("rosbags")

from click.testing import CliRunner
from recorded_walk import walk, write_walk
from rosbags.rosbag2 import Reader

from safe_locomotion.cli.main import cli
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.integrity import check_episode
from safe_locomotion.recording.mcap import McapFile
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.recording.writer import DIGEST, METADATA

FLIPS = 60


@pytest.fixture(scope="module")
def episode(tmp_path_factory):
    """A short recorded walk, and the bytes of its file."""
    folder = tmp_path_factory.mktemp("episodes") / "walk"
    write_walk(walk(120), folder)
    return folder, (folder / "walk.mcap").read_bytes()


@pytest.fixture(autouse=True)
def restored(episode):
    """Every test finds the episode as it was recorded."""
    folder, data = episode
    (folder / "walk.mcap").write_bytes(data)


def flipped(data, byte, bit):
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[byte] ^= 1 << bit
    return bytes(changed)


def checked(folder):
    """Exit status and words of the command."""
    result = CliRunner().invoke(cli, ["episodes", "check", str(folder)], standalone_mode=False)
    return result.return_value, result.output


def test_an_episode_that_nobody_touched_is_in_order(episode):
    """Every chunk has a checksum, and other readers of bags check and accept it."""
    folder, _ = episode
    found = check_episode(folder)
    assert not found.problems and not found.notes
    file = McapFile(folder / "walk.mcap")
    assert found.messages == sum(1 for _ in file.messages()) > 500 and file.unchecked == 0
    with Reader(folder) as reader:
        assert sum(1 for _ in reader.messages()) == found.messages
    assert checked(folder)[0] == 0


def test_one_flipped_bit_anywhere_is_noticed(episode):
    """Wherever it is; nothing of the episode is taken for what was recorded."""
    folder, data = episode
    rng = np.random.default_rng(7)
    for byte in rng.integers(0, len(data), size=FLIPS).tolist():
        (folder / "walk.mcap").write_bytes(flipped(data, byte, int(rng.integers(0, 8))))
        assert check_episode(folder).problems, byte
    status, said = checked(folder)
    assert status == 1 and "walk" in said


def test_a_flipped_bit_in_a_chunk_is_refused_by_the_reader_too(episode):
    """Replay and plots do not run on changed numbers."""
    folder, data = episode
    (folder / "walk.mcap").write_bytes(flipped(data, len(data) // 2, 3))
    with pytest.raises(ConfigurationError, match="checksum"):
        read_episode(folder)


@pytest.mark.parametrize("entry", ["missing", "changed"])
def test_an_older_episode_is_checked_as_far_as_possible(episode, entry):
    """Without a digest that is said; a wrong one is a problem."""
    folder, _ = episode
    described = folder / METADATA
    before = described.read_text()
    metadata = yaml.safe_load(before)
    custom = metadata["rosbag2_bagfile_information"]["custom_data"]
    if entry == "missing":
        del custom[DIGEST]
    else:
        custom[DIGEST] = "0" * 64
    described.write_text(yaml.safe_dump(metadata))
    try:
        found = check_episode(folder)
        assert bool(found.problems) is (entry == "changed")
        assert bool(found.notes) is (entry == "missing")
    finally:
        described.write_text(before)


def test_a_missing_message_is_noticed_without_a_digest(episode):
    """metadata.yaml counts the messages of each topic."""
    folder, _ = episode
    described = folder / METADATA
    before = described.read_text()
    metadata = yaml.safe_load(before)
    bag = metadata["rosbag2_bagfile_information"]
    bag["topics_with_message_count"][1]["message_count"] += 1
    described.write_text(yaml.safe_dump(metadata))
    try:
        assert any("expected" in problem for problem in check_episode(folder).problems)
    finally:
        described.write_text(before)


@pytest.mark.parametrize("text", ["", "a: b", "[1, 2]", "rosbag2_bagfile_information: 3", "\x00"])
def test_a_description_that_is_none_is_a_problem_in_one_line(episode, text):
    """Of `metadata.yaml`, which anybody may have edited."""
    folder, _ = episode
    described = folder / METADATA
    before = described.read_text()
    described.write_text(text)
    try:
        problems = check_episode(folder).problems
        assert problems and all("\n" not in problem for problem in problems)
    finally:
        described.write_text(before)


def test_one_that_was_cut_off_is_said(episode):
    """It can still be read up to its last whole chunk."""
    folder, data = episode
    (folder / "walk.mcap").write_bytes(data[: len(data) // 2])
    assert any("cut off" in problem for problem in check_episode(folder).problems)
