"""Full-rate messages of several ticks in one, from the composed graph to the recorder.

A message of `recording/ticks` costs publisher and reader the same whatever it carries, so ten ticks
share one. It begins with a sequence number (8 bytes), by which the reader counts missed messages.
Entries follow: topic number (1 byte), stamp (8), length (4), and the message as ROS serialises it.
"""

import struct
from collections.abc import Iterator

from safe_locomotion.messages import cdr
from safe_locomotion.messages.topics import TOPICS

_SEQUENCE = struct.Struct("<Q")
_ENTRY = struct.Struct("<BqI")
_NUMBERS = {topic.name: number for number, topic in enumerate(TOPICS)}
_NAMES = tuple(topic.name for topic in TOPICS)
_HEAD = cdr.Packed().u32(0, 0).bytes_from(0)
"""Of a std_msgs/UInt8MultiArray without dimensions and offset."""
_LENGTH = struct.Struct("<I")


class TickBatch:
    """Collects messages and gives them out as one."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._sequence = 0

    def add(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Add one message of a full-rate topic."""
        self._entries += (_ENTRY.pack(_NUMBERS[topic], stamp_ns, len(data)), data)

    def take(self) -> bytes:
        """All messages since the last call, as a serialised std_msgs/UInt8MultiArray."""
        body = b"".join((_SEQUENCE.pack(self._sequence), *self._entries))
        self._entries.clear()
        self._sequence += 1
        return b"".join((_HEAD, _LENGTH.pack(len(body)), body))


def unpack(message: bytes) -> tuple[int, Iterator[tuple[str, int, bytes]]]:
    """Sequence number, and (topic, stamp, message) of each entry.

    Raises:
        cdr.DecodingError: `TickBatch` has not made this message.
    """
    start = len(_HEAD) + _LENGTH.size
    if len(message) < start + _SEQUENCE.size or message[1] != 1:
        raise cdr.DecodingError("recording/ticks: too short")
    end = start + int(_LENGTH.unpack_from(message, len(_HEAD))[0])
    if end > len(message):
        raise cdr.DecodingError(f"recording/ticks: {end} bytes announced, {len(message)} received")
    return int(_SEQUENCE.unpack_from(message, start)[0]), _entries(
        message, start + _SEQUENCE.size, end
    )


def _entries(message: bytes, at: int, end: int) -> Iterator[tuple[str, int, bytes]]:
    while at < end:
        if at + _ENTRY.size > end:
            raise cdr.DecodingError("recording/ticks: ends inside the head of an entry")
        number, stamp_ns, size = _ENTRY.unpack_from(message, at)
        at += _ENTRY.size
        if number >= len(_NAMES) or at + size > end:
            raise cdr.DecodingError("recording/ticks: an entry runs over its end")
        yield _NAMES[number], stamp_ns, message[at : at + size]
        at += size
