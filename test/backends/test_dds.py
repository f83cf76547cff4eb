"""A DDS domain ends with its last participant, and gives back what it held."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from states import is_damping, resting_state, servo_command

pytest.importorskip("unitree_sdk2py")
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowState_
from wire_ends import STOP_KD, until

from safe_locomotion.backends.dds import RawReader, join_domain, join_sdk_channels
from safe_locomotion.backends.domains import PORT_BASE, PORTS_PER_DOMAIN
from safe_locomotion.backends.robot_wire import RobotWire, TruthReader
from safe_locomotion.backends.unitree_sdk2 import STATE_TOPIC, UnitreeSdk2
from safe_locomotion.errors import BackendError

Bound = Callable[[], frozenset[int]]


def ports(domain: int) -> frozenset[int]:
    """UDP ports of this domain that are bound on this machine."""
    first = PORT_BASE + PORTS_PER_DOMAIN * domain
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    bound = (int(line.split()[1].partition(":")[2], 16) for line in lines)
    return frozenset(port for port in bound if first <= port < first + PORTS_PER_DOMAIN)


@pytest.fixture
def bound(domain: int) -> Bound:
    """Ports of the domain that the test itself has bound; ROS nodes that ended may keep others."""
    before = ports(domain)
    return lambda: ports(domain) - before


def descriptors() -> int:
    """Number of open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def test_a_closed_wire_gives_its_domain_back(domain: int, bound: Bound) -> None:
    """State and command cross the same domain again and again, and nothing is left of it."""
    counts = []
    for _ in range(4):
        backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
        robot = RobotWire(domain=domain)
        truths = TruthReader(domain=domain)
        until(lambda b=backend, r=robot: r.controllers() == 1 and r.listeners() == 1)
        robot.publish(resting_state())
        assert backend.read(5.0) is not None
        backend.write(servo_command())
        command = robot.take_command(5.0)
        assert command is not None and not is_damping(command, STOP_KD)
        assert bound()
        for end in (backend, robot, truths):
            end.close()
        assert not bound()
        counts.append(descriptors())
    assert counts[-1] <= counts[0], counts


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_domain_lasts_as_long_as_its_last_participant(
    domain: int, order: tuple[int, int], bound: Bound
) -> None:
    """Two readers share it, also when the first one leaves, and it may be joined on afterwards."""
    readers = [RawReader(join_domain(domain, "lo"), STATE_TOPIC, LowState_) for _ in range(2)]
    first, second = order
    readers[first] = None  # type: ignore[call-overload]
    robot = RobotWire(domain=domain)
    until(lambda: robot.listeners() == 1)
    robot.publish(resting_state())
    assert readers[second].wait(5.0) and len(readers[second].take()) == 1
    readers.clear()
    assert bound()
    robot.close()
    assert not bound()


def test_another_interface_is_refused_until_the_domain_has_ended(
    domain: int, other: str, bound: Bound
) -> None:
    """A domain has one configuration at a time."""
    participant = join_domain(domain, "lo")
    with pytest.raises(BackendError, match=f"already open on 'lo'.*on '{other}'"):
        join_domain(domain, other)
    del participant
    elsewhere = join_domain(domain, other)
    with pytest.raises(BackendError, match=f"already open on '{other}'"):
        join_domain(domain, "lo")
    del elsewhere
    assert not bound()


@pytest.fixture
def other() -> str:
    """An interface that is up and is not the loopback."""
    for path in Path("/sys/class/net").iterdir():
        if path.name != "lo" and (path / "operstate").read_text().strip() == "up":
            return path.name
    pytest.skip("this machine has the loopback alone")


def test_the_sdks_channels_come_before_any_other_domain(domain: int) -> None:
    """The vendor's library knows one domain per process."""
    participant = join_domain(domain, "lo")
    with pytest.raises(BackendError, match=rf"before any other .* opened \[{domain}\]"):
        join_sdk_channels(domain, "lo")
    del participant


SDK_CHANNELS = """
import os, sys
from safe_locomotion.backends.dds import join_domain, join_sdk_channels
from safe_locomotion.errors import BackendError
domain = int(sys.argv[1])
for _ in range(2):
    join_sdk_channels(domain, "lo")
opened = len(os.listdir("/proc/self/fd"))
for _ in range(3):
    join_domain(domain, "lo")
assert len(os.listdir("/proc/self/fd")) == opened
for _ in range(2):
    try:
        join_sdk_channels(domain + 1, "lo")
    except BackendError as error:
        print(error)
    held = join_domain(domain + 1, "lo")
"""


def test_a_domain_of_the_sdks_channels_stays() -> None:
    """Participants of ours come and go in it; the SDK's channels come first or not at all."""
    done = subprocess.run(
        [sys.executable, "-c", SDK_CHANNELS, "172"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the SDK's channels must be initialised before any other") == 2
    assert re.findall(r"already opened (.*)", done.stdout) == ["[172]", "[172, 173]"]
