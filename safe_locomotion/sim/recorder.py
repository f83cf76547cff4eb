"""Ground truth on disk: one row per LowState, written as it comes, and one .npz file at the end."""

from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.sim.truth import Truth
from safe_locomotion.types import Array

COLUMNS = {
    "time": 1,
    "position": 3,
    "quaternion_wxyz": 4,
    "velocity": 3,
    "angular_velocity": 3,
    "height": 1,
    "foot_force": 4,
    "power": 1,
    "energy": 1,
    "falls": 1,
    "q": 12,
}
"""Arrays of the file and their widths; units and frames as in `Truth`.

`power` is the sum of |tau dq| over the joints [W].
"""

_WIDTH = sum(COLUMNS.values())
_CHUNK = 500


class TruthRecorder:
    """Writes `path`; rows go to `<path>.part` until `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("wb")
        self._rows = np.empty((_CHUNK, _WIDTH))
        self._n = 0

    def add(self, truth: Truth) -> None:
        """Append one row."""
        row = self._rows[self._n]
        row[0] = truth.time_s
        row[1:4] = truth.position
        row[4:8] = truth.quaternion_wxyz
        row[8:11] = truth.velocity
        row[11:14] = truth.angular_velocity
        row[14] = truth.height
        row[15:19] = truth.foot_force
        row[19] = np.abs(truth.joint_power).sum()
        row[20] = truth.energy
        row[21] = truth.falls
        row[22:34] = truth.q
        self._n += 1
        if self._n == _CHUNK:
            self._flush()

    def close(self) -> None:
        """Write the .npz and remove the spool; closing twice does nothing."""
        if self._file.closed:
            return
        self._flush()
        self._file.close()
        rows = np.fromfile(self._part).reshape(-1, _WIDTH)
        with self._path.open("wb") as file:
            np.savez(file, **_split(rows))
        self._part.unlink()

    def _flush(self) -> None:
        self._file.write(self._rows[: self._n].tobytes())
        self._n = 0


def _split(rows: Array) -> dict[str, Any]:
    """Columns by name; those of width one become vectors."""
    parts = np.split(rows, np.cumsum(list(COLUMNS.values()))[:-1], axis=1)
    return {
        name: part[:, 0] if part.shape[1] == 1 else part
        for name, part in zip(COLUMNS, parts, strict=True)
    }
