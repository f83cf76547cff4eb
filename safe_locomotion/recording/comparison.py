"""Replay an episode and compare: recorded, replayed with the same settings, and with other ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.course import (
    Agreement,
    Course,
    CourseFigures,
    agreement,
    course_figures,
)
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.recorded_policy import load_learner, recorded_policy_file
from safe_locomotion.recording.replay import (
    EstimateErrors,
    Proposer,
    RepeatedPolicy,
    Side,
    judge_recorded,
    moments_of,
    replay,
)
from safe_locomotion.recording.stage_values import (
    recorded_config,
    recorded_course,
    recorded_proposals,
)
from safe_locomotion.robot.models import RobotModel, load_robot
from safe_locomotion.safety.replayed import RecordedProposals
from safe_locomotion.types import NANOSECONDS

RECORDED = "recorded"
AGAIN = "again"
SLOWEST_NS = 5_000_000  #: longest step of LowStates that can be replayed; usual are 2 ms


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the comparison.

    Attributes:
        config: settings of the supervisor.
        policy: whose proposals the supervisor judged, in words.
        figures: of the course.
        agreement: with the recorded course; None in the column of the recorded course.
    """

    config: StackConfig
    policy: str
    figures: CourseFigures
    agreement: Agreement | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a replay found.

    Attributes:
        start_ns: stamp at which the episode began.
        recorded, same, other: columns; `other` is None without other settings.
        estimates: how far the replayed estimates are from the recorded ones.
        estimates_from: `AGAIN`: the estimator ran again. `RECORDED`: the supervisor judged the
            recorded estimates.
        gaps: missing LowStates.
        begins_walking: the episode begins in the middle of a walk.
    """

    start_ns: int
    recorded: Column
    same: Column
    other: Column | None
    estimates: EstimateErrors
    estimates_from: str
    gaps: int
    begins_walking: bool

    @property
    def columns(self) -> Mapping[str, Column]:
        """Columns by heading."""
        shown = {"recorded": self.recorded, "same settings": self.same}
        return shown if self.other is None else {**shown, "other settings": self.other}

    def seconds(self, stamp_ns: int | None) -> float | None:
        """Time since the episode began [s]."""
        return None if stamp_ns is None else round((stamp_ns - self.start_ns) / NANOSECONDS, 4)

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain data."""
        e = self.estimates
        return {
            "open_loop": True,
            "missing_states": self.gaps,
            "begins_walking": self.begins_walking,
            "estimates": self.estimates_from,
            "estimate_errors": {
                "exact": e.exact,
                "height_m": e.height,
                "tilt_rad": e.tilt,
                "velocity_mps": e.velocity,
            },
            "columns": {name: self._column(column) for name, column in self.columns.items()},
        }

    def _column(self, column: Column) -> dict[str, Any]:
        s = column.config.supervisor
        agreed = column.agreement
        values: dict[str, Any] = {
            "criterion": s.intervention.criterion,
            "horizon": s.intervention.horizon,
            "trigger_set": s.trigger_set.use,
            "proposals": column.policy,
            **column.figures.as_json(),
        }
        if agreed is not None:
            values["ticks"] = agreed.ticks
            values["equal"] = agreed.equal if agreed.ticks else None
            values["first_difference_s"] = self.seconds(agreed.first_difference_ns)
        return values


def compare(
    record: EpisodeRecord,
    changes: Mapping[str, Any],
    policy: str = RECORDED,
    estimates: str = AGAIN,
    watch: Callable[[float], None] = lambda share: None,
) -> Comparison:
    """Replay an episode with the settings that it was recorded with, and with others.

    Args:
        record: the episode.
        changes: dotted keys to values of the other settings. Without changes, and with the recorded
            proposals, only the recorded settings are replayed.
        policy: whose proposals the other settings judge. `RECORDED`: the recorded ones. `AGAIN`:
            the recorded policy's file, found by its hash, runs on the replayed estimates. Or the
            name or path of any policy.
        estimates: `AGAIN`: the estimator runs again on the LowStates. `RECORDED`: the supervisor
            judges the recorded estimates.
        watch: called now and then with the share that is done.

    Raises:
        ConfigurationError: the episode cannot be replayed, a change is not valid, or there is no
            such policy.
    """
    _check(record)
    same = recorded_config(record)
    robot = load_robot(record.info.robot)
    sides = [Side(config=same, proposer=_proposer(record, robot, same, RECORDED))]
    if changes or policy != RECORDED:
        other = recorded_config(record, changes)
        sides.append(Side(config=other, proposer=_proposer(record, robot, other, policy)))
    courses, errors = _courses(record, robot, sides, estimates, watch)
    recorded = recorded_course(record.verdicts)
    start_ns = record.info.start_ns
    columns = _columns(sides, courses, recorded, start_ns)
    return Comparison(
        start_ns=start_ns,
        recorded=Column(config=same, policy=RECORDED, figures=course_figures(recorded, start_ns)),
        same=columns[0],
        other=None if len(columns) == 1 else replace(columns[1], policy=_shown(policy, record)),
        estimates=errors,
        estimates_from=estimates,
        gaps=_gaps(record),
        begins_walking=_begins_walking(record),
    )


def _proposer(
    record: EpisodeRecord, robot: RobotModel, config: StackConfig, policy: str
) -> Proposer:
    """The source of the proposals that one side judges."""
    if policy == RECORDED:
        return RecordedProposals(recorded_proposals(record.proposals))
    file = recorded_policy_file(record) if policy == AGAIN else policy
    return RepeatedPolicy(robot, config, load_learner(file, robot, config))


def _courses(
    record: EpisodeRecord,
    robot: RobotModel,
    sides: Sequence[Side],
    estimates: str,
    watch: Callable[[float], None],
) -> tuple[list[Course], EstimateErrors]:
    """A course per side, and how far the replayed estimates are from the recorded ones."""
    total = len(record.states)
    moments = moments_of(record)

    def watch_ticks(ticks: int) -> None:
        watch(ticks / total)

    if estimates == RECORDED:
        return judge_recorded(robot, moments, sides, watch_ticks), EstimateErrors()
    return replay(robot, moments, sides, watch_ticks)


def _columns(
    sides: Sequence[Side], courses: Sequence[Course], recorded: Course, start_ns: int
) -> list[Column]:
    """A column per side, compared with the recorded course."""
    return [
        Column(
            config=side.config,
            policy=RECORDED,
            figures=course_figures(course, start_ns),
            agreement=agreement(recorded, course),
        )
        for side, course in zip(sides, courses, strict=True)
    ]


def _begins_walking(record: EpisodeRecord) -> bool:
    """Whether the robot walked already when the episode began."""
    verdicts = record.verdicts
    return bool(verdicts.walking[0] and verdicts.mode_since_ns[0] < verdicts.stamp_ns[0])


def _shown(policy: str, record: EpisodeRecord) -> str:
    """Whose proposals were judged, in words."""
    if policy == RECORDED:
        return policy
    return f"{record.info.policy if policy == AGAIN else policy}, run again"


def _check(record: EpisodeRecord) -> None:
    """Refuse an episode that cannot be replayed."""
    steps = np.diff(record.states.stamp_ns)
    if not len(steps):
        raise ConfigurationError(
            "the episode holds no LowStates (joint_states and imu/data): there is nothing to replay"
        )
    if not len(record.verdicts):
        raise ConfigurationError(
            "the episode holds no verdicts (safety/verdict): the mode of the robot is not known"
        )
    step_ns = float(np.median(steps))
    if not step_ns <= SLOWEST_NS:
        raise ConfigurationError(
            f"the episode holds a LowState each {step_ns * 1e-6:.0f} ms, but the estimator needs"
            f" one each {SLOWEST_NS * 1e-6:.0f} ms or sooner: record with recorder_node"
        )


def _gaps(record: EpisodeRecord) -> int:
    """Number of LowStates that are missing between the others."""
    steps = np.diff(record.states.stamp_ns)
    return int(np.sum(np.round(steps / np.median(steps)) - 1.0))
