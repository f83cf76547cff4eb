"""Session: when an episode begins and ends, and how failures of the disk end it.

There is no ROS in here, and time comes in as an argument.
"""

import shutil
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from safe_locomotion.errors import ConfigurationError, RecordingError
from safe_locomotion.messages.cdr import DecodingError
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.quota import Quota
from safe_locomotion.types import NANOSECONDS, Mode

STAMP_LIMIT_NS = 2**63  #: past the last stamp that a bag can hold [ns]
LONGEST_SYNC = 1.0  #: that a power cut may cost [s]
LONGEST_ROLL = 60.0  #: of an episode before or after a walk [s]
MEGABYTE = 1_000_000  #: [byte]
WALK_OVER = "walk over"
FALL = "fall"
SPLIT = "quota: next part"
QUOTA_EACH = 10  #: syncs between two looks at the quota
SMALLEST_QUOTA_MB = 10.0  #: a minute of walking takes three times this
WRITER = "safe_locomotion.recording.writer"


class Writer(Protocol):
    """Type of `writer.EpisodeWriter`, which needs a library that may be missing."""

    written: Mapping[str, int]

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Add one message."""

    def sync(self) -> None:
        """Send the open chunk to the disk."""

    def close(self, end: str, dropped: Mapping[str, int], late: EpisodeInfo) -> None:
        """End the episode."""

    def abort(self) -> None:
        """Leave the file as it is."""


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """What is recorded, and where.

    Attributes:
        directory: in which the folders of the episodes are made.
        start: what begins an episode: each walk (`walk`), only a request (`service`), or the first
            message (`always`). Requests are always accepted.
        pre_roll: time in the episode before its trigger [s].
        post_roll: time in the episode after the end of a walk [s].
        sync: time between two chunks that are sent to the disk [s].
        free_mb: recording stops when the disk has less space left [MB].
        quota_mb: that the episodes in `directory` may take together; the oldest are then deleted.
            0 for no quota: nothing is deleted [MB].
        cmd_vel_type: TwistStamped or Twist.
    """

    directory: str
    start: Literal["walk", "service", "always"] = "walk"
    pre_roll: float = 1.0
    post_roll: float = 1.0
    sync: float = 0.5
    free_mb: float = 200.0
    quota_mb: float = 0.0
    cmd_vel_type: str = "TwistStamped"

    def __post_init__(self) -> None:
        """Refuse settings out of range.

        Raises:
            ConfigurationError: names the setting and its limits.
        """
        if not self.directory:
            raise ConfigurationError("recorder: directory: name the folder for the episodes")
        if not 0.0 < self.sync <= LONGEST_SYNC:
            raise ConfigurationError(
                f"recorder: sync: must lie within 0 and {LONGEST_SYNC:g} s (found {self.sync})"
            )
        for name in ("pre_roll", "post_roll"):
            seconds = getattr(self, name)
            if not 0.0 <= seconds <= LONGEST_ROLL:
                raise ConfigurationError(
                    f"recorder: {name}: must lie within 0 and {LONGEST_ROLL:g} s (found {seconds})"
                )
        if not self.free_mb >= 0.0:
            raise ConfigurationError(
                f"recorder: free_mb: must not be negative (found {self.free_mb} MB)"
            )
        if not (self.quota_mb == 0.0 or self.quota_mb >= SMALLEST_QUOTA_MB):
            raise ConfigurationError(
                f"recorder: quota_mb: must be 0, for none, or at least {SMALLEST_QUOTA_MB:g} MB"
                f" (found {self.quota_mb} MB)"
            )


class Session:
    """Turns messages into episodes. A failure ends the episode, but never the session.

    Attributes:
        path: of the open episode, or of the last one.
        fault: why the last episode could not be written or is not whole; "" without a fault.
        finished: number of episodes that were closed.
        now_ns: newest stamp of a message [ns].
        heading: topics and messages that each episode begins with.
        dropped: number of messages that never arrived, by topic, since the start of the episode.
        quota: of the folder; tells what it deleted.
    """

    def __init__(
        self,
        settings: SessionSettings,
        describe: Callable[[str, int], EpisodeInfo],
        clock: Callable[[], float],
    ) -> None:
        """Begin without an episode.

        Args:
            settings: of the recorder.
            describe: gives the description of the run for (why, stamp). It is called when an
                episode begins and when it ends.
            clock: of this machine [s].
        """
        self._s = settings
        self._describe = describe
        self._clock = clock
        self._recent: deque[tuple[str, int, bytes]] = deque()
        self._keep_ns = round(settings.pre_roll * NANOSECONDS)
        self._writer: Writer | None = None
        self._requested = settings.start == "always"
        self._mode: Mode | None = None
        self._ending: tuple[str, int] | None = None
        self._synced = clock()
        self._syncs = 0
        self.quota = Quota(Path(settings.directory), settings.quota_mb, settings.free_mb)
        self.path: Path | None = None
        self.fault = ""
        self.finished = 0
        self.now_ns = 0
        self.heading: tuple[tuple[str, bytes], ...] = ()
        self.dropped: Counter[str] = Counter()

    @property
    def recording(self) -> bool:
        """Whether an episode is open."""
        return self._writer is not None

    @property
    def written(self) -> Mapping[str, int]:
        """Number of messages in the open episode, by topic."""
        return {} if self._writer is None else self._writer.written

    def warm_up(self) -> None:
        """Load the writer's library, which takes a moment; a missing library is a fault."""
        try:
            _writer_module().message_types()
        except RecordingError as error:
            self.fault = str(error)

    def add(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Take one message.

        Raises:
            DecodingError: its stamp cannot be written.
        """
        if not 0 <= stamp_ns < STAMP_LIMIT_NS:
            raise DecodingError(f"{topic}: a stamp of {stamp_ns} ns")
        self.now_ns = max(self.now_ns, stamp_ns)
        if self._writer is not None:
            self._write(topic, stamp_ns, data)
            return
        recent = self._recent
        recent.append((topic, stamp_ns, data))
        while recent[0][1] < self.now_ns - self._keep_ns:
            recent.popleft()
        if self._requested and self._s.start == "always" and not self.fault:
            self._begin("always")

    def change_mode(self, stamp_ns: int, mode: Mode) -> None:
        """Note the mode that is in force from a stamp on."""
        before = self._mode
        self._mode = mode
        if mode is before:
            return
        by_walk = self._s.start == "walk" and not self._requested
        if mode is Mode.WALK and by_walk:
            if self._writer is not None:
                self._end(self._ending[0] if self._ending else WALK_OVER)
            self._begin("walk")
        elif self._writer is not None and self._ending is None:
            end_ns = stamp_ns + round(self._s.post_roll * NANOSECONDS)
            if mode is Mode.FALLEN:
                self._ending = (FALL, end_ns)
            elif before is Mode.WALK and not self._requested:
                self._ending = (WALK_OVER, end_ns)

    def request(self, on: bool, why: str) -> str | None:
        """Start or end an episode on request; the refusal, or None."""
        if on == self._requested and on == self.recording:
            return "already recording" if on else "nothing is being recorded"
        self._requested = on
        if not on:
            self._end(why)
            return None
        if self._writer is None:
            self._begin(why)
        self._ending = None
        return None if self._writer is not None else self.fault

    def settle(self) -> None:
        """Close an episode that is over, and send written messages to the disk."""
        if self._ending is not None and self.now_ns >= self._ending[1]:
            end = self._ending[0]
            self._end(end)
            if self._requested:
                self._begin(end)
        writer = self._writer
        if writer is not None and self._clock() - self._synced >= self._s.sync:
            self._synced = self._clock()
            try:
                self._require_space()
                writer.sync()
            except RecordingError as error:
                self._fail(error)
                return
            self._split()

    def close(self) -> None:
        """End the open episode."""
        self._end("stopped")

    def _split(self) -> None:
        """Keep the quota, and go on in a new episode when the open one takes too much of it."""
        self._syncs += 1
        if self._syncs % QUOTA_EACH:
            return
        self.quota.make_room()
        if self.path is not None and self._ending is None and self.quota.full(self.path):
            self._end(SPLIT)
            self._begin(SPLIT)

    def _write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        writer = self._writer
        assert writer is not None
        try:
            writer.write(topic, stamp_ns, data)
        except RecordingError as error:
            self._fail(error)

    def _begin(self, why: str) -> None:
        start_ns = self._recent[0][1] if self._recent else self.now_ns
        self.fault = ""
        self._ending = None
        self.dropped.clear()
        try:
            info = self._describe(why, start_ns)
            self.quota.make_room()
            self._require_space()
            path = _free_name(Path(self._s.directory), info)
            self._writer = _writer_module().EpisodeWriter(path, info, self._s.cmd_vel_type)
            self.path = path
        except RecordingError as error:
            self._fail(error)
            return
        recent = list(self._recent)
        self._synced = self._clock()
        self._recent.clear()
        for entry in (*((topic, start_ns, data) for topic, data in self.heading), *recent):
            if self._writer is not None:
                self._write(*entry)

    def _end(self, end: str) -> None:
        writer = self._writer
        self._writer = None
        self._ending = None
        if writer is None:
            return
        try:
            writer.close(end, self.dropped, self._describe(end, self.now_ns))
            self.finished += 1
        except RecordingError as error:
            self.fault = str(error)

    def _fail(self, error: RecordingError) -> None:
        writer = self._writer
        self._writer = None
        self._ending = None
        self.fault = str(error)
        self._requested = self._requested and self._s.start == "always"
        if writer is not None:
            writer.abort()

    def _require_space(self) -> None:
        folder = Path(self._s.directory)
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            free = shutil.disk_usage(folder).free / MEGABYTE
            if not free >= self._s.free_mb:
                self.quota.make_room()
                free = shutil.disk_usage(folder).free / MEGABYTE
        except OSError as error:
            raise RecordingError(f"{folder}: cannot record: {error.strerror}") from error
        if not free >= self._s.free_mb:
            raise RecordingError(
                f"{folder}: cannot record: {free:.0f} MB left on the disk,"
                f" {self._s.free_mb:.0f} MB must stay free"
            )


def _writer_module() -> Any:
    try:
        return import_module(WRITER)
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"cannot record without the library {error.name}: pip install rosbags"
        ) from error


def _free_name(folder: Path, info: EpisodeInfo) -> Path:
    """A folder that does not exist yet; robot and time of the start make names sort by age."""
    moment = "".join(c for c in info.started[:19] if c.isdigit())
    base = f"{info.robot}_{moment[:8]}_{moment[8:]}"
    names = (base, *(f"{base}_{k}" for k in range(2, 1000)))
    return next(path for name in names if not (path := folder / name).exists())
