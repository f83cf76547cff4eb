"""Recorded episodes as arrays: the steps of algorithm 1 of paper 1, and steps for the model error.

A robot records no truth: heights, velocities and power here come from the estimator and the motors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from safe_locomotion.envs.gait_tasks import STRIDE_TIME, Reward, StepOutcome
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.model_error import STEP, Transitions
from safe_locomotion.evaluation.recorded_transitions import RecordedRun, joined, transitions
from safe_locomotion.recording.episode import EpisodeRecord, Numbers, Stamps
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.safety.intervention import penalised
from safe_locomotion.types import NANOSECONDS, Array, Flags, GaitParameters, Mode, VelocityCommand


@dataclass(frozen=True, kw_only=True)
class StoredSteps:
    """Steps of one policy while the robot walked, as algorithm 1 stores them.

    Attributes:
        policy: its name.
        stamp_ns: (n,).
        observation, next_observation: (n, o) of its network.
        action: (n, a) of its network: the learner's own action, also while the recovery policy
            drove.
        recovered: (n,) whether the recovery policy drove on this step.
        reward: (n,) of the task, less `intervention.PENALTY` where it did.
        fell: (n,) whether the walk ended in a fall after this step.
    """

    policy: str
    stamp_ns: Stamps
    observation: Array
    next_observation: Array
    action: Array
    recovered: Flags
    reward: Array
    fell: Flags

    def __len__(self) -> int:
        return len(self.stamp_ns)


def stored_steps(
    record: EpisodeRecord, policy: str, robot: RobotModel, reward: Reward | None = None
) -> StoredSteps:
    """Steps of a policy in one episode.

    Args:
        record: the episode.
        policy: name of the learner.
        robot: of the episode.
        reward: of a task (`gait_tasks`), for a policy that chooses the gait. Without it only the
            penalty counts.

    Raises:
        ConfigurationError: no network of that name acted while the robot walked.
    """
    rows = _rows_of(record, policy)
    if len(rows) < 2:
        names = ", ".join(record.proposals.policies) or "nobody"
        raise ConfigurationError(
            f"no network {policy!r} acted while the robot walked; who proposed: {names}"
        )
    steps = record.steps
    verdicts = record.verdicts
    here = rows[:-1]
    after = rows[1:]
    whole = _follows(record, here, after)
    here = here[whole]
    after = after[whole]
    stamps = steps.stamp_ns[here]
    now = np.maximum(verdicts.at(stamps), 0)
    then = np.maximum(verdicts.at(steps.stamp_ns[after]), 0)
    recovered = verdicts.recovery[now]
    earned = (
        np.zeros(len(here))
        if reward is None
        else _rewards(record, stamps, steps.stamp_ns[after], robot, reward)
    )
    return StoredSteps(
        policy=policy,
        stamp_ns=stamps,
        observation=_used(steps.observation[here]),
        next_observation=_used(steps.observation[after]),
        action=_used(steps.action[here]),
        recovered=recovered,
        reward=np.array(
            [penalised(value, bool(on)) for value, on in zip(earned, recovered, strict=True)]
        ),
        fell=verdicts.mode[then] == Mode.FALLEN,
    )


def _rows_of(record: EpisodeRecord, policy: str) -> Numbers:
    """Rows of a policy's network steps in a walk, and the row after its end."""
    proposals = record.proposals
    verdicts = record.verdicts
    stamps = record.steps.stamp_ns
    if policy not in proposals.policies or not len(stamps) or not len(verdicts):
        return np.empty(0, dtype=np.int64)
    of_policy = proposals.policy[np.maximum(proposals.at(stamps), 0)] == proposals.policies.index(
        policy
    )
    walking = verdicts.walking[np.maximum(verdicts.at(stamps), 0)]
    return np.flatnonzero(of_policy & (walking | np.concatenate(([False], walking[:-1]))))


def _follows(record: EpisodeRecord, here: Numbers, after: Numbers) -> Flags:
    """Which pairs of rows belong together: the first is in a walk, the second follows it."""
    stamps = record.steps.stamp_ns
    verdicts = record.verdicts
    walking = verdicts.walking[np.maximum(verdicts.at(stamps[here]), 0)]
    return np.asarray(walking & (after - here == 1))


def _used(rows: Array) -> Array:
    """Rows without the columns that only wider policies have."""
    return rows[:, ~np.isnan(rows).all(axis=0)]


def _rewards(
    record: EpisodeRecord, start: Stamps, end: Stamps, robot: RobotModel, reward: Reward
) -> Array:
    """Rewards (n,) of the steps, from what the estimator and the motors say."""
    estimates = record.estimates
    verdicts = record.verdicts
    states = record.states
    proposals = record.proposals
    power = np.abs(states.tau * states.dq).sum(axis=1)
    rolled = np.concatenate(([0.0], np.cumsum(power)))
    first = states.at(start)
    last = np.maximum(states.at(end), states.at(start) + 1)
    mean_power = (rolled[last + 1] - rolled[first + 1]) / (last - first)
    row = np.maximum(estimates.at(end), 0)
    gaits = proposals.gait[np.maximum(proposals.at(start), 0)]
    rpy = np.array([rpy_from_quaternion(estimates.quaternion_wxyz[k]) for k in row])
    c = np.cos(rpy[:, 2])
    s = np.sin(rpy[:, 2])
    x, y, z = estimates.velocity[row].T
    motion = np.column_stack((c * x + s * y, c * y - s * x, z, estimates.angular_velocity[row, 2]))
    wanted = verdicts.command[np.maximum(verdicts.at(end), 0)]
    motion = _averaged(motion, end - start)
    wanted = _averaged(wanted, end - start)
    height = estimates.position[row, 2] - estimates.ground_height[row]
    outcomes = (
        StepOutcome(
            height=float(height[k]),
            velocity=(motion[k, 0], motion[k, 1], motion[k, 2]),
            yaw_rate=motion[k, 3],
            rates=tuple(estimates.angular_velocity[row[k]].tolist()),
            roll=rpy[k, 0],
            pitch=rpy[k, 1],
            power=float(mean_power[k]),
            gait=_gait(gaits[k]),
            command=VelocityCommand(vx=wanted[k, 0], vy=wanted[k, 1], wz=wanted[k, 2]),
        )
        for k in range(len(start))
    )
    return np.array([reward(outcome, robot) for outcome in outcomes])


def _averaged(values: Array, step_ns: Stamps) -> Array:
    """Running mean over about a stride, beginning with the first row."""
    averaged = values.copy()
    for k in range(1, len(values)):
        share = min(1.0, float(step_ns[k]) / NANOSECONDS / STRIDE_TIME)
        averaged[k] = averaged[k - 1] + share * (values[k] - averaged[k - 1])
    return averaged


def _gait(row: Array) -> GaitParameters:
    frequency, swing_ratio, fl, rr, rl, *y = row.tolist()
    return GaitParameters(
        frequency=frequency,
        swing_ratio=swing_ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(y[0], y[1], y[2], y[3]),
    )


def recorded_transitions(
    paths: Sequence[Path], robot: RobotModel, *, where: str, dt: float = STEP
) -> Transitions:
    """Steps of all walks in several episodes, for `model_error.fit_model_error`.

    Raises:
        ConfigurationError: there is no episode, one is of another robot, or none has a walk.
    """
    found = [
        part
        for path in paths
        if (part := episode_transitions(read_episode(path), robot, str(path), dt)) is not None
    ]
    if not found:
        raise ConfigurationError(
            f"{where}: none of {len(paths)} episode(s) has a step of a walking robot"
        )
    return joined(found)


def episode_transitions(
    record: EpisodeRecord, robot: RobotModel, where: str, dt: float
) -> Transitions | None:
    """Steps of the walks in one episode; None when it has no walk.

    Raises:
        ConfigurationError: the episode is of another robot.
    """
    if record.info.robot not in ("", robot.name):
        raise ConfigurationError(
            f"{where}: this is an episode of {record.info.robot}; "
            f"choose it with --robot {record.info.robot}"
        )
    if not record.verdicts.walking.any() or not len(record.plans):
        return None
    run = RecordedRun(
        where=where,
        estimates=vars(record.estimates),
        verdicts=vars(record.verdicts),
        plans=vars(record.plans),
    )
    return transitions(run, robot, dt)
