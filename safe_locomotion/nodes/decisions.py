"""What the stages decide, as ROS messages and back: proposal, verdict, hazards and plan; their layouts are in `messages.layouts`."""

from array import array
from collections.abc import Sequence
from typing import Literal

import numpy as np
from geometry_msgs.msg import Transform, Twist, Vector3, Wrench
from sensor_msgs.msg import JointState, MultiDOFJointState

from safe_locomotion.messages.layouts import (
    ACTIVE,
    BASE_FRAME,
    FLAGS_OF_PLAN,
    GAIT,
    PER_STATE,
    PREDICTED,
    TARGETS,
    VERDICT,
    NamedRows,
    plan_names,
    proposal_rows,
    verdict_rows,
)
from safe_locomotion.nodes.conversions import MalformedMessageError, floats, header, stamp_of, xyz
from safe_locomotion.safety.hazards import HAZARDS
from safe_locomotion.types import (
    LEGS,
    N_JOINTS,
    N_LEGS,
    NANOSECONDS,
    Array,
    Feedback,
    GaitParameters,
    JointTargets,
    Mode,
    Proposal,
    StancePlan,
    VelocityCommand,
    Verdict,
)


def _gait_from(values: Sequence[float]) -> GaitParameters:
    frequency, swing_ratio, fl, rr, rl, *foot_y = values
    return GaitParameters(
        frequency=frequency,
        swing_ratio=swing_ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
    )


def _rows_message(rows: NamedRows, stamp_ns: int) -> JointState:
    if rows.joints is None and rows.predicted is None:
        return JointState(
            header=header(stamp_ns), name=list(rows.names), position=array("d", rows.values)
        )
    names, (position, velocity, effort) = rows.whole()
    return JointState(
        header=header(stamp_ns),
        name=list(names),
        position=floats(position),
        velocity=floats(velocity),
        effort=floats(effort),
    )


def _split_rows(message: JointState) -> tuple[list[str], list[float], JointTargets | None]:
    """Undo `Rows`."""
    names = message.name
    n = len(message.name)
    if len(message.position) != n:
        raise MalformedMessageError(f"{n} names but {len(message.position)} positions")
    if names[-N_JOINTS:] != TARGETS:
        return names, message.position.tolist(), None
    if not len(message.velocity) == len(message.effort) == n:
        raise MalformedMessageError(f"joint targets need {n} velocities (kp) and efforts (kd)")
    q, kp, kd = (
        np.frombuffer(part)[-N_JOINTS:]
        for part in (message.position, message.velocity, message.effort)
    )
    return names[:-N_JOINTS], message.position.tolist()[:-N_JOINTS], JointTargets(q=q, kp=kp, kd=kd)


def _predicted_from(message: JointState, names: list[str], first: int) -> Array | None:
    """Predicted states whose rows begin at `first` and go on to the end of `names`; None for no rows."""
    n = len(names) - first
    if not n:
        return None
    if (
        n % PER_STATE
        or names[first:] != PREDICTED[:n]
        or len(message.velocity) != len(message.name)
    ):
        raise MalformedMessageError(
            "safety/verdict: predicted states have rows predicted/<k>/roll|pitch|yaw|x|y|z, k from 0 on"
        )
    position, velocity = (
        np.frombuffer(part)[first : len(names)] for part in (message.position, message.velocity)
    )
    return np.hstack((position.reshape(-1, PER_STATE), velocity.reshape(-1, PER_STATE)))


def proposal_message(stamp_ns: int, proposal: Proposal | None) -> JointState:
    """A learner's proposal for `policy/proposal`; None says that there is nothing to wait for on this tick."""
    return (
        JointState(header=header(stamp_ns))
        if proposal is None
        else _rows_message(proposal_rows(proposal), stamp_ns)
    )


def proposal_from(message: JointState) -> Proposal | None:
    """The proposal behind `policy/proposal`; None when the learner has nothing to propose."""
    if not message.name:
        return None
    names, values, joints = _split_rows(message)
    gait = _gait_from(values[1:]) if names[1:] == GAIT else None
    kind, fault = _fault_from(names[1:])
    if (
        not names
        or not names[0].startswith("policy/")
        or len(names) != (10 if gait is not None else 2 if fault else 1)
        or [gait is not None, joints is not None, bool(fault)].count(True) != 1
        or not 0.0 <= values[0] < NANOSECONDS
    ):
        raise MalformedMessageError(
            f"policy/proposal must have policy/<name> = period, then gait, joint or fault rows; got {', '.join(message.name)}"
        )
    return Proposal(
        stamp_ns=stamp_of(message),
        policy=names[0].removeprefix("policy/"),
        kind=kind if fault else "joint" if gait is None else "gait",
        gait=gait,
        joints=joints,
        fault=fault,
        period_ns=int(values[0]),
    )


def _fault_from(names: list[str]) -> tuple[Literal["gait", "joint"], str]:
    """Kind and fault in the row `fault/<kind>/<reason>`; an empty fault when that is not the only row."""
    word, kind, fault = [*names[0].split("/", 2), "", ""][:3] if len(names) == 1 else ("", "", "")
    return ("joint" if kind == "joint" else "gait"), (
        fault if word == "fault" and kind in ("gait", "joint") else ""
    )


def verdict_message(verdict: Verdict) -> JointState:
    """A verdict for `safety/verdict`."""
    return _rows_message(verdict_rows(verdict), verdict.stamp_ns)


def verdict_from(message: JointState) -> Verdict:
    """The verdict behind `safety/verdict`."""
    names, values, joints = _split_rows(message)
    n = len(VERDICT)
    if names[:n] != VERDICT:
        raise MalformedMessageError(f"safety/verdict must start with the rows {', '.join(VERDICT)}")
    mode, since_s, since_ns, active, vx, vy, wz = values[:7]
    first = next((i for i in range(n, len(names)) if names[i].startswith("predicted/")), len(names))
    extra = list(zip(names[n:first], values[n:first], strict=True))
    margins = tuple(
        (name.removeprefix("margin/"), value) for name, value in extra if name.startswith("margin/")
    )
    reasons = tuple(name.removeprefix("reason/") for name, _ in extra if name.startswith("reason/"))
    policies = [name.removeprefix("policy/") for name, _ in extra if name.startswith("policy/")]
    if (
        len(margins) + len(reasons) + len(policies) != len(extra)
        or len(policies) > 1
        or active not in (0.0, 1.0)
    ):
        raise MalformedMessageError(
            "safety/verdict: after the fixed rows come margin/<component>, reason/<hazard> and policy/<name>; active is 0 or 1"
        )
    try:
        mode_number = Mode(int(mode))
        since = int(since_s) * NANOSECONDS + int(since_ns)
    except (ValueError, OverflowError) as error:
        raise MalformedMessageError(
            f"safety/verdict: mode {mode}, mode_since {since_s} s {since_ns} ns"
        ) from error
    return Verdict(
        stamp_ns=stamp_of(message),
        mode=mode_number,
        mode_since_ns=since,
        active=ACTIVE[int(active)],
        gait=_gait_from(values[7:n]),
        command=VelocityCommand(vx=vx, vy=vy, wz=wz),
        joints=joints,
        margins=margins,
        predicted=_predicted_from(message, names, first),
        reasons=reasons,
        policy="".join(policies),
    )


def feedback_message(stamp_ns: int, feedback: Feedback) -> JointState:
    """What became of the proposals, for `safety/feedback`."""
    names = [f"mode/{feedback.mode.name}", f"policy/{feedback.policy}"]
    return JointState(header=header(stamp_ns), name=names)


def feedback_from(message: JointState) -> Feedback:
    """The feedback behind `safety/feedback`."""
    rows = [name.split("/", 1) for name in message.name]
    if [row[0] for row in rows] != ["mode", "policy"] or rows[0][-1] not in Mode.__members__:
        raise MalformedMessageError(
            f"safety/feedback must have mode/<name>, policy/<name>; got {', '.join(message.name)}"
        )
    return Feedback(mode=Mode[rows[0][1]], policy=rows[1][1])


def hazards_message(stamp_ns: int, hazards: frozenset[str]) -> JointState:
    """What the bridge sees is wrong, for `safety/hazards`."""
    return JointState(header=header(stamp_ns), name=sorted(hazards))


def hazards_from(message: JointState) -> frozenset[str]:
    """The hazards behind `safety/hazards`."""
    unknown = sorted(set(message.name) - set(HAZARDS))
    if unknown:
        raise MalformedMessageError(
            f"safety/hazards: unknown {', '.join(unknown)}; known: {', '.join(HAZARDS)}"
        )
    return frozenset(message.name)


# --- plan ------------------------------------------------------------------------------------------------------------------


def plan_message(plan: StancePlan) -> MultiDOFJointState:
    """A stance plan for `mpc/plan`."""
    return MultiDOFJointState(
        header=header(plan.stamp_ns, BASE_FRAME),
        joint_names=list(plan_names(plan)),
        transforms=[
            Transform(translation=Vector3(x=x, y=y, z=z)) for x, y, z in plan.foot_position.tolist()
        ],
        twist=[Twist(linear=Vector3(x=x, y=y, z=z)) for x, y, z in plan.foot_velocity.tolist()],
        wrench=[Wrench(force=Vector3(x=x, y=y, z=z)) for x, y, z in plan.force.tolist()],
    )


def plan_from(message: MultiDOFJointState) -> StancePlan:
    """The stance plan behind `mpc/plan`."""
    flags = [FLAGS_OF_PLAN.get(name) for name in message.joint_names]
    legs = tuple(flag[0] for flag in flags if flag is not None)
    solved = {flag[2] for flag in flags if flag is not None}
    if (
        legs != LEGS
        or len(solved) != 1
        or not len(message.transforms) == len(message.twist) == len(message.wrench) == N_LEGS
    ):
        raise MalformedMessageError(
            f"mpc/plan needs one row per foot, e.g. FR/stance, FL/swing; got {', '.join(message.joint_names)}"
        )
    return StancePlan(
        stamp_ns=stamp_of(message),
        stance=np.array([flag[1] for flag in flags if flag is not None]),
        force=np.array([xyz(w.force) for w in message.wrench]),
        foot_position=np.array([xyz(t.translation) for t in message.transforms]),
        foot_velocity=np.array([xyz(t.linear) for t in message.twist]),
        solved=solved.pop(),
    )
