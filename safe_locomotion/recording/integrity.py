"""Whether a recorded episode is closed, and still the one that was recorded."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import time

import yaml

from safe_locomotion.errors import ConfigurationError, one_line
from safe_locomotion.messages.cdr import DecodingError
from safe_locomotion.recording.mcap import McapFile
from safe_locomotion.recording.quota import is_locked
from safe_locomotion.recording.reader import find_bag
from safe_locomotion.recording.writer import DIGEST, METADATA, file_digest
from safe_locomotion.strict_values import LOADER

WRONG = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)  #: raised by a description of another kind
LONGEST = 300  #: characters of a problem
FRESH_S = 3.0  #: since the last change of a file that may still be written [s]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What was found in one episode.

    Attributes:
        messages: that could be read.
        problems: why it is not the episode that was recorded; empty for none.
        notes: what could not be checked.
    """

    messages: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def is_open(path: Path) -> bool:
    """Whether a recorder still writes the episode in a folder.

    A file that changed a moment ago counts as open too, for recorders on another machine.
    """
    try:
        bag = find_bag(path)
        if McapFile(bag).whole:
            return False
        return 0.0 <= time() - bag.stat().st_mtime < FRESH_S or is_locked(bag)
    except (OSError, ConfigurationError):
        return True


def check_episode(path: Path) -> Checked:
    """Compare an episode with its checksums, its digest and its own counts.

    Args:
        path: folder of the episode.
    """
    problems: list[str] = []
    notes: list[str] = []
    counts: Counter[str] = Counter()
    try:
        file = McapFile(path / f"{path.name}.mcap")
        for message in file.messages():
            counts[message.topic] += 1
    except (OSError, DecodingError) as error:
        return Checked(messages=counts.total(), problems=(one_line(error, LONGEST),))
    if not file.whole:
        problems.append("cut off: the recorder did not close it")
    if file.unchecked:
        notes.append(f"{file.unchecked} chunk(s) without a checksum, of an older recorder")
    try:
        _compare(path, counts, problems, notes, whole=file.whole)
    except (OSError, *WRONG, yaml.YAMLError) as error:
        problems.append(f"{METADATA}: {one_line(f'{type(error).__name__}: {error}', LONGEST)}")
    return Checked(messages=counts.total(), problems=tuple(problems), notes=tuple(notes))


def _compare(
    path: Path, counts: Counter[str], problems: list[str], notes: list[str], *, whole: bool
) -> None:
    """Compare with metadata.yaml, which is older than the last messages of one that was cut off."""
    bag = yaml.load((path / METADATA).read_text(), Loader=LOADER)["rosbag2_bagfile_information"]
    digest = dict(bag.get("custom_data") or {}).get(DIGEST)
    if digest is None:
        notes.append(f"{METADATA} holds no {DIGEST}, so changes outside of the chunks are not seen")
    elif digest != file_digest(path / f"{path.name}.mcap"):
        problems.append(f"{DIGEST}: the file is not the one that was recorded")
    if not whole:
        return
    for row in bag["topics_with_message_count"]:
        topic = row["topic_metadata"]["name"]
        if counts[topic] != row["message_count"]:
            problems.append(f"{topic}: expected {row['message_count']} messages, {counts[topic]}")
