"""Messages of the stack's own topics as plain tuples, read from their bytes without ROS objects.

rclpy takes 100-250 us to make a JointState of 26 rows, a view takes a few. A view has the
attributes that `conversions` and `decisions` read, and they check it like a message. A message with
another layout than that of `messages.encode`, by another middleware or program, is deserialised in
the usual way. Bytes that are no message raise `MalformedMessageError`.
"""

import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.messages import cdr
from safe_locomotion.messages.layouts import (
    ESTIMATE_LAYOUT,
    ESTIMATE_SIZE,
    LOW_STATE_LAYOUT,
    LOW_STATE_SIZE,
)
from safe_locomotion.nodes.conversions import (
    ESTIMATE_DIMENSIONS,
    LOW_STATE_DIMENSIONS,
    MalformedMessageError,
)

KNOWN = 256
"""Most beginnings that are remembered; a stack has a few dozen, as reasons and feet change."""
LONGEST_LEARNT = 16_384
"""Longest message whose beginning is remembered [bytes]; our longest has about 8,000."""
_STAMP = struct.Struct("<iI")
_U32 = struct.Struct("<I")
_NAMES_AT = len(cdr.HEAD) + _STAMP.size
_ARRAYS = tuple(
    (head, len(head) + 8 * size, dimensions)
    for head, size, dimensions in (
        (cdr.float_array_head(ESTIMATE_LAYOUT, ESTIMATE_SIZE), ESTIMATE_SIZE, ESTIMATE_DIMENSIONS),
        (
            cdr.float_array_head(LOW_STATE_LAYOUT, LOW_STATE_SIZE),
            LOW_STATE_SIZE,
            LOW_STATE_DIMENSIONS,
        ),
    )
)
"""Beginning, size in bytes and dimensions of each array of the control path."""
_NOTHING = array("d")


class StampView(NamedTuple):
    """As builtin_interfaces/Time."""

    sec: int
    nanosec: int


class HeaderView(NamedTuple):
    """As std_msgs/Header."""

    stamp: StampView


class RowsView(NamedTuple):
    """As sensor_msgs/JointState."""

    header: HeaderView
    name: list[str]
    position: "array[float]"
    velocity: "array[float]"
    effort: "array[float]"


class VectorView(NamedTuple):
    """As geometry_msgs/Vector3."""

    x: float
    y: float
    z: float


class ArrayView(NamedTuple):
    """As a std_msgs/Float64MultiArray whose layout is that of `state_estimate` or `low_state`."""

    layout: Any
    data: "array[float]"


class TransformView(NamedTuple):
    """As geometry_msgs/Transform."""

    translation: VectorView


class TwistView(NamedTuple):
    """As geometry_msgs/Twist."""

    linear: VectorView


class WrenchView(NamedTuple):
    """As geometry_msgs/Wrench."""

    force: VectorView


class PlanView(NamedTuple):
    """As sensor_msgs/MultiDOFJointState."""

    header: HeaderView
    joint_names: list[str]
    transforms: list[TransformView]
    twist: list[TwistView]
    wrench: list[WrenchView]


class _Beginnings:
    """How messages of one type begin behind their stamp: frame, names and their number.

    Beginnings are learnt from the messages that came.
    """

    def __init__(self) -> None:
        self._known: dict[int, list[tuple[bytes, list[str]]]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Number of known beginnings."""
        return sum(len(known) for known in self._known.values())

    def find(self, data: bytes) -> tuple[int, list[str]] | None:
        """Place of the first number in a message, and its names; None for an unknown beginning."""
        if data.startswith(cdr.HEAD):
            for part, names in self._known.get(len(data), ()):
                if data.startswith(part, _NAMES_AT):
                    return _NAMES_AT + len(part), names
        return None

    def learn(self, data: bytes, frame: str, names: Sequence[str]) -> None:
        """Remember the beginning of a message, if it is packed as `messages.encode` does."""
        if len(data) > LONGEST_LEARNT:
            return
        part = cdr.names_part(tuple(names), frame)
        if names and data.startswith(cdr.HEAD) and data.startswith(part, _NAMES_AT):
            if self._count >= KNOWN:
                self._known.clear()
                self._count = 0
            self._known.setdefault(len(data), []).append((part, list(names)))
            self._count += 1


_rows_begin = _Beginnings()
_plans_begin = _Beginnings()


def remembered() -> int:
    """Number of beginnings that are remembered, at most `KNOWN` of each of two types."""
    return len(_rows_begin) + len(_plans_begin)


def _deserialised(data: bytes, message_type: Any) -> Any:
    """The message, by ROS.

    Raises:
        MalformedMessageError: the bytes are no such message. The error classes of rclpy are
            private, so this catches their bases.
    """
    try:
        return deserialize_message(data, message_type)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise MalformedMessageError(
            f"{len(data)} bytes that are no {message_type.__name__}"
        ) from error


def _view_of(
    data: bytes,
    message_type: Any,
    names: str,
    begin: _Beginnings,
    unpack: Callable[[bytes, int, list[str]], Any],
) -> Any:
    """A view by `unpack` for a known beginning; else the message, whose beginning is learnt."""
    known = begin.find(data)
    if known is not None and (view := unpack(data, *known)) is not None:
        return view
    message = _deserialised(data, message_type)
    if known is None:
        begin.learn(data, message.header.frame_id, getattr(message, names))
    return message


def _header(data: bytes) -> HeaderView:
    return HeaderView(StampView(*_STAMP.unpack_from(data, len(cdr.HEAD))))


def _doubles(data: bytes, at: int, count: int, each: Sequence[int]) -> "list[array[float]] | None":
    """Sequences of `count` items, of so many doubles as `each` says.

    The first begins at `at`, the others behind their lengths. None if the bytes do not fit.
    """
    found: list[array[float]] = []
    for width in each:
        if found:
            if at + 8 > len(data) or _U32.unpack_from(data, at)[0] != count:
                return None
            at += 8
        end = at + 8 * count * width
        if end > len(data):
            return None
        found.append(array("d", data[at:end]))
        at = end
    return found


def _rows(data: bytes, at: int, names: list[str]) -> RowsView | None:
    n = len(names)
    rest = data[at + 8 * n : at + 8 * n + 8]
    parts = _doubles(data, at, n, (1,) if rest == bytes(8) else (1, 1, 1))
    if parts is None:
        return None
    return RowsView(
        _header(data), names, *(parts if len(parts) == 3 else (*parts, _NOTHING, _NOTHING))
    )


def joint_state(data: bytes) -> Any:
    """A JointState, whatever its names."""
    return _view_of(data, JointState, "name", _rows_begin, _rows)


def _feet(data: bytes, at: int, names: list[str]) -> PlanView | None:
    n = len(names)
    parts = _doubles(data, at, n, (7, 6, 6))
    if parts is None:
        return None
    places, speeds, forces = parts
    return PlanView(
        _header(data),
        names,
        [TransformView(VectorView(*places[k : k + 3])) for k in range(0, 7 * n, 7)],
        [TwistView(VectorView(*speeds[k : k + 3])) for k in range(0, 6 * n, 6)],
        [WrenchView(VectorView(*forces[k : k + 3])) for k in range(0, 6 * n, 6)],
    )


def plan(data: bytes) -> Any:
    """A MultiDOFJointState with as many transforms, twists and wrenches as names."""
    return _view_of(data, MultiDOFJointState, "joint_names", _plans_begin, _feet)


def float_array(data: bytes) -> Any:
    """A Float64MultiArray; quick for those of the control path."""
    for head, end, dimensions in _ARRAYS:
        if data.startswith(head) and len(data) >= end:
            return ArrayView(dimensions, array("d", data[len(head) : end]))
    return _deserialised(data, Float64MultiArray)


_READERS: dict[type, Callable[[bytes], Any]] = {
    JointState: joint_state,
    Float64MultiArray: float_array,
    MultiDOFJointState: plan,
}


def read(data: bytes, message_type: type) -> Any:
    """A serialised message, as a view where there is one.

    Raises:
        MalformedMessageError: the bytes are no message of this type.
    """
    reader = _READERS.get(message_type)
    return _deserialised(data, message_type) if reader is None else reader(data)
