"""Resident memory of the stack's processes during a run."""

import os
from collections.abc import Iterable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
MINUTE = 60.0  # s of robot time; after it the memory should not grow any more


def resident_mb(pids: Iterable[int]) -> float:
    """Sum of the resident sets [MB]; a process that has ended counts as zero."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total / 1e6


class MemoryWatch:
    """Take samples, and keep the first one after a minute and the last one."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)
        self.first_minute: float | None = None
        self.end: float | None = None

    def sample(self, robot_time: float) -> None:
        """Take a sample while all processes run."""
        self.end = resident_mb(self._pids)
        if self.first_minute is None and robot_time >= MINUTE:
            self.first_minute = self.end

    def figures(self) -> dict[str, float | None]:
        """Figures for the report [MB]; the growth is None for runs shorter than a minute."""
        growth = None
        if self.first_minute is not None and self.end is not None:
            growth = self.end - self.first_minute
        return {"first_minute": self.first_minute, "end": self.end, "growth": growth}
