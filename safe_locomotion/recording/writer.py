"""Writes one episode as a rosbag2 folder: `<folder>/<folder>.mcap` and metadata.yaml.

The library `rosbags` cuts chunks by size only, and writes metadata.yaml at the end. Here each
`sync` closes the open chunk and hands it to the kernel. A thread waits for the disk, so that a slow
card never delays the recorder. metadata.yaml is there from the start. Everything before the last
sync that reached the disk survives a power cut, and everything before the last sync survives a
kill.
"""

import json
import os
from binascii import crc32
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import yaml
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.rosbag2.errors import WriterError
from rosbags.rosbag2.metadata import dump_qos_v8
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from safe_locomotion.errors import RecordingError
from safe_locomotion.messages import cdr
from safe_locomotion.messages.topics import INFO, TOPICS, Topic
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.quota import lock
from safe_locomotion.runtime.disk import DiskThread

VERSION: Literal[8] = 8  #: of metadata.yaml; the last one that ROS 2 Humble reads, as on robots
METADATA = "metadata.yaml"
DIGEST = "sha256"  #: entry of custom_data in metadata.yaml
CHECKSUM_AT = 33  #: bytes from the start of a chunk's record to its CRC
TELL_EACH = 10  #: syncs between two updates of metadata.yaml
_INFO_TOPIC = Topic(name=INFO, type="std_msgs/msg/String", latched=True)
_UNLIMITED = QosTime(2147483647, 4294967295)


class EpisodeWriter:
    """One open episode.

    Attributes:
        path: its folder.
        written: number of messages by topic.
    """

    def __init__(self, path: Path, info: EpisodeInfo, cmd_vel_type: str = "TwistStamped") -> None:
        """Create the folder and write the description of the episode.

        Raises:
            RecordingError: the folder cannot be created.
        """
        self.path = path
        self.written = Counter[str]()
        self._info = info
        self._first_ns = info.start_ns
        self._last_ns = info.start_ns
        self._syncs = 0
        self._writer = _bag(path)
        self._connections: dict[str, Connection] = {}
        self._disk = DiskThread()
        try:
            self._writer.open()
            storage: Any = self._writer.storage
            lock(storage.bio.fileno())
            _add_checksums(storage)
            self._declare(cmd_vel_type)
            self.write(INFO, info.start_ns, cdr.string_message(_json(info)))
            self.sync()
            _sync_folder(path)
        except (OSError, WriterError) as error:
            self.abort()
            raise _wrapped(path, error) from error

    def _declare(self, cmd_vel_type: str) -> None:
        types = message_types()
        for topic in (_INFO_TOPIC, *TOPICS):
            ros_type = (
                f"geometry_msgs/msg/{cmd_vel_type}" if topic.name == "cmd_vel" else topic.type
            )
            self._connections[topic.name] = self._writer.add_connection(
                f"/{topic.name}", ros_type, typestore=types, offered_qos_profiles=[_qos(topic)]
            )

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Add one message.

        Args:
            topic: one of `messages.topics.TOPICS`.
            stamp_ns: robot time of sending [ns]; messages can be out of order.
            data: the serialised message.

        Raises:
            RecordingError: the message cannot be written.
        """
        self.written[topic] += 1
        self._last_ns = max(self._last_ns, stamp_ns)
        self._first_ns = min(self._first_ns, stamp_ns)
        try:
            self._writer.write(self._connections[topic], stamp_ns, data)
        except (OSError, WriterError) as error:
            raise _wrapped(self.path, error) from error

    def sync(self) -> None:
        """Close the open chunk and hand it to the thread that waits for the disk.

        Raises:
            RecordingError: this chunk or an earlier one cannot be written.
        """
        storage: Any = self._writer.storage
        try:
            if storage.chunk.bio.tell():
                storage.close_chunk()
            storage.bio.flush()
            self._disk.raise_error()
        except (OSError, WriterError) as error:
            raise _wrapped(self.path, error) from error
        self._disk.add(lambda: os.fsync(storage.bio.fileno()))
        if self._syncs % TELL_EACH == 0:
            text = self._metadata()
            self._disk.add(lambda: _replace(self.path / METADATA, text))
        self._syncs += 1

    def close(
        self, end: str, dropped: Mapping[str, int] | None = None, late: EpisodeInfo | None = None
    ) -> None:
        """Write the reason of the end, the index and metadata.yaml.

        Args:
            end: the reason.
            dropped: number of messages that never arrived, by topic.
            late: description at the end. Its policies join those of the start; its parameters
                fill in those that were unknown at the start.

        Raises:
            RecordingError: they cannot be written. The folder can still be read.
        """
        info = self._info
        late = late or EpisodeInfo()
        self._info = replace(
            info,
            end=end,
            dropped=dict(dropped or {}),
            written=dict(self.written),
            policy=info.policy or late.policy,
            policies={**info.policies, **late.policies},
            parameters={**late.parameters, **info.parameters},
        )
        try:
            self.write(INFO, self._last_ns, cdr.string_message(_json(self._info)))
            self._disk.close()
            self._writer.set_custom_data("episode", _json(self._info))
            self._writer.close()
            _remember_digest(self.path, f"{self.path.name}.mcap")
            _sync_file(self.path / f"{self.path.name}.mcap")
            _sync_folder(self.path)
        except (OSError, WriterError) as error:
            self.abort()
            raise _wrapped(self.path, error) from error

    def abort(self) -> None:
        """Leave the file as it is, after a failure to write."""
        with suppress(OSError):
            self._disk.close()
        with suppress(OSError):
            self._writer.abort()

    def _metadata(self) -> str:
        """Text of metadata.yaml for the messages so far, as `rosbags` writes it at the end."""
        count = sum(self.written.values())
        name = f"{self.path.name}.mcap"
        start = {"nanoseconds_since_epoch": self._first_ns}
        duration = {"nanoseconds": self._last_ns - self._first_ns}
        topics = [
            {"topic_metadata": _topic_metadata(connection), "message_count": self.written[topic]}
            for topic, connection in self._connections.items()
        ]
        content = {
            "version": VERSION,
            "storage_identifier": "mcap",
            "relative_file_paths": [name],
            "duration": duration,
            "starting_time": start,
            "message_count": count,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "files": [
                {
                    "path": name,
                    "starting_time": dict(start),
                    "duration": dict(duration),
                    "message_count": count,
                }
            ],
            "custom_data": {"episode": _json(self._info)},
            "ros_distro": "rosbags",
        }
        return yaml.safe_dump({"rosbag2_bagfile_information": content})


def _bag(path: Path) -> Writer:
    try:
        bag = Writer(path, version=VERSION, storage_plugin=StoragePlugin.MCAP)
        bag.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    except WriterError as error:
        raise _wrapped(path, error) from error
    return bag


def _add_checksums(storage: Any) -> None:
    """Let each chunk carry the CRC of its records; the library writes 0, which means none."""
    close_chunk = storage.close_chunk

    def close_with_checksum() -> None:
        checksum = crc32(storage.chunk.bio.getvalue())
        start = storage.bio.tell()
        close_chunk()
        end = storage.bio.tell()
        storage.bio.seek(start + CHECKSUM_AT)
        storage.bio.write(checksum.to_bytes(4, "little"))
        storage.bio.seek(end)

    storage.close_chunk = close_with_checksum


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _remember_digest(path: Path, name: str) -> None:
    """Write the SHA-256 of the closed file into metadata.yaml."""
    metadata = yaml.safe_load((path / METADATA).read_text())
    custom = metadata["rosbag2_bagfile_information"].setdefault("custom_data", {})
    custom[DIGEST] = file_digest(path / name)
    _replace(path / METADATA, yaml.safe_dump(metadata, sort_keys=False))


@lru_cache(maxsize=1)
def message_types() -> Typestore:
    """Definitions of all message types; the first call takes a third of a second."""
    return get_typestore(Stores.ROS2_KILTED)


def _topic_metadata(connection: Connection) -> dict[str, Any]:
    extension = connection.ext
    assert isinstance(extension, ConnectionExtRosbag2)
    return {
        "name": connection.topic,
        "type": connection.msgtype,
        "serialization_format": extension.serialization_format,
        "offered_qos_profiles": dump_qos_v8(extension.offered_qos_profiles),
        "type_description_hash": connection.digest,
    }


def _qos(topic: Topic) -> Qos:
    """QoS with which the stack publishes a topic, for players of the bag."""
    reliable = topic.latched or topic.reliable
    return Qos(
        QosHistory.KEEP_LAST,
        1 if topic.latched or not topic.reliable else 10,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if topic.latched else QosDurability.VOLATILE,
        _UNLIMITED,
        _UNLIMITED,
        QosLiveliness.AUTOMATIC,
        _UNLIMITED,
        False,
    )


def _json(info: EpisodeInfo) -> str:
    return json.dumps(asdict(info), default=str)


def _wrapped(path: Path, error: Exception) -> RecordingError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return RecordingError(f"{path}: cannot record: {reason}")


def _replace(path: Path, text: str) -> None:
    """Replace a file so that it is whole at any time."""
    partial = path.with_suffix(".tmp")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make sure that the name of a folder, and the names in it, are on the disk."""
    for folder in (path, path.parent):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
