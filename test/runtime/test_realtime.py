"""Requests to the operating system: to fakes that refuse, and to the real one without rights."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest
from places import ROOT

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.realtime import (
    CAP_IPC_LOCK,
    HIGHEST_PRIORITY,
    RealtimeParameters,
    apply,
    may_lock_all,
)

EVERYTHING = RealtimeParameters(priority=50, cores=(1, 0), lock_memory=True, freeze_garbage=True)
NOTHING = RealtimeParameters(priority=0, cores=(), lock_memory=False, freeze_garbage=False)


class Recorder:
    """Grants everything, or refuses everything with EPERM, and keeps what was asked."""

    def __init__(self, refuses=False):
        self.refuses = refuses
        self.asked = []

    def _answer(self, *call):
        self.asked.append(call)
        if self.refuses:
            raise OSError(errno.EPERM, "Operation not permitted")

    def cores(self):
        return {0, 1}

    def set_priority(self, priority):
        self._answer("priority", priority)

    def set_cores(self, cores):
        self._answer("cores", tuple(cores))

    def lock_memory(self):
        self._answer("memory")


def test_everything_wanted_is_asked_for_once():
    """The wishes of the configuration reach the kernel as they stand, and nothing needs mending."""
    kernel = Recorder()
    settings = apply(EVERYTHING, kernel)
    assert sorted(kernel.asked) == [("cores", (1, 0)), ("memory",), ("priority", 50)]
    assert {s.name for s in settings} == {"memory", "cores", "priority"} and all(
        s.granted for s in settings
    )


def test_nothing_wanted_is_nothing_asked():
    """Zero, empty and false leave the process as it is."""
    kernel = Recorder()
    assert apply(NOTHING, kernel) == () and kernel.asked == []


def test_each_refusal_is_told_with_its_remedy_and_stops_nothing():
    """All three are tried although each is refused; each names the command or key that mends it."""
    kernel = Recorder(refuses=True)
    remedies = {s.name: s.mend for s in apply(EVERYTHING, kernel)}
    assert len(kernel.asked) == 3
    assert (
        "rtprio 50" in remedies["priority"]
        and "memlock unlimited" in remedies["memory"]
        and "cores" in remedies["cores"]
    )


def test_a_core_that_is_not_there_is_named():
    """The kernel would silently take the cores that exist."""
    kernel = Recorder()
    (setting,) = apply(
        RealtimeParameters(priority=0, cores=(0, 7), lock_memory=False, freeze_garbage=True),
        kernel,
    )
    assert not setting.granted and "7" in setting.text and kernel.asked == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("priority", -1), ("priority", HIGHEST_PRIORITY + 1), ("cores", [0, 0]), ("cores", [-1])],
)
def test_impossible_wishes_stop_the_start_up(key, value):
    """Unlike a refusal, which depends on the machine, these are mistakes in the file."""
    with pytest.raises(ConfigurationError, match=key):
        load_config("a1", {f"bridge.realtime.{key}": value})


def test_the_whole_memory_may_be_locked_by_capability(tmp_path):
    """Bit 14 of CapEff, as in /proc/self/status; without it the limit decides."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{1 << CAP_IPC_LOCK:016x}\n")
    assert may_lock_all(status)


CHILD = """
import json, os, resource, sys
from safe_locomotion.runtime.realtime import RealtimeParameters, apply
for limit in (resource.RLIMIT_RTPRIO, resource.RLIMIT_MEMLOCK):
    resource.setrlimit(limit, (0, 0))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
cores = tuple(os.sched_getaffinity(0))
wishes = RealtimeParameters(
    priority=50, cores=cores, lock_memory=True, freeze_garbage=True
)
settings = apply(wishes)
ballast = bytearray(64 * 2**20)  # would fail under a lock of future pages with a limit
said = {s.name: [s.granted, s.text, s.mend] for s in settings}
print(json.dumps(said | {"policy": os.sched_getscheduler(0)}))
"""


def test_a_user_without_rights_is_refused_and_goes_on():
    """With limits of zero the kernel refuses priority and memory, with remedies, and grants cores.

    Memory can still be allocated.
    """
    root = str(ROOT)
    said = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "PYTHONPATH": root, "USER": "kim"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(said.stdout)
    assert found["cores"][0] and not found["priority"][0] and not found["memory"][0]
    assert "RLIMIT_MEMLOCK is 0 bytes" in found["memory"][1]
    assert "rtprio 50" in found["priority"][2] and "memlock unlimited" in found["memory"][2]
    assert found["policy"] == os.SCHED_OTHER


def test_the_file_says_every_wish():
    """The shipped configuration has the section, so that a reader of the file finds the keys."""
    realtime = load_config("a1").bridge.realtime
    assert {f.name for f in fields(realtime)} == {
        "priority",
        "cores",
        "lock_memory",
        "freeze_garbage",
    }
    assert 1 <= realtime.priority <= HIGHEST_PRIORITY and realtime.freeze_garbage
