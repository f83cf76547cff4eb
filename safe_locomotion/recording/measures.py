"""Estimates of an episode in terms of the trigger set and of the velocity command."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.config import StackConfig
from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.recording.episode import EpisodeRecord, EstimateTrace
from safe_locomotion.recording.stage_values import estimate_row
from safe_locomotion.robot.models import load_robot
from safe_locomotion.safety.trigger_set import COMPONENTS, N_COMPONENTS, TriggerState
from safe_locomotion.types import Array, Estimate, VelocityCommand


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Components of the trigger set as the supervisor measured them, on each decision in WALK.

    Attributes:
        stamp_ns: (m,) of the decisions.
        values: (m, 5) in the order of `COMPONENTS`.
    """

    stamp_ns: NDArray[np.int64]
    values: Array


def measured(record: EpisodeRecord, config: StackConfig) -> Measured:
    """Measure the recorded estimates again with the supervisor's configuration.

    The result equals the supervisor's numbers to the last digit. The window of the mean roll rate
    follows the frequency of the gait before the decision, see `intervention.Intervention`. Where a
    learned recovery policy hands back, the frequency of the decision before is taken.
    """
    verdicts = record.verdicts
    estimates = record.estimates
    first = verdicts.walking & _first_of_period(
        verdicts.stamp_ns, verdicts.walking, config.policy.period_ns
    )
    state = TriggerState(config.supervisor.trigger_set)
    frequency = _Frequency(record, config)
    stamps = []
    values = []
    for k in np.flatnonzero(first & np.isin(verdicts.stamp_ns, estimates.stamp_ns)).tolist():
        stamp_ns = int(verdicts.stamp_ns[k])
        estimate = estimate_row(record, int(estimates.at(stamp_ns)))
        stamps.append(stamp_ns)
        values.append(state.update(estimate, frequency.until(k, estimate)))
    return Measured(
        stamp_ns=np.array(stamps, dtype=np.int64),
        values=np.array(values, dtype=float).reshape(-1, N_COMPONENTS),
    )


class _Frequency:
    """Frequency [Hz] of the gait before a decision, on the state of that decision."""

    def __init__(self, record: EpisodeRecord, config: StackConfig) -> None:
        s = config.supervisor
        self._verdicts = record.verdicts
        self._proposals = record.proposals
        self._recovery = NominalGait(load_robot(record.info.robot), s.recovery)
        self._speed = s.intervention.recovery_speed
        self._learned = s.recovery_policy != NOMINAL

    def until(self, row: int, estimate: Estimate) -> float:
        v = self._verdicts
        before = bool(row and v.walking[row - 1] and v.learner[row - 1])
        if before == bool(v.learner[row]):
            return float(v.gait[row, 0])
        if before:
            proposed = int(self._proposals.at(estimate.stamp_ns))
            frequency = float(self._proposals.gait[proposed, 0]) if proposed >= 0 else float("nan")
            return frequency if frequency > 0.0 else float(v.gait[row, 0])
        if self._learned:  # its action on this state is not recorded, but changes slowly
            return float(v.gait[max(0, row - 1), 0])
        vx, vy, wz = (self._speed * v.command[row]).tolist()
        return self._recovery.gait(VelocityCommand(vx=vx, vy=vy, wz=wz), estimate).frequency


def _first_of_period(
    stamp_ns: NDArray[np.int64], walking: NDArray[np.bool_], period_ns: int
) -> NDArray[np.bool_]:
    """(n,) rows that begin a period of the policy, or a walk."""
    begins: NDArray[np.bool_] = np.diff(stamp_ns // period_ns, prepend=-1) != 0
    starts = walking & ~np.concatenate(([False], walking))[:-1]
    return begins | starts


def raw_components(estimates: EstimateTrace) -> Array:
    """(n, 5) components in the order of `COMPONENTS`, straight from the estimates.

    Height above the plane of the feet, tilt against the vertical, and the roll rate of the gyro.
    """
    w, x, y, z = estimates.quaternion_wxyz.T
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    height = estimates.position[:, 2] - estimates.ground_height
    columns = {
        "height": height,
        "roll": roll,
        "pitch": pitch,
        "lateral_velocity": planar_velocity(estimates)[:, 1],
        "roll_rate": estimates.angular_velocity[:, 0],
    }
    return np.column_stack([columns[name] for name in COMPONENTS])


def planar_velocity(estimates: EstimateTrace) -> Array:
    """(n, 3) vx, vy in the yaw frame of the body, and the yaw rate [m/s, m/s, rad/s].

    These are the quantities of a velocity command.
    """
    w, x, y, z = estimates.quaternion_wxyz.T
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    c = np.cos(yaw)
    s = np.sin(yaw)
    vx = estimates.velocity[:, 0]
    vy = estimates.velocity[:, 1]
    return np.column_stack((c * vx + s * vy, c * vy - s * vx, estimates.angular_velocity[:, 2]))


def distance(estimates: EstimateTrace) -> float:
    """Length of the estimated planar path [m]."""
    return float(np.linalg.norm(np.diff(estimates.position[:, :2], axis=0), axis=1).sum())
