"""Recorded LowStates in one `.npz` file: one array per field, one row per state."""

from collections.abc import Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import Array, LowState

_NAMES = tuple(field.name for field in fields(LowState) if field.name != "motors_on")
"""Columns of a log. Not every link reports `motors_on`."""
_REMOTE_BYTES = 40


def save_states(path: str | PathLike[str], states: Sequence[LowState]) -> None:
    """Write states to `path`, floats in double precision."""
    columns: dict[str, Any] = {
        name: np.array([getattr(state, name) for state in states])
        for name in _NAMES
        if name != "remote"
    }
    columns["remote"] = np.frombuffer(b"".join(state.remote for state in states), np.uint8).reshape(
        -1, _REMOTE_BYTES
    )
    np.savez_compressed(path, **columns)


def load_states(path: str | PathLike[str]) -> list[LowState]:
    """Read states that `save_states` wrote.

    Raises:
        ConfigurationError: the file does not exist, is not a log of LowStates, or has columns of
            different lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            columns = {name: data[name] for name in _NAMES}
    except FileNotFoundError as error:
        near = ", ".join(sorted(log.name for log in Path(path).parent.glob("*.npz"))) or "none"
        raise ConfigurationError(f"no log {path}; logs in that folder: {near}") from error
    except (KeyError, ValueError, BadZipFile) as error:
        raise ConfigurationError(
            f"{path} is not a log of LowStates with the columns {', '.join(_NAMES)}: {error}"
        ) from error
    if len({len(column) for column in columns.values()}) != 1:
        raise ConfigurationError(f"{path}: the columns have different lengths")
    return [_row(columns, index) for index in range(len(columns["tick"]))]


def _row(columns: dict[str, Array], index: int) -> LowState:
    row: dict[str, Any] = {name: column[index] for name, column in columns.items()}
    scalars = {
        "stamp_ns": int(row["stamp_ns"]),
        "tick": int(row["tick"]),
        "voltage": float(row["voltage"]),
    }
    return LowState(**{**row, **scalars, "remote": row["remote"].tobytes()})
