"""The messages of the control path as bytes, as ROS serialises them; `layouts` describes them.

They are made by template, because building and serialising a ROS message costs ten times as much.
`nodes.conversions` and `nodes.decisions` read them.
"""

import struct

import numpy as np

from safe_locomotion.messages import cdr
from safe_locomotion.messages.layouts import (
    ACCELERATION_VARIANCE,
    BASE_FRAME,
    ESTIMATE_LAYOUT,
    ESTIMATE_SIZE,
    FOOT_FORCE_FIELDS,
    FOOT_FORCE_LAYOUT,
    JOINT_NAMES,
    LOW_COMMAND,
    LOW_STATE_LAYOUT,
    LOW_STATE_SIZE,
    ODOM_FRAME,
    ORIENTATION_VARIANCE,
    RATE_VARIANCE,
    REASON,
    YAW_VARIANCE,
    NamedRows,
    plan_names,
    proposal_rows,
    verdict_rows,
)
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import (
    JOINTS,
    N_LEGS,
    NANOSECONDS,
    Array,
    Estimate,
    LowCommand,
    LowState,
    Proposal,
    StancePlan,
    Verdict,
)

_JOINT_NAMES = tuple(JOINT_NAMES)
_IMU_REST = cdr.header_rest(BASE_FRAME)
_ODOMETRY_REST = cdr.header_rest(ODOM_FRAME, BASE_FRAME)
_TURN_COVARIANCE = np.diag((ORIENTATION_VARIANCE, ORIENTATION_VARIANCE, YAW_VARIANCE)).tobytes()
_RATE_COVARIANCE = (RATE_VARIANCE * np.eye(3)).tobytes()
_FORCE_COVARIANCE = (ACCELERATION_VARIANCE * np.eye(3)).tobytes()
_LOW_STATE_HEAD = cdr.float_array_head(LOW_STATE_LAYOUT, LOW_STATE_SIZE)
_FEET_HEAD = cdr.float_array_head(FOOT_FORCE_LAYOUT, len(FOOT_FORCE_FIELDS))
_ESTIMATE_HEAD = cdr.float_array_head(ESTIMATE_LAYOUT, ESTIMATE_SIZE)
_FOUR = struct.Struct("<4d")
_TWO = struct.Struct("<2d")
_TAIL = struct.Struct(f"<{N_LEGS + 5}d")
_COUNT_OF_FEET = struct.pack("<I4x", N_LEGS)
_LATENCY = struct.Struct("<d")
_JOINT_ROWS = tuple(f"joint/{joint}" for joint in JOINTS)


def low_state(state: LowState) -> bytes:
    """`low_state`, with the fields of `layouts.LOW_STATE_FIELDS`."""
    return b"".join(
        (
            _LOW_STATE_HEAD,
            _TWO.pack(*divmod(state.stamp_ns, NANOSECONDS)),
            state.quaternion_wxyz.tobytes(),
            state.gyro.tobytes(),
            state.accelerometer.tobytes(),
            state.q.tobytes(),
            state.dq.tobytes(),
            state.tau.tobytes(),
            state.foot_force.tobytes(),
        )
    )


def joint_states(state: LowState) -> bytes:
    """`joint_states` of a LowState."""
    return cdr.joint_state(
        state.stamp_ns,
        _JOINT_NAMES,
        state.q.tobytes(),
        state.dq.tobytes(),
        state.tau.tobytes(),
        frame=BASE_FRAME,
    )


def foot_forces(state: LowState) -> bytes:
    """`foot_forces` of a LowState."""
    stamp = _TWO.pack(*divmod(state.stamp_ns, NANOSECONDS))
    return b"".join((_FEET_HEAD, stamp, state.foot_force.tobytes()))


def imu(state: LowState) -> bytes:
    """`imu/data` of a LowState."""
    w, x, y, z = state.quaternion_wxyz.tolist()
    rotation = _FOUR.pack(x, y, z, w)
    rates = state.gyro.tobytes()
    force = state.accelerometer.tobytes()
    head = cdr.stamp_head(state.stamp_ns) + _IMU_REST
    return b"".join(
        (head, rotation, _TURN_COVARIANCE, rates, _RATE_COVARIANCE, force, _FORCE_COVARIANCE)
    )


def odometry(e: Estimate) -> bytes:
    """`odom`, by REP-105: pose of base in odom; twist and its covariance R^T P R in base."""
    odom_from_base = matrix_from_quaternion(e.quaternion_wxyz)
    base_from_odom = odom_from_base.T
    w, x, y, z = e.quaternion_wxyz.tolist()
    velocity_covariance = base_from_odom @ e.velocity_covariance @ odom_from_base
    return b"".join(
        (
            cdr.stamp_head(e.stamp_ns),
            _ODOMETRY_REST,
            e.position.tobytes(),
            _FOUR.pack(x, y, z, w),
            _covariance_6x6(e.position_covariance, ORIENTATION_VARIANCE),
            (base_from_odom @ e.velocity).tobytes(),
            e.angular_velocity.tobytes(),
            _covariance_6x6(velocity_covariance, RATE_VARIANCE),
        )
    )


def _covariance_6x6(linear: Array, angular_variance: float) -> bytes:
    """Covariance of three linear numbers, then of three angular ones that do not correlate."""
    block = np.zeros((6, 6))
    block[:3, :3] = linear
    block[3, 3] = block[4, 4] = block[5, 5] = angular_variance
    return block.tobytes()


def state_estimate(e: Estimate) -> bytes:
    """`state_estimate`, with the fields of `layouts.ESTIMATE_FIELDS`."""
    return b"".join(
        (
            _ESTIMATE_HEAD,
            _TWO.pack(*divmod(e.stamp_ns, NANOSECONDS)),
            e.position.tobytes(),
            e.quaternion_wxyz.tobytes(),
            e.velocity.tobytes(),
            e.angular_velocity.tobytes(),
            e.position_covariance.tobytes(),
            e.velocity_covariance.tobytes(),
            e.q.tobytes(),
            e.dq.tobytes(),
            _TAIL.pack(*e.contact.tolist(), *e.ground_normal.tolist(), e.ground_height, e.diverged),
        )
    )


def verdict(v: Verdict) -> bytes:
    """`safety/verdict`."""
    return _rows(v.stamp_ns, verdict_rows(v))


def proposal(p: Proposal) -> bytes:
    """`policy/proposal`."""
    return _rows(p.stamp_ns, proposal_rows(p))


def _rows(stamp_ns: int, rows: NamedRows) -> bytes:
    position = np.array(rows.values, dtype=np.float64).tobytes()
    if rows.joints is None and rows.predicted is None:
        return cdr.joint_state(stamp_ns, tuple(rows.names), position)
    names, parts = rows.whole()
    return cdr.joint_state(stamp_ns, tuple(names), *[part.tobytes() for part in parts])


def step(p: Proposal) -> bytes | None:
    """`policy/step` of a proposal, labelled like `state_estimate`; None without a network."""
    observation = p.observation
    action = p.action
    if observation is None or action is None:
        return None
    label = f"stamp_s:1 stamp_ns:1 observation:{len(observation)} action:{len(action)}"
    head = cdr.float_array_head(label, 2 + len(observation) + len(action))
    stamp = _TWO.pack(*divmod(p.stamp_ns, NANOSECONDS))
    return b"".join((head, stamp, observation.astype("<f8").tobytes(), action.tobytes()))


class PlanBytes:
    """`mpc/plan`, by arrays that are filled again for each plan."""

    def __init__(self) -> None:
        self._transforms = np.zeros((N_LEGS, 7))
        self._twists = np.zeros((N_LEGS, 6))
        self._wrenches = np.zeros((N_LEGS, 6))
        self._transforms[:, 6] = 1.0

    def __call__(self, plan: StancePlan) -> bytes:
        """The message for a plan."""
        self._transforms[:, :3] = plan.foot_position
        self._twists[:, :3] = plan.foot_velocity
        self._wrenches[:, :3] = plan.force
        return b"".join(
            (
                cdr.stamp_head(plan.stamp_ns),
                cdr.names_part(plan_names(plan), BASE_FRAME),
                self._transforms.tobytes(),
                _COUNT_OF_FEET,
                self._twists.tobytes(),
                _COUNT_OF_FEET,
                self._wrenches.tobytes(),
            )
        )


def low_command(command: LowCommand, latency: float) -> bytes:
    """`low_command`: the command that was sent, and its latency after the LowState [s]."""
    names = LOW_COMMAND
    position = command.q.tobytes() + command.kp.tobytes() + _LATENCY.pack(latency)
    velocity = command.dq.tobytes() + command.kd.tobytes() + bytes(8)
    effort = command.tau.tobytes() + bytes(8 * len(JOINTS) + 8)
    if command.reason:
        names = (*LOW_COMMAND, REASON + command.reason)
        position += bytes(8)
        velocity += bytes(8)
        effort += bytes(8)
    return cdr.joint_state(command.stamp_ns, names, position, velocity, effort)
