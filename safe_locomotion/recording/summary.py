"""An episode in one row, as `safe-locomotion episodes ls` lists it, and what `info` adds."""

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
    """What an episode came to.

    Attributes:
        name: of its folder.
        started: wall-clock time, ISO 8601; "" where it was not recorded.
        duration_s: of robot time [s].
        robot, policy: names.
        falls: how often the mode became FALLEN.
        uses, share: take-overs by the recovery policy, and its share of the time walked; None where nobody walked.
        distance_m: length of the estimated planar path [m].
        size_bytes: of the bag, without pages and what else lies there.
        end: why it ended.
        whole: its file was closed as it should be; False: it was cut off, and what was there is read.
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
        """Plain data."""
        return asdict(self)


def summarise(path: Path, record: EpisodeRecord) -> Summary:
    """One row about the episode in `path`."""
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
    """`summarise`, kept in `SUMMARY_FILE` beside a bag that was closed: to list a hundred walks again, none of them is read.

    Args:
        path: of the episode.
        read: how to read it, when nothing is remembered of the bag as it is.
    """
    file = path / SUMMARY_FILE
    bag = _bag_state(path)
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept.pop("bag") == bag:
            return Summary(**{**kept, "name": path.resolve().name})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # nothing is kept, or by another version of this
    record = read(path)
    summary = summarise(path, record)
    if record.whole and path.is_dir():
        with suppress(OSError):  # a folder that may only be read
            file.write_text(
                json.dumps({**summary.as_json(), "bag": bag}, indent=2) + "\n", encoding="utf-8"
            )
    return summary


def _bag_state(path: Path) -> list[list[Any]]:
    """By which a summary is known to be of this bag: our version, and name, size and time of change of its files."""
    return [
        [__version__],
        *(
            [file.name, file.stat().st_size, file.stat().st_mtime_ns]
            for file in sorted(path.glob("*.mcap"))
        ),
    ]


def clock(started: str) -> str:
    """The start for people: date and time to the second where they are; as it is where it is no date."""
    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return started


@dataclass(frozen=True, kw_only=True)
class TopicCount:
    """Of one topic: messages in the file, per second of robot time, and those that never reached the recorder."""

    name: str
    messages: int
    rate_hz: float
    dropped: int
    longest_gap_ms: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def topic_counts(record: EpisodeRecord) -> list[TopicCount]:
    """Topics in the order of `TOPICS`, then any other that was written."""
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
            rows.append(
                TopicCount(
                    name=name,
                    messages=messages,
                    rate_hz=round(rate, 2),
                    dropped=info.dropped.get(name, 0),
                    longest_gap_ms=_longest_gap(trace),
                )
            )
    return rows


def _traces(record: EpisodeRecord) -> Mapping[str, Trace]:
    """The arrays that were read from each topic."""
    return {
        "joint_states": record.states,
        "imu/data": record.states,
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
