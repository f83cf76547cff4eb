"""Fixtures of the SDK2 wire."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from safe_locomotion.backends.domains import claim_domain

if TYPE_CHECKING:
    from safe_locomotion.backends.robot_wire import RobotWire
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2


@pytest.fixture
def domain() -> Iterator[int]:
    """A DDS domain of the test's own, whose ports Linux gives to no other program."""
    with claim_domain() as domain:
        yield domain


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
