"""Trajectories of a policy that explored, from recorded episodes.

A trajectory is as in paper 1, section VI: up to 400 policy steps of 8 ms, which end early with a
fall. The reward is that of the task. On a robot nobody knows the truth, so it comes from the
estimate, and the power from the motors' estimated torques.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_tasks import GaitTask, StepOutcome
from safe_locomotion.envs.stride_mean import StrideMean
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.types import (
    NANOSECONDS,
    Array,
    Flags,
    GaitParameters,
    Mode,
    VelocityCommand,
)

STEP_NS = NANOSECONDS // RATE_HZ
STATE_NS = 2_000_000  #: between two LowStates
SLACK_NS = STATE_NS // 2
"""On hardware the stamps follow a clock, so states do not lie on whole periods."""
STEPS = 400  #: of a trajectory (section VI)
LOWEST = 0.1  #: height of the base below which a step costs 1 [m] (section VI)
FALLEN = (Mode.FALLEN, Mode.FAULT)


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """T steps of one policy.

    Attributes:
        observations: (T + 1, O); the last is that after the last step, or a copy of the last seen.
        actions: (T, A) that the learner drew, also where the recovery policy acted.
        rewards, costs: (T,).
        recovered: (T,) the recovery policy acted.
        fell: it ended with a fall.
        measures: what was measured besides: mean `power_w` [W] and `speed_mps` [m/s], the
            `width_m` between left and right feet that was asked for [m], and the longest time
            without recovery, `streak_s` [s].
    """

    observations: Array
    actions: Array
    rewards: Array
    costs: Array
    recovered: Flags
    fell: bool
    measures: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.actions)


def trajectories_of(
    record: EpisodeRecord,
    policy: str,
    task: GaitTask,
    robot: RobotModel,
    limits: LocomotionParameters,
    *,
    steps: int = STEPS,
) -> Iterator[Trajectory]:
    """Trajectories of a policy in one episode, one behind the other, in their order.

    Only steps in WALK count. A swap of the policy, a message that is missing, and a change of mode
    end a trajectory. One that is shorter than `steps` is left out, unless it ended with a fall.

    Args:
        record: the episode.
        policy: name of the policy.
        task: whose reward counts.
        robot: that walked.
        limits: accelerations to which the controller ramps the command.
        steps: of a trajectory.
    """
    for walk in _walks(record, policy):
        rows = _outcomes(record, walk, task, robot, limits)
        for begin in range(0, len(walk.steps), steps):
            part = slice(begin, begin + steps)
            ends = begin + steps >= len(walk.steps)
            fell = walk.fell and ends
            count = len(walk.steps[part])
            if count < steps and not fell:
                continue
            seen = record.steps.observation[walk.steps[part]]
            after = walk.steps[begin + count : begin + count + 1]
            last = record.steps.observation[after] if len(after) else seen[-1:]
            yield Trajectory(
                observations=np.concatenate((seen, last)),
                actions=record.steps.action[walk.steps[part]],
                rewards=rows.rewards[part],
                costs=rows.costs[part],
                recovered=rows.recovered[part],
                fell=fell,
                measures={
                    "power_w": float(rows.power[part].mean()),
                    "speed_mps": float(rows.speed[part].mean()),
                    "width_m": float(rows.width[part].mean()),
                    "streak_s": longest_streak(~rows.recovered[part]) / RATE_HZ,
                },
            )


def longest_streak(flags: Flags) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """A walk without a gap: rows of `record.steps`, and whether it ended with a fall."""

    steps: NDArray[np.intp]
    fell: bool


@dataclass(frozen=True, kw_only=True)
class _Rows:
    rewards: Array
    costs: Array
    recovered: Flags
    power: Array
    speed: Array
    width: Array


def _walks(record: EpisodeRecord, policy: str) -> Iterator[_Walk]:
    """Walks of a policy without a gap."""
    if policy not in record.proposals.policies or not len(record.steps):
        return
    stamps = record.steps.stamp_ns
    verdict = record.verdicts.at(stamps)
    proposal = record.proposals.at(stamps)
    known = (verdict >= 0) & (proposal >= 0)
    mine = record.proposals.policy[proposal] == record.proposals.policies.index(policy)
    walking = record.verdicts.walking[verdict]
    chosen = known & mine & walking & np.isfinite(record.steps.action).all(axis=1)
    # A stage may act one state earlier or later than its period; a message that is missing makes
    # the step twice as long.
    late = np.abs(np.diff(stamps) - STEP_NS) > STATE_NS + SLACK_NS
    breaks = np.flatnonzero(late) + 1
    for run in np.split(np.arange(len(stamps)), breaks):
        kept = chosen[run]
        edges = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False])).astype(np.int8)))
        for first, end in edges.reshape(-1, 2).tolist():
            yield _Walk(steps=run[first:end], fell=_fell(record, int(stamps[run[end - 1]])))


def _fell(record: EpisodeRecord, last_ns: int) -> bool:
    """Whether the first verdict that does not walk, within a step of the last one, is a fall."""
    verdicts = record.verdicts
    after = (verdicts.stamp_ns > last_ns) & (verdicts.stamp_ns <= last_ns + STEP_NS + SLACK_NS)
    modes = verdicts.mode[after & ~verdicts.walking]
    return bool(len(modes)) and int(modes[0]) in FALLEN


def _outcomes(
    record: EpisodeRecord,
    walk: _Walk,
    task: GaitTask,
    robot: RobotModel,
    limits: LocomotionParameters,
) -> _Rows:
    """Reward, cost and driver of each step; its outcome is the state at its end."""
    begins = record.steps.stamp_ns[walk.steps]
    e = record.estimates
    at = np.maximum(e.at(begins + STEP_NS + SLACK_NS), 0)
    power = _power(record, begins)
    mean = StrideMean(limits, STEP_NS / NANOSECONDS)
    verdict = record.verdicts.at(begins)
    gaits = record.proposals.gait[record.proposals.at(begins)]
    rewards = np.zeros(len(begins))
    heights = e.position[at, 2] - e.ground_height[at]
    for k, row in enumerate(at.tolist()):
        roll, pitch, yaw = rpy_from_quaternion(e.quaternion_wxyz[row])
        vx, vy, wz = record.verdicts.command[verdict[k]].tolist()
        rates = e.angular_velocity[row]
        mean.update(e.velocity[row], rates, yaw, VelocityCommand(vx=vx, vy=vy, wz=wz))
        outcome = StepOutcome(
            height=float(heights[k]),
            velocity=mean.velocity,
            yaw_rate=mean.yaw_rate,
            rates=(float(rates[0]), float(rates[1]), float(rates[2])),
            roll=roll,
            pitch=pitch,
            power=float(power[k]),
            gait=_gait(gaits[k]),
            command=mean.command,
        )
        rewards[k] = task.reward(outcome, robot)
    return _Rows(
        rewards=rewards,
        costs=(~(heights >= LOWEST)).astype(np.float64),
        recovered=record.verdicts.recovery[verdict],
        power=power,
        speed=np.linalg.norm(e.velocity[at, :2], axis=1),
        width=_width(gaits),
    )


def _width(gaits: Array) -> Array:
    """(T,) lateral distance of left and right feet that the learner asked for, mean of both."""
    right = gaits[:, 5] + gaits[:, 7]
    left = gaits[:, 6] + gaits[:, 8]
    width: Array = 0.5 * (left - right)
    return width


def _power(record: EpisodeRecord, begins: NDArray[np.int64]) -> Array:
    """(T,) sum over the motors of |tau dq|, mean over the states of each step [W]."""
    states = record.states
    each = np.abs(states.tau * states.dq).sum(axis=1)
    total = np.concatenate(([0.0], np.cumsum(each)))
    first = states.at(begins + SLACK_NS) + 1
    end = states.at(begins + STEP_NS + SLACK_NS) + 1
    power: Array = (total[end] - total[first]) / np.maximum(end - first, 1)
    return power


def _gait(row: Array) -> GaitParameters:
    v = row.tolist()
    return GaitParameters(
        frequency=v[0],
        swing_ratio=v[1],
        phase_offsets=(v[2], v[3], v[4]),
        foot_y=(v[5], v[6], v[7], v[8]),
    )
