"""Temporary folders of runs, and the room in memory that the processes of a run share.

A run that was killed cannot remove its folder. The next one does: a folder whose lock nobody holds
belongs to a run that has ended.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safe_locomotion.errors import ConfigurationError

PREFIX = "safe_locomotion_"
LOCK = "in_use"
SHARED_MEMORY = Path("/dev/shm")
LEAST_FREE = 16 << 20
"""Bytes of shared memory that a run needs: the transport of ROS maps 0.6 MB for each process.

A process that writes to a page for which there is no room is ended by SIGBUS without a word.
"""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that is removed at the end, by a later run if this one is killed."""
    remove_left_folders()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (folder / LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_folders() -> None:
    """Remove this user's folders of runs that have ended; links are left alone."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if left.is_symlink() or not _is_ours(left / LOCK):
            continue
        try:
            number = os.open(left / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its run goes on
        else:
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(number)


def _is_ours(lock: Path) -> bool:
    try:
        return lock.lstat().st_uid == os.getuid() == lock.parent.lstat().st_uid
    except OSError:
        return False


def require_shared_memory(folder: Path = SHARED_MEMORY, least: int = LEAST_FREE) -> None:
    """Refuse to start where shared memory is full.

    Raises:
        ConfigurationError: there is less room than a run needs.
    """
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free
    if not free >= least:
        raise ConfigurationError(
            f"{folder} has {free >> 20} MB of room, and a run needs {least >> 20} MB;"
            f" look what fills it: ls -l {folder}"
        )
