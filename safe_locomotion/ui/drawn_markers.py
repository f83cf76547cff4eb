"""Markers that grow and shrink, texts and lists of points, written as the bytes that go over the wire.

To fill a dozen of them as Python objects and to serialise those takes a millisecond; here a list is one copy of its numbers.
`PackedMarkers` does the same for markers whose layout never changes.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from visualization_msgs.msg import Marker, MarkerArray

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.messages import cdr
from safe_locomotion.rotations import Vector
from safe_locomotion.types import NANOSECONDS, Array

_STAMP = struct.Struct("<iI")
_U32 = struct.Struct("<I")
_COLOR = struct.Struct("<4f")
_ADD = struct.pack("<i", Marker.ADD)
_DELETE = struct.pack("<i", Marker.DELETE)
_BODY = struct.Struct(
    "<10d4fiI4xI"
)  #: pose, scale, colour, lifetime, a flag with its padding, number of points
_TEXTURE = (
    cdr.Packed()
    .string("")
    .u32(0, 0)
    .string("")
    .string("")
    .u32(0, 0)
    .align(4)
    .bytes_from(len(cdr.HEAD))
)
_PADDING = 3  #: bytes behind the flag that ends a marker, up to the next
_MESH = cdr.Packed().string("").string("").u32(0, 0).bytes_from(len(cdr.HEAD))
_POINT = 24  #: bytes
_PAINT = 16

Rgba = tuple[float, float, float, float]


class _Drawn:
    """One marker: what never changes, and what does."""

    def __init__(self, marker: Marker) -> None:
        self.begin = (
            cdr.Packed()
            .string(marker.header.frame_id)
            .string(marker.ns)
            .u32(marker.id, marker.type)
            .bytes_from(4)
        )
        scale = marker.scale
        lifetime = marker.lifetime
        color = marker.color
        self.scale = (scale.x, scale.y, scale.z)
        self.lifetime = (lifetime.sec, lifetime.nanosec)
        self.color: Rgba = (color.r, color.g, color.b, color.a)
        self.there = False
        self.place = (0.0, 0.0, 0.0)
        self.turn = (0.0, 0.0, 0.0, 1.0)
        self.points = self.paints = b""
        self.text = cdr.string_message("")[len(cdr.HEAD) :].ljust(8, b"\0")

    def packed(self, stamp: bytes, at: int) -> bytes:
        """Its bytes, `at` bytes into the body of a message; as many as keep the next one aligned to four."""
        begin = b"".join((stamp, self.begin, _ADD if self.there else _DELETE))
        count = len(self.points) // _POINT
        body = _BODY.pack(*self.place, *self.turn, *self.scale, *self.color, *self.lifetime, count)
        paints = _U32.pack(len(self.paints) // _PAINT)
        return b"".join(
            (
                begin,
                bytes(-(at + len(begin)) % 8),
                body,
                self.points,
                paints,
                self.paints,
                _TEXTURE,
                self.text,
                _MESH,
            )
        )


class DrawnMarkers:
    """Markers that are addressed by their number; none of them is there at first."""

    def __init__(self, markers: Sequence[Marker]) -> None:
        """Take from markers what never changes: name, number, kind, size, lifetime.

        Raises:
            SafeLocomotionError: the middleware packs otherwise than this class knows.
        """
        self._drawn = [_Drawn(marker) for marker in markers]
        self._check(markers)
        self._drawn = [_Drawn(marker) for marker in markers]

    def _check(self, markers: Sequence[Marker]) -> None:
        """Write all that can be written, and read it back as everybody else does."""
        for row in range(len(markers)):
            self.put(row, (1.0, 2.0, 3.0), (0.5, -0.5, 0.5, -0.5))
            self.list_points(row, np.full((row % 3, 3), 4.0), [(0.25, 0.5, 0.75, 1.0)] * (row % 4))
            self.write(row, (1.0, 2.0, 3.0), "x" * (1 + row % 5), (1.0, 0.5, 0.25, 0.125))
        try:
            found: list[Any] = deserialize_message(
                self.packed(5, range(len(markers))), MarkerArray
            ).markers
        except Exception as error:  # rclpy raises what it likes
            raise SafeLocomotionError(
                f"drawn markers: this middleware packs otherwise: {error}"
            ) from error
        for row, (marker, wanted) in enumerate(zip(found, markers, strict=True)):
            p = marker.pose.position
            o = marker.pose.orientation
            c = marker.color
            said = (
                marker.ns,
                marker.id,
                marker.type,
                marker.header.frame_id,
                marker.scale,
                marker.lifetime,
            )
            same = said == (
                wanted.ns,
                wanted.id,
                wanted.type,
                wanted.header.frame_id,
                wanted.scale,
                wanted.lifetime,
            )
            numbers = (
                p.x,
                p.y,
                p.z,
                o.w,
                o.x,
                o.y,
                o.z,
                c.r,
                c.g,
                c.b,
                c.a,
                marker.header.stamp.nanosec,
                marker.action,
            )
            same &= numbers == (
                1.0,
                2.0,
                3.0,
                0.5,
                -0.5,
                0.5,
                -0.5,
                1.0,
                0.5,
                0.25,
                0.125,
                5,
                Marker.ADD,
            )
            same &= [point.y for point in marker.points] == [4.0] * (row % 3)
            same &= [color.b for color in marker.colors] == [0.75] * (
                row % 4
            ) and marker.text == "x" * (1 + row % 5)
            if not same:
                raise SafeLocomotionError(
                    f"drawn markers: this middleware packs {wanted.ns} otherwise"
                )

    def hide(self, row: int) -> None:
        """Delete it."""
        self._drawn[row].there = False

    def put(self, row: int, place: Vector, quaternion_wxyz: Sequence[float]) -> None:
        """Show it at a pose."""
        drawn, (w, x, y, z) = self._drawn[row], quaternion_wxyz
        drawn.there = True
        drawn.place = place
        drawn.turn = (x, y, z, w)

    def list_points(self, row: int, places: Array, colors: Iterable[Rgba] = ()) -> None:
        """Points (n, 3) of a list, each with its own colour where there are any; RViz complains about empty lists, so it goes then."""
        drawn = self._drawn[row]
        drawn.there, drawn.points = len(places) > 0, places.astype("<f8").tobytes()
        drawn.paints = b"".join([_COLOR.pack(*color) for color in colors])

    def write(self, row: int, place: Vector, text: str, color: Rgba) -> None:
        """Text, or nothing: RViz complains about empty ones."""
        drawn = self._drawn[row]
        raw = text.encode() + b"\0"
        drawn.there = bool(text)
        drawn.place = place
        drawn.color = color
        drawn.text = b"".join((_U32.pack(len(raw)), raw, bytes(-len(raw) % 4)))

    def packed(self, stamp_ns: int, rows: Sequence[int]) -> bytes:
        """The message of these markers with this stamp, ready to publish."""
        stamp = _STAMP.pack(*divmod(stamp_ns, NANOSECONDS))
        parts = [cdr.HEAD, _U32.pack(len(rows))]
        at = _U32.size
        for row in rows:
            parts.append(self._drawn[row].packed(stamp, at))
            at += len(parts[-1])
        return b"".join(parts)[: -_PADDING if rows else None]
