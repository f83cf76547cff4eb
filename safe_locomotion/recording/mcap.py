"""Reads the MCAP files of episodes, record by record.

A file that was cut off gives all messages up to its last whole chunk. Format: MCAP 0
(mcap.dev/spec). A record is opcode (1 byte), length (8 bytes) and content. Chunks hold schemas,
channels and messages. A file may come from anybody, so no chunk may expand without bound.
"""

import struct
from binascii import crc32
from collections.abc import Iterator
from importlib import import_module
from os import SEEK_END
from pathlib import Path
from typing import Any, NamedTuple

from safe_locomotion.messages.cdr import DecodingError

MAGIC = b"\x89MCAP0\r\n"
SCHEMA = 0x03
CHANNEL = 0x04
MESSAGE = 0x05
CHUNK = 0x06
FOOTER = 0x02
NOTHING = 0x00  #: left by a power cut in blocks that were allocated but never written
LARGEST_CHUNK = 2**26
"""Bytes of a chunk when it is expanded; our own are a thirtieth of it."""
LARGEST_RATIO = 100  #: of all expanded chunks to the file; measurements reach about ten
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
        unchecked: chunks without a checksum that were read so far.
    """

    def __init__(self, path: Path) -> None:
        """Look at the end of the file."""
        self.path = path
        with path.open("rb") as file:
            size = file.seek(0, SEEK_END)
            file.seek(max(0, size - len(MAGIC)))
            self._left = LARGEST_CHUNK + LARGEST_RATIO * size
            self._size = size
            self.whole = size > 2 * len(MAGIC) and file.read() == MAGIC
        self.unchecked = 0
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}

    def messages(self) -> Iterator[Message]:
        """All messages up to the end, or up to the first record that is not whole.

        Raises:
            DecodingError: this is no MCAP file, or its records are damaged.
        """
        try:
            yield from self._messages()
        except (struct.error, LookupError, ValueError) as error:
            raise DecodingError(f"{self.path}: damaged: {error}") from error

    def _messages(self) -> Iterator[Message]:
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DecodingError(f"{self.path}: not an MCAP file")
            while len(head := file.read(_RECORD.size)) == _RECORD.size:
                opcode, size = _RECORD.unpack(head)
                if size > self._size:
                    return
                if opcode in (NOTHING, FOOTER):
                    return
                if opcode not in (SCHEMA, CHANNEL, MESSAGE, CHUNK):
                    file.seek(size, 1)
                    continue
                content = file.read(size)
                if len(content) < size:
                    return
                records = self._records(content) if opcode == CHUNK else head + content
                if records is None:
                    if self.whole:
                        raise DecodingError(f"{self.path}: a chunk does not match its checksum")
                    return
                yield from self._messages_in(records)

    def _records(self, content: bytes) -> bytes | None:
        """Records of a chunk; None where it is damaged, as the last chunk can be.

        Raises:
            DecodingError: the chunk, or all of them together, expand too much.
        """
        _, _, size, crc = _CHUNK_HEAD.unpack_from(content)
        compression, at = _text(content, _CHUNK_HEAD.size)
        if size > min(LARGEST_CHUNK, self._left):
            raise DecodingError(f"{self.path}: a chunk expands to {size} bytes, which is too much")
        self._left -= size
        try:
            records = _expanded(content[at + _U64.size :], compression, size)
        except DecodingError:
            raise
        except Exception:  # each compressor raises its own exceptions
            return None
        self.unchecked += crc == 0
        return records if len(records) == size and crc in (0, crc32(records)) else None

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
            if at + size > end or opcode == NOTHING:
                raise DecodingError(f"{self.path}: a record runs over the end of its chunk")
            if opcode == MESSAGE:
                channel, _, stamp_ns, _ = message_head(data, at)
                yield Message(*channels[channel], stamp_ns, data[at + skip : at + size])
            elif opcode == SCHEMA:
                self._schemas[_IDS.unpack_from(data, at)[0]] = _text(data, at + 2)[0]
            elif opcode == CHANNEL:
                number, schema = _IDS.unpack_from(data, at)
                channels[number] = _text(data, at + _IDS.size)[0], self._schemas.get(schema, "")
            at += size


def _expanded(data: bytes, compression: str, size: int) -> bytes:
    """At most one byte more than `size` of what is compressed in `data`."""
    if not compression:
        return data
    if compression == "lz4":
        expander: Any = import_module("lz4.frame").LZ4FrameDecompressor()
    elif compression == "zstd":
        expander = _zstd().ZstdDecompressor()
    else:
        raise DecodingError(f"unknown compression {compression!r}; known: lz4, zstd")
    return bytes(expander.decompress(data, size + 1))


def _zstd() -> Any:
    """The module of Python 3.14, or what stands for it before."""
    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A string, and the offset of its end."""
    (size,) = _U32.unpack_from(data, at)
    end = at + _U32.size + size
    return data[at + _U32.size : end].decode(), end
