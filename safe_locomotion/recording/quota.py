"""A quota for the folder of episodes: the oldest are deleted first, and never an open one."""

import fcntl
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MEGABYTE = 1_000_000  #: [byte]
PARTS = 4  #: an episode is split when it takes this part of the quota, so that the rest can rotate
NAME = re.compile(r"\w+?_(\d{8}_\d{6})(?:_(\d+))?")  #: robot, start, number among equal starts
#: What the package writes into the folder of an episode, besides its bag.
OWN_FILES = frozenset({"metadata.yaml", "metadata.tmp", "summary.json", "page.png", "page.html"})


class Quota:
    """Deletes episodes that the recorder wrote, and nothing else.

    Attributes:
        deleted: number of episodes that were deleted.
        news: what was deleted last, for the log.
    """

    def __init__(
        self,
        folder: Path,
        quota_mb: float,
        free_mb: float,
        disk_free: Callable[[Path], float] = lambda folder: float(shutil.disk_usage(folder).free),
    ) -> None:
        """Delete nothing yet.

        Args:
            folder: of the episodes.
            quota_mb: that all of them together may take; 0 for no quota, nothing is deleted then.
            free_mb: that must stay free on the disk.
            disk_free: free bytes of the disk of a folder.
        """
        self._folder = folder
        self._most = quota_mb * MEGABYTE
        self._free = free_mb * MEGABYTE
        self._disk_free = disk_free
        self.deleted = 0
        self.news = ""

    def full(self, episode: Path) -> bool:
        """Whether an open episode takes so much of the quota that it should be split."""
        return bool(self._most) and _size(episode) >= self._most / PARTS

    def make_room(self) -> None:
        """Delete the oldest episodes until quota and disk have room for a part of the quota.

        Not deleted are open episodes, and those whose folder holds anything that the recorder did
        not write, such as a file `keep`.
        """
        if not self._most:
            return
        with suppress(OSError):
            sizes = {path: _size(path) for path in _oldest_first(self._folder)}
            taken = sum(sizes.values())
            gone: list[Path] = []
            for path, size in sizes.items():
                if not self._too_full(taken):
                    break
                if size and _delete(path):
                    gone.append(path)
                    taken -= size
            self._tell(gone, sum(sizes[path] for path in gone))

    def _too_full(self, taken: int) -> bool:
        over = taken > self._most * (1 - 1 / PARTS)
        return over or self._disk_free(self._folder) < self._free

    def _tell(self, gone: list[Path], size: int) -> None:
        if gone:
            self.deleted += len(gone)
            names = ", ".join(path.name for path in gone)
            self.news = (
                f"{self._folder}: quota of {self._most / MEGABYTE:.0f} MB: deleted"
                f" {len(gone)} episode(s), {size / MEGABYTE:.0f} MB: {names}"
            )


def _oldest_first(folder: Path) -> list[Path]:
    """Folders of the recorder, by start."""
    named = [
        (match[1], int(match[2] or 1), path)
        for path in folder.iterdir()
        if (match := NAME.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()
    ]
    return [path for _, _, path in sorted(named)]


def _size(path: Path) -> int:
    """Bytes in the files of a folder [byte]."""
    with suppress(OSError), os.scandir(path) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return 0


def _delete(path: Path) -> bool:
    """Delete an episode, if it is closed and holds nothing else; whether it is gone."""
    bag = path / f"{path.name}.mcap"
    known = {*OWN_FILES, bag.name}
    try:
        with os.scandir(path) as entries:
            if not all(e.name in known and e.is_file(follow_symlinks=False) for e in entries):
                return False
        with bag.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the recorder locks an open one
            for name in known:
                (path / name).unlink(missing_ok=True)
        path.rmdir()
    except OSError:
        return False
    return True


def is_locked(bag: Path) -> bool:
    """Whether a recorder holds the lock of this file."""
    try:
        with bag.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def lock(number: int) -> None:
    """Mark the open file of an episode as open, until it is closed or its process ends."""
    with suppress(OSError):  # some network file systems have no locks
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
