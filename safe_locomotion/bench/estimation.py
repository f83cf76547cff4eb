"""Accuracy of the estimators on the same recorded LowStates, against the simulator's truth."""

from collections.abc import Callable

import numpy as np

from safe_locomotion.bench.recording import Recording
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.types import Array, Estimate, LowState

Update = Callable[[LowState], Estimate]


def accuracy(recording: Recording, update: Update) -> dict[str, float]:
    """Errors of a new estimator over the walk, unfiltered.

    Returns:
        velocity_rmse_mps: error of the planar velocity, each in its own yaw frame.
        drift_m: planar error of the displacement, with aligned headings at the start.
        distance_m: length of the true path.
    """
    estimates = [update(tick.state) for tick in recording.ticks]
    walk = np.flatnonzero(recording.walking).tolist()
    estimated = [estimates[i] for i in walk]
    true = [recording.ticks[i].truth for i in walk]
    error = np.array(
        [
            _planar(e.quaternion_wxyz, e.velocity) - _planar(t.quaternion_wxyz, t.velocity)
            for e, t in zip(estimated, true, strict=True)
        ]
    )
    path = np.array([t.position[:2] for t in true])
    displacement = _planar(
        estimated[0].quaternion_wxyz, estimated[-1].position - estimated[0].position
    )
    true_displacement = _planar(true[0].quaternion_wxyz, true[-1].position - true[0].position)
    return {
        "velocity_rmse_mps": float(np.sqrt((error**2).sum(axis=1).mean())),
        "drift_m": float(np.linalg.norm(displacement - true_displacement)),
        "distance_m": float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()),
    }


def _planar(quaternion_wxyz: Array, vector: Array) -> Array:
    """(2,) components along and across the heading."""
    yaw = rpy_from_quaternion(quaternion_wxyz)[2]
    c = np.cos(yaw)
    s = np.sin(yaw)
    return np.array([c * vector[0] + s * vector[1], -s * vector[0] + c * vector[1]])
