"""Write the LowStates of a run as a file for replay."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from safe_locomotion.backends.log import save_states
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.stage_log import read_stage_log
from safe_locomotion.types import LowState

BEFORE_STANDING = 1.0  # s
TICK_NS = 1_000_000  # of the simulated robot; doubles in the log are more exact than this
_VECTORS = tuple(
    f.name
    for f in fields(LowState)
    if f.name not in ("stamp_ns", "tick", "voltage", "remote", "motors_on")
)


def write_states(folder: Path, stood_at_s: float, path: Path) -> None:
    """Write the LowStates that the bridge decoded, from 1 s before the robot stood.

    Args:
        folder: logs of the run.
        stood_at_s: robot time at which the robot first stood [s].
        path: file to write.

    Raises:
        ConfigurationError: the file cannot be written.
    """
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
