"""Dataclasses to ROS messages and back, every number bit for bit.

`header.stamp` is the stamp of the LowState the value was computed from, so latency can be read from any two topics and stages
pair their inputs by equal stamps. Stamps inside arrays are two floats, seconds and nanoseconds: one float64 cannot hold both.

| topic | type | layout |
|---|---|---|
| `joint_states` | JointState | 12 joints in SDK order (position, velocity, effort), then `FR_foot` ... with effort = raw force |
| `imu/data` | Imu | REP-145: orientation of base, rates and specific force in base |
| `state_estimate` | Float64MultiArray | the whole `Estimate`; `layout.dim[0].label` is `ESTIMATE_LAYOUT`, `name:width` in order |
| `odom` | Odometry | REP-105 view of the same: pose of base in odom, twist expressed in base |
| `policy/proposal` | JointState | rows of `name = position`; no row at all: the learner has nothing to propose on this tick |
| `safety/verdict` | JointState | rows of `name = position`, see below |
| `safety/hazards` | JointState | names = hazards that the bridge sees (`modes.HAZARDS`); sent on a change |
| `mpc/plan` | MultiDOFJointState | per foot: transform = target position, twist = target velocity, wrench = force; frame base |

Rows of a proposal: `policy/<name>` first, then `gait/...` or `joint/...`. Rows of a verdict: `mode` (number of `types.Mode`),
`mode_since/s`, `mode_since/ns`, `active` (0 learner, 1 recovery), `command/vx|vy|wz`, `gait/...`, then `margin/<component>`, one
`reason/<hazard>` per hazard that holds, `predicted/<k>/roll|pitch|yaw|x|y|z` for each step k of a rollout where there was one
(position = angle or place, velocity = its rate), and `joint/...` when a joint policy drives. `gait/...` is `frequency`,
`swing_ratio`, `offset_FL|RR|RL`, `foot_y_FR|FL|RR|RL`; `joint/<joint>` has position = target, velocity = kp, effort = kd.

In a plan the flags are in the joint names: `FR/stance` or `FR/swing`, with `/held` after it while the force is the last good one.

Decoders raise `MalformedMessageError` on anything they did not write; the receiving end counts it and drops the message.
"""

from array import array
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, Twist, TwistStamped, Vector3, Wrench
from nav_msgs.msg import Odometry
from sensor_msgs.msg import BatteryState, Imu, JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray, Header, MultiArrayDimension, MultiArrayLayout

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.modes import HAZARDS
from safe_locomotion.reachability import LONGEST_HORIZON
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import (
    JOINTS,
    LEGS,
    N_JOINTS,
    N_LEGS,
    NANOSECONDS,
    Array,
    Estimate,
    GaitParameters,
    JointTargets,
    LowState,
    Mode,
    Proposal,
    StancePlan,
    VelocityCommand,
    Verdict,
)

BASE_FRAME, ODOM_FRAME = "base", "odom"
SENSOR_NAMES = [*JOINTS, *(f"{leg}_foot" for leg in LEGS)]

_ESTIMATE_FIELDS = (
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
ESTIMATE_SIZE = sum(width for _, width in _ESTIMATE_FIELDS)
ESTIMATE_LAYOUT = " ".join(f"{name}:{width}" for name, width in _ESTIMATE_FIELDS)
_LAYOUT = MultiArrayLayout(dim=[MultiArrayDimension(label=ESTIMATE_LAYOUT, size=ESTIMATE_SIZE, stride=ESTIMATE_SIZE)])

_GAIT_ROWS = [
    "gait/frequency",
    "gait/swing_ratio",
    *(f"gait/offset_{leg}" for leg in LEGS[1:]),
    *(f"gait/foot_y_{leg}" for leg in LEGS),
]
_JOINT_ROWS = [f"joint/{joint}" for joint in JOINTS]
_COMMAND_ROWS = ["command/vx", "command/vy", "command/wz"]
_VERDICT_ROWS = ["mode", "mode_since/s", "mode_since/ns", "active", *_COMMAND_ROWS, *_GAIT_ROWS]
_PREDICTED = [f"predicted/{k}/{name}" for k in range(LONGEST_HORIZON + 1) for name in ("roll", "pitch", "yaw", "x", "y", "z")]
_PER_STATE = 6  # rows
_ACTIVE: tuple[Literal["learner"], Literal["recovery"]] = ("learner", "recovery")

ORIENTATION_VARIANCE = 1e-4  # [rad2] roll and pitch of the robot's own IMU filter, about half a degree; our choice for `odom`
RATE_VARIANCE = 4e-4  # [rad2/s2] gyroscope noise of 0.02 rad/s, the value the estimator assumes


class MalformedMessageError(SafeLocomotionError):
    """A message on one of our topics that does not follow the layout above."""


def time_message(stamp_ns: int) -> Time:
    """Nanoseconds to `builtin_interfaces/Time`."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's `header.stamp`."""
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def _header(stamp_ns: int, frame: str = "") -> Header:
    return Header(stamp=time_message(stamp_ns), frame_id=frame)


def _floats(*parts: Array) -> "array[float]":
    """Concatenate float64 arrays into the buffer type that rclpy copies whole."""
    return array("d", b"".join(part.tobytes() for part in parts))


def _vector(v: Sequence[float] | Array) -> Vector3:
    return Vector3(x=float(v[0]), y=float(v[1]), z=float(v[2]))


def _quaternion(wxyz: Array) -> Quaternion:
    w, x, y, z = wxyz.tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def _xyz(v: Any) -> list[float]:
    return [v.x, v.y, v.z]


# --- sensors ---------------------------------------------------------------------------------------------------------------

_NO_FEET = np.zeros(N_LEGS)


def joint_state_from(state: LowState) -> JointState:
    """Joints and feet of a LowState, for `joint_states`."""
    return JointState(
        header=_header(state.stamp_ns),
        name=SENSOR_NAMES,
        position=_floats(state.q, _NO_FEET),
        velocity=_floats(state.dq, _NO_FEET),
        effort=_floats(state.tau, state.foot_force),
    )


def imu_from(state: LowState) -> Imu:
    """IMU part of a LowState, for `imu/data`."""
    return Imu(
        header=_header(state.stamp_ns, BASE_FRAME),
        orientation=_quaternion(state.quaternion_wxyz),
        angular_velocity=_vector(state.gyro),
        linear_acceleration=_vector(state.accelerometer),
    )


def battery_from(state: LowState) -> BatteryState:
    """Battery voltage of a LowState, for `battery_state`; what the robot does not tell is NaN."""
    nan = float("nan")
    return BatteryState(
        header=_header(state.stamp_ns),
        voltage=nan if state.voltage is None else state.voltage,
        **dict.fromkeys(("temperature", "current", "charge", "capacity", "design_capacity", "percentage"), nan),
        present=True,
    )


def low_state_from(joints: JointState, imu: Imu) -> LowState:
    """The LowState behind a pair of sensor messages of one stamp.

    Tick, temperatures, voltage and remote do not travel on these topics; they come back as 0, NaN, None and zero bytes.
    """
    stamp_ns = stamp_of(joints)
    if stamp_of(imu) != stamp_ns:
        raise MalformedMessageError(f"joint_states of {stamp_ns} ns paired with imu/data of {stamp_of(imu)} ns")
    if joints.name != SENSOR_NAMES or not len(joints.position) == len(joints.velocity) == len(joints.effort) == len(SENSOR_NAMES):
        raise MalformedMessageError(f"joint_states must have the rows {', '.join(SENSOR_NAMES)}; got {', '.join(joints.name)}")
    effort = np.frombuffer(joints.effort)
    orientation = imu.orientation
    return LowState(
        stamp_ns=stamp_ns,
        tick=0,
        quaternion_wxyz=np.array([orientation.w, orientation.x, orientation.y, orientation.z]),
        gyro=np.array(_xyz(imu.angular_velocity)),
        accelerometer=np.array(_xyz(imu.linear_acceleration)),
        q=np.frombuffer(joints.position)[:N_JOINTS],
        dq=np.frombuffer(joints.velocity)[:N_JOINTS],
        tau=effort[:N_JOINTS],
        foot_force=effort[N_JOINTS:],
        temperature=np.full(N_JOINTS, np.nan),
        voltage=None,
    )


# --- estimate --------------------------------------------------------------------------------------------------------------


def estimate_message(estimate: Estimate) -> Float64MultiArray:
    """The whole estimate, for `state_estimate`."""
    e = estimate
    stamp = np.array(divmod(e.stamp_ns, NANOSECONDS), dtype=float)
    tail = np.array([*e.contact, *e.ground_normal, e.ground_height, e.diverged], dtype=float)
    covariances = (e.position_covariance, e.velocity_covariance)
    return Float64MultiArray(
        layout=_LAYOUT,
        data=_floats(stamp, e.position, e.quaternion_wxyz, e.velocity, e.angular_velocity, *covariances, e.q, e.dq, tail),
    )


def estimate_stamp_of(message: Float64MultiArray) -> int:
    """Stamp of a `state_estimate` whose layout is ours."""
    dimensions = message.layout.dim
    if len(dimensions) != 1 or dimensions[0].label != ESTIMATE_LAYOUT or len(message.data) != ESTIMATE_SIZE:
        raise MalformedMessageError(f"state_estimate must have the layout {ESTIMATE_LAYOUT}")
    seconds, nanoseconds = message.data[0], message.data[1]
    if not (0.0 <= seconds < 2**31 and 0.0 <= nanoseconds < NANOSECONDS):
        raise MalformedMessageError(f"state_estimate has no valid stamp: {seconds} s {nanoseconds} ns")
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def estimate_from(message: Float64MultiArray) -> Estimate:
    """The estimate behind `state_estimate`."""
    stamp_ns = estimate_stamp_of(message)
    data = np.frombuffer(message.data)
    return Estimate(
        stamp_ns=stamp_ns,
        position=data[2:5],
        quaternion_wxyz=data[5:9],
        velocity=data[9:12],
        angular_velocity=data[12:15],
        position_covariance=data[15:24].reshape(3, 3),
        velocity_covariance=data[24:33].reshape(3, 3),
        q=data[33:45],
        dq=data[45:57],
        contact=data[57:61] != 0.0,
        ground_normal=data[61:64],
        ground_height=float(data[64]),
        diverged=bool(data[65] != 0.0),
    )


def _covariance_6x6(linear: Array, angular_variance: float) -> Array:
    block = np.zeros((6, 6))
    block[:3, :3] = linear
    block[3, 3] = block[4, 4] = block[5, 5] = angular_variance
    return block.ravel()


def odometry_from(estimate: Estimate) -> Odometry:
    """REP-105 odometry: pose of base in odom; twist, and its covariance R^T P R, expressed in base."""
    base_from_odom = matrix_from_quaternion(estimate.quaternion_wxyz).T
    odometry = Odometry(header=_header(estimate.stamp_ns, ODOM_FRAME), child_frame_id=BASE_FRAME)
    position = estimate.position.tolist()
    odometry.pose.pose.position.x, odometry.pose.pose.position.y, odometry.pose.pose.position.z = position
    odometry.pose.pose.orientation = _quaternion(estimate.quaternion_wxyz)
    odometry.pose.covariance = _covariance_6x6(estimate.position_covariance, ORIENTATION_VARIANCE)
    odometry.twist.twist.linear = _vector(base_from_odom @ estimate.velocity)
    odometry.twist.twist.angular = _vector(estimate.angular_velocity)
    velocity_covariance = base_from_odom @ estimate.velocity_covariance @ base_from_odom.T
    odometry.twist.covariance = _covariance_6x6(velocity_covariance, RATE_VARIANCE)
    return odometry


# --- command ---------------------------------------------------------------------------------------------------------------


def velocity_command_from(message: Twist | TwistStamped) -> VelocityCommand:
    """Planar part of a twist; `cmd_vel` is TwistStamped, or Twist where the node was told so."""
    twist = message.twist if isinstance(message, TwistStamped) else message
    return VelocityCommand(vx=twist.linear.x, vy=twist.linear.y, wz=twist.angular.z)


def twist_message(command: VelocityCommand, stamp_ns: int) -> TwistStamped:
    """A `cmd_vel` message."""
    message = TwistStamped(header=_header(stamp_ns, BASE_FRAME))
    message.twist.linear.x, message.twist.linear.y, message.twist.angular.z = command.vx, command.vy, command.wz
    return message


# --- proposal and verdict: named rows --------------------------------------------------------------------------------------


def _gait_values(gait: GaitParameters) -> list[float]:
    return [gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y]


def _gait_from(values: Sequence[float]) -> GaitParameters:
    frequency, swing_ratio, fl, rr, rl, *foot_y = values
    return GaitParameters(
        frequency=frequency,
        swing_ratio=swing_ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
    )


def _rows(
    stamp_ns: int, names: list[str], values: list[float], joints: JointTargets | None, predicted: Array | None = None
) -> JointState:
    """Rows of scalars, then predicted states, then joint targets; velocity and effort are empty where scalars stand alone."""
    if joints is None and predicted is None:
        return JointState(header=_header(stamp_ns), name=names, position=array("d", values))
    empty = np.zeros(len(values))
    position, velocity, effort = [np.array(values, dtype=float)], [empty], [empty]
    if predicted is not None:
        rows = _PER_STATE * len(predicted)
        names = names + _PREDICTED[:rows]
        position.append(predicted[:, :_PER_STATE].ravel())
        velocity.append(predicted[:, _PER_STATE:].ravel())
        effort.append(np.zeros(rows))
    if joints is not None:
        names = names + _JOINT_ROWS
        position.append(joints.q)
        velocity.append(joints.kp)
        effort.append(joints.kd)
    return JointState(
        header=_header(stamp_ns),
        name=names,
        position=_floats(*position),
        velocity=_floats(*velocity),
        effort=_floats(*effort),
    )


def _split_rows(message: JointState) -> tuple[list[str], list[float], JointTargets | None]:
    """Scalars and joint targets of `_rows`."""
    names, n = message.name, len(message.name)
    if len(message.position) != n:
        raise MalformedMessageError(f"{n} names but {len(message.position)} positions")
    if names[-N_JOINTS:] != _JOINT_ROWS:
        return names, message.position.tolist(), None
    if not len(message.velocity) == len(message.effort) == n:
        raise MalformedMessageError(f"joint targets need {n} velocities (kp) and efforts (kd)")
    q, kp, kd = (np.frombuffer(part)[-N_JOINTS:] for part in (message.position, message.velocity, message.effort))
    return names[:-N_JOINTS], message.position.tolist()[:-N_JOINTS], JointTargets(q=q, kp=kp, kd=kd)


def _predicted_from(message: JointState, names: list[str], first: int) -> Array | None:
    """Predicted states whose rows begin at `first` and go on to the end of `names`; None for no rows."""
    n = len(names) - first
    if not n:
        return None
    if n % _PER_STATE or names[first:] != _PREDICTED[:n] or len(message.velocity) != len(message.name):
        raise MalformedMessageError("safety/verdict: predicted states have rows predicted/<k>/roll|pitch|yaw|x|y|z, k from 0 on")
    position, velocity = (np.frombuffer(part)[first : len(names)] for part in (message.position, message.velocity))
    return np.hstack((position.reshape(-1, _PER_STATE), velocity.reshape(-1, _PER_STATE)))


def proposal_message(stamp_ns: int, proposal: Proposal | None) -> JointState:
    """A learner's proposal for `policy/proposal`; None says that there is nothing to wait for on this tick."""
    if proposal is None:
        return JointState(header=_header(stamp_ns))
    names, values = [f"policy/{proposal.policy}"], [0.0]
    if proposal.gait is not None:
        names, values = names + _GAIT_ROWS, values + _gait_values(proposal.gait)
    return _rows(stamp_ns, names, values, proposal.joints)


def proposal_from(message: JointState) -> Proposal | None:
    """The proposal behind `policy/proposal`; None when the learner has nothing to propose."""
    if not message.name:
        return None
    names, values, joints = _split_rows(message)
    gait = _gait_from(values[1:]) if names[1:] == _GAIT_ROWS else None
    if (
        not names
        or not names[0].startswith("policy/")
        or len(names) != (1 if gait is None else 10)
        or (gait is None) == (joints is None)
    ):
        raise MalformedMessageError(
            f"policy/proposal must have policy/<name>, then gait or joint rows; got {', '.join(message.name)}"
        )
    kind: Literal["gait", "joint"] = "joint" if gait is None else "gait"
    return Proposal(stamp_ns=stamp_of(message), policy=names[0].removeprefix("policy/"), kind=kind, gait=gait, joints=joints)


def verdict_message(verdict: Verdict) -> JointState:
    """A verdict for `safety/verdict`."""
    v = verdict
    since = divmod(v.mode_since_ns, NANOSECONDS)
    command = (v.command.vx, v.command.vy, v.command.wz)
    names = _VERDICT_ROWS + [f"margin/{name}" for name, _ in v.margins] + [f"reason/{name}" for name in v.reasons]
    scalars = [float(v.mode), float(since[0]), float(since[1]), float(_ACTIVE.index(v.active)), *command, *_gait_values(v.gait)]
    values = scalars + [margin for _, margin in v.margins] + [1.0] * len(v.reasons)
    return _rows(v.stamp_ns, names, values, v.joints, v.predicted)


def verdict_from(message: JointState) -> Verdict:
    """The verdict behind `safety/verdict`."""
    names, values, joints = _split_rows(message)
    n = len(_VERDICT_ROWS)
    if names[:n] != _VERDICT_ROWS:
        raise MalformedMessageError(f"safety/verdict must start with the rows {', '.join(_VERDICT_ROWS)}")
    mode, since_s, since_ns, active, vx, vy, wz = values[:7]
    first = next((i for i in range(n, len(names)) if names[i].startswith("predicted/")), len(names))
    extra = list(zip(names[n:first], values[n:first], strict=True))
    margins = tuple((name.removeprefix("margin/"), value) for name, value in extra if name.startswith("margin/"))
    reasons = tuple(name.removeprefix("reason/") for name, _ in extra if name.startswith("reason/"))
    if len(margins) + len(reasons) != len(extra) or active not in (0.0, 1.0):
        raise MalformedMessageError(
            "safety/verdict: after the fixed rows come margin/<component> and reason/<hazard>; active is 0 or 1"
        )
    try:
        mode_number, since = Mode(int(mode)), int(since_s) * NANOSECONDS + int(since_ns)
    except (ValueError, OverflowError) as error:
        raise MalformedMessageError(f"safety/verdict: mode {mode}, mode_since {since_s} s {since_ns} ns") from error
    return Verdict(
        stamp_ns=stamp_of(message),
        mode=mode_number,
        mode_since_ns=since,
        active=_ACTIVE[int(active)],
        gait=_gait_from(values[7:n]),
        command=VelocityCommand(vx=vx, vy=vy, wz=wz),
        joints=joints,
        margins=margins,
        predicted=_predicted_from(message, names, first),
        reasons=reasons,
    )


def hazards_message(stamp_ns: int, hazards: frozenset[str]) -> JointState:
    """What the bridge sees is wrong, for `safety/hazards`."""
    return JointState(header=_header(stamp_ns), name=sorted(hazards))


def hazards_from(message: JointState) -> frozenset[str]:
    """The hazards behind `safety/hazards`."""
    unknown = sorted(set(message.name) - set(HAZARDS))
    if unknown:
        raise MalformedMessageError(f"safety/hazards: unknown {', '.join(unknown)}; known: {', '.join(HAZARDS)}")
    return frozenset(message.name)


# --- plan ------------------------------------------------------------------------------------------------------------------

_NAMES_OF_PLAN = {
    (leg, stance, solved): f"{leg}/{'stance' if stance else 'swing'}{'' if solved else '/held'}"
    for leg in LEGS
    for stance in (False, True)
    for solved in (False, True)
}
_FLAGS_OF_PLAN = {name: flags for flags, name in _NAMES_OF_PLAN.items()}


def plan_message(plan: StancePlan) -> MultiDOFJointState:
    """A stance plan for `mpc/plan`."""
    stance = plan.stance.tolist()
    return MultiDOFJointState(
        header=_header(plan.stamp_ns, BASE_FRAME),
        joint_names=[_NAMES_OF_PLAN[leg, flag, plan.solved] for leg, flag in zip(LEGS, stance, strict=True)],
        transforms=[Transform(translation=_vector(p)) for p in plan.foot_position.tolist()],
        twist=[Twist(linear=_vector(v)) for v in plan.foot_velocity.tolist()],
        wrench=[Wrench(force=_vector(f)) for f in plan.force.tolist()],
    )


def plan_from(message: MultiDOFJointState) -> StancePlan:
    """The stance plan behind `mpc/plan`."""
    flags = [_FLAGS_OF_PLAN.get(name) for name in message.joint_names]
    legs = tuple(flag[0] for flag in flags if flag is not None)
    solved = {flag[2] for flag in flags if flag is not None}
    if legs != LEGS or len(solved) != 1 or not len(message.transforms) == len(message.twist) == len(message.wrench) == N_LEGS:
        raise MalformedMessageError(
            f"mpc/plan needs one row per foot, e.g. FR/stance, FL/swing; got {', '.join(message.joint_names)}"
        )
    return StancePlan(
        stamp_ns=stamp_of(message),
        stance=np.array([flag[1] for flag in flags if flag is not None]),
        force=np.array([_xyz(w.force) for w in message.wrench]),
        foot_position=np.array([_xyz(t.translation) for t in message.transforms]),
        foot_velocity=np.array([_xyz(t.linear) for t in message.twist]),
        solved=solved.pop(),
    )
