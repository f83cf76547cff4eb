"""Fixtures of the SDK2 wire."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from safe_locomotion.backends.robot_wire import RobotWire
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

_domains = itertools.count(140)


@pytest.fixture
def domain() -> int:
    """A DDS domain no other test uses."""
    return next(_domains)


@pytest.fixture
def ends(domain: int) -> "Iterator[tuple[UnitreeSdk2, RobotWire]]":
    """Controller and robot that have found each other."""
    pytest.importorskip("unitree_sdk2py")
    from wire_ends import STOP_KD, until

    from safe_locomotion.backends.robot_wire import RobotWire
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

    backend = UnitreeSdk2(stop_kd=STOP_KD, domain=domain)
    robot = RobotWire(domain=domain)
    until(lambda: robot.controllers() == 1 and robot.listeners() == 1)
    yield backend, robot
    backend.close()
    robot.close()
