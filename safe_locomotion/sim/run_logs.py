"""Logs of one run, merged by robot time: truth beside what the runtime knew.

The robot process and the stages left them in one folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.stage_log import GATE_REASONS, read_stage_log
from safe_locomotion.sim.feet_figures import FeetLog
from safe_locomotion.sim.report import RunLog
from safe_locomotion.types import NANOSECONDS, Array, Mode

TRUTH = "truth.npz"
SUMMARY = "robot.json"
STAGES = ("estimator", "policy", "supervisor", "mpc", "command", "bridge")
_TICK_NS = 1_000_000  # of the simulated robot: milliseconds, as on a Go2


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run.

    Attributes:
        log: truth and estimate of every tick from the moment the robot first stood; None when it
            never stood.
        feet: truth about the feet on the same ticks; None when it never stood.
        summary: of the robot process, written at its end.
        stages: by stage, the columns of its log since then. `time` counts from the moment the robot
            first stood [s].
        gate_trips: by reason, how often the gate closed since then.
        cycle: length of the stride of the gait most used while walking [s].
    """

    log: RunLog | None
    feet: FeetLog | None
    summary: dict[str, Any]
    stages: dict[str, dict[str, Array]]
    gate_trips: dict[str, int]
    cycle: float


def read_run(folder: Path) -> RunRecord:
    """The run recorded in `folder`.

    Raises:
        ConfigurationError: a file is missing or has the wrong format.
    """
    try:
        summary = json.loads((folder / SUMMARY).read_text())
        with np.load(folder / TRUTH) as file:
            truth = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{folder}: no complete record of a simulated robot: {error}"
        ) from error
    stages = {name: read_stage_log(folder / f"{name}.log") for name in STAGES}
    stood = summary["stood_at_s"]
    _to_robot_time(stages, 0.0 if stood is None else stood)
    reasons = (folder / GATE_REASONS).read_text().splitlines()
    walking = stages["supervisor"]["mode"] == Mode.WALK
    frequency = stages["supervisor"]["frequency"][walking]
    return RunRecord(
        log=None if stood is None else _merge(truth, stages, stood),
        feet=None if stood is None else _feet(truth, stages, stood),
        summary=summary,
        stages={name: _since(columns, 0.0) for name, columns in stages.items()},
        gate_trips=_gate_trips(_since(stages["bridge"], 0.0)["reason"], reasons),
        cycle=1.0 / float(np.median(frequency)) if len(frequency) else 0.4,
    )


def _to_robot_time(stages: dict[str, dict[str, Array]], stood: float) -> None:
    """Give every stage a column `time`; the bridge knows the stamp of each tick."""
    bridge = stages["bridge"]
    if not len(bridge["tick"]):
        raise ConfigurationError("the bridge answered no LowState")
    anchor_ns = bridge["stamp_ns"][0] - _TICK_NS * bridge["tick"][0]
    for columns in stages.values():
        columns["time"] = np.round((columns["stamp_ns"] - anchor_ns) / NANOSECONDS - stood, 3)


def _since(columns: dict[str, Array], time: float) -> dict[str, Array]:
    late = columns["time"] >= time
    return {name: values[late] for name, values in columns.items()}


def _gate_trips(reason: Array, names: list[str]) -> dict[str, int]:
    """How often each reason began to hold."""
    numbers = reason.astype(int)
    began = numbers[(numbers > 0) & (np.diff(numbers, prepend=0) != 0)]
    return {
        name: count
        for i, name in enumerate(names)
        if (count := int(np.count_nonzero(began == i + 1)))
    }


def _merge(truth: dict[str, Array], stages: dict[str, dict[str, Array]], stood: float) -> RunLog:
    """Rows of the truth since the robot stood, each with the newest estimate and verdict then."""
    since = np.round(truth["time"] - stood, 3)  # whole ticks, so that equal runs give equal figures
    truth = {name: values[since >= 0.0] for name, values in truth.items()}
    time = since[since >= 0.0]
    estimate = _newest(stages["estimator"], time)
    verdict = _newest(stages["supervisor"], time)
    roll, pitch, yaw = _rpy(truth["quaternion_wxyz"])
    estimated_yaw = _rpy(estimate["quaternion_wxyz"])[2]
    walking = verdict["mode"] == Mode.WALK
    return RunLog(
        time=time,
        command=np.where(walking[:, None], verdict["command"], np.nan),
        velocity=_planar(yaw, truth["velocity"], truth["angular_velocity"]),
        position=truth["position"][:, :2],
        yaw=np.unwrap(yaw),
        roll_pitch=np.column_stack((roll, pitch)),
        estimated_velocity=_planar(
            estimated_yaw, estimate["velocity"], estimate["angular_velocity"]
        ),
        estimated_position=estimate["position"][:, :2],
        estimated_yaw=np.unwrap(estimated_yaw),
        power=truth["power"],
        recovery=walking & (verdict["learner"] == 0.0),
    )


def _feet(truth: dict[str, Array], stages: dict[str, dict[str, Array]], stood: float) -> FeetLog:
    """Feet since the robot stood."""
    since = np.round(truth["time"] - stood, 3)
    late = since >= 0.0
    mode = _newest(stages["supervisor"], since[late])["mode"]
    return FeetLog(
        time=since[late],
        force=truth["foot_force"][late],
        q=truth["q"][late],
        walking=mode == Mode.WALK,
    )


def _newest(columns: dict[str, Array], time: Array) -> dict[str, Array]:
    """Rows in force at each time; half a tick of slack absorbs the rounding of stamps."""
    row = np.searchsorted(columns["time"], time + 0.5e-3, side="right") - 1
    return {name: values[np.maximum(row, 0)] for name, values in columns.items()}


def _planar(yaw: Array, velocity: Array, angular_velocity: Array) -> Array:
    """vx, vy in the yaw frame, and the yaw rate (n, 3)."""
    c = np.cos(yaw)
    s = np.sin(yaw)
    x = velocity[:, 0]
    y = velocity[:, 1]
    return np.column_stack((c * x + s * y, c * y - s * x, angular_velocity[:, 2]))


def _rpy(quaternion_wxyz: Array) -> tuple[Array, Array, Array]:
    w, x, y, z = quaternion_wxyz.T
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return roll, pitch, yaw
