"""Reads the MCAP files of episodes, record by record.

A file that was cut off gives all messages up to its last whole chunk. Format: MCAP 0
(mcap.dev/spec). A record is opcode (1 byte), length (8 bytes) and content. Chunks hold schemas,
channels and messages.
"""

import struct
from collections.abc import Iterator
from os import SEEK_END
from pathlib import Path
from typing import NamedTuple

from rosbags.rosbag2.storage_mcap import decompress

from safe_locomotion.messages.cdr import DecodingError

MAGIC = b"\x89MCAP0\r\n"
SCHEMA = 0x03
CHANNEL = 0x04
MESSAGE = 0x05
CHUNK = 0x06
FOOTER = 0x02
NOTHING = 0x00  #: left by a power cut in blocks that were allocated but never written
_RECORD = struct.Struct("<BQ")
_CHUNK_HEAD = struct.Struct("<QQQI")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_IDS = struct.Struct("<HH")


class Message(NamedTuple):
    """One message: topic, ROS type, stamp of the recording [ns], and its bytes."""

    topic: str
    type: str
    stamp_ns: int
    data: bytes


class McapFile:
    """Messages of one file in the order of their writing.

    Attributes:
        whole: the file was closed, according to its last bytes.
    """

    def __init__(self, path: Path) -> None:
        """Look at the end of the file."""
        self.path = path
        with path.open("rb") as file:
            size = file.seek(0, SEEK_END)
            file.seek(max(0, size - len(MAGIC)))
            self.whole = size > 2 * len(MAGIC) and file.read() == MAGIC
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}

    def messages(self) -> Iterator[Message]:
        """All messages up to the end, or up to the first record that is not whole.

        Raises:
            DecodingError: this is no MCAP file.
        """
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DecodingError(f"{self.path}: not an MCAP file")
            while len(head := file.read(_RECORD.size)) == _RECORD.size:
                opcode, size = _RECORD.unpack(head)
                if opcode in (NOTHING, FOOTER):
                    return
                if opcode not in (SCHEMA, CHANNEL, MESSAGE, CHUNK):
                    file.seek(size, 1)
                    continue
                content = file.read(size)
                if len(content) < size:
                    return
                records = _records(content) if opcode == CHUNK else head + content
                if records is None:
                    return
                yield from self._messages_in(records)

    def _messages_in(self, data: bytes) -> Iterator[Message]:
        """Messages among records; schemas and channels are kept for later messages."""
        at = 0
        end = len(data)
        channels = self._channels
        record = _RECORD.unpack_from
        message_head = _MESSAGE_HEAD.unpack_from
        skip = _MESSAGE_HEAD.size
        while at + _RECORD.size <= end:
            opcode, size = record(data, at)
            at += _RECORD.size
            if opcode == MESSAGE:
                channel, _, stamp_ns, _ = message_head(data, at)
                yield Message(*channels[channel], stamp_ns, data[at + skip : at + size])
            elif opcode == SCHEMA:
                self._schemas[_IDS.unpack_from(data, at)[0]] = _text(data, at + 2)[0]
            elif opcode == CHANNEL:
                number, schema = _IDS.unpack_from(data, at)
                channels[number] = _text(data, at + _IDS.size)[0], self._schemas.get(schema, "")
            at += size


def _records(content: bytes) -> bytes | None:
    """Records of a chunk; None where it is damaged, as the last chunk can be."""
    _, _, size, crc = _CHUNK_HEAD.unpack_from(content)
    compression, at = _text(content, _CHUNK_HEAD.size)
    try:
        return decompress(content[at + _U64.size :], compression, size, crc)
    except Exception:  # each compressor raises its own exceptions
        return None


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A string, and the offset of its end."""
    (size,) = _U32.unpack_from(data, at)
    end = at + _U32.size + size
    return data[at + _U32.size : end].decode(), end
