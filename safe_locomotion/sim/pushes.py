"""Pushes on the trunk, written "J@t[,J@t...]": lateral impulses in N s, positive to the left, at seconds after standing up."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, isfinite, sin

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """A push on the trunk.

    Attributes:
        time: [s] after the robot first stood.
        impulse: (3,) in the robot's heading frame at that time [N s].
    """

    time: float
    impulse: tuple[float, float, float]


def parse_pushes(text: str) -> tuple[Push, ...]:
    """Pushes of "J@t[,J@t...]" in the order of their times; empty text gives none.

    Raises:
        ConfigurationError: a part that is not two finite numbers with an @ between them, or a negative time.
    """
    pushes = [_parse(part) for part in text.split(",")] if text.strip() else []
    return tuple(sorted(pushes, key=lambda push: push.time))


def format_pushes(pushes: Sequence[Push]) -> str:
    """The text that `parse_pushes` reads back; only the lateral component can be written."""
    return ",".join(f"{push.impulse[1]!r}@{push.time!r}" for push in pushes)


def lateral_pushes(
    impulse: float, count: int, *, start: float, interval: float, rng: np.random.Generator
) -> list[Push]:
    """`count` pushes to alternating sides, one each `interval` seconds, at a random phase within 0.5 s."""
    return [
        Push(
            time=start + k * interval + float(rng.uniform(0.0, 0.5)),
            impulse=(0.0, impulse * (1 if k % 2 else -1), 0.0),
        )
        for k in range(count)
    ]


def _parse(part: str) -> Push:
    try:
        impulse, time = (float(number) for number in part.split("@"))
    except ValueError:
        raise ConfigurationError(
            f"push {part!r} is not of the form J@t, for instance 25@3.5"
        ) from None
    if not (isfinite(impulse) and 0.0 <= time < float("inf")):
        raise ConfigurationError(
            f"push {part!r} needs a finite impulse and a time that is not negative"
        )
    return Push(time=time, impulse=(0.0, impulse, 0.0))


def impulse_in_world(push: Push, quaternion_wxyz: Array) -> Array:
    """The push's impulse (3,) in the world for a base with this orientation [N s]."""
    yaw = rpy_from_quaternion(quaternion_wxyz)[2]
    x, y, z = push.impulse
    return np.array((cos(yaw) * x - sin(yaw) * y, sin(yaw) * x + cos(yaw) * y, z))
