"""Faults of the computer that need its help: a wall clock that jumps, and a small disk.

libfaketime gives the processes of one stack a wall clock of their own. Their steady clocks stay.
A small disk is a file system in memory, which only root may mount.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_MB = 16
LIBRARIES = "usr/lib/*/faketime/libfaketimeMT.so.1"  #: of the Debian package libfaketime
FILLER = "filler"


def clock_library() -> Path | None:
    """The library that makes a wall clock; None where it is not installed."""
    return next(Path("/").glob(LIBRARIES), None)


def own_clock(library: Path, clock: Path) -> dict[str, str]:
    """Environment of processes whose wall clock is off by the seconds that a file names."""
    clock.write_text("+0\n")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_RESET": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else waits by the steady clock never end
    }


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk of `DISK_MB` on a folder; whether that worked."""
    folder.mkdir()
    size = f"size={DISK_MB}m"
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)],
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write a file until no byte is left on the disk of a folder; that file."""
    filler = folder / FILLER
    with filler.open("wb", buffering=0) as file:
        for block in (b"\0" * 65536, b"\0"):
            try:
                while True:
                    file.write(block)
            except OSError:
                continue
    return filler
