"""The folder of one learning robot: what trainer, recorder and driver leave for each other."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.disk import replace_file

STATUS = "learning.json"  #: of the trainer, see `training.gait.episodes.follow`
FLIGHT = "flight.json"  #: of the driver
MEGABYTE = 1_000_000  #: [byte]


@dataclass(frozen=True, kw_only=True)
class LearnFolder:
    """Places in the folder.

    Attributes:
        root: the folder that the user named.
    """

    root: Path

    @property
    def episodes(self) -> Path:
        """Of the recorder."""
        return self.root / "episodes"

    @property
    def policies(self) -> Path:
        """Of the trainer."""
        return self.root / "policies"

    @property
    def logs(self) -> Path:
        """What the processes say."""
        return self.root / "logs"

    @property
    def page(self) -> Path:
        """The page that grows."""
        return self.root / "learning.html"

    def make(self) -> None:
        """Make what is missing.

        Raises:
            ConfigurationError: the folder cannot be made.
        """
        try:
            for path in (self.episodes, self.policies, self.logs):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--record {self.root}: {error.strerror}") from error

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder, so that no second driver uses it.

        Raises:
            ConfigurationError: another one does.
        """
        with (self.root / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigurationError(
                    f"--record {self.root}: another `learn` uses this folder"
                ) from error
            yield

    def free_mb(self) -> float:
        """Space that is left on its disk [MB]."""
        return shutil.disk_usage(self.root).free / MEGABYTE

    def newest_episode(self) -> str:
        """Name of the newest episode; empty without one."""
        with suppress(OSError):
            names = sorted(entry.name for entry in os.scandir(self.episodes) if entry.is_dir())
            bags = (
                name for name in reversed(names) if (self.episodes / name / f"{name}.mcap").exists()
            )
            return next(bags, "")
        return ""

    def _has_bag(self, name: str) -> bool:
        return (self.episodes / name / f"{name}.mcap").exists()

    def status(self) -> Mapping[str, Any]:
        """What the trainer says; empty before it says anything."""
        return _read(self.root / STATUS)

    def forget_status(self) -> None:
        """Remove what an earlier trainer said; the next one says it again."""
        (self.root / STATUS).unlink(missing_ok=True)

    def journal(self) -> "Journal":
        """What the driver noted before."""
        found = _read(self.root / FLIGHT)
        known = {name: found[name] for name in Journal.__dataclass_fields__ if name in found}
        return Journal(**known)

    def keep(self, journal: "Journal") -> bool:
        """Write the journal; False when the disk is full."""
        try:
            replace_file(self.root / FLIGHT, json.dumps(journal.__dict__).encode())
        except OSError:
            return False
        return True


@dataclass
class Journal:
    """What the driver notes, over all its starts.

    Attributes:
        rejected: why a policy failed its trial, by policy; the trainer throws its update away.
        walking_s: robot time in WALK [s].
        robot_s: robot time in all [s].
        wall_s: time on the clock [s].
        falls: each as the fields of `operator.learning_flight.Fall`, with its episode.
        faults: reasons of each FAULT.
        pauses: how often the robot paused, by reason.
        restarts: lines about processes that were started again.
    """

    rejected: dict[str, str] = field(default_factory=dict)
    walking_s: float = 0.0
    robot_s: float = 0.0
    wall_s: float = 0.0
    falls: list[dict[str, Any]] = field(default_factory=list)
    faults: list[list[str]] = field(default_factory=list)
    pauses: dict[str, int] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
