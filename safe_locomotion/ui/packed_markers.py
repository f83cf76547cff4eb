"""Markers whose numbers change but whose layout does not, kept as the bytes that go over the wire.

To publish 60 markers from Python costs more than a millisecond, most of it for fields that never change. Here the message is packed
once, and later only numbers in it are overwritten: stamps, actions, poses, sizes, colours and points.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.types import NANOSECONDS, Array

CDR_HEADER = 4  #: bytes before the body, to whose start everything is aligned
_POSE = 7  #: doubles, one after the other
_SCALE = 3
_COLOR_AT = 8 * (_POSE + _SCALE)  #: bytes behind the pose
_POINTS_AT = (
    _COLOR_AT + 16 + 8 + 4 + 4
)  #: colour, lifetime, a flag with its padding, and the number of points
#: Mark where a marker's pose, stamp and action are, plus its number. Eight bytes are never padding, which may hold anything.
_PLACE = 1e300
_STAMP = 0x31C00000
_ACTION = 0x51D00000

Rows = Sequence[int] | slice | int
Numbers = Array | Sequence[float] | Sequence[Sequence[float]]


class PackedMarkers:
    """A `MarkerArray` that is packed already; its markers are addressed by their number."""

    def __init__(self, markers: Sequence[Marker]) -> None:
        """Pack markers with what never changes, and as many points and colours of points as they always have.

        They begin upright at the origin, and are there.

        Raises:
            SafeLocomotionError: the middleware packs otherwise than this class knows.
        """
        n = len(markers)
        for i, marker in enumerate(markers):
            marker.header = Header(
                stamp=Time(sec=_STAMP + i, nanosec=_STAMP), frame_id=marker.header.frame_id
            )
            marker.pose.position.x, marker.action = _PLACE * (1.0 + 0.001 * i), _ACTION + i
        packed = serialize_message(MarkerArray(markers=list(markers)))
        self._bytes = bytearray(packed + bytes(-(len(packed) - CDR_HEADER) % 8))
        self._length = len(packed)
        self._doubles: Array = self._items("<f8")
        self._singles: NDArray[np.float32] = self._items("<f4")
        self._words: NDArray[np.uint32] = self._items("<u4")
        poses = np.array(
            [_only(packed, struct.pack("<d", marker.pose.position.x)) for marker in markers]
        )
        self._poses = poses[:, None] // 8 + np.arange(_POSE)
        self._scales = poses[:, None] // 8 + _POSE + np.arange(_SCALE)
        self._colors = (poses[:, None] + _COLOR_AT) // 4 + np.arange(4)
        self._points = [
            _block(at + _POINTS_AT, 8, len(m.points), 3)
            for at, m in zip(poses.tolist(), markers, strict=True)
        ]
        ends = [
            at + _POINTS_AT + 24 * len(m.points) + 4
            for at, m in zip(poses.tolist(), markers, strict=True)
        ]
        self._point_colors = [
            _block(end, 4, len(m.colors), 4) for end, m in zip(ends, markers, strict=True)
        ]
        self._seconds = np.array(
            [_only(packed, struct.pack("<iI", _STAMP + i, _STAMP)) // 4 for i in range(n)]
        )
        # The action ends where the pose begins, or four bytes of padding before; in the first case the type is there.
        early = poses // 4 - 2
        self._actions = early + (self._words[early] != _ACTION + np.arange(n))
        untouched = bytes(self._bytes)
        self._check(markers)
        self._bytes[:] = untouched
        self.place(slice(None), np.zeros(3), np.array((1.0, 0.0, 0.0, 0.0)))
        self.show(slice(None), True)

    def _items(self, kind: str) -> Any:
        return np.frombuffer(self._bytes, dtype=kind, offset=CDR_HEADER)

    def _check(self, markers: Sequence[Marker]) -> None:
        """Write all that can be written, and read it back as everybody else does."""
        n = len(markers)
        self.place(slice(None), np.ones((n, 3)), np.full((n, 4), 0.5))
        self.resize(slice(None), np.full((n, 3), 2.0))
        self.paint(slice(None), np.full((n, 4), 0.25))
        self.show(slice(None), True)
        for i, marker in enumerate(markers):
            self.draw(i, np.full((len(marker.points), 3), 3.0))
            self.paint_points(i, np.full((len(marker.colors), 4), 0.75))
        for marker in deserialize_message(self.packed(5), MarkerArray).markers:
            p = marker.pose.position
            o = marker.pose.orientation
            k = marker.scale
            c = marker.color
            found = [
                *((1.0, value) for value in (p.x, p.y, p.z)),
                *((0.5, value) for value in (o.x, o.y, o.z, o.w)),
                *((2.0, value) for value in (k.x, k.y, k.z)),
                *((0.25, value) for value in (c.r, c.g, c.b, c.a)),
                *((3.0, value) for point in marker.points for value in (point.x, point.y, point.z)),
                *(
                    (0.75, value)
                    for color in marker.colors
                    for value in (color.r, color.g, color.b, color.a)
                ),
                (5, marker.header.stamp.nanosec),
                (Marker.ADD, marker.action),
            ]
            if any(wanted != value for wanted, value in found):
                raise SafeLocomotionError(
                    f"packed markers: this middleware packs {marker.ns} otherwise"
                )

    def place(self, rows: Rows, position: Array, quaternion_wxyz: Array) -> None:
        """Poses: (..., 3) [m] and (..., 4)."""
        at = self._poses[rows]
        self._doubles[at[..., :3]] = position
        self._doubles[at[..., 3:6]] = quaternion_wxyz[..., 1:]
        self._doubles[at[..., 6]] = quaternion_wxyz[..., 0]

    def move(self, rows: Rows, position: Numbers) -> None:
        """Positions (..., 3) [m] alone."""
        self._doubles[self._poses[rows][..., :3]] = position

    def resize(self, rows: Rows, size: Array) -> None:
        """Scales (..., 3) [m]."""
        self._doubles[self._scales[rows]] = size

    def paint(self, rows: Rows, color: Numbers) -> None:
        """Colours (..., 4)."""
        self._singles[self._colors[rows]] = color

    def show(self, rows: Rows, there: bool | Sequence[bool]) -> None:
        """Whether markers are there; what is not is deleted."""
        self._words[self._actions[rows]] = np.where(there, Marker.ADD, Marker.DELETE)

    def draw(self, row: int, points: Numbers) -> None:
        """Points (k, 3) of one marker [m]."""
        self._doubles[self._points[row]] = points

    def paint_points(self, row: int, colors: Numbers) -> None:
        """Colours (k, 4) of the points of one marker."""
        self._singles[self._point_colors[row]] = colors

    def packed(self, stamp_ns: int) -> bytes:
        """The message with this stamp, ready to publish."""
        self._words[self._seconds], self._words[self._seconds + 1] = divmod(stamp_ns, NANOSECONDS)
        return bytes(self._bytes[: self._length])


def _block(at: int, size: int, count: int, width: int) -> NDArray[np.intp]:
    """Indices (count, width) of items of `size` bytes that begin `at` bytes into the body."""
    return at // size + np.arange(count * width).reshape(count, width)


def _only(packed: bytes, mark: bytes) -> int:
    """Offset into the body of the only place where the mark stands, in steps of four bytes."""
    places = [
        i
        for i in range(CDR_HEADER, len(packed) - len(mark) + 1, 4)
        if packed[i : i + len(mark)] == mark
    ]
    if len(places) != 1:
        raise SafeLocomotionError(
            f"packed markers: {len(places)} places look like a mark; this middleware packs otherwise"
        )
    return places[0] - CDR_HEADER
