"""Steps of the centroidal model from recorded runs, for `model_error`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.model_error import STEP, Transitions
from safe_locomotion.robot.centroidal import NX, POSITION, RATES, RPY, VELOCITY, centroidal_state
from safe_locomotion.robot.ground_frame import ground_frame
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import matrix_from_quaternion, rpy_from_matrix
from safe_locomotion.runtime.stage_log import read_stage_log
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array, Mode

Columns = Mapping[str, Any]
"""Arrays by name, one row per stamp."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRun:
    """Logs of three stages, each with rising stamps `stamp_ns` (n,).

    Attributes:
        where: name of the record, for messages.
        estimates: `position`, `velocity`, `angular_velocity` (n, 3), `quaternion_wxyz` (n, 4),
            `q` (n, 12).
        verdicts: `mode` (n,), `command` (n, 3).
        plans: `force` (n, 12) or (n, 4, 3).
    """

    where: str
    estimates: Columns
    verdicts: Columns
    plans: Columns


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    state: Array
    next_state: Array
    wrench: Array
    command: Array


class _Recording:
    """One run, with the robot's state and wrench at each of its rows."""

    def __init__(self, run: RecordedRun, robot: RobotModel) -> None:
        self._estimates = run.estimates
        self._plans = run.plans
        self._verdicts = run.verdicts
        if "q" not in self._estimates:
            raise ConfigurationError(
                f"{run.where}: the log of the estimator has no joints; record again"
            )
        self._com = robot.com
        self._kinematics = Kinematics(robot)
        self.stamps = self._estimates["stamp_ns"]

    def row(self, stamp_ns: float) -> int:
        """Newest estimate at a stamp."""
        return int(np.searchsorted(self.stamps, stamp_ns, side="right")) - 1

    def walking(self, row: int) -> bool:
        """Whether the robot walks at this estimate."""
        return bool(self._verdict("mode", row) == Mode.WALK)

    def command(self, row: int) -> Array:
        """Velocity command (3,) at this estimate."""
        return np.asarray(self._verdict("command", row))

    def _verdict(self, name: str, row: int) -> Array:
        at = int(np.searchsorted(self._verdicts["stamp_ns"], self.stamps[row], side="right")) - 1
        return np.asarray(self._verdicts[name][max(at, 0)])

    def frame(self, row: int) -> tuple[Array, Array]:
        """Ground frame of this estimate on level ground, and its origin in odom.

        The origin is the point of the ground below the centre of mass.
        """
        rotation = self._rotation(row)
        com = self._estimates["position"][row] + rotation @ self._com
        return ground_frame(rpy_from_matrix(rotation)[2]), np.array((com[0], com[1], 0.0))

    def state(self, row: int, frame: Array, origin: Array) -> Array:
        """State (12,) in a ground frame."""
        e = self._estimates
        return centroidal_state(
            rotation=self._rotation(row),
            position=e["position"][row],
            rates=e["angular_velocity"][row],
            velocity=e["velocity"][row],
            com=self._com,
            frame=frame,
            origin=origin,
        )

    def wrench(self, start_ns: float, end_ns: float, frame: Array) -> Array | None:
        """Mean wrench (6,) of the plans in force in [start, end), in a ground frame.

        None when there was no plan.
        """
        stamps = self._plans["stamp_ns"]
        first = int(np.searchsorted(stamps, start_ns))
        last = int(np.searchsorted(stamps, end_ns))
        rows = [self._plan_wrench(plan) for plan in range(first, last)]
        if not rows:
            return None
        moment, force = np.array(rows).mean(axis=0).reshape(2, 3) @ frame
        return np.concatenate((moment, force))

    def _plan_wrench(self, plan: int) -> Array:
        """Wrench (6,) of one plan about the centre of mass, in odom."""
        row = self.row(self._plans["stamp_ns"][plan])
        rotation = self._rotation(row)
        force = self._plans["force"][plan].reshape(N_LEGS, 3)
        feet = self._kinematics.feet(self._estimates["q"][row]) - self._com
        return np.concatenate(
            (rotation @ np.cross(feet, force).sum(axis=0), rotation @ force.sum(axis=0))
        )

    def _rotation(self, row: int) -> Array:
        return matrix_from_quaternion(self._estimates["quaternion_wxyz"][row])


def read_transitions(folder: Path, robot: RobotModel, dt: float = STEP) -> Transitions:
    """`transitions` from stage logs.

    `safe-locomotion sim --record` and a node's `log_dir` write them.

    Raises:
        ConfigurationError: a log is missing or has no steps.
    """
    estimates = read_stage_log(folder / "estimator.log")
    verdicts = read_stage_log(folder / "supervisor.log")
    plans = read_stage_log(folder / "mpc.log")
    return transitions(
        RecordedRun(where=str(folder), estimates=estimates, verdicts=verdicts, plans=plans),
        robot,
        dt,
    )


def transitions(run: RecordedRun, robot: RobotModel, dt: float = STEP) -> Transitions:
    """Steps of walking on level ground.

    The wrench is the planned one. What motors and contacts do not deliver counts as model error, as
    in a rollout.

    Raises:
        ConfigurationError: no step of a walk was recorded.
    """
    recording = _Recording(run, robot)
    step_ns = round(dt * NANOSECONDS)
    stamps = recording.stamps
    steps = []
    ends = []
    if len(stamps):
        for stamp in np.arange(stamps[0], stamps[-1] - step_ns, step_ns):
            step = _step(recording, float(stamp), step_ns)
            if step is not None:
                steps.append(step)
                ends.append(stamp)
    if not steps:
        raise ConfigurationError(f"{run.where}: no steps of a walking robot")
    state = np.array([step.state for step in steps])
    command = np.array([step.command for step in steps])
    follows = np.diff(np.array(ends), prepend=-np.inf) == step_ns
    height = float(np.median(state[:, POSITION.start + 2]))
    return Transitions(
        dt=dt,
        state=state,
        next_state=np.array([step.next_state for step in steps]),
        wrench=np.array([step.wrench for step in steps]),
        reference=_reference(command, height, dt),
        follows=follows,
    )


def joined(parts: Sequence[Transitions]) -> Transitions:
    """Steps of several runs as one; all must have the same length."""
    names = ("state", "next_state", "wrench", "reference", "follows")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Transitions(dt=parts[0].dt, **arrays)


def _step(recording: _Recording, stamp_ns: float, step_ns: int) -> _Step | None:
    """The step that begins at a stamp; None unless the robot walked from its start to its end."""
    first = recording.row(stamp_ns)
    last = recording.row(stamp_ns + step_ns)
    whole = abs((recording.stamps[last] - recording.stamps[first]) - step_ns) < 1000.0
    if not (whole and recording.walking(first) and recording.walking(last)):
        return None
    frame, origin = recording.frame(first)
    wrench = recording.wrench(stamp_ns, stamp_ns + step_ns, frame)
    if wrench is None:
        return None
    return _Step(
        state=recording.state(first, frame, origin),
        next_state=recording.state(last, frame, origin),
        wrench=wrench,
        command=recording.command(first),
    )


def _reference(command: Array, height: float, dt: float) -> Array:
    """Wanted states (n, 12) after one step: level, at `height`, with the commanded velocity.

    Yaw and x, y count from the start of the step.
    """
    y = np.zeros((len(command), NX))
    y[:, RPY.start + 2] = dt * command[:, 2]
    y[:, POSITION.start + 2] = height
    y[:, POSITION.start : POSITION.start + 2] = dt * command[:, :2]
    y[:, RATES.start + 2] = command[:, 2]
    y[:, VELOCITY.start : VELOCITY.start + 2] = command[:, :2]
    return y
