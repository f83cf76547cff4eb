"""A person's velocity and requests: timeout, clipping, not-a-number, and scripts that recover from falls."""

import math

import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.operator.velocity import CommandLimits, VelocityInput
from safe_locomotion.types import Mode, VelocityCommand

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
LIMITS = CommandLimits(vx=1.5, vy=0.8, wz=2.5, timeout=0.5)
ZERO = VelocityCommand()
WALK = VelocityCommand(vx=0.5, vy=0.1, wz=-0.2)


def test_a_command_holds_for_its_timeout_to_the_nanosecond() -> None:
    """In force from its stamp to timeout later; zero before the first, before its stamp and after."""
    velocity = VelocityInput(LIMITS)
    assert velocity.get(START_NS) == ZERO
    velocity.set(START_NS, 0.5, 0.1, -0.2)
    assert velocity.get(START_NS) == WALK
    assert velocity.get(START_NS + 500_000_000) == WALK
    assert velocity.get(START_NS + 500_000_001) == ZERO
    assert velocity.get(START_NS - 1) == ZERO
    velocity.set(START_NS + SECOND_NS, 0.5, 0.1, -0.2)
    assert velocity.get(START_NS + SECOND_NS) == WALK


@pytest.mark.parametrize("axis", ["vx", "vy", "wz"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_axis_is_clipped_at_its_own_limit(axis: str, sign: float) -> None:
    """Just inside passes unchanged, just outside and far outside give the limit."""
    limit = getattr(LIMITS, axis)
    for wanted, got in (
        (math.nextafter(limit, 0), math.nextafter(limit, 0)),
        (math.nextafter(limit, 9), limit),
        (1e9, limit),
    ):
        velocity = VelocityInput(LIMITS)
        velocity.set(START_NS, **({"vx": 0.0, "vy": 0.0, "wz": 0.0} | {axis: sign * wanted}))
        assert velocity.get(START_NS) == VelocityCommand(**{axis: sign * got})
        assert not velocity.not_finite


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_command_that_is_not_finite_is_zero_and_says_so(axis: int, value: float) -> None:
    """The whole command is refused, also in place of an earlier good one, until a finite one arrives."""
    velocity = VelocityInput(LIMITS)
    velocity.set(START_NS, 0.5, 0.1, -0.2)
    values = [0.5, 0.1, -0.2]
    values[axis] = value
    velocity.set(START_NS + 1, *values)
    assert velocity.not_finite
    assert velocity.get(START_NS + 1) == ZERO
    velocity.set(START_NS + 2, 0.5, 0.1, -0.2)
    assert not velocity.not_finite
    assert velocity.get(START_NS + 2) == WALK


DEMONSTRATION = (
    Step(time=1.0, request="walk", command=WALK),
    Step(time=3.0, request="sit"),
    Step(time=5.0, request="stand"),
)


def test_script_stands_up_then_plays_its_steps_in_order() -> None:
    """Each step is requested once per mode, times count from the first STAND, velocities hold with their step."""
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
    """FALLEN is reset, then the step's own request is made again; the clock goes on."""
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
    """A fall while standing up, or between standing and the first step, is reset and stood up from."""
    script = Script(steps)
    script.update(START_NS, Mode.PASSIVE)
    assert script.update(START_NS + 1, Mode.FALLEN) == ("reset", ZERO)
    assert script.update(START_NS + 2, Mode.PASSIVE) == ("stand", ZERO)
    script.update(START_NS + 3, Mode.STAND)
    assert script.update(START_NS + 4, Mode.FALLEN) == ("reset", ZERO)
    assert script.update(START_NS + 5, Mode.PASSIVE) == ("stand", ZERO)


def test_a_robot_that_stays_down_is_asked_again_each_second() -> None:
    """A refused request (still lying on its side, say) is repeated; in the other modes one request is enough."""
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
    """FAULT is for a person to judge: nothing is requested and the velocity is zero, up to a step that resets."""
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
    """A planned emergency stop is not replaced by the reset after a fall."""
    script = Script([Step(time=0.0, request="estop")])
    script.update(START_NS, Mode.STAND)
    assert script.update(START_NS + 1, Mode.FALLEN) == ("estop", ZERO)


def test_script_refuses_unknown_requests_and_disorder() -> None:
    """Both are errors before the robot moves; equal times are in order."""
    with pytest.raises(
        ConfigurationError,
        match="unknown request 'jump'; choose one of: stand, walk, sit, estop, reset",
    ):
        Script([Step(time=0.0, request="jump")])
    with pytest.raises(ConfigurationError, match="not in the order of their times"):
        Script([Step(time=1.0, request="walk"), Step(time=0.5, request="sit")])
    Script([Step(time=1.0, request="walk"), Step(time=1.0, request="sit")])
