"""The commanded velocity: timeout, clipping, and commands that are not finite."""

import math

import pytest

from safe_locomotion.operator.velocity import CommandLimits, VelocityInput
from safe_locomotion.types import VelocityCommand

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
LIMITS = CommandLimits(vx=1.5, vy=0.8, wz=2.5, timeout=0.5)
ZERO = VelocityCommand()
WALK = VelocityCommand(vx=0.5, vy=0.1, wz=-0.2)


def test_a_command_holds_for_its_timeout_to_the_nanosecond() -> None:
    """A command holds from its stamp to the end of its timeout; otherwise the velocity is zero."""
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
    """A velocity just inside passes unchanged; just outside and far outside give the limit."""
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
    """One number that is not finite makes the whole command zero, until a finite one arrives."""
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
