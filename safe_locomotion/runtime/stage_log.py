"""A growing table of numbers on disk: what a stage did on each tick, for reports and plots.

The file is one JSON line {"columns": [...]}, then rows of little-endian float64. Rows are buffered
and appended in blocks. So memory stays flat over hours, and a killed process loses at most one
block.
"""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import Array

_DOUBLE = np.dtype("<f8")
_PACK = struct.Struct("<d").pack
GATE_REASONS = "gate_reasons.txt"  #: beside the logs: line n is reason number n of `bridge.log`
BLOCK = 500  #: rows held in memory; one second at 500 Hz


class StageLog:
    """Appends rows to a file.

    Raises:
        ConfigurationError: the file cannot be created.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise ConfigurationError(
                f"{path}: the log cannot be written: {error.strerror}"
            ) from error
        self._file.write(json.dumps({"columns": list(columns)}).encode() + b"\n")
        self._file.flush()
        self._row_size = 8 * len(columns)
        self._rows: list[bytes] = []

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
        if not self._file.closed:
            self._flush()
            self._file.close()

    def _flush(self) -> None:
        self._file.write(b"".join(self._rows))
        self._file.flush()
        self._rows.clear()


def read_stage_log(path: Path) -> dict[str, Array]:
    """Columns of a log by name, each (n,).

    Columns named x[0], x[1], ... are one (n, k) array under x. An incomplete last row, of a writer
    that was killed, is left out.

    Raises:
        ConfigurationError: not a log.
    """
    try:
        with path.open("rb") as file:
            columns = [str(column) for column in json.loads(file.readline())["columns"]]
            data = file.read()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a stage log: {error}") from error
    if not columns:
        raise ConfigurationError(f"{path}: not a stage log: it has no columns")
    whole = len(data) // (8 * len(columns)) * len(columns)
    rows = np.frombuffer(data, dtype="<f8", count=whole).reshape(-1, len(columns))
    groups: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.split("[")[0], []).append(index)
    return {
        name: rows[:, at[0]] if columns[at[0]] == name else rows[:, at]
        for name, at in groups.items()
    }


def vector(name: str, size: int) -> tuple[str, ...]:
    """Column names of a vector: x[0], x[1], ..."""
    return tuple(f"{name}[{i}]" for i in range(size))
