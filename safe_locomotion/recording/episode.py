"""An episode in memory: arrays by topic, each row on the stamp of the LowState that it belongs to.

Units and frames as in `types`. Rows of different traces pair by equal stamps, or with `at`: the newest row not younger than a stamp.
A value that a row does not have is NaN.
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
    """What an episode is about.

    Attributes:
        robot: name of its model.
        policy: value of the policy node's parameter `policy` at the start.
        policies: sha256 of the file of each policy that proposed, by name; "" where there is no file (`nominal`).
        parameters: of every node that answered, by node and dotted name.
        software: version of this package.
        start_ns: stamp of the first LowState [ns of robot time].
        started: wall-clock time of the start, ISO 8601.
        why: what started it: walk, service, remote, always or fall (the rest of an episode that was split).
        end: what ended it, e.g. walk over, fall, service, remote, stopped, disk full; "" where the recorder was cut off.
        dropped: messages that never reached the recorder, by topic.
        written: messages in the file, by topic.
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
        """Index of the newest row at each stamp, -1 before the first."""
        return np.searchsorted(self.stamp_ns, stamp_ns, side="right") - 1


@dataclass(frozen=True, kw_only=True)
class StateTrace(Trace):
    """LowStates as the estimator reads them.

    `q, dq, tau` (n, 12), `foot_force` (n, 4), `quaternion_wxyz` (n, 4), `gyro` and `accelerometer` (n, 3).
    """

    q: Array
    dq: Array
    tau: Array
    foot_force: Array
    quaternion_wxyz: Array
    gyro: Array
    accelerometer: Array

    def low_states(self) -> Iterator[LowState]:
        """The LowStates; tick, temperatures, voltage and remote are not recorded: 0, NaN, None and zero bytes."""
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
    """Fields of `types.Estimate`, one row each; covariances (n, 3, 3), `contact` (n, 4), `ground_height` and `diverged` (n,)."""

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
        learner: (n,) the learner drives; the recovery policy otherwise.
        command: (n, 3) vx, vy, wz in force.
        gait: (n, 9) frequency, swing ratio, offsets of FL, RR, RL, foot y of FR, FL, RR, RL.
        joints: (n, 3, 12) q, kp, kd where a joint policy drives.
        components: names of the trigger set's components.
        margins: (n, len(components)).
        hazards: names of hazards that ever held.
        reasons: (n, len(hazards)) which hold.
        policies: names of learners; `policy` (n,) is the index of the one that drives, -1 for none.
        predicted_at: (m,) rows that carry a prediction.
        predicted: m arrays (W + 1, 12), see `types.Verdict`.
    """

    mode: Numbers
    mode_since_ns: Stamps
    learner: Flags
    command: Array
    gait: Array
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
        """(n,) the robot walks."""
        return self.mode == Mode.WALK

    @property
    def recovery(self) -> Flags:
        """(n,) it walks and the recovery policy drives."""
        return self.walking & ~self.learner


@dataclass(frozen=True, kw_only=True)
class ProposalTrace(Trace):
    """Fields of `types.Proposal`: the learner's action as it was understood, whoever drove.

    Attributes:
        policies: names of learners; `policy` (n,) is the index of the one that proposed.
        gait: (n, 9) as in `VerdictTrace`.
        joints: (n, 3, 12) q, kp, kd.
        period_ns: (n,).
        fault: n texts.
    """

    policies: tuple[str, ...]
    policy: Numbers
    gait: Array
    joints: Array
    period_ns: Stamps
    fault: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StepTrace(Trace):
    """What went into the learner's network and what came out, raw: the state and action that algorithm 1 stores.

    Attributes:
        observation: (n, largest width), float64 of the network's float32; NaN behind a narrower policy's.
        action: (n, largest width), of the network, before limits and scales.
    """

    observation: Array
    action: Array


@dataclass(frozen=True, kw_only=True)
class PlanTrace(Trace):
    """Fields of `types.StancePlan`: `stance` (n, 4), `force`, `foot_position`, `foot_velocity` (n, 4, 3), `solved` (n,)."""

    stance: Flags
    force: Array
    foot_position: Array
    foot_velocity: Array
    solved: Flags


@dataclass(frozen=True, kw_only=True)
class CommandTrace(Trace):
    """Fields of `types.LowCommand`: `q, dq, tau, kp, kd` (n, 12).

    Attributes:
        reason: n texts, why the gate refused.
        latency: (n,) from LowState read to command written [s].
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
    """`cmd_vel` as it arrived: `velocity` (n, 3) vx, vy, wz; the one in force is in the verdicts."""

    velocity: Array


@dataclass(frozen=True, kw_only=True)
class EpisodeRecord:
    """One recorded episode.

    Attributes:
        whole: the file was closed as it should be; otherwise it was cut off and read up to its last whole chunk.
        diagnostics: (stamp_ns, {row name: {"level", "message", key: value}}) of each message of `/diagnostics`.
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
        """From the first to the last LowState [s]."""
        stamps = self.states.stamp_ns
        return float(stamps[-1] - stamps[0]) * 1e-9 if len(stamps) else 0.0
