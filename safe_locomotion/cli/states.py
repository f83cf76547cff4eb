"""LowStates of a run as a file for replay."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from safe_locomotion.backends.log import save_states
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.stage_log import read_stage_log
from safe_locomotion.types import LowState

BEFORE_STANDING = 1.0  # s
TICK_NS = 1_000_000  # of the simulated robot; the log's doubles are exact to less than that
_VECTORS = tuple(
    f.name
    for f in fields(LowState)
    if f.name not in ("stamp_ns", "tick", "voltage", "remote", "motors_on")
)


def write_states(folder: Path, stood_at_s: float, path: Path) -> None:
    """Write what the bridge decoded in the run of `folder` from `BEFORE_STANDING` before the robot stood on."""
    columns = read_stage_log(folder / "states.log")
    kept = np.flatnonzero(columns["tick"] >= round(1e3 * (stood_at_s - BEFORE_STANDING)))
    states = [
        LowState(
            stamp_ns=round(columns["stamp_ns"][i] / TICK_NS) * TICK_NS,
            tick=int(columns["tick"][i]),
            voltage=float(columns["voltage"][i]),
            **{name: columns[name][i] for name in _VECTORS},
        )
        for i in kept
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_states(path, states)
    except OSError as error:
        raise ConfigurationError(f"--save-states {path}: {error.strerror}") from error
