"""A field that a walking robot does not leave."""

from itertools import pairwise
from math import cos, hypot, inf, nan, pi, sin

import pytest

from safe_locomotion.operator.field import TURN_RATE, Field, wrapped
from safe_locomotion.types import VelocityCommand

AHEAD = VelocityCommand(vx=0.45)
RADIUS = 10.0
STEP_S = 0.05
BEYOND = 2.0  #: a robot turns about within so much [m]


def walked(heading: float, seconds: float = 400.0) -> list[tuple[float, float]]:
    """Places of a robot that follows its command exactly."""
    field = Field(RADIUS)
    x = 0.0
    y = 0.0
    yaw = heading
    places = []
    for _ in range(round(seconds / STEP_S)):
        command = field.shaped(AHEAD, x, y, wrapped(yaw))
        assert command.vx == AHEAD.vx and abs(command.wz) <= TURN_RATE
        yaw += command.wz * STEP_S
        x += command.vx * cos(yaw) * STEP_S
        y += command.vx * sin(yaw) * STEP_S
        places.append((x, y))
    return places


@pytest.mark.parametrize("heading", [0.0, 1.0, pi - 0.01, -2.5])
def test_a_robot_turns_back_at_the_edge_and_goes_on(heading: float) -> None:
    """It reaches the edge, never gets far beyond it, and crosses the middle again and again."""
    distances = [hypot(*place) for place in walked(heading)]
    assert RADIUS <= max(distances) <= RADIUS + BEYOND
    later = distances[round(30.0 / STEP_S) :]
    assert min(later) < 0.5 * RADIUS
    assert sum(a < RADIUS <= b for a, b in pairwise(later)) >= 5


def test_inside_the_command_is_as_it_was() -> None:
    """A command with a turn of its own, too."""
    command = VelocityCommand(vx=0.3, vy=0.1, wz=-0.2)
    assert Field(RADIUS).shaped(command, 3.0, -4.0, 2.0) == command


def test_a_robot_that_stands_on_two_legs_is_left_alone() -> None:
    """Where the command is zero there is no way back."""
    assert Field(RADIUS).shaped(VelocityCommand(), 50.0, 0.0, 0.0) == VelocityCommand()


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_without_a_known_place_it_stops(bad: float, at: int) -> None:
    """Each number of the pose counts."""
    pose = [1.0, 1.0, 0.0]
    pose[at] = bad
    assert Field(RADIUS).shaped(AHEAD, *pose) == VelocityCommand()
