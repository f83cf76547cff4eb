"""Layouts of the topics: what each message holds, and the names of its rows.

- `low_state` (Float64MultiArray): what the estimator needs of a LowState, in one message;
  `layout.dim[0].label` is `LOW_STATE_LAYOUT`, with `name:width` in order.
- `joint_states` (JointState): 12 joints in SDK order (position, velocity, effort), under the names
  that they have in the URDF.
- `imu/data` (Imu): REP-145, with orientation of base, rates and specific force in base.
- `foot_forces` (Float64MultiArray): stamp and raw foot sensors [N], labelled by
  `FOOT_FORCE_LAYOUT`.
- `state_estimate` (Float64MultiArray): the whole `Estimate`, labelled by `ESTIMATE_LAYOUT`.
- `odom` (Odometry): REP-105 view of the estimate, with pose of base in odom and twist in base.
- `policy/proposal` (JointState): rows of `name = position`, see below. A message without rows says
  that the learner has nothing to propose on this tick.
- `safety/verdict` (JointState): rows of `name = position`, see below.
- `safety/feedback` (JointState): the names `mode/<mode>` and `policy/<name>`, sent on a change. The
  name is that of the learner that drives, or empty.
- `safety/hazards` (JointState): the names are the hazards that the bridge sees
  (`safety.hazards.HAZARDS`), sent on a change.
- `mpc/plan` (MultiDOFJointState): per foot, in the frame base: transform is the target position,
  twist the target velocity, wrench the force. The joint names hold flags: `FR/stance` or
  `FR/swing`, and `/held` behind it while the force is the last good one.
- `remote/cmd_vel` (TwistStamped): the remote's velocity, while its dead-man switch is held.
- `remote/request` (String): one word of `operator.pad.ACTIONS` per chord that was pressed.
- `low_command` (JointState): the sent command in the rows `LOW_COMMAND`, for the recorder while it
  listens.
- `policy/step` (Float64MultiArray): observation and action of a learner, for the recorder while it
  listens.
- `display/ticks` (UInt8MultiArray): estimate, verdict and plan of a tick, for displays of the five
  processes (`nodes.tick_feed`).
- `recording/ticks` (UInt8MultiArray): all full-rate topics of the composed graph, ten ticks to a
  message (`messages.ticks`).

Rows of a proposal: `policy/<name>` is the robot time to its next proposal [ns]. Then come
`gait/...`, `joint/...`, or `fault/<kind>/<reason>` when the learner's output cannot be used.

Rows of a verdict: `mode` (number of `types.Mode`), `mode_since/s`, `mode_since/ns`, `active` (0
learner, 1 recovery), `command/vx|vy|wz` and `gait/...`. Then come `margin/<component>`, one
`reason/<hazard>` per hazard that holds, and `policy/<name>` of the learner that drives. After a
rollout each step k has rows `predicted/<k>/roll|pitch|yaw|x|y|z`, whose position is an angle or a
place and whose velocity is its rate. Last comes `joint/...` when a joint policy drives.

`gait/...` stands for `frequency`, `swing_ratio`, `offset_FL|RR|RL` and `foot_y_FR|FL|RR|RL`. Behind
them comes one row `lifted/<leg>` for each leg that the gait holds in the air. In
`joint/<joint>` position is the target, velocity kp and effort kd.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Literal

import numpy as np

from safe_locomotion.safety.switching_rule import LONGEST_HORIZON
from safe_locomotion.types import (
    JOINTS,
    LEGS,
    N_JOINTS,
    N_LEGS,
    NANOSECONDS,
    Array,
    GaitParameters,
    JointTargets,
    Proposal,
    StancePlan,
    Verdict,
)

BASE_FRAME = "base_link"  #: REP-105; its origin and axes are those of the base in `types`
ODOM_FRAME = "odom"
JOINT_NAMES = [f"{joint}_joint" for joint in JOINTS]  #: of the URDF, in SDK order
LOW_STATE_FIELDS = (
    ("stamp_s", 1),
    ("stamp_ns", 1),
    ("quaternion_wxyz", 4),
    ("gyro", 3),
    ("accelerometer", 3),
    ("q", N_JOINTS),
    ("dq", N_JOINTS),
    ("tau", N_JOINTS),
    ("foot_force", N_LEGS),
)
LOW_STATE_SIZE = sum(width for _, width in LOW_STATE_FIELDS)
LOW_STATE_LAYOUT = " ".join(f"{name}:{width}" for name, width in LOW_STATE_FIELDS)
FOOT_FORCE_FIELDS = ("stamp_s", "stamp_ns", *LEGS)
FOOT_FORCE_LAYOUT = " ".join(f"{name}:1" for name in FOOT_FORCE_FIELDS)
ESTIMATE_FIELDS = (
    ("stamp_s", 1),
    ("stamp_ns", 1),
    ("position", 3),
    ("quaternion_wxyz", 4),
    ("velocity", 3),
    ("angular_velocity", 3),
    ("position_covariance", 9),
    ("velocity_covariance", 9),
    ("q", N_JOINTS),
    ("dq", N_JOINTS),
    ("contact", N_LEGS),
    ("ground_normal", 3),
    ("ground_height", 1),
    ("diverged", 1),
)
ESTIMATE_SIZE = sum(width for _, width in ESTIMATE_FIELDS)
ESTIMATE_LAYOUT = " ".join(f"{name}:{width}" for name, width in ESTIMATE_FIELDS)

ORIENTATION_VARIANCE = 1e-4
"""For roll and pitch of the robot's own IMU filter, about half a degree; our choice [rad2]."""
YAW_VARIANCE = 1e-2
"""For yaw of the same filter, which no sensor holds: 6 degrees; our choice [rad2]."""
RATE_VARIANCE = 4e-4
"""For a gyroscope noise of 0.02 rad/s, which the estimator assumes too [rad2/s2]."""
ACCELERATION_VARIANCE = 1e-2
"""For an accelerometer noise of 0.1 m/s2, that of the simulated sensor [m2/s4]."""

# Names are lists, as in the messages that they are compared with.
GAIT = [
    "gait/frequency",
    "gait/swing_ratio",
    *(f"gait/offset_{leg}" for leg in LEGS[1:]),
    *(f"gait/foot_y_{leg}" for leg in LEGS),
]
LIFTED = tuple(f"lifted/{leg}" for leg in LEGS)
TARGETS = [f"joint/{joint}" for joint in JOINTS]
COMMAND = ["command/vx", "command/vy", "command/wz"]
VERDICT = ["mode", "mode_since/s", "mode_since/ns", "active", *COMMAND, *GAIT]
PER_STATE = 6  #: rows of a predicted state
PREDICTED = [
    f"predicted/{k}/{name}"
    for k in range(LONGEST_HORIZON + 1)
    for name in ("roll", "pitch", "yaw", "x", "y", "z")
]
ACTIVE: tuple[Literal["learner"], Literal["recovery"]] = ("learner", "recovery")
MARGIN = "margin/"
REASON = "reason/"
POLICY = "policy/"
FAULT = "fault/"
LATENCY = "latency"
GAINS = [f"gains/{joint}" for joint in JOINTS]
LOW_COMMAND = (*JOINTS, *GAINS, LATENCY)
"""Rows of `low_command`: joints (q, dq, tau), gains (kp as position, kd as velocity), latency [s].

When the gate refused the command, a row `reason/<why>` follows."""
NAMES_OF_PLAN = {
    (leg, stance, solved): f"{leg}/{'stance' if stance else 'swing'}{'' if solved else '/held'}"
    for leg in LEGS
    for stance in (False, True)
    for solved in (False, True)
}
FLAGS_OF_PLAN = {name: flags for flags, name in NAMES_OF_PLAN.items()}


def gait_values(gait: GaitParameters) -> list[float]:
    """Values of the rows `GAIT`."""
    return [gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y]


def lifted_rows(gait: GaitParameters) -> tuple[str, ...]:
    """Names of the rows behind `GAIT`, each of value 1."""
    return tuple(compress(LIFTED, gait.lifted))


@dataclass(frozen=True, slots=True)
class NamedRows:
    """Rows of a JointState: scalars, then predicted states, then joint targets.

    Scalars alone have no velocity and effort.
    """

    names: Sequence[str]
    values: list[float]
    joints: JointTargets | None = None
    predicted: Array | None = None

    def whole(self) -> tuple[Sequence[str], tuple[Array, Array, Array]]:
        """Names, and position, velocity and effort of all rows."""
        names = self.names
        zeros = np.zeros(len(self.values))
        position = [np.array(self.values, dtype=float)]
        velocity = [zeros]
        effort = [zeros]
        if self.predicted is not None:
            rows = PER_STATE * len(self.predicted)
            names = (*names, *PREDICTED[:rows])
            position.append(self.predicted[:, :PER_STATE].ravel())
            velocity.append(self.predicted[:, PER_STATE:].ravel())
            effort.append(np.zeros(rows))
        if self.joints is not None:
            names = (*names, *TARGETS)
            position.append(self.joints.q)
            velocity.append(self.joints.kp)
            effort.append(self.joints.kd)
        return names, (np.concatenate(position), np.concatenate(velocity), np.concatenate(effort))


def proposal_rows(proposal: Proposal) -> NamedRows:
    """Rows of a proposal."""
    names = [POLICY + proposal.policy]
    values = [float(proposal.period_ns)]
    if proposal.fault:
        names = [*names, f"{FAULT}{proposal.kind}/{proposal.fault}"]
        values = [*values, 0.0]
    if proposal.gait is not None:
        lifted = lifted_rows(proposal.gait)
        names = [*names, *GAIT, *lifted]
        values = [*values, *gait_values(proposal.gait), *([1.0] * len(lifted))]
    return NamedRows(names, values, proposal.joints)


def verdict_rows(v: Verdict) -> NamedRows:
    """Rows of a verdict."""
    since = divmod(v.mode_since_ns, NANOSECONDS)
    c = v.command
    active = ACTIVE.index(v.active)
    values = [float(v.mode), float(since[0]), float(since[1]), float(active), c.vx, c.vy, c.wz]
    values += gait_values(v.gait)
    lifted = lifted_rows(v.gait)
    values += [1.0] * len(lifted)
    values += [margin for _, margin in v.margins]
    values += [1.0] * (len(v.reasons) + bool(v.policy))
    components = tuple([name for name, _ in v.margins])
    names = _verdict_names(lifted, components, v.reasons, v.policy)
    return NamedRows(names, values, v.joints, v.predicted)


@lru_cache(maxsize=64)
def _verdict_names(
    lifted: tuple[str, ...], components: tuple[str, ...], reasons: tuple[str, ...], policy: str
) -> tuple[str, ...]:
    margins = (MARGIN + name for name in components)
    hazards = (REASON + name for name in reasons)
    return (*VERDICT, *lifted, *margins, *hazards, *((POLICY + policy,) if policy else ()))


def plan_names(plan: StancePlan) -> tuple[str, ...]:
    """Joint names of a plan, which hold its flags."""
    return tuple(
        [
            NAMES_OF_PLAN[leg, flag, plan.solved]
            for leg, flag in zip(LEGS, plan.stance.tolist(), strict=True)
        ]
    )
