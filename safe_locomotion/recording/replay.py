"""Replay: estimator and supervisor run again on the LowStates of an episode.

The settings are those of the recording, or others. The stages are the real ones. Velocity command
and mode come from the recorded verdicts: the question is which policy would have driven, not where
the robot would have walked. The proposals are the recorded ones, or those of a policy that runs
again.

The replay is open loop. After the first decision that differs, the robot would have moved in
another way. Up to there the replay is exact. After that it says how the supervisor would have
decided in the recorded states.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.estimation.estimator import EstimatorParameters, StateEstimator
from safe_locomotion.pipeline import make_intervention, make_recovery
from safe_locomotion.policy.stage import Learner, PolicyStage
from safe_locomotion.recording.course import Course
from safe_locomotion.recording.episode import EpisodeRecord, VerdictTrace
from safe_locomotion.recording.stage_values import recorded_config, recorded_estimates
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.robot_time import Divider
from safe_locomotion.safety.capture_point import N_MARGINS, margin_row
from safe_locomotion.safety.forecast import Suppose
from safe_locomotion.safety.replayed import (
    REPORTED_HAZARDS,
    Circumstances,
    ReplayedSupervisor,
)
from safe_locomotion.types import (
    Estimate,
    Feedback,
    LowState,
    Mode,
    Proposal,
    VelocityCommand,
)

WATCHED_EVERY = 500  #: ticks between two calls that report the progress


def recorded_circumstances(
    verdicts: VerdictTrace, recovery_speed: float
) -> Callable[[int], Circumstances]:
    """Circumstances at a stamp, from the newest recorded verdict; PASSIVE before the first one.

    Args:
        verdicts: recorded.
        recovery_speed: share of the wanted velocity that the recovery policy followed. With share
            0 the wanted velocity is unknown, and taken as zero.
    """
    stamps = verdicts.stamp_ns.tolist()
    modes = verdicts.mode.tolist()
    since = verdicts.mode_since_ns.tolist()
    scaled = recovery_speed not in (0.0, 1.0)
    speeds = np.where(verdicts.learner, 1.0, recovery_speed if scaled else 1.0)
    commands = (verdicts.command / speeds[:, None]).tolist()
    hazards = _reported_hazards(verdicts)

    def circumstances(stamp_ns: int) -> Circumstances:
        k = bisect_right(stamps, stamp_ns) - 1
        if k < 0:
            return Circumstances(
                mode=Mode.PASSIVE, mode_since_ns=stamp_ns, command=VelocityCommand()
            )
        vx, vy, wz = commands[k]
        command = VelocityCommand(vx=vx, vy=vy, wz=wz)
        return Circumstances(
            mode=Mode(modes[k]), mode_since_ns=since[k], command=command, hazards=hazards[k]
        )

    return circumstances


def _reported_hazards(verdicts: VerdictTrace) -> list[frozenset[str]]:
    """By row, the hazards that other nodes had reported to the supervisor."""
    reported = [k for k, name in enumerate(verdicts.hazards) if name in REPORTED_HAZARDS]
    return [frozenset(verdicts.hazards[k] for k in reported if row[k]) for row in verdicts.reasons]


class Proposer(Protocol):
    """Source of the proposals of one side."""

    @property
    def suppose(self) -> Suppose | None:
        """For `forecast.Forecaster`: acts in predicted states; None for recorded proposals."""

    def propose(self, estimate: Estimate, now: Circumstances) -> Proposal | None:
        """The newest proposal on this tick."""


class RepeatedPolicy:
    """A policy that runs again on the replayed estimates; it restarts with each walk."""

    def __init__(self, robot: RobotModel, config: StackConfig, learner: Learner | None) -> None:
        self._stage = PolicyStage(robot, config.policy.gait, period_ns=config.policy.period_ns)
        self._stage.take(learner)
        self._due = Divider(config.policy.period_ns)
        self._proposal: Proposal | None = None
        self.suppose: Suppose | None = self._stage.suppose

    def propose(self, estimate: Estimate, now: Circumstances) -> Proposal | None:
        """The newest proposal of the policy, which acts on its own ticks."""
        if self._due.due(estimate.stamp_ns):
            self._proposal = self._stage.update(estimate, now.command, Feedback(mode=now.mode))
            self._due.pace(self._proposal.period_ns, estimate.stamp_ns)
        return self._proposal


@dataclass(frozen=True, kw_only=True)
class Side:
    """One column of the comparison: settings, and the source of proposals."""

    config: StackConfig
    proposer: Proposer


@dataclass(frozen=True, kw_only=True)
class EstimateErrors:
    """Greatest differences between recorded and replayed estimates in WALK.

    All are zero where the estimates are equal to the last digit. They differ where the estimator
    had run before the episode began: the replayed one starts anew and first learns the bias of the
    gyro.

    Attributes:
        height: above the ground [m].
        tilt: against the vertical [rad].
        velocity: greatest component [m/s].
        ticks: number of compared estimates.
    """

    height: float = 0.0
    tilt: float = 0.0
    velocity: float = 0.0
    ticks: int = 0

    @property
    def exact(self) -> bool:
        """Whether all compared numbers are equal."""
        return self.ticks > 0 and self.height == self.tilt == self.velocity == 0.0

    def widened(self, recorded: Estimate, replayed: Estimate) -> "EstimateErrors":
        """The errors with one more tick."""
        height = _height(recorded) - _height(replayed)
        recorded_x, recorded_y = _tilt(recorded)
        x, y = _tilt(replayed)
        velocity = float(np.abs(recorded.velocity - replayed.velocity).max())
        return EstimateErrors(
            height=max(self.height, abs(height)),
            tilt=max(self.tilt, abs(recorded_x - x), abs(recorded_y - y)),
            velocity=max(self.velocity, velocity),
            ticks=self.ticks + 1,
        )


def _height(estimate: Estimate) -> float:
    """Height of the base above the ground [m]."""
    return float(estimate.position[2]) - estimate.ground_height


def _tilt(estimate: Estimate) -> tuple[float, float]:
    """Components x and y of the vertical in base, which are angles for small tilts [rad]."""
    w, x, y, z = estimate.quaternion_wxyz.tolist()
    return 2 * (x * z - w * y), 2 * (y * z + w * x)


class _Run:
    """One side of a running replay."""

    def __init__(self, robot: RobotModel, side: Side) -> None:
        self._supervisor = ReplayedSupervisor(
            robot,
            side.config.supervisor.thresholds,
            make_recovery(robot, side.config),
            make_intervention(robot, side.config, side.proposer.suppose),
        )
        self._proposer = side.proposer
        self._rows: list[tuple[int, int, bool]] = []
        self._margins: list[list[float]] = []

    def step(self, estimate: Estimate, now: Circumstances) -> None:
        verdict = self._supervisor.judge(estimate, self._proposer.propose(estimate, now), now)
        recovers = verdict.mode is Mode.WALK and verdict.active == "recovery"
        self._rows.append((verdict.stamp_ns, verdict.mode, recovers))
        self._margins.append(margin_row(verdict.margins))

    def course(self) -> Course:
        rows = np.array(self._rows, dtype=np.int64).reshape(-1, 3)
        return Course(
            stamp_ns=rows[:, 0],
            mode=rows[:, 1],
            recovery=rows[:, 2] > 0,
            margins=np.array(self._margins, dtype=float).reshape(-1, N_MARGINS),
        )


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Input of a replay.

    Attributes:
        states: LowStates in order.
        circumstances: by stamp.
        estimate: the recorded one by stamp; None without one.
    """

    states: Iterable[LowState]
    circumstances: Callable[[int], Circumstances]
    estimate: Callable[[int], Estimate | None] = lambda stamp_ns: None


def moments_of(record: EpisodeRecord) -> Moments:
    """Input of the replay of an episode.

    Raises:
        ConfigurationError: see `recorded_config`.
    """
    speed = recorded_config(record).supervisor.intervention.recovery_speed
    return Moments(
        states=record.states.low_states(),
        circumstances=recorded_circumstances(record.verdicts, speed),
        estimate=recorded_estimates(record),
    )


def judge_recorded(
    robot: RobotModel,
    moments: Moments,
    sides: Sequence[Side],
    watch: Callable[[int], None] = lambda ticks: None,
) -> list[Course]:
    """Replay all sides on the recorded estimates, without the estimator.

    LowStates without a recorded estimate are left out. For the arguments see `replay`.
    """
    runs = [_Run(robot, side) for side in sides]
    for k, state in enumerate(moments.states):
        estimate = moments.estimate(state.stamp_ns)
        if estimate is not None:
            now = moments.circumstances(state.stamp_ns)
            for run in runs:
                run.step(estimate, now)
        if k % WATCHED_EVERY == 0:
            watch(k)
    return [run.course() for run in runs]


def replay(
    robot: RobotModel,
    moments: Moments,
    sides: Sequence[Side],
    watch: Callable[[int], None] = lambda ticks: None,
) -> tuple[list[Course], EstimateErrors]:
    """Replay all sides on the same LowStates.

    Sides with equal parameters of the estimator share one estimator.

    Args:
        robot: of the recording.
        moments: input of the replay.
        sides: settings and sources of proposals.
        watch: called each second of robot time with the number of ticks that are done.

    Returns:
        A course per side, and how far the estimates of the first side are from the recorded ones.
    """
    estimators: dict[EstimatorParameters, StateEstimator] = {}
    for side in sides:
        estimators.setdefault(side.config.estimator, StateEstimator(robot, side.config.estimator))
    runs = [_Run(robot, side) for side in sides]
    errors = EstimateErrors()
    for k, state in enumerate(moments.states):
        estimates = {
            parameters: estimator.update(state) for parameters, estimator in estimators.items()
        }
        now = moments.circumstances(state.stamp_ns)
        recorded = moments.estimate(state.stamp_ns)
        if recorded is not None and now.mode is Mode.WALK:
            errors = errors.widened(recorded, estimates[sides[0].config.estimator])
        for run, side in zip(runs, sides, strict=True):
            run.step(estimates[side.config.estimator], now)
        if k % WATCHED_EVERY == 0:
            watch(k)
    return [run.course() for run in runs], errors
