"""ROS messages as bytes and back, for the few types of an episode: plain little-endian CDR.

Messages are written by template: all that does not change from message to message is packed once.
They are read by column: messages of one layout, with the same names in the same places, are decoded
together as one array. Padding is undefined, so it is masked out first.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import NANOSECONDS, Array

HEAD = b"\x00\x01\x00\x00"
"""In front of each message: little-endian CDR, version 1. Alignment counts from its end."""
MOST_LAYOUTS = 2000  #: of one topic in a file; hazards and policies make a few dozen
_STAMP = struct.Struct("<iI")
_U32 = struct.Struct("<I")
_TWO = struct.Struct("<2d")
_COUNT = struct.Struct("<I4x")
_NO_VALUES = _U32.pack(0)


class DecodingError(ConfigurationError):
    """A message is not of the type of its topic."""


class Packed:
    """Bytes of a message under construction, each value on its alignment."""

    def __init__(self, data: bytes = HEAD) -> None:
        self._data = bytearray(data)

    def align(self, size: int) -> "Packed":
        """Pad with zeros up to a multiple of `size` behind `HEAD`."""
        self._data += bytes(-(len(self._data) - len(HEAD)) % size)
        return self

    def u32(self, *values: int) -> "Packed":
        """Unsigned numbers of 4 bytes."""
        self.align(4)
        self._data += struct.pack(f"<{len(values)}I", *values)
        return self

    @property
    def size(self) -> int:
        """Number of bytes so far, with `HEAD`."""
        return len(self._data)

    def zeros(self, count: int) -> "Packed":
        """Doubles that are filled in later."""
        self._data += bytes(8 * count)
        return self

    def string(self, text: str) -> "Packed":
        """A string with its length and final zero."""
        raw = text.encode() + b"\0"
        self.u32(len(raw))
        self._data += raw
        return self

    def bytes_from(self, start: int) -> bytes:
        """All bytes from `start` on."""
        return bytes(self._data[start:])


@lru_cache(maxsize=8)  # several messages have one stamp
def stamp_head(stamp_ns: int) -> bytes:
    """First bytes of a message that begins with `std_msgs/Header`: encapsulation and stamp."""
    return HEAD + _STAMP.pack(*divmod(stamp_ns, NANOSECONDS))


def stamp_of(data: bytes) -> int:
    """Stamp of such a message [ns].

    Raises:
        DecodingError: the message ends before.
    """
    if len(data) < 12:
        raise DecodingError(f"a message of {len(data)} bytes has no stamp")
    seconds, nanoseconds = _STAMP.unpack_from(data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


@lru_cache(maxsize=256)
def names_part(names: tuple[str, ...], frame: str) -> bytes:
    """Bytes of a JointState or MultiDOFJointState from behind the stamp up to its first value."""
    packed = Packed(stamp_head(0)).string(frame).u32(len(names))
    for name in names:
        packed.string(name)
    return packed.u32(len(names)).align(8).bytes_from(12)


def joint_state(
    stamp_ns: int,
    names: tuple[str, ...],
    position: bytes,
    velocity: bytes = b"",
    effort: bytes = b"",
    *,
    frame: str = "",
) -> bytes:
    """A sensor_msgs/JointState; rows are float64 as bytes, velocity and effort may be empty."""
    first = names_part(names, frame)
    if not velocity:
        return b"".join((stamp_head(stamp_ns), first, position, _NO_VALUES, _NO_VALUES))
    count = _COUNT.pack(len(names))
    return b"".join((stamp_head(stamp_ns), first, position, count, velocity, count, effort))


def trimmed_joint_state(data: bytes) -> bytes:
    """A JointState without bytes behind its end.

    ROS puts eight arbitrary bytes behind a message without velocity and effort. Strict readers
    refuse them.

    Raises:
        DecodingError: the message ends too early.
    """
    unpack = _U32.unpack_from
    at = 12
    try:
        at += 4 + unpack(data, at)[0]
        at += -at % 4
        (count,) = unpack(data, at)
        at += 4
        for _ in range(count):
            at += 4 + unpack(data, at)[0]
            at += -at % 4
        for _ in range(3):
            (count,) = unpack(data, at)
            at += 4 + count * 8 + (-at % 8 if count else 0)
    except struct.error as error:
        raise DecodingError(f"a JointState of {len(data)} bytes ends too early") from error
    if at > len(data):
        raise DecodingError(f"a JointState of {len(data)} bytes instead of {at}")
    return data[:at]


@lru_cache(maxsize=16)
def header_rest(*frames: str) -> bytes:
    """Bytes from behind the stamp up to the first double, in a message of a header and doubles.

    Args:
        frames: of the header, and the child frame of a message that has one.
    """
    packed = Packed(stamp_head(0))
    for frame in frames:
        packed.string(frame)
    return packed.align(8).bytes_from(12)


@lru_cache(maxsize=64)
def float_array_head(label: str, size: int) -> bytes:
    """A std_msgs/Float64MultiArray of one dimension up to its numbers."""
    return Packed().u32(1).string(label).u32(size, size, 0, size).align(8).bytes_from(0)


def float_array_stamp(data: bytes) -> int:
    """Stamp of a Float64MultiArray of one dimension, from its first two numbers, s and ns [ns].

    Raises:
        DecodingError: the message is shorter, or the numbers are no stamp.
    """
    try:
        at = 12 + int(_U32.unpack_from(data, 8)[0])
        at += -at % 4 + 16
        seconds, nanoseconds = _TWO.unpack_from(data, at + -(at - len(HEAD)) % 8)
    except struct.error as error:
        raise DecodingError(f"a message of {len(data)} bytes has no stamp") from error
    if not (0.0 <= seconds < 2**31 and 0.0 <= nanoseconds < NANOSECONDS):
        raise DecodingError(f"no stamp: {seconds} s {nanoseconds} ns")
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def string_message(text: str) -> bytes:
    """A std_msgs/String."""
    return Packed().string(text).bytes_from(0)


class Cursor:
    """Reads one message from its start, and remembers which bytes belong to the layout."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = len(HEAD)
        if len(data) < len(HEAD) or data[1] != 1:
            raise DecodingError("not little-endian CDR")
        self.fixed = np.zeros(len(data), dtype=np.bool_)

    def _take(self, size: int, alignment: int, *, fixed: bool) -> int:
        start = self.at + -(self.at - len(HEAD)) % alignment
        self.at = start + size
        if self.at > len(self.data):
            raise DecodingError(f"a message of {len(self.data)} bytes ends too early")
        self.fixed[start : self.at] = fixed
        return start

    def u32(self) -> int:
        """A count or length, which is part of the layout."""
        return int(_U32.unpack_from(self.data, self._take(4, 4, fixed=True))[0])

    def string(self) -> str:
        """A string, which is part of the layout."""
        size = self.u32()
        start = self._take(size, 1, fixed=True)
        return self.data[start : start + max(0, size - 1)].decode(errors="replace")

    def skip(self, size: int, alignment: int) -> int:
        """Skip values that change from message to message; returns where they begin."""
        return self._take(size, alignment, fixed=False)

    def doubles(self, count: int) -> int:
        """Skip `count` doubles; returns where they begin, or would begin if there are none."""
        return self.skip(8 * count, 8) if count else self.at


@dataclass(frozen=True, kw_only=True)
class Group:
    """Messages of one topic with one layout.

    Attributes:
        rows: (n,) which messages of the topic.
        labels: strings of the layout in their order.
        parts: decoded doubles, each (n, k).
        stamp_ns: (n,) of the header, 0 where the type has none.
    """

    rows: NDArray[np.intp]
    labels: tuple[str, ...]
    parts: tuple[Array, ...]
    stamp_ns: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Places of the strings and doubles of a message.

    Attributes:
        labels: strings in their order.
        offsets: (start, count) of each part of doubles.
        fixed: (size,) which bytes belong to the layout.
        stamped: whether the message has a header.
    """

    labels: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    fixed: NDArray[np.bool_]
    stamped: bool


def joint_state_layout(data: bytes) -> Layout:
    """Labels are the names, parts position, velocity and effort."""
    cursor = Cursor(data)
    cursor.skip(8, 4)
    cursor.string()
    names = tuple(cursor.string() for _ in range(cursor.u32()))
    offsets = []
    for _ in range(3):
        count = cursor.u32()
        offsets.append((cursor.doubles(count), count))
    return Layout(labels=names, offsets=tuple(offsets), fixed=cursor.fixed, stamped=True)


def imu_layout(data: bytes) -> Layout:
    """Parts: orientation xyzw, angular velocity, linear acceleration."""
    cursor = Cursor(data)
    cursor.skip(8, 4)
    cursor.string()
    offsets = []
    for count in (4, 3, 3):
        offsets.append((cursor.doubles(count), count))
        cursor.doubles(9)
    return Layout(labels=(), offsets=tuple(offsets), fixed=cursor.fixed, stamped=True)


def float_array_layout(data: bytes) -> Layout:
    """The label of its one dimension, and its numbers."""
    cursor = Cursor(data)
    labels = []
    for _ in range(cursor.u32()):
        labels.append(cursor.string())
        cursor.u32()
        cursor.u32()
    cursor.u32()
    count = cursor.u32()
    return Layout(
        labels=tuple(labels),
        offsets=((cursor.doubles(count), count),),
        fixed=cursor.fixed,
        stamped=False,
    )


def multi_dof_layout(data: bytes) -> Layout:
    """Labels are the joint names, parts transforms (7 each), twists (6) and wrenches (6)."""
    cursor = Cursor(data)
    cursor.skip(8, 4)
    cursor.string()
    names = tuple(cursor.string() for _ in range(cursor.u32()))
    offsets = []
    for width in (7, 6, 6):
        count = width * cursor.u32()
        offsets.append((cursor.doubles(count), count))
    return Layout(labels=names, offsets=tuple(offsets), fixed=cursor.fixed, stamped=True)


def twist_layout(data: bytes, *, stamped: bool) -> Layout:
    """The six numbers of a geometry_msgs/Twist or TwistStamped."""
    cursor = Cursor(data)
    if stamped:
        cursor.skip(8, 4)
        cursor.string()
    return Layout(labels=(), offsets=((cursor.doubles(6), 6),), fixed=cursor.fixed, stamped=stamped)


def groups(messages: Sequence[bytes], layout_of: Callable[[bytes], Layout]) -> Iterator[Group]:
    """Messages of one topic, grouped by layout.

    Raises:
        DecodingError: a message is not of this type.
    """
    layouts = 0
    sizes = np.array([len(message) for message in messages])
    for size in np.unique(sizes).tolist():
        left = np.flatnonzero(sizes == size)
        block = np.frombuffer(
            b"".join([messages[row] for row in left.tolist()]), dtype=np.uint8
        ).reshape(-1, size)
        while len(left):
            layouts += 1
            if layouts > MOST_LAYOUTS:
                raise DecodingError(f"more than {MOST_LAYOUTS} layouts on one topic")
            layout = layout_of(block[0].tobytes())
            same = (block[:, layout.fixed] == block[0, layout.fixed]).all(axis=1)
            yield _group(left[same], block[same], layout)
            left = left[~same]
            block = block[~same]


def _group(rows: NDArray[np.intp], block: NDArray[np.uint8], layout: Layout) -> Group:
    parts = tuple(
        np.ascontiguousarray(block[:, start : start + 8 * count])
        .view("<f8")
        .reshape(len(rows), count)
        for start, count in layout.offsets
    )
    stamps = np.zeros(len(rows), dtype=np.int64)
    if layout.stamped:
        seconds = np.ascontiguousarray(block[:, 4:8]).view("<u4")[:, 0]
        nanoseconds = np.ascontiguousarray(block[:, 8:12]).view("<u4")[:, 0]
        stamps = seconds.astype(np.int64) * NANOSECONDS + nanoseconds
    return Group(rows=rows, labels=layout.labels, parts=parts, stamp_ns=stamps)
