"""Recorded | replayed with the same settings | replayed with others: what a replay is asked for, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.file import SUFFIX, load_policy, policy_folders
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.recording.course import Agreement, CourseFigures, agreement, course_figures
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.replay import (
    EstimateErrors,
    Proposer,
    RecordedProposals,
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
from safe_locomotion.types import NANOSECONDS

RECORDED = "recorded"
AGAIN = "again"
SLOWEST_NS = 5_000_000  #: between LowStates that can be replayed; the robot sends them every 2 ms


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the comparison; `agreement` with the recorded one, None for that itself."""

    config: StackConfig
    policy: str
    figures: CourseFigures
    agreement: Agreement | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Answer of a replay.

    Attributes:
        start_ns: stamp at which the episode began.
        recorded, same, other: columns; `other` is None when no other settings were asked for.
        estimates: how far the replayed estimates are from the recorded ones.
        estimates_from: `AGAIN`: the estimator ran again; `RECORDED`: the supervisor judged the recorded estimates.
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
        """By heading."""
        shown = {"recorded": self.recorded, "same settings": self.same}
        return shown if self.other is None else {**shown, "other settings": self.other}

    def seconds(self, stamp_ns: int | None) -> float | None:
        """Time since the episode began [s]."""
        return None if stamp_ns is None else round((stamp_ns - self.start_ns) / NANOSECONDS, 4)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
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
        changes: dotted keys to values, of the other settings; none: only the same settings are replayed.
        policy: whose proposals the other settings judge: `RECORDED`; `AGAIN`: the recorded policy's file, found by its hash, run on the
            replayed estimates; or the name or path of any policy.
        estimates: `AGAIN`: the estimator runs again on the LowStates; `RECORDED`: the supervisor judges the recorded estimates.
        watch: told now and then which share is done.

    Raises:
        ConfigurationError: the episode cannot be replayed, a change is not valid, or there is no such policy.
    """
    _check(record)
    same = recorded_config(record)
    robot = load_robot(record.info.robot)
    proposals = RecordedProposals(recorded_proposals(record.proposals))
    sides = [Side(config=same, proposer=proposals)]
    if changes or policy != RECORDED:
        config = recorded_config(record, changes)
        sides.append(
            Side(
                config=config,
                proposer=proposals
                if policy == RECORDED
                else _run_again(record, robot, config, policy),
            )
        )
    total = len(record.states)
    moments = moments_of(record)
    if estimates == RECORDED:
        courses = judge_recorded(robot, moments, sides, lambda ticks: watch(ticks / total))
        errors = EstimateErrors()
    else:
        courses, errors = replay(robot, moments, sides, lambda ticks: watch(ticks / total))
    start_ns = record.info.start_ns
    recorded = recorded_course(record.verdicts)
    columns = [
        Column(
            config=s.config,
            policy=RECORDED,
            figures=course_figures(c, start_ns),
            agreement=agreement(recorded, c),
        )
        for s, c in zip(sides, courses, strict=True)
    ]
    return Comparison(
        start_ns=start_ns,
        recorded=Column(config=same, policy=RECORDED, figures=course_figures(recorded, start_ns)),
        same=columns[0],
        other=None if len(columns) == 1 else replace(columns[1], policy=_shown(policy, record)),
        estimates=errors,
        estimates_from=estimates,
        gaps=_gaps(record),
        begins_walking=bool(
            record.verdicts.walking[0]
            and record.verdicts.mode_since_ns[0] < record.verdicts.stamp_ns[0]
        ),
    )


def _shown(policy: str, record: EpisodeRecord) -> str:
    """Heading of whose proposals were judged."""
    return (
        policy
        if policy == RECORDED
        else f"{record.info.policy if policy == AGAIN else policy}, run again"
    )


def _check(record: EpisodeRecord) -> None:
    """Refuse an episode from which nothing can be said."""
    steps = np.diff(record.states.stamp_ns)
    if not len(steps):
        raise ConfigurationError(
            "the episode holds no LowStates (joint_states and imu/data): there is nothing to replay"
        )
    if not len(record.verdicts):
        raise ConfigurationError(
            "the episode holds no verdicts (safety/verdict): in which mode the robot was is not known"
        )
    if not np.median(steps) <= SLOWEST_NS:
        raise ConfigurationError(
            f"the episode holds a LowState each {np.median(steps) * 1e-6:.0f} ms, the estimator needs each of them: record with the"
            " stack's own recorder"
        )


def _gaps(record: EpisodeRecord) -> int:
    """LowStates that are missing between others."""
    steps = np.diff(record.states.stamp_ns)
    return int(np.sum(np.round(steps / np.median(steps)) - 1.0))


def _run_again(
    record: EpisodeRecord, robot: RobotModel, config: StackConfig, policy: str
) -> Proposer:
    """A policy that acts on the replayed estimates."""
    return RepeatedPolicy(
        robot, config, _learner(_by_hash(record) if policy == AGAIN else policy, robot, config)
    )


def _learner(name_or_path: str, robot: RobotModel, config: StackConfig) -> Learner | None:
    if name_or_path == NOMINAL:
        return None
    named = not name_or_path.endswith(SUFFIX)
    folders = (
        None if named else [Path(name_or_path).resolve().parent]
    )  # who names a file allows its folder
    return load_policy(name_or_path, robot, config.bridge.limits, folders)


def _by_hash(record: EpisodeRecord) -> str:
    """Path of the file of the policy that proposed in the episode; `nominal` where that did."""
    proposed = {record.proposals.policies[k] for k in np.unique(record.proposals.policy).tolist()}
    if len(proposed) != 1:
        raise ConfigurationError(
            f"{len(proposed)} policies proposed in this episode ({', '.join(sorted(proposed)) or 'none'}): only the recorded proposals"
            " can be replayed, or one policy by its name"
        )
    name = proposed.pop()
    if name == NOMINAL:
        return NOMINAL
    digest = record.info.policies.get(name, "")
    folders = policy_folders()
    for path in sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}")):
        if digest and sha256(path.read_bytes()).hexdigest() == digest:
            return str(path)
    raise ConfigurationError(
        f"no policy file here has the sha256 {digest or '(not recorded)'} of {name}; looked in {', '.join(map(str, folders)) or 'none'};"
        " give its path with --policy FILE, or leave --policy out to replay what it proposed"
    )
