"""A tf2_msgs/TFMessage as bytes, by template: only stamps and numbers change."""

import struct
from collections.abc import Sequence

import numpy as np

from safe_locomotion.messages.cdr import Packed
from safe_locomotion.types import NANOSECONDS, Array

NUMBERS = 7  #: of a transform: translation xyz, rotation xyzw
_STAMP = struct.Struct("<iI")


class TransformBytes:
    """Messages with the same frames."""

    def __init__(self, frames: Sequence[tuple[str, str]]) -> None:
        """Pack all that stays.

        Args:
            frames: parent and child of each transform.
        """
        packed = Packed().u32(len(frames))
        self._stamps: list[int] = []
        self._numbers: list[int] = []
        for parent, child in frames:
            packed.u32(0, 0)
            self._stamps.append(packed.size - _STAMP.size)
            packed.string(parent).string(child).align(8)
            self._numbers.append(packed.size)
            packed.zeros(NUMBERS)
        self._template = packed.bytes_from(0)

    def __call__(self, stamp_ns: int, position: Array, quaternion_wxyz: Array) -> bytes:
        """The message.

        Args:
            stamp_ns: of all transforms [ns].
            position: (n, 3) of each child in its parent [m].
            quaternion_wxyz: (n, 4) from each child to its parent.
        """
        message = bytearray(self._template)
        stamp = divmod(stamp_ns, NANOSECONDS)
        rows = np.hstack((position, quaternion_wxyz[:, [1, 2, 3, 0]])).astype("<f8")
        for at, numbers, row in zip(self._stamps, self._numbers, rows, strict=True):
            _STAMP.pack_into(message, at, *stamp)
            message[numbers : numbers + 8 * NUMBERS] = row.tobytes()
        return bytes(message)
