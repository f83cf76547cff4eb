"""What the stages decide, from ROS messages: proposal, verdict, feedback, hazards and plan.

`messages.layouts` describes the topics, `messages.encode` makes the messages of the control path.
"""

import re
from collections.abc import Sequence
from itertools import compress

import numpy as np
from sensor_msgs.msg import JointState, MultiDOFJointState

from safe_locomotion.messages.layouts import (
    ACTIVE,
    FAULT,
    FLAGS_OF_PLAN,
    GAIT,
    LIFTED,
    MARGIN,
    PER_STATE,
    POLICY,
    PREDICTED,
    REASON,
    TARGETS,
    VERDICT,
)
from safe_locomotion.nodes.conversions import (
    MalformedMessageError,
    header,
    stamp_of,
    whole_stamp,
    xyz,
)
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

_FAULT = re.compile(rf"{FAULT}(?P<kind>gait|joint)/(?P<reason>.+)", re.DOTALL)


def _lifted_from(names: Sequence[str], values: Sequence[float]) -> tuple[bool, bool, bool, bool]:
    """Lifted legs of the rows behind those of a gait, which are none in old recordings."""
    fr, fl, rr, rl = [name in names for name in LIFTED]
    if list(names) != list(compress(LIFTED, (fr, fl, rr, rl))) or any(x != 1.0 for x in values):
        raise MalformedMessageError(
            f"rows of lifted legs are some of {', '.join(LIFTED)} in this order, each 1;"
            f" got {', '.join(f'{name} = {x}' for name, x in zip(names, values, strict=True))}"
        )
    return fr, fl, rr, rl


def _gait_from(values: Sequence[float], lifted: tuple[bool, bool, bool, bool]) -> GaitParameters:
    frequency, swing_ratio, fl, rr, rl, *foot_y = values
    return GaitParameters(
        frequency=frequency,
        swing_ratio=swing_ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
        lifted=lifted,
    )


def _split_rows(message: JointState) -> tuple[list[str], list[float], JointTargets | None]:
    """Names and positions of the scalar rows, and the joint targets behind them."""
    names = message.name
    n = len(names)
    if len(message.position) != n:
        raise MalformedMessageError(f"{n} names but {len(message.position)} positions")
    if names[-N_JOINTS:] != TARGETS:
        return names, message.position.tolist(), None
    if not len(message.velocity) == len(message.effort) == n:
        raise MalformedMessageError(f"joint targets need {n} velocities (kp) and efforts (kd)")
    targets = JointTargets(
        q=np.frombuffer(message.position)[-N_JOINTS:],
        kp=np.frombuffer(message.velocity)[-N_JOINTS:],
        kd=np.frombuffer(message.effort)[-N_JOINTS:],
    )
    return names[:-N_JOINTS], message.position.tolist()[:-N_JOINTS], targets


def _predicted_from(message: JointState, names: list[str], first: int) -> Array | None:
    """Predicted states in the rows from `first` to the end of `names`; None for no rows."""
    n = len(names) - first
    if not n:
        return None
    if (
        n % PER_STATE
        or names[first:] != PREDICTED[:n]
        or len(message.velocity) != len(message.name)
    ):
        raise MalformedMessageError(
            "safety/verdict: predicted states have rows predicted/<k>/roll|pitch|yaw|x|y|z,"
            " k from 0 on"
        )
    position = np.frombuffer(message.position)[first : len(names)]
    velocity = np.frombuffer(message.velocity)[first : len(names)]
    return np.hstack((position.reshape(-1, PER_STATE), velocity.reshape(-1, PER_STATE)))


def proposal_from(message: JointState) -> Proposal | None:
    """The proposal behind `policy/proposal`; None when the learner has nothing to propose."""
    if not message.name:
        return None
    names, values, joints = _split_rows(message)
    rest = names[1:]
    n = 1 + len(GAIT)
    gait = None
    if rest[: len(GAIT)] == GAIT:
        gait = _gait_from(values[1:n], _lifted_from(names[n:], values[n:]))
    fault = _FAULT.fullmatch(rest[0]) if len(rest) == 1 else None
    if (
        not names
        or not names[0].startswith(POLICY)
        or (rest and gait is None and fault is None)
        or [gait is not None, joints is not None, fault is not None].count(True) != 1
        or not 0.0 <= values[0] < NANOSECONDS
    ):
        raise MalformedMessageError(
            "policy/proposal must have policy/<name> = period, then gait, joint or fault rows;"
            f" got {', '.join(message.name)}"
        )
    faulty_gait = fault is not None and fault["kind"] == "gait"
    return Proposal(
        stamp_ns=stamp_of(message),
        policy=names[0].removeprefix(POLICY),
        kind="gait" if faulty_gait or gait is not None else "joint",
        gait=gait,
        joints=joints,
        fault="" if fault is None else fault["reason"],
        period_ns=int(values[0]),
    )


def verdict_from(message: JointState) -> Verdict:
    """The verdict behind `safety/verdict`."""
    names, values, joints = _split_rows(message)
    n = len(VERDICT)
    if names[:n] != VERDICT:
        raise MalformedMessageError(f"safety/verdict must start with the rows {', '.join(VERDICT)}")
    mode, since_s, since_ns, active, vx, vy, wz = values[:7]
    if active not in (0.0, 1.0):
        raise MalformedMessageError(f"safety/verdict: active must be 0 or 1 (found {active})")
    first = next((i for i in range(n, len(names)) if names[i].startswith("predicted/")), len(names))
    behind = next((i for i in range(n, first) if names[i] not in LIFTED), first)
    lifted = _lifted_from(names[n:behind], values[n:behind])
    margins, reasons, policy = _named_parts(names[behind:first], values[behind:first])
    try:
        mode_number = Mode(int(mode))
    except (ValueError, OverflowError) as error:
        raise MalformedMessageError(f"safety/verdict: unknown mode {mode}") from error
    return Verdict(
        stamp_ns=stamp_of(message),
        mode=mode_number,
        mode_since_ns=whole_stamp(since_s, since_ns, "safety/verdict"),
        active=ACTIVE[int(active)],
        gait=_gait_from(values[7:n], lifted),
        command=VelocityCommand(vx=vx, vy=vy, wz=wz),
        joints=joints,
        margins=margins,
        predicted=_predicted_from(message, names, first),
        reasons=reasons,
        policy=policy,
    )


def _named_parts(
    names: Sequence[str], values: Sequence[float]
) -> tuple[tuple[tuple[str, float], ...], tuple[str, ...], str]:
    """Margins by component, hazards and driving learner: the rows behind the fixed ones."""
    margins: list[tuple[str, float]] = []
    reasons: list[str] = []
    policies: list[str] = []
    for name, value in zip(names, values, strict=True):
        if name.startswith(MARGIN):
            margins.append((name.removeprefix(MARGIN), value))
        elif name.startswith(REASON):
            reasons.append(name.removeprefix(REASON))
        elif name.startswith(POLICY) and not policies:
            policies.append(name.removeprefix(POLICY))
        else:
            raise MalformedMessageError(
                "safety/verdict: behind the fixed rows come margin/<component>, reason/<hazard>"
                f" and one policy/<name>; got {name}"
            )
    return tuple(margins), tuple(reasons), "".join(policies)


def feedback_message(stamp_ns: int, feedback: Feedback) -> JointState:
    """What became of the proposals, for `safety/feedback`."""
    names = [f"mode/{feedback.mode.name}", f"policy/{feedback.policy}"]
    return JointState(header=header(stamp_ns), name=names)


def feedback_from(message: JointState) -> Feedback:
    """The feedback behind `safety/feedback`."""
    rows = [name.split("/", 1) for name in message.name]
    if (
        [row[0] for row in rows] != ["mode", "policy"]
        or any(len(row) != 2 for row in rows)
        or rows[0][1] not in Mode.__members__
    ):
        raise MalformedMessageError(
            f"safety/feedback must have mode/<name>, policy/<name>; got {', '.join(message.name)}"
        )
    return Feedback(mode=Mode[rows[0][1]], policy=rows[1][1])


def hazards_message(stamp_ns: int, hazards: frozenset[str]) -> JointState:
    """The hazards that the bridge sees, for `safety/hazards`."""
    return JointState(header=header(stamp_ns), name=sorted(hazards))


def hazards_from(message: JointState) -> frozenset[str]:
    """The hazards behind `safety/hazards`."""
    unknown = sorted(set(message.name) - set(HAZARDS))
    if unknown:
        raise MalformedMessageError(
            f"safety/hazards: unknown {', '.join(unknown)}; known: {', '.join(HAZARDS)}"
        )
    return frozenset(message.name)


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
            "mpc/plan needs one row per foot, e.g. FR/stance, FL/swing;"
            f" got {', '.join(message.joint_names)}"
        )
    return StancePlan(
        stamp_ns=stamp_of(message),
        stance=np.array([flag[1] for flag in flags if flag is not None]),
        force=np.array([xyz(w.force) for w in message.wrench]),
        foot_position=np.array([xyz(t.translation) for t in message.transforms]),
        foot_velocity=np.array([xyz(t.linear) for t in message.twist]),
        solved=solved.pop(),
    )
