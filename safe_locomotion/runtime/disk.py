"""Files that are whole at any time, and a thread that waits for the disk."""

import os
from collections.abc import Callable
from pathlib import Path
from queue import Full, Queue
from threading import Thread


class DiskThread:
    """Does jobs one after the other; the next call raises their errors.

    The thread belongs to the process and ends with it.
    """

    def __init__(self, most_jobs: int = 0) -> None:
        """Start the thread.

        Args:
            most_jobs: that may wait; 0 for any number.
        """
        self._jobs: Queue[Callable[[], None] | None] = Queue(most_jobs)
        self._error: OSError | None = None
        self._thread = Thread(target=self._work, name="disk", daemon=True)
        self._thread.start()

    def add(self, job: Callable[[], None]) -> bool:
        """Queue a job after those that were added before; False if too many wait."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        return True

    def raise_error(self) -> None:
        """Raise the error of a job, if one failed."""
        if self._error is not None:
            raise self._error

    def close(self, patience_s: float | None = None) -> None:
        """Finish all jobs, and raise the error of one that failed.

        Args:
            patience_s: longest wait for a disk that hangs [s]; None waits for ever. Jobs that are
                left then are lost with the process.
        """
        try:
            self._jobs.put(None, timeout=patience_s)
        except Full:
            return
        self._thread.join(patience_s)
        self.raise_error()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as error:
                self._error = error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is whole at any time, also after a power cut.

    Raises:
        OSError: the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
