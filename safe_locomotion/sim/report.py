"""The JSON report of `safe-locomotion sim`: truth against command and against the estimate."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.types import GRAVITY, Array

SETTLE_TIME = 2.0  #: [s] at the start that the velocity error leaves out


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLog:
    """One row per LowState from the moment the robot first stood.

    Planar velocities are in the body's own yaw frame.

    Attributes:
        time: (n,) robot time since the robot first stood [s].
        command: (n, 3) vx, vy, wz in force [m/s, m/s, rad/s]; NaN while the robot is not asked to
            walk.
        velocity: (n, 3) true vx, vy and yaw rate.
        position: (n, 2) true, in the world [m].
        yaw: (n,) true [rad].
        roll_pitch: (n, 2) true [rad].
        estimated_velocity: (n, 3) as `velocity`.
        estimated_position, estimated_yaw: as `position` and `yaw`, in odom.
        power: (n,) sum over the motors of |tau dq| [W].
        recovery: (n,) whether the recovery policy drove while walking.
    """

    time: Array
    command: Array
    velocity: Array
    position: Array
    yaw: Array
    roll_pitch: Array
    estimated_velocity: Array
    estimated_position: Array
    estimated_yaw: Array
    power: Array
    recovery: NDArray[np.bool_]


def velocity_rmse(log: RunLog, cycle: float) -> float:
    """RMS distance [m/s] of the true planar velocity from the command, after `SETTLE_TIME`.

    The velocity is averaged over one gait cycle, whose length is `cycle` [s].
    """
    smooth = cycle_mean(log.velocity[:, :2], log.time, cycle)
    late = (log.time >= SETTLE_TIME) & np.isfinite(log.command).all(axis=1)
    return rms(np.linalg.norm(smooth[late] - log.command[late, :2], axis=1))


def cycle_mean(values: Array, time: Array, cycle: float) -> Array:
    """Centred moving average (n, k) over one gait cycle; shorter at the two ends."""
    if len(time) < 2:
        return values
    half = max(1, round(cycle / float(np.median(np.diff(time))) / 2))
    total = np.vstack((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
    index = np.arange(len(values))
    low = np.maximum(index - half, 0)
    high = np.minimum(index + half, len(values))
    mean: Array = (total[high] - total[low]) / (high - low)[:, None]
    return mean


def drift(log: RunLog) -> float:
    """Planar error of the final displacement [m]; NaN of an empty log.

    Odom is turned so that the first headings agree.
    """
    if not len(log.time):
        return float("nan")
    turn = float(log.yaw[0] - log.estimated_yaw[0])
    c = np.cos(turn)
    s = np.sin(turn)
    dx, dy = log.estimated_position[-1] - log.estimated_position[0]
    estimated = np.array((c * dx - s * dy, s * dx + c * dy))
    return float(np.linalg.norm(estimated - (log.position[-1] - log.position[0])))


def distance(log: RunLog) -> float:
    """Length of the true planar path [m]."""
    return float(np.linalg.norm(np.diff(log.position, axis=0), axis=1).sum())


def energy(log: RunLog) -> float:
    """Mechanical energy: sum of |tau dq| dt [J], by the trapezoidal rule.

    `np.trapezoid` needs numpy 2.
    """
    return float(0.5 * np.sum((log.power[1:] + log.power[:-1]) * np.diff(log.time)))


def motion_figures(log: RunLog, *, cycle: float, mass: float) -> dict[str, Any]:
    """Figures of the motion; keys as in the user contract."""
    travelled = distance(log)
    used = energy(log)
    late = log.time >= SETTLE_TIME
    roll, pitch = log.roll_pitch[late].T if late.any() else np.zeros((2, 1))
    mean = log.velocity[late].mean(axis=0) if late.any() else np.full(3, np.nan)
    return {
        "distance_m": travelled,
        "velocity_rmse_mps": velocity_rmse(log, cycle),
        "mean_velocity": {
            "vx_mps": float(mean[0]),
            "vy_mps": float(mean[1]),
            "wz_radps": float(mean[2]),
        },
        "roll_rms_deg": float(np.rad2deg(rms(roll))),
        "pitch_rms_deg": float(np.rad2deg(rms(pitch))),
        "estimator_velocity_rmse_mps": rms(
            np.linalg.norm(log.estimated_velocity[:, :2] - log.velocity[:, :2], axis=1)
        ),
        "estimator_drift_m": drift(log),
        "recovery_share": float(log.recovery.mean()) if len(log.recovery) else float("nan"),
        "recovery_uses": int(np.count_nonzero(np.diff(log.recovery.astype(int), prepend=0) == 1)),
        "energy_j": used,
        "cost_of_transport": used / (mass * GRAVITY * travelled)
        if travelled > 0.0
        else float("nan"),
    }


def rms(values: Array) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else float("nan")


def percentiles(values_ms: Array) -> dict[str, float]:
    """p50, p99 and max of times [ms]."""
    if not np.size(values_ms):
        return {"p50": float("nan"), "p99": float("nan"), "max": float("nan")}
    p50, p99 = np.percentile(values_ms, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(np.max(values_ms))}


def timing_figures(stages: Mapping[str, Mapping[str, Array]], robot_time: float) -> dict[str, Any]:
    """Rates and latencies of the report.

    Args:
        stages: by stage, its log since the robot first stood. `ms` is the time of one tick. The
            bridge's is state to command: from the decoded LowState to the command in the
            from the decoded LowState to the command in the transport's hands.
        robot_time: length of the log [s].
    """
    rates = {"lowcmd": "bridge", "odom": "estimator", "mpc": "mpc", "policy": "policy"}
    latencies = {
        "state_to_command": "bridge",
        "estimator": "estimator",
        "policy": "policy",
        "supervisor": "supervisor",
        "mpc": "mpc",
        "leg_control_and_gate": "command",
    }
    supervisor = stages["supervisor"]
    rollout = percentiles(
        supervisor["ms"][supervisor["predicted"] > 0.0]
    )  # of the ticks with one, the whole supervisor
    return {
        "rates_hz": {name: len(stages[stage]["ms"]) / robot_time for name, stage in rates.items()},
        "latency_ms": {
            **{name: percentiles(stages[stage]["ms"]) for name, stage in latencies.items()},
            "rollout": rollout,
        },
        "mpc_unsolved": int(np.count_nonzero(stages["mpc"]["solved"] == 0.0)),
    }


def intervention_figures(
    supervisor: Mapping[str, Array], recovery: NDArray[np.bool_], time: Array
) -> dict[str, Any]:
    """How long the recovery policy drove, and how often the robot entered the trigger set.

    Entries are counted by component.

    Args:
        supervisor: its log since the robot first stood.
        recovery: (n,) whether the recovery policy drove while walking.
        time: (n,) of the same rows [s].
    """
    change = np.flatnonzero(np.diff(recovery.astype(int), prepend=0, append=0))
    lengths = (
        time[np.minimum(change[1::2], len(time) - 1)] - time[change[0::2]]
        if len(change)
        else np.zeros(0)
    )
    outside = supervisor["margin"] < 0.0
    entered = np.count_nonzero(np.diff(outside.astype(int), axis=0, prepend=0) == 1, axis=0)
    return {
        "recovery_duration_s": percentiles(lengths),
        "triggers": {name: int(count) for name, count in zip(MARGINS, entered, strict=True)},
    }


def without_nan(value: Any) -> Any:
    """The same report with None for NaN and infinities, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
