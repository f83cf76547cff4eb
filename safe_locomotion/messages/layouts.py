"""Layouts of the topics: what each message holds, and the names of its rows.

| topic | type | layout |
|---|---|---|
| `joint_states` | JointState | 12 joints in SDK order (position, velocity, effort), then `FR_foot` ... with effort = raw force |
| `imu/data` | Imu | REP-145: orientation of base, rates and specific force in base |
| `state_estimate` | Float64MultiArray | the whole `Estimate`; `layout.dim[0].label` is `ESTIMATE_LAYOUT`, `name:width` in order |
| `odom` | Odometry | REP-105 view of the same: pose of base in odom, twist expressed in base |
| `policy/proposal` | JointState | rows of `name = position`; no row at all: the learner has nothing to propose on this tick |
| `safety/feedback` | JointState | names `mode/<mode>` and `policy/<name of the learner that drives, or nothing>`; sent on a change |
| `safety/verdict` | JointState | rows of `name = position`, see below |
| `safety/hazards` | JointState | names = hazards that the bridge sees (`safety.hazards.HAZARDS`); sent on a change |
| `remote/cmd_vel` | TwistStamped | the remote's velocity, while its dead-man is held |
| `remote/request` | String | one word of `operator.pad.ACTIONS` per chord that was pressed |
| `mpc/plan` | MultiDOFJointState | per foot: transform = target position, twist = target velocity, wrench = force; frame base |
| `low_command`, `policy/step` | JointState, Float64MultiArray | for the recorder, while it listens: see `messages.encode` |
| `display/ticks` | UInt8MultiArray | estimate, verdict and plan of a tick for displays of the graph of five processes: see `tick_feed` |
| `recording/ticks` | UInt8MultiArray | the same and all above, of the composed graph, ten ticks to a message: see `messages.ticks` |

Rows of a proposal: `policy/<name>` = nanoseconds of robot time to its next proposal, then `gait/...`, `joint/...`, or
`fault/<kind>/<reason>` when the learner's output cannot be used. Rows of a verdict: `mode` (number of `types.Mode`),
`mode_since/s`, `mode_since/ns`, `active` (0 learner, 1 recovery), `command/vx|vy|wz`, `gait/...`, then `margin/<component>`, one
`reason/<hazard>` per hazard that holds, `policy/<name>` of the learner that drives, `predicted/<k>/roll|pitch|yaw|x|y|z` for each
step k of a rollout where there was one (position = angle or place, velocity = its rate), and `joint/...` when a joint policy drives.
`gait/...` is `frequency`, `swing_ratio`, `offset_FL|RR|RL`, `foot_y_FR|FL|RR|RL`; `joint/<joint>` has position = target,
velocity = kp, effort = kd.

In a plan the flags are in the joint names: `FR/stance` or `FR/swing`, with `/held` after it while the force is the last good one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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

BASE_FRAME = "base"
ODOM_FRAME = "odom"
SENSOR_NAMES = [*JOINTS, *(f"{leg}_foot" for leg in LEGS)]
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

# Names are lists, as in the messages that they are compared with.
GAIT = [
    "gait/frequency",
    "gait/swing_ratio",
    *(f"gait/offset_{leg}" for leg in LEGS[1:]),
    *(f"gait/foot_y_{leg}" for leg in LEGS),
]
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
"""Rows of `low_command`: q, dq, tau of each joint; kp (position) and kd (velocity); seconds; one `reason/<why>` when refused."""
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


@dataclass(frozen=True, slots=True)
class NamedRows:
    """Rows of a JointState: scalars, then predicted states, then joint targets; scalars alone have no velocity and effort."""

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
    names = [f"policy/{proposal.policy}"]
    values = [float(proposal.period_ns)]
    if proposal.fault:
        names = [*names, f"fault/{proposal.kind}/{proposal.fault}"]
        values = [*values, 0.0]
    if proposal.gait is not None:
        names = names + GAIT
        values = values + gait_values(proposal.gait)
    return NamedRows(names, values, proposal.joints)


def verdict_rows(v: Verdict) -> NamedRows:
    """Rows of a verdict."""
    since = divmod(v.mode_since_ns, NANOSECONDS)
    g = v.gait
    c = v.command
    values = [
        float(v.mode),
        float(since[0]),
        float(since[1]),
        float(ACTIVE.index(v.active)),
        c.vx,
        c.vy,
        c.wz,
    ]
    values += (g.frequency, g.swing_ratio, *g.phase_offsets, *g.foot_y)
    values += [margin for _, margin in v.margins]
    values += [1.0] * (len(v.reasons) + bool(v.policy))
    names = _verdict_names(tuple([name for name, _ in v.margins]), v.reasons, v.policy)
    return NamedRows(names, values, v.joints, v.predicted)


@lru_cache(maxsize=64)
def _verdict_names(
    components: tuple[str, ...], reasons: tuple[str, ...], policy: str
) -> tuple[str, ...]:
    margins = (f"margin/{name}" for name in components)
    hazards = (f"reason/{name}" for name in reasons)
    return (*VERDICT, *margins, *hazards, *((f"policy/{policy}",) if policy else ()))


def plan_names(plan: StancePlan) -> tuple[str, ...]:
    """Joint names of a plan, which hold its flags."""
    return tuple(
        [
            NAMES_OF_PLAN[leg, flag, plan.solved]
            for leg, flag in zip(LEGS, plan.stance.tolist(), strict=True)
        ]
    )
