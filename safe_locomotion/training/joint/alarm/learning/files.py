"""Files of a training, by their names in its folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.npz"
WEIGHTS = "alarm.npz"


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a file of numpy's by their names.

    Raises:
        OSError, ValueError: there is none, or it is another file.
    """
    with path.open("rb") as file:
        try:
            with np.load(file) as table:
                return {name: table[name] for name in table.files}
        except (BadZipFile, EOFError, AttributeError, TypeError) as error:
            raise ValueError(f"{path.name}: no arrays") from error


def write_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays in the form that `read_arrays` reads."""
    np.savez_compressed(file, allow_pickle=False, **arrays)
