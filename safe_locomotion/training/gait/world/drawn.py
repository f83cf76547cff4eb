"""Robots that differ from their model: floor, payload and motors, drawn for each of them."""

from dataclasses import dataclass, fields

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnRobots:
    """What differs between B robots; see `Physics`.

    Attributes:
        friction: (B,) sliding friction between feet and floor.
        payload: (B,) mass on the middle of the back [kg].
        strength: (B,) share of the model's torque that the motors give.
        delay_ms: (B,) from a command to its effect on the torque [ms].
    """

    friction: Array
    payload: Array
    strength: Array
    delay_ms: Array

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths."""
        shapes = {getattr(self, field.name).shape for field in fields(self)}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ConfigurationError("drawn robots: one number per robot of each quantity")

    def __len__(self) -> int:
        """B."""
        return len(self.friction)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """Ranges from which robots are drawn uniformly; our choice.

    Attributes:
        friction: from wet stone to rubber on dry concrete.
        payload: share of the robot's mass.
        strength: worn or hot motors.
        delay_ms: [ms].
    """

    friction: tuple[float, float] = (0.4, 1.0)
    payload: tuple[float, float] = (0.0, 0.2)
    strength: tuple[float, float] = (0.8, 1.0)
    delay_ms: tuple[float, float] = (0.0, 2.0)


def draw_robots(robots: int, mass: float, seed: int, ranges: Ranges | None = None) -> DrawnRobots:
    """So many robots of one model, each with a floor, a payload and motors of its own.

    Args:
        robots: B.
        mass: of the model [kg].
        seed: of what is drawn.
        ranges: of it.
    """
    if robots < 1:
        raise ConfigurationError(f"{robots} robots: at least one is needed")
    within = ranges or Ranges()
    rng = np.random.default_rng(seed)
    return DrawnRobots(
        friction=rng.uniform(*within.friction, robots),
        payload=mass * rng.uniform(*within.payload, robots),
        strength=rng.uniform(*within.strength, robots),
        delay_ms=rng.uniform(*within.delay_ms, robots),
    )
