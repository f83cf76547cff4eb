"""Scripts: steps in their order, recovery from falls, faults and the emergency stop."""

import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.types import Mode, VelocityCommand

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
ZERO = VelocityCommand()
WALK = VelocityCommand(vx=0.5, vy=0.1, wz=-0.2)


DEMONSTRATION = (
    Step(time=1.0, request="walk", command=WALK),
    Step(time=3.0, request="sit"),
    Step(time=5.0, request="stand"),
)


def test_script_stands_up_then_plays_its_steps_in_order() -> None:
    """Each step is requested once per mode, and its velocity holds with it.

    Times count from the first STAND.
    """
    script = Script(DEMONSTRATION)
    assert script.update(START_NS, Mode.PASSIVE) == ("stand", ZERO)
    assert script.update(START_NS + 1, Mode.PASSIVE) == (None, ZERO)
    assert script.stood_ns is None
    stood = START_NS + 2 * SECOND_NS
    assert script.update(stood, Mode.STAND) == ("stand", ZERO)
    assert script.stood_ns == stood
    assert script.update(stood + SECOND_NS - 1, Mode.STAND) == (None, ZERO)
    assert script.update(stood + SECOND_NS, Mode.STAND) == ("walk", WALK)
    assert script.update(stood + SECOND_NS + 1, Mode.STAND) == (None, WALK)
    assert script.update(stood + 2 * SECOND_NS, Mode.WALK) == ("walk", WALK)
    assert script.update(stood + 3 * SECOND_NS, Mode.WALK) == ("sit", ZERO)
    assert script.update(stood + 4 * SECOND_NS, Mode.PASSIVE) == (None, ZERO)
    assert script.update(stood + 5 * SECOND_NS, Mode.PASSIVE) == ("stand", ZERO)


def test_script_recovers_from_a_fall_in_its_step() -> None:
    """After a fall a script requests reset, then the request of its step; its time goes on."""
    script = Script([Step(time=0.0, request="walk", command=WALK)])
    script.update(START_NS, Mode.STAND)
    script.update(START_NS + 1, Mode.WALK)
    assert script.update(START_NS + 2, Mode.FALLEN) == ("reset", ZERO)
    assert script.update(START_NS + 3, Mode.FALLEN) == (None, ZERO)
    assert script.update(START_NS + 4, Mode.PASSIVE) == ("walk", WALK)
    assert script.update(START_NS + 5, Mode.STAND_UP) == ("walk", WALK)
    assert script.stood_ns == START_NS


@pytest.mark.parametrize("steps", [(), DEMONSTRATION])
def test_script_recovers_from_a_fall_before_its_first_step(steps: tuple[Step, ...]) -> None:
    """After a fall before the first step a script requests reset and stand."""
    script = Script(steps)
    script.update(START_NS, Mode.PASSIVE)
    assert script.update(START_NS + 1, Mode.FALLEN) == ("reset", ZERO)
    assert script.update(START_NS + 2, Mode.PASSIVE) == ("stand", ZERO)
    script.update(START_NS + 3, Mode.STAND)
    assert script.update(START_NS + 4, Mode.FALLEN) == ("reset", ZERO)
    assert script.update(START_NS + 5, Mode.PASSIVE) == ("stand", ZERO)


def test_a_robot_that_stays_down_is_asked_again_each_second() -> None:
    """A request is repeated each second while the robot lies; other modes need only one."""
    script = Script([Step(time=0.0, request="walk", command=WALK)])
    script.update(START_NS, Mode.STAND)
    for mode, request in ((Mode.FALLEN, "reset"), (Mode.PASSIVE, "walk")):
        since = (script.stood_ns or 0) + 10 * SECOND_NS
        assert script.update(since, mode)[0] == request
        assert script.update(since + SECOND_NS - 1, mode)[0] is None
        assert script.update(since + SECOND_NS, mode)[0] == request
        assert script.update(since + 2 * SECOND_NS - 1, mode)[0] is None
    script.update(START_NS + 20 * SECOND_NS, Mode.WALK)
    assert script.update(START_NS + 25 * SECOND_NS, Mode.WALK) == (None, WALK)


def test_script_leaves_a_fault_alone_until_it_says_reset() -> None:
    """In FAULT a script requests nothing and commands zero, until a step requests reset.

    A person must judge a fault.
    """
    script = Script(
        [
            Step(time=0.0, request="walk", command=WALK),
            Step(time=1.0, request="estop"),
            Step(time=2.0, request="reset"),
            Step(time=3.0, request="stand"),
        ]
    )
    script.update(START_NS, Mode.STAND)
    assert script.update(START_NS + 1, Mode.FAULT) == (None, ZERO)
    assert script.update(START_NS + SECOND_NS, Mode.WALK) == ("estop", ZERO)
    assert script.update(START_NS + SECOND_NS + 1, Mode.FAULT) == (None, ZERO)
    assert script.update(START_NS + 2 * SECOND_NS, Mode.FAULT) == ("reset", ZERO)
    assert script.update(START_NS + 2 * SECOND_NS + 1, Mode.PASSIVE) == (None, ZERO)
    assert script.update(START_NS + 3 * SECOND_NS, Mode.PASSIVE) == ("stand", ZERO)


def test_estop_goes_out_although_the_robot_has_fallen() -> None:
    """A planned emergency stop has priority over the reset after a fall."""
    script = Script([Step(time=0.0, request="estop")])
    script.update(START_NS, Mode.STAND)
    assert script.update(START_NS + 1, Mode.FALLEN) == ("estop", ZERO)


def test_script_refuses_unknown_requests_and_disorder() -> None:
    """Unknown requests and unordered times are errors before the robot moves."""
    says = "unknown request 'jump'; choose one of: stand, walk, sit, estop, reset"
    with pytest.raises(ConfigurationError, match=says):
        Script([Step(time=0.0, request="jump")])
    with pytest.raises(ConfigurationError, match="not in the order of their times"):
        Script([Step(time=1.0, request="walk"), Step(time=0.5, request="sit")])
    Script([Step(time=1.0, request="walk"), Step(time=1.0, request="sit")])
