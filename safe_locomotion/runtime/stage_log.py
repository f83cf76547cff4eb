"""A growing table of numbers on disk: what a stage did on each tick, for reports and plots.

The file is one JSON line {"columns": [...]}, then rows of little-endian float64. Rows are buffered
and appended in blocks. So memory stays flat over hours, and a killed process loses at most one
block. A log that reaches its largest size keeps its newer half.
"""

import json
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.disk import DiskThread
from safe_locomotion.types import Array

_DOUBLE = np.dtype("<f8")
_PACK = struct.Struct("<d").pack
GATE_REASONS = "gate_reasons.txt"  #: beside the logs: line n is reason number n of `bridge.log`
BLOCK = 500  #: rows held in memory; one second at 500 Hz


class StageLog:
    """Appends rows to a file. A disk that fails ends the log and nothing else.

    Attributes:
        fault: why nothing is written any more; empty while all is well.
        rotations: how often the older half was deleted.
        lost: rows that a slow disk did not take.

    Raises:
        ConfigurationError: the file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        *,
        most_bytes: float = inf,
        disk: DiskThread | None = None,
    ) -> None:
        """Create the file; it replaces one of an earlier run.

        Args:
            path: of the file.
            columns: names; a vector has one for each element.
            most_bytes: of the log on the disk. Half of it is the file. The other half is the file
                before it, under the name of `older`, which is then replaced.
            disk: writes the blocks; None writes them at once.
        """
        self.fault = ""
        self.rotations = 0
        self.lost = 0
        self._path = path
        self._header = json.dumps({"columns": list(columns)}).encode() + b"\n"
        self._most = 0.5 * most_bytes
        self._disk = disk
        self._row_size = 8 * len(columns)
        self._rows: list[bytes] = []
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            older(path).unlink(missing_ok=True)
            self._open()
        except OSError as error:
            raise ConfigurationError(
                f"{path}: the log cannot be written: {error.strerror}"
            ) from error

    def append(self, *values: object) -> None:
        """Add one row of numbers and arrays, flattened in order.

        Rows are made of bytes, which costs a fifth of filling an array.
        """
        row = b"".join(
            [
                (value if value.dtype is _DOUBLE else value.astype(_DOUBLE)).tobytes()
                if isinstance(value, np.ndarray)
                else _PACK(value)
                for value in values
            ]
        )
        if len(row) != self._row_size:
            raise ValueError(f"a row has {self._row_size // 8} values, {len(row) // 8} given")
        self._rows.append(row)
        if len(self._rows) == BLOCK:
            self._flush()

    def close(self) -> None:
        """Write what is left and close the file; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._flush()
            self._do(self._close)

    def _flush(self) -> None:
        block = b"".join(self._rows)
        rows = len(self._rows)
        self._rows.clear()
        if not self._do(lambda: self._write(block)):
            self.lost += rows

    def _do(self, job: Callable[[], None]) -> bool:
        if self._disk is not None:
            return self._disk.add(job)
        job()
        return True

    def _open(self) -> None:
        self._file = self._path.open("wb")
        self._file.write(self._header)
        self._file.flush()
        self._size = len(self._header)

    def _write(self, block: bytes) -> None:
        if self.fault:
            return
        try:
            if self._size + len(block) > self._most:
                self._file.close()
                self._path.replace(older(self._path))
                self._open()
                self.rotations += 1
            self._file.write(block)
            self._file.flush()
            self._size += len(block)
        except OSError as error:
            self.fault = f"{self._path}: {error.strerror}"

    def _close(self) -> None:
        with suppress(OSError):  # of a block that could not be written
            self._file.close()


def older(path: Path) -> Path:
    """Where the rows before the oldest one of a log are, once it was rotated."""
    return path.with_name(f"{path.name}.old")


def read_stage_log(path: Path) -> dict[str, Array]:
    """Columns of a log by name, each (n,).

    Columns named x[0], x[1], ... are one (n, k) array under x. An incomplete last row, of a writer
    that was killed, is left out. A log that was rotated begins with what is left of its older half.

    Raises:
        ConfigurationError: not a log.
    """
    before = older(path)
    parts = [_part(file) for file in ((before, path) if before.is_file() else (path,))]
    columns = parts[-1][0]
    if any(part[0] != columns for part in parts):
        raise ConfigurationError(f"{before}: not the older half of {path.name}")
    rows = np.concatenate([part[1] for part in parts])
    groups: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.split("[")[0], []).append(index)
    return {
        name: rows[:, at[0]] if columns[at[0]] == name else rows[:, at]
        for name, at in groups.items()
    }


def _part(path: Path) -> tuple[list[str], Array]:
    """Columns and rows (n, columns) of one file of a log."""
    try:
        with path.open("rb") as file:
            columns = [str(column) for column in json.loads(file.readline())["columns"]]
            data = file.read()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a stage log: {error}") from error
    if not columns:
        raise ConfigurationError(f"{path}: not a stage log: it has no columns")
    whole = len(data) // (8 * len(columns)) * len(columns)
    return columns, np.frombuffer(data, dtype="<f8", count=whole).reshape(-1, len(columns))


def vector(name: str, size: int) -> tuple[str, ...]:
    """Column names of a vector: x[0], x[1], ..."""
    return tuple(f"{name}[{i}]" for i in range(size))
