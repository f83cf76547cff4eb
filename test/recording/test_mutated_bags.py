"""A bag from anybody is read or refused in one line, and never expands without bound.

usage: test_mutated_bags.py COUNT SEED; tries COUNT mutants and says how many were read.
"""

import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags")

from recorded_walk import walk, write_walk

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording import mcap
from safe_locomotion.recording.reader import read_episode, read_info, recover

MUTANTS = 300
TICKS = 40


def bag(folder):
    """A short recorded walk as bytes."""
    write_walk(walk(TICKS), folder / "walk")
    return next((folder / "walk").glob("*.mcap")).read_bytes()


def mutate(data, rng):
    """Flipped bits, extreme numbers, missing or repeated parts."""
    mutant = bytearray(data)
    sort = int(rng.integers(0, 4))
    if sort == 0:
        return data[: int(rng.integers(0, len(data)))]
    first, last = sorted(rng.integers(0, len(data), size=2).tolist())
    last = min(last, first + 4096)
    if sort == 1:
        return data[:first] + data[last:] if rng.random() < 0.5 else data[:last] + data[first:]
    for _ in range(int(rng.integers(1, 20))):
        place = int(rng.integers(0, len(data) - 8))
        extreme = struct.pack("<Q", int(rng.choice((0, 1, 2**31, 2**32 - 1, 2**63 - 1))))
        if sort == 2:
            mutant[place : place + 8] = extreme
        else:
            mutant[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(mutant)


def try_mutants(data, folder, count, seed):
    """How many mutants were read; every other one is refused in one line."""
    rng = np.random.default_rng(seed)
    file = folder / "mutant.mcap"
    read = 0
    for _ in range(count):
        file.write_bytes(mutate(data, rng))
        for call in (read_episode, read_info):
            try:
                call(file)
                read += call is read_episode
            except ConfigurationError as error:
                assert "\n" not in str(error) and len(str(error)) <= 600
    return read


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy: mutants hold any number
def test_a_mutated_bag_is_read_or_refused_in_one_line(tmp_path):
    """Nothing else comes out of the reader; some mutants are still read."""
    assert 0 < try_mutants(bag(tmp_path), tmp_path, MUTANTS, 0) < MUTANTS


def chunk(records, compression, size):
    """A bag with one chunk."""
    text = compression.encode()
    body = struct.pack("<QQQII", 0, 0, size, 0, len(text)) + text
    body += struct.pack("<Q", len(records)) + records
    return mcap.MAGIC + struct.pack("<BQ", mcap.CHUNK, len(body)) + body


def compressed(compression, size):
    """So many zeros."""
    if compression == "lz4":
        return pytest.importorskip("lz4.frame").compress(bytes(size))
    return pytest.importorskip("backports.zstd").compress(bytes(size))


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("said", [2**40, 2**27])
def test_a_chunk_that_would_expand_without_bound_is_refused(tmp_path, compression, said):
    """A few kB that say that they are gigabytes are not expanded."""
    file = tmp_path / "bomb.mcap"
    file.write_bytes(chunk(compressed(compression, 2**20), compression, said))
    for call in (read_episode, read_info, recover):
        with pytest.raises(ConfigurationError, match="too much"):
            call(file)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_chunk_that_lies_about_its_size_ends_the_messages(tmp_path, compression):
    """No more than one byte past the announced size is expanded."""
    file = tmp_path / "liar.mcap"
    file.write_bytes(chunk(compressed(compression, 2**26), compression, 100))
    assert list(mcap.McapFile(file).messages()) == []


def test_many_small_bombs_are_refused_together(tmp_path):
    """The ratio of all chunks to the file is bounded, not only each chunk."""
    one = chunk(compressed("zstd", 2**25), "zstd", 2**25)[len(mcap.MAGIC) :]
    file = tmp_path / "bombs.mcap"
    file.write_bytes(mcap.MAGIC + one * 50)
    with pytest.raises(ConfigurationError, match=r"too much|runs over"):
        read_episode(file)


def test_a_chunk_of_zeros_is_no_chunk(tmp_path):
    """Millions of empty records are not walked through."""
    file = tmp_path / "zeros.mcap"
    file.write_bytes(chunk(compressed("zstd", 2**20), "zstd", 2**20))
    with pytest.raises(ConfigurationError, match="runs over"):
        read_episode(file)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        count = int(sys.argv[1])
        read = try_mutants(bag(place), place, count, int(sys.argv[2]))
        sys.stdout.write(f"{count} mutants: {read} read, {count - read} refused in one line\n")
