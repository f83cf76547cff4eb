"""ROS messages to dataclasses, bit for bit: sensors, estimate and velocity command.

`decisions` converts what the stages decide (proposal, verdict, hazards, plan). `messages.layouts`
describes all topics. `messages.encode` makes the messages of the control path; the messages that
only others need are made here.

`header.stamp` is the stamp of the LowState that a value was computed from. So the latency between
two topics can be read from their stamps, and stages pair their inputs by equal stamps. A stamp
inside an array is two floats, seconds and nanoseconds, because one float64 cannot hold both.

Decoders raise `MalformedMessageError` for every message that does not follow the layout. The
receiver counts it and drops the message.
"""

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from sensor_msgs.msg import BatteryState
from std_msgs.msg import Float64MultiArray, Header, MultiArrayDimension, MultiArrayLayout

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.messages.layouts import (
    BASE_FRAME,
    ESTIMATE_LAYOUT,
    ESTIMATE_SIZE,
    LOW_STATE_LAYOUT,
    LOW_STATE_SIZE,
)
from safe_locomotion.types import (
    N_JOINTS,
    NANOSECONDS,
    Array,
    Estimate,
    LowState,
    VelocityCommand,
)

ESTIMATE_DIMENSIONS = MultiArrayLayout(
    dim=[MultiArrayDimension(label=ESTIMATE_LAYOUT, size=ESTIMATE_SIZE, stride=ESTIMATE_SIZE)]
)
LOW_STATE_DIMENSIONS = MultiArrayLayout(
    dim=[MultiArrayDimension(label=LOW_STATE_LAYOUT, size=LOW_STATE_SIZE, stride=LOW_STATE_SIZE)]
)


class MalformedMessageError(SafeLocomotionError):
    """A message on one of our topics does not follow its layout."""


def time_message(stamp_ns: int) -> Time:
    """Nanoseconds to `builtin_interfaces/Time`."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's `header.stamp`."""
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def header(stamp_ns: int, frame: str = "") -> Header:
    """A header with a stamp of robot time."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame)


def floats(*parts: Array) -> "array[float]":
    """Concatenate float64 arrays into the buffer type that rclpy copies as a whole."""
    return array("d", b"".join(part.tobytes() for part in parts))


def xyz(v: Any) -> list[float]:
    """Three numbers from a `geometry_msgs` vector or point."""
    return [v.x, v.y, v.z]


def battery_from(state: LowState) -> BatteryState:
    """Battery voltage of a LowState, for `battery_state`; unknown values are NaN."""
    nan = float("nan")
    return BatteryState(
        header=header(state.stamp_ns, BASE_FRAME),
        voltage=nan if state.voltage is None else state.voltage,
        **dict.fromkeys(
            ("temperature", "current", "charge", "capacity", "design_capacity", "percentage"), nan
        ),
        present=True,
    )


def low_state_from(message: Float64MultiArray) -> LowState:
    """The LowState behind `low_state`.

    Tick, temperatures, voltage and remote do not travel on this topic. They are 0, NaN, None and
    zero bytes.

    Raises:
        MalformedMessageError: the layout is another one, or the stamp is none.
    """
    _require_layout(message, "low_state", LOW_STATE_LAYOUT, LOW_STATE_SIZE)
    data = np.frombuffer(message.data)
    return LowState(
        stamp_ns=whole_stamp(message.data[0], message.data[1], "low_state"),
        tick=0,
        quaternion_wxyz=data[2:6],
        gyro=data[6:9],
        accelerometer=data[9:12],
        q=data[12:24],
        dq=data[24:36],
        tau=data[36:48],
        foot_force=data[48:52],
        temperature=np.full(N_JOINTS, np.nan),
        voltage=None,
    )


def _require_layout(message: Float64MultiArray, topic: str, layout: str, size: int) -> None:
    """Refuse an array whose label or size is not that of its topic."""
    dimensions = message.layout.dim
    if len(dimensions) != 1 or dimensions[0].label != layout or len(message.data) != size:
        raise MalformedMessageError(f"{topic} must have the layout {layout}")


def whole_stamp(seconds: float, nanoseconds: float, topic: str) -> int:
    """Stamp from the two floats of a message of `topic` [ns]."""
    if not (0.0 <= seconds < 2**31 and 0.0 <= nanoseconds < NANOSECONDS):
        raise MalformedMessageError(f"{topic} has no valid stamp: {seconds} s {nanoseconds} ns")
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def estimate_stamp_of(message: Float64MultiArray) -> int:
    """Stamp of a `state_estimate` whose layout is ours."""
    _require_layout(message, "state_estimate", ESTIMATE_LAYOUT, ESTIMATE_SIZE)
    return whole_stamp(message.data[0], message.data[1], "state_estimate")


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


def velocity_command_from(message: Twist | TwistStamped) -> VelocityCommand:
    """Planar part of a `cmd_vel` message."""
    twist = message.twist if isinstance(message, TwistStamped) else message
    return VelocityCommand(vx=twist.linear.x, vy=twist.linear.y, wz=twist.angular.z)


def twist_message(command: VelocityCommand, stamp_ns: int) -> TwistStamped:
    """A `cmd_vel` message."""
    message = TwistStamped(header=header(stamp_ns, BASE_FRAME))
    message.twist.linear.x = command.vx
    message.twist.linear.y = command.vy
    message.twist.angular.z = command.wz
    return message
