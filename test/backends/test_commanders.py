"""Who else is on the wire decides whether the bridge may command."""

import pytest

from safe_locomotion.backends.commanders import Commanders, require_sole_commander
from safe_locomotion.errors import BackendError


@pytest.mark.parametrize(
    ("found", "commanded", "silent", "says"),
    [
        (Commanders(), False, 0, ""),
        (Commanders(state_sources=0), False, 0, ""),
        (Commanders(), True, 0, "sends low commands"),
        (Commanders(commands=1), False, 9, "sends low commands"),
        (Commanders(publishers=1), False, 0, "1 other program"),
        (Commanders(publishers=1), False, 1, ""),
        (Commanders(publishers=2), False, 1, "2 other program"),
        (Commanders(state_sources=2), False, 9, "2 programs send LowStates"),
    ],
)
def test_only_the_sole_commander_of_one_robot_is_activated(
    found: Commanders, commanded: bool, silent: int, says: str
) -> None:
    """Each of the other programs is named; silent ones can be allowed, those that speak cannot."""
    if not says:
        require_sole_commander(found, commanded=commanded, silent=silent)
        return
    with pytest.raises(BackendError, match=says):
        require_sole_commander(found, commanded=commanded, silent=silent)
