"""An episode in memory: arrays by topic. Each row has the stamp of its LowState.

Units and frames are those of `types`. Rows of different traces belong together when their stamps
are equal; `Trace.at` finds the newest row at a stamp. A value that a row does not have is NaN.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.types import N_JOINTS, Array, Flags, LowState, Mode

Stamps = NDArray[np.int64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class EpisodeInfo:
    """Description of an episode.

    Attributes:
        robot: name of its model.
        policy: value of the parameter `policy` of the policy node at the start.
        policies: by name, the sha256 of the file of each policy that proposed; "" without a file,
            as for `nominal`.
        parameters: of every node that answered, by node and dotted name.
        software: version of this package.
        start_ns: stamp of the first LowState [ns of robot time].
        started: wall-clock time of the start, ISO 8601.
        why: what started it: walk, service, remote, always, or fall for the rest of an episode
            that was split.
        end: what ended it, such as walk over, fall, service, remote, stopped or disk full; ""
            where the recorder was cut off.
        dropped: number of messages that never reached the recorder, by topic.
        written: number of messages in the file, by topic.
    """

    robot: str = ""
    policy: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    software: str = ""
    start_ns: int = 0
    started: str = ""
    why: str = ""
    end: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Rows of one topic; `stamp_ns` (n,) rises."""

    stamp_ns: Stamps

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def at(self, stamp_ns: "Stamps | int") -> Any:
        """Index of the newest row at each stamp; -1 before the first row."""
        return np.searchsorted(self.stamp_ns, stamp_ns, side="right") - 1


@dataclass(frozen=True, kw_only=True)
class StateTrace(Trace):
    """LowStates as the estimator reads them.

    `q, dq, tau` (n, 12), `foot_force` (n, 4), `quaternion_wxyz` (n, 4), `gyro` and `accelerometer`
    (n, 3).
    """

    q: Array
    dq: Array
    tau: Array
    foot_force: Array
    quaternion_wxyz: Array
    gyro: Array
    accelerometer: Array

    def low_states(self) -> Iterator[LowState]:
        """The LowStates, one after the other.

        Tick, temperatures, voltage and remote are not recorded. They are 0, NaN, None and zero
        bytes.
        """
        temperature = np.full(N_JOINTS, np.nan)
        for k, stamp_ns in enumerate(self.stamp_ns.tolist()):
            yield LowState(
                stamp_ns=stamp_ns,
                tick=0,
                quaternion_wxyz=self.quaternion_wxyz[k],
                gyro=self.gyro[k],
                accelerometer=self.accelerometer[k],
                q=self.q[k],
                dq=self.dq[k],
                tau=self.tau[k],
                foot_force=self.foot_force[k],
                temperature=temperature,
                voltage=None,
            )


@dataclass(frozen=True, kw_only=True)
class EstimateTrace(Trace):
    """Fields of `types.Estimate`, one row each.

    Covariances are (n, 3, 3), `contact` (n, 4), `ground_height` and `diverged` (n,).
    """

    position: Array
    quaternion_wxyz: Array
    velocity: Array
    angular_velocity: Array
    position_covariance: Array
    velocity_covariance: Array
    q: Array
    dq: Array
    contact: Flags
    ground_normal: Array
    ground_height: Array
    diverged: Flags


@dataclass(frozen=True, kw_only=True)
class VerdictTrace(Trace):
    """Fields of `types.Verdict`.

    Attributes:
        mode: (n,) number of `types.Mode`.
        mode_since_ns: (n,).
        learner: (n,) whether the learner drives; otherwise the recovery policy does.
        command: (n, 3) vx, vy, wz in force.
        gait: (n, 9) frequency, swing ratio, offsets of FL, RR, RL, foot y of FR, FL, RR, RL.
        lifted: (n, 4) legs that the gait holds in the air.
        joints: (n, 3, 12) q, kp, kd where a joint policy drives.
        components: names of the components that have a margin.
        margins: (n, len(components)).
        hazards: names of all hazards that were ever present.
        reasons: (n, len(hazards)) whether each hazard is present.
        policies: names of learners.
        policy: (n,) index of the learner that drives, -1 for none.
        predicted_at: (m,) rows that carry a prediction.
        predicted: m arrays (W + 1, 12), see `types.Verdict`.
    """

    mode: Numbers
    mode_since_ns: Stamps
    learner: Flags
    command: Array
    gait: Array
    lifted: Flags
    joints: Array
    components: tuple[str, ...]
    margins: Array
    hazards: tuple[str, ...]
    reasons: Flags
    policies: tuple[str, ...]
    policy: Numbers
    predicted_at: Numbers
    predicted: tuple[Array, ...]

    @property
    def walking(self) -> Flags:
        """(n,) whether the robot walks."""
        return self.mode == Mode.WALK

    @property
    def recovery(self) -> Flags:
        """(n,) whether the robot walks under the recovery policy."""
        return self.walking & ~self.learner


@dataclass(frozen=True, kw_only=True)
class ProposalTrace(Trace):
    """Fields of `types.Proposal`: the learner's action in physical units.

    The learner proposes also while the recovery policy drives.

    Attributes:
        policies: names of learners.
        policy: (n,) index of the learner that proposed.
        gait: (n, 9) as in `VerdictTrace`.
        lifted: (n, 4) as in `VerdictTrace`.
        joints: (n, 3, 12) q, kp, kd.
        period_ns: (n,) time until the next proposal.
        fault: n texts.
    """

    policies: tuple[str, ...]
    policy: Numbers
    gait: Array
    lifted: Flags
    joints: Array
    period_ns: Stamps
    fault: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StepTrace(Trace):
    """Raw input and output of the learner's network: state and action of algorithm 1 (paper 1).

    Attributes:
        observation: (n, greatest width), the network's float32 as float64. A narrower policy has
            NaN at the end.
        action: (n, greatest width), output of the network before limits and scales.
    """

    observation: Array
    action: Array


@dataclass(frozen=True, kw_only=True)
class PlanTrace(Trace):
    """Fields of `types.StancePlan`.

    `stance` (n, 4), `force`, `foot_position` and `foot_velocity` (n, 4, 3), `solved` (n,).
    """

    stance: Flags
    force: Array
    foot_position: Array
    foot_velocity: Array
    solved: Flags


@dataclass(frozen=True, kw_only=True)
class CommandTrace(Trace):
    """Fields of `types.LowCommand`: `q, dq, tau, kp, kd` (n, 12).

    Attributes:
        reason: n texts: why the gate refused the command; empty when it did not.
        latency: (n,) time from reading the LowState to writing the command [s].
    """

    q: Array
    dq: Array
    tau: Array
    kp: Array
    kd: Array
    reason: tuple[str, ...]
    latency: Array


@dataclass(frozen=True, kw_only=True)
class VelocityTrace(Trace):
    """`cmd_vel` as it arrived: `velocity` (n, 3) vx, vy, wz.

    `VerdictTrace.command` holds the command in force.
    """

    velocity: Array


@dataclass(frozen=True, kw_only=True)
class EpisodeRecord:
    """One recorded episode.

    Attributes:
        whole: the recorder closed the file. Otherwise it was cut off, and is read up to its last
            whole chunk.
        diagnostics: (stamp_ns, {row name: {"level", "message", key: value}}) of each message of
            `/diagnostics`.
    """

    info: EpisodeInfo
    whole: bool
    states: StateTrace
    estimates: EstimateTrace
    verdicts: VerdictTrace
    proposals: ProposalTrace
    steps: StepTrace
    plans: PlanTrace
    commands: CommandTrace
    velocity: VelocityTrace
    diagnostics: tuple[tuple[int, dict[str, dict[str, str]]], ...] = ()

    @property
    def duration(self) -> float:
        """Time from the first to the last LowState [s]."""
        stamps = self.states.stamp_ns
        return float(stamps[-1] - stamps[0]) * 1e-9 if len(stamps) else 0.0
