"""Summary of an episode in one row, for `safe-locomotion episodes ls`, and more for `info`."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion import __version__
from safe_locomotion.messages.topics import TOPICS
from safe_locomotion.recording.course import course_figures
from safe_locomotion.recording.episode import EpisodeRecord, Trace
from safe_locomotion.recording.measures import distance
from safe_locomotion.recording.stage_values import recorded_course

SUMMARY_FILE = "summary.json"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Summary of an episode.

    Attributes:
        name: of its folder.
        started: wall-clock time, ISO 8601; "" where it was not recorded.
        duration_s: robot time [s].
        robot, policy: names.
        falls: number of changes into FALLEN.
        uses: number of take-overs by the recovery policy.
        share: share of the time in WALK under the recovery policy; None without a walk.
        distance_m: length of the estimated planar path [m].
        size_bytes: of the bag alone, without pages and other files [byte].
        end: why it ended.
        whole: the recorder closed the file; False for a file that was cut off.
    """

    name: str
    started: str
    duration_s: float
    robot: str
    policy: str
    falls: int
    uses: int
    share: float | None
    distance_m: float
    size_bytes: int
    end: str
    whole: bool

    def as_json(self) -> dict[str, Any]:
        """The values as plain data."""
        return asdict(self)


def summarise(path: Path, record: EpisodeRecord) -> Summary:
    """Sum up the episode in `path`."""
    info = record.info
    course = recorded_course(record.verdicts)
    figures = course_figures(course, info.start_ns)
    return Summary(
        name=path.stem if path.suffix == ".mcap" else path.resolve().name,
        started=info.started,
        duration_s=round(record.duration, 3),
        robot=info.robot,
        policy=info.policy,
        falls=course.falls,
        uses=figures.uses,
        share=figures.share if isfinite(figures.share) else None,
        distance_m=round(distance(record.estimates), 3),
        size_bytes=_size(path),
        end=info.end,
        whole=record.whole,
    )


def remembered_summary(path: Path, read: Callable[[Path], EpisodeRecord]) -> Summary:
    """Summary from `SUMMARY_FILE`, or from the episode itself.

    The file is written beside each bag that was closed. So a second listing of a hundred walks
    reads none of them.

    Args:
        path: of the episode.
        read: reads the episode when the file does not fit the bag.
    """
    file = path / SUMMARY_FILE
    bag = _bag_state(path)
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept.pop("bag") == bag:
            return Summary(**{**kept, "name": path.resolve().name})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # there is no summary, or one from another version
    record = read(path)
    summary = summarise(path, record)
    if record.whole and path.is_dir():
        text = json.dumps({**summary.as_json(), "bag": bag}, indent=2) + "\n"
        with suppress(OSError):  # the folder can be read-only
            file.write_text(text, encoding="utf-8")
    return summary


def _bag_state(path: Path) -> list[list[Any]]:
    """State of a bag, by which its summary is recognised.

    It holds our version, and name, size and time of change of the files.
    """
    files = [(file, file.stat()) for file in sorted(path.glob("*.mcap"))]
    return [[__version__], *([file.name, s.st_size, s.st_mtime_ns] for file, s in files)]


def clock(started: str) -> str:
    """Local date and time of a start, to the second; a text that is no date stays as it is."""
    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return started


@dataclass(frozen=True, kw_only=True)
class TopicCount:
    """Counts of one topic.

    Attributes:
        name: of the topic.
        messages: number in the file.
        rate_hz: messages per second of robot time.
        dropped: number that never reached the recorder.
        longest_gap_ms: between two stamps; None with fewer than two.
    """

    name: str
    messages: int
    rate_hz: float
    dropped: int
    longest_gap_ms: float | None

    def as_json(self) -> dict[str, Any]:
        """The values as plain data."""
        return asdict(self)


def topic_counts(record: EpisodeRecord) -> list[TopicCount]:
    """Counts of the topics in the order of `TOPICS`, then of all others that were written."""
    info = record.info
    traces = _traces(record)
    names = [topic.name for topic in TOPICS]
    names += [name for name in (*info.written, *info.dropped) if name not in names]
    rows = []
    for name in names:
        trace = traces.get(name)
        messages = max(info.written.get(name, 0), 0 if trace is None else len(trace))
        if messages or info.dropped.get(name, 0):
            rate = messages / record.duration if record.duration else 0.0
            count = TopicCount(
                name=name,
                messages=messages,
                rate_hz=round(rate, 2),
                dropped=info.dropped.get(name, 0),
                longest_gap_ms=_longest_gap(trace),
            )
            rows.append(count)
    return rows


def _traces(record: EpisodeRecord) -> Mapping[str, Trace]:
    """The arrays that were read, by topic."""
    return {
        "joint_states": record.states,
        "imu/data": record.states,
        "foot_forces": record.states,
        "state_estimate": record.estimates,
        "safety/verdict": record.verdicts,
        "policy/proposal": record.proposals,
        "policy/step": record.steps,
        "mpc/plan": record.plans,
        "low_command": record.commands,
        "cmd_vel": record.velocity,
    }


def _longest_gap(trace: Trace | None) -> float | None:
    if trace is None or len(trace) < 2:
        return None
    return round(float(np.diff(trace.stamp_ns).max()) * 1e-6, 3)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [*path.glob("*.mcap"), *path.glob("metadata.yaml")]
    return sum(file.stat().st_size for file in files)
