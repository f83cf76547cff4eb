"""Pushes on the trunk, written "J@t[,J@t...]".

J is a lateral impulse [N s], positive to the left; t is the time after standing up [s].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import cos, isfinite, pi, sin

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
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
        ConfigurationError: a part is not two finite numbers with an @ between them, or its time is
            negative.
    """
    pushes = [_parse(part) for part in text.split(",")] if text.strip() else []
    return tuple(sorted(pushes, key=lambda push: push.time))


def format_pushes(pushes: Sequence[Push]) -> str:
    """The text that `parse_pushes` reads back; only the lateral component can be written."""
    return ",".join(f"{push.impulse[1]!r}@{push.time!r}" for push in pushes)


def lateral_pushes(
    impulse: float, count: int, *, start: float, interval: float, rng: np.random.Generator
) -> list[Push]:
    """`count` pushes to alternating sides, one every `interval` seconds.

    Each comes at a random phase within 0.5 s.
    """
    return [
        Push(
            time=start + k * interval + float(rng.uniform(0.0, 0.5)),
            impulse=(0.0, impulse * (1 if k % 2 else -1), 0.0),
        )
        for k in range(count)
    ]


def person_pushes(impulse: float, interval: float, rng: np.random.Generator) -> Iterator[Push]:
    """Pushes without end as a person gives them: level, from any side, one in each interval.

    Args:
        impulse: of each [N s].
        interval: [s]; each comes at a random time within it.
        rng: of times and directions.
    """
    for k in count():
        angle = float(rng.uniform(-pi, pi))
        yield Push(
            time=(k + float(rng.uniform(0.2, 1.0))) * interval,
            impulse=(impulse * cos(angle), impulse * sin(angle), 0.0),
        )


def parse_person(text: str) -> tuple[float, float] | None:
    """Impulse [N s] and interval [s] of "J@T", for instance 5@20; None of an empty text.

    Raises:
        ConfigurationError: the text has another form.
    """
    if not text:
        return None
    try:
        impulse, interval = map(float, text.split("@"))
    except ValueError:
        raise ConfigurationError(
            f"push {text!r} is not of the form J@T, for instance 5@20"
        ) from None
    return impulse, interval


def _parse(part: str) -> Push:
    try:
        impulse, time = map(float, part.split("@"))
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
    return np.array((*rotate_plane(yaw, x, y), z))


@dataclass(slots=True)
class _RunningPush:
    force: Array
    offset: Array
    remaining: int


class RunningPushes:
    """Pushes that act on the trunk now, each as a constant force; true while there are any."""

    def __init__(self, physics_step: float) -> None:
        self._step = physics_step
        self._running: list[_RunningPush] = []

    def __bool__(self) -> bool:
        return bool(self._running)

    def add(self, impulse: Array, duration: float, offset: Array | None) -> None:
        """Begin a push; arguments as in `SimulatedRobot.push`."""
        steps = max(1, round(duration / self._step))
        force = np.asarray(impulse, dtype=np.float64) / (steps * self._step)
        place = np.zeros(3) if offset is None else np.asarray(offset, dtype=np.float64)
        self._running.append(_RunningPush(force, place, steps))

    def clear(self) -> None:
        """End all pushes."""
        self._running.clear()

    def apply(self, wrench: Array, rotation: Array) -> None:
        """Write the sum of the pushes of one physics step; the step after the last writes zero.

        Args:
            wrench: (6,) force [N] and moment [Nm] on the trunk in the world, overwritten.
            rotation: (3, 3) base to world.
        """
        wrench[:] = 0.0
        self._running = [push for push in self._running if push.remaining > 0]
        for push in self._running:
            push.remaining -= 1
            wrench[:3] += push.force
            wrench[3:] += np.cross(rotation @ push.offset, push.force)
