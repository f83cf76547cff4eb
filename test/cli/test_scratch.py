"""Temporary folders of runs: a killed run leaves one, and the next run removes it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from safe_locomotion.cli.sim.scratch import (
    LOCK,
    PREFIX,
    remove_left_folders,
    require_shared_memory,
    scratch_folder,
)
from safe_locomotion.errors import ConfigurationError

KILLED = """import os, signal, sys
from safe_locomotion.cli.sim.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "report").write_text("x")
    sys.stdout.write(str(folder))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def shared(tmp_path, monkeypatch):
    """A folder for temporary files of this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_folder_of_a_killed_run_is_removed_by_the_next(shared):
    """kill -9 leaves it; the next run has one of its own and removes the other."""
    said = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, check=False
    )
    left = Path(said.stdout)
    assert said.returncode == -9 and (left / "report").is_file() and left.parent == shared
    with scratch_folder() as folder:
        assert not left.exists() and folder.is_dir()
    assert list(shared.iterdir()) == []


def test_the_folder_of_a_run_that_goes_on_stays(shared):
    """Its lock is held, by this process or by another."""
    with scratch_folder() as first, scratch_folder() as second:
        remove_left_folders()
        assert first.is_dir() and second.is_dir() and first != second


def test_what_is_not_a_folder_of_a_run_stays(shared):
    """No lock in it, a link to somewhere else, a lock that is a link, and another name."""
    elsewhere = shared / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK).touch()
    plain = shared / f"{PREFIX}plain"
    plain.mkdir()
    (shared / f"{PREFIX}link").symlink_to(elsewhere)
    linked = shared / f"{PREFIX}lock"
    linked.mkdir()
    (linked / LOCK).symlink_to(elsewhere / LOCK)
    (shared / f"{PREFIX}file").touch()
    before = sorted(shared.rglob("*"))
    remove_left_folders()
    assert sorted(shared.rglob("*")) == before
    (plain / LOCK).touch()
    remove_left_folders()
    assert not plain.exists() and elsewhere.is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_stays(shared):
    """Also if its lock is free."""
    other = shared / f"{PREFIX}other"
    other.mkdir()
    (other / LOCK).touch()
    os.chown(other, 12345, 12345)
    remove_left_folders()
    assert other.is_dir()
    os.chown(other, 0, 0)
    os.chown(other / LOCK, 12345, 12345)
    remove_left_folders()
    assert other.is_dir()


def test_full_shared_memory_is_said_before_the_start(shared):
    """What is there decides; a system without such a folder is not asked."""
    require_shared_memory(shared, 0)
    require_shared_memory(shared / "none", 1 << 60)
    with pytest.raises(ConfigurationError, match=r"MB of room, and a run needs 1099511627776 MB"):
        require_shared_memory(shared, 1 << 60)
