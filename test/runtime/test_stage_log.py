"""Stage log: rows come back, memory stays flat, a killed writer loses at most its last block."""

import json
import math
import resource
import tracemalloc
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.disk import DiskThread
from safe_locomotion.runtime.stage_log import BLOCK, StageLog, older, read_stage_log, vector

COLUMNS = ("stamp", *vector("q", 3), "ok")


def write(path: Path, rows: int, *, close: bool = True) -> StageLog:
    log = StageLog(path, COLUMNS)
    for k in range(rows):
        log.append(k, np.array((k, 0.5 * k, -k)), k % 2 == 0)
    if close:
        log.close()
    return log


@pytest.mark.parametrize("rows", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_rows_come_back(tmp_path: Path, rows: int) -> None:
    """For any number of rows around the block size; vectors as one array; new folders are made."""
    path = tmp_path / "new" / "folder" / "run.log"
    write(path, rows)
    table = read_stage_log(path)
    k = np.arange(rows, dtype=np.float64)
    assert list(table) == ["stamp", "q", "ok"]
    np.testing.assert_array_equal(table["stamp"], k)
    np.testing.assert_array_equal(table["q"], np.stack((k, 0.5 * k, -k), axis=1))
    np.testing.assert_array_equal(table["ok"], k % 2 == 0)


def test_numbers_come_back_bit_for_bit(tmp_path: Path) -> None:
    """Extremes, signed zero, infinities and NaN; matrices row by row; big integers are rounded."""
    log = StageLog(tmp_path / "run.log", vector("x", 8))
    matrix = np.array(((5e-324, -0.0), (math.nan, -math.inf)))
    log.append(1.7976931348623157e308, matrix, 0.1, 2**53 + 1, True)
    log.close()
    expected = np.array(
        (1.7976931348623157e308, 5e-324, -0.0, math.nan, -math.inf, 0.1, 2.0**53, 1.0)
    )
    assert read_stage_log(tmp_path / "run.log")["x"].tobytes() == expected.tobytes()


def test_the_file_is_one_line_of_json_and_little_endian_doubles(tmp_path: Path) -> None:
    """Any tool can read it without this package."""
    write(tmp_path / "run.log", 2)
    header, _, data = (tmp_path / "run.log").read_bytes().partition(b"\n")
    assert json.loads(header) == {"columns": list(COLUMNS)}
    np.testing.assert_array_equal(np.frombuffer(data, "<f8"), (0, 0, 0, 0, 1, 1, 1, 0.5, -1, 0))


def test_a_vector_of_one_stays_a_vector(tmp_path: Path) -> None:
    """Shape does not depend on size."""
    log = StageLog(tmp_path / "run.log", vector("x", 1))
    log.append(4.0)
    log.close()
    assert read_stage_log(tmp_path / "run.log")["x"].shape == (1, 1)


@pytest.mark.parametrize("cut", [1, 7, 8, 39])
def test_a_file_that_ends_in_the_middle_of_a_row_keeps_its_whole_rows(
    tmp_path: Path, cut: int
) -> None:
    """Its writer was killed: cut anywhere within the last row, in the middle of a number too."""
    path = tmp_path / "run.log"
    write(path, 10)
    path.write_bytes(path.read_bytes()[:-cut])
    np.testing.assert_array_equal(read_stage_log(path)["stamp"], np.arange(9.0))


def test_a_killed_writer_loses_at_most_one_block(tmp_path: Path) -> None:
    """Full blocks are in the file although the log was not closed."""
    log = write(tmp_path / "run.log", 2 * BLOCK + 3, close=False)
    assert len(read_stage_log(tmp_path / "run.log")["stamp"]) == 2 * BLOCK
    log.close()


def test_closing_twice_writes_once(tmp_path: Path) -> None:
    """The second call does nothing."""
    log = write(tmp_path / "run.log", 3)
    log.close()
    assert len(read_stage_log(tmp_path / "run.log")["stamp"]) == 3


@pytest.mark.parametrize(
    "values",
    [
        (),
        (1.0,),
        (1.0, np.zeros(3)),
        (1.0, np.zeros(3), 1.0, 1.0),
        (1.0, np.zeros(4), 1.0),
        (1.0, np.zeros(9)),
        (1.0,) * 6,
    ],
)
def test_a_row_of_the_wrong_length_is_an_error_that_leaves_the_log_usable(
    tmp_path: Path, values: tuple[object, ...]
) -> None:
    """Too few or too many, numbers or arrays: nothing of it is written."""
    log = write(tmp_path / "run.log", 2, close=False)
    with pytest.raises(ValueError, match=r"^a row has 5 values, \d+ given$"):
        log.append(*values)
    log.append(2, np.array((2.0, 1.0, -2.0)), True)
    log.close()
    np.testing.assert_array_equal(read_stage_log(tmp_path / "run.log")["stamp"], (0.0, 1.0, 2.0))


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Forty blocks cost no more memory than the second one."""
    log = StageLog(tmp_path / "run.log", COLUMNS)
    row = np.arange(3.0)
    tracemalloc.start()
    used = []
    for k in range(40 * BLOCK):
        log.append(k, row, True)
        if k in (2 * BLOCK - 1, 40 * BLOCK - 1):
            used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    log.close()
    assert used[1] - used[0] < 20_000


def test_a_log_with_a_largest_size_keeps_its_newest_rows(tmp_path: Path) -> None:
    """It never takes more of the disk, and a reader gets one table of at least half the size."""
    path = tmp_path / "run.log"
    most = 10 * BLOCK * 8 * len(COLUMNS)
    log = StageLog(path, COLUMNS, most_bytes=most)
    for k in range(33 * BLOCK):
        log.append(k, np.zeros(3), True)
        assert k % BLOCK or sum(file.stat().st_size for file in tmp_path.iterdir()) <= most
    log.close()
    assert log.rotations > 2 and not log.fault
    stamps = read_stage_log(path)["stamp"]
    assert len(stamps) >= 4 * BLOCK
    np.testing.assert_array_equal(stamps, np.arange(33 * BLOCK)[-len(stamps) :])


def test_a_new_run_has_nothing_of_the_older_half_of_another(tmp_path: Path) -> None:
    """Both files of the last run go, and other columns in the older half are an error."""
    path = tmp_path / "run.log"
    log = StageLog(path, COLUMNS, most_bytes=4 * BLOCK * 8 * len(COLUMNS))
    for k in range(5 * BLOCK):
        log.append(k, np.zeros(3), True)
    log.close()
    assert older(path).is_file()
    write(path, 3)
    assert len(read_stage_log(path)["stamp"]) == 3
    older(path).write_bytes(b'{"columns": ["x"]}\n')
    with pytest.raises(ConfigurationError, match="not the older half"):
        read_stage_log(path)


@pytest.mark.parametrize("threaded", [False, True])
def test_a_full_disk_ends_the_log_and_nothing_else(tmp_path: Path, threaded: bool) -> None:
    """Rows are taken as before, and the fault names the file."""
    small = tmp_path / "small.log"
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    disk = DiskThread() if threaded else None
    log = StageLog(small, COLUMNS, disk=disk)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK * 8 * len(COLUMNS), previous[1]))
    try:
        for k in range(4 * BLOCK):
            log.append(k, np.zeros(3), True)
        log.close()
        if disk is not None:
            disk.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    assert log.fault == f"{small}: File too large"
    assert len(read_stage_log(small)["stamp"]) <= BLOCK


def test_a_disk_that_hangs_costs_rows_and_no_time(tmp_path: Path) -> None:
    """Blocks that nobody takes are counted, and closing waits no longer than it is told to."""
    taken = Event()
    hung = Event()

    def hang() -> None:
        taken.set()
        hung.wait()

    disk = DiskThread(2)
    disk.add(hang)
    assert taken.wait(60.0)  # else its place in the queue becomes free after the last block
    log = StageLog(tmp_path / "run.log", COLUMNS, disk=disk)
    for k in range(9 * BLOCK):
        log.append(k, np.zeros(3), True)
    assert log.lost >= 6 * BLOCK
    disk.close(0.01)
    hung.set()
    written = Event()
    while not disk.add(written.set):
        pass
    assert written.wait(60.0)
    log.close()
    disk.close()
    assert len(read_stage_log(tmp_path / "run.log")["stamp"]) == 9 * BLOCK - log.lost


def test_a_failed_job_is_raised_at_the_next_call() -> None:
    """Later jobs are done all the same."""
    done = Event()

    def fail() -> None:
        raise OSError(28, "No space left on device")

    disk = DiskThread()
    assert disk.add(fail) and disk.add(done.set)
    assert done.wait(60.0)
    with pytest.raises(OSError, match="No space left"):
        disk.raise_error()
    with pytest.raises(OSError, match="No space left"):
        disk.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not json\n",
        b"[1, 2]\n",
        b"3\n",
        b'{"rows": 3}\n',
        b'{"columns": 3}\n',
        b'{"columns": []}\n',
        b"\xff\xfe\n",
    ],
)
def test_another_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    """Never a traceback from the parser."""
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"other\.bin: not a stage log"):
        read_stage_log(path)


def test_a_missing_file_or_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Reading what is not there; writing below something that is a file."""
    with pytest.raises(ConfigurationError, match=r"gone\.log: not a stage log"):
        read_stage_log(tmp_path / "gone.log")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="the log cannot be written"):
        StageLog(tmp_path / "file" / "run.log", COLUMNS)
