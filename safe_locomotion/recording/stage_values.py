"""Arrays of an episode as values of the stages, and as the configuration of the recording."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.recording.course import Course
from safe_locomotion.recording.episode import EpisodeRecord, ProposalTrace, VerdictTrace
from safe_locomotion.safety.capture_point import MARGINS, N_MARGINS
from safe_locomotion.types import Array, Estimate, Flags, GaitParameters, JointTargets, Proposal


def recorded_config(record: EpisodeRecord, changes: Mapping[str, Any] | None = None) -> StackConfig:
    """The configuration of the recording; parameters that were not recorded have shipped values.

    Args:
        record: the episode.
        changes: dotted keys to values that replace recorded ones, as for `config.load_config`.

    Raises:
        ConfigurationError: the robot has no configuration here, or a change is not valid.
    """
    robot = record.info.robot
    if not robot:
        raise ConfigurationError(
            "the episode does not say which robot was recorded: its description is missing"
        )
    overrides: dict[str, Any] = {}
    shipped = load_config(robot)
    for section in (f.name for f in fields(StackConfig)):
        recorded = record.info.parameters.get(f"{section}_node", {})
        known = _leaves(getattr(shipped, section))
        overrides |= {
            f"{section}.{name}": recorded[name] for name in known if recorded.get(name) is not None
        }
    return load_config(robot, {**overrides, **(changes or {})})


def changed_settings(record: EpisodeRecord) -> dict[str, tuple[Any, Any]]:
    """Recorded parameters that differ from the shipped ones, by dotted key: (recorded, shipped).

    Raises:
        ConfigurationError: see `recorded_config`.
    """
    recorded = recorded_config(record)
    shipped = load_config(record.info.robot)
    pairs = {}
    for section in (f.name for f in fields(StackConfig)):
        for name in _leaves(getattr(shipped, section)):
            was = _value(getattr(recorded, section), name)
            now = _value(getattr(shipped, section), name)
            if was != now:
                pairs[f"{section}.{name}"] = (was, now)
    return pairs


def _value(section: Any, name: str) -> Any:
    for part in name.split("."):
        section = getattr(section, part)
    return section


def _leaves(section: Any, prefix: str = "") -> list[str]:
    """Dotted names of all values in a section."""
    names: list[str] = []
    for f in fields(section):
        value = getattr(section, f.name)
        names += _leaves(value, f"{prefix}{f.name}.") if is_dataclass(value) else [prefix + f.name]
    return names


def recorded_course(verdicts: VerdictTrace) -> Course:
    """Course of the recorded verdicts."""
    return Course(
        stamp_ns=verdicts.stamp_ns,
        mode=verdicts.mode,
        recovery=verdicts.recovery,
        margins=_margins(verdicts),
    )


def _margins(verdicts: VerdictTrace) -> Array:
    """Margins (n, 6) in the order of `MARGINS`; NaN where one was not recorded."""
    margins = np.full((len(verdicts), N_MARGINS), np.nan)
    for k, name in enumerate(verdicts.components):
        if name in MARGINS:
            margins[:, MARGINS.index(name)] = verdicts.margins[:, k]
    return margins


def recorded_proposals(proposals: ProposalTrace) -> list[Proposal]:
    """The learner's proposals in order."""
    return [_proposal(proposals, k) for k in range(len(proposals))]


def _proposal(trace: ProposalTrace, k: int) -> Proposal:
    fault = trace.fault[k]
    gait = trace.gait[k]
    joints = trace.joints[k]
    targets = (
        None
        if fault or np.isnan(joints).all()
        else JointTargets(q=joints[0], kp=joints[1], kd=joints[2])
    )
    return Proposal(
        stamp_ns=int(trace.stamp_ns[k]),
        policy=trace.policies[trace.policy[k]],
        kind="gait" if targets is None else "joint",
        gait=None if fault or targets is not None else recorded_gait(gait, trace.lifted[k]),
        joints=targets,
        fault=fault,
        period_ns=int(trace.period_ns[k]),
    )


def recorded_gait(values: Array, lifted: Flags) -> GaitParameters:
    """Gait parameters of a recorded row (9,) and the legs that it holds in the air (4,)."""
    frequency, swing_ratio, fl, rr, rl, *foot_y = values.tolist()
    lifted_fr, lifted_fl, lifted_rr, lifted_rl = lifted.tolist()
    return GaitParameters(
        frequency=frequency,
        swing_ratio=swing_ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
        lifted=(lifted_fr, lifted_fl, lifted_rr, lifted_rl),
    )


def recorded_estimates(record: EpisodeRecord) -> Callable[[int], Estimate | None]:
    """A function that gives the recorded estimate of a stamp, or None."""
    trace = record.estimates
    rows = {stamp: k for k, stamp in enumerate(trace.stamp_ns.tolist())}

    def estimate(stamp_ns: int) -> Estimate | None:
        k = rows.get(stamp_ns)
        return None if k is None else estimate_row(record, k)

    return estimate


def estimate_row(record: EpisodeRecord, k: int) -> Estimate:
    """The recorded estimate in row k."""
    trace = record.estimates
    return Estimate(
        stamp_ns=int(trace.stamp_ns[k]),
        position=trace.position[k],
        quaternion_wxyz=trace.quaternion_wxyz[k],
        velocity=trace.velocity[k],
        angular_velocity=trace.angular_velocity[k],
        position_covariance=trace.position_covariance[k],
        velocity_covariance=trace.velocity_covariance[k],
        q=trace.q[k],
        dq=trace.dq[k],
        contact=trace.contact[k],
        ground_normal=trace.ground_normal[k],
        ground_height=float(trace.ground_height[k]),
        diverged=bool(trace.diverged[k]),
    )
