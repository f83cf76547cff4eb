"""Requests of an operator (stand, walk, sit, estop, reset), and scripts that make them in time.

A `Script` replaces the person in demonstrations and tests, so that they run the real stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

REQUESTS = ("stand", "walk", "sit", "estop", "reset")
RETRY_NS = NANOSECONDS  #: a script repeats its request after this time while the robot lies


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a script.

    Attributes:
        time: from which the step holds [s after the robot first stands].
        request: one of `REQUESTS`.
        command: velocity while the step holds.
    """

    time: float
    request: str
    command: VelocityCommand = field(default_factory=VelocityCommand)


def parse_script(text: str) -> tuple[Step, ...]:
    """Steps of a text such as "stand@0,walk@1:0.5:0:0,sit@10"; empty text gives no steps.

    Each part has the form request@t or request@t:vx:vy:wz.

    Raises:
        ConfigurationError: a part has another form, a request is unknown, or times are not ordered.
    """
    steps = tuple(_step(part) for part in text.split(",")) if text.strip() else ()
    _check_steps(steps)
    return steps


def format_script(steps: Sequence[Step]) -> str:
    """The text that `parse_script` reads back as `steps`."""
    return ",".join(
        f"{s.request}@{s.time!r}:{s.command.vx!r}:{s.command.vy!r}:{s.command.wz!r}" for s in steps
    )


def _step(part: str) -> Step:
    request, _, rest = part.strip().partition("@")
    try:
        numbers = [float(number) for number in rest.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 4) or not all(map(isfinite, numbers)) or numbers[0] < 0.0:
        raise ConfigurationError(
            f"script: {part!r} is not of the form request@t or request@t:vx:vy:wz, "
            "for instance walk@1:0.5:0:0"
        )
    time = numbers[0]
    vx, vy, wz = numbers[1:] or (0.0, 0.0, 0.0)
    return Step(time=time, request=request, command=VelocityCommand(vx=vx, vy=vy, wz=wz))


def _check_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        if step.request not in REQUESTS:
            raise ConfigurationError(
                f"script: unknown request {step.request!r}; choose one of: {', '.join(REQUESTS)}"
            )
    if any(later.time < earlier.time for earlier, later in pairwise(steps)):
        raise ConfigurationError("script: the steps are not in the order of their times")


class Script:
    """Plays steps by robot time.

    It first asks the robot to stand. It repeats a request after a fall and while the request is
    refused.

    Attributes:
        stood_ns: stamp at which the robot first stood; None before.

    Raises:
        ConfigurationError: the steps are not ordered in time, or name an unknown request.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        _check_steps(steps)
        self._steps = tuple(steps)
        self.stood_ns: int | None = None
        self._asked: tuple[Mode, str] | None = None
        self._asked_ns = 0

    def update(self, stamp_ns: int, mode: Mode) -> tuple[str | None, VelocityCommand]:
        """The request to make now (None for no request), and the velocity in force."""
        if self.stood_ns is None and mode in (Mode.STAND, Mode.WALK):
            self.stood_ns = stamp_ns
        step = self._current(stamp_ns)
        if mode is Mode.FALLEN and step.request != "estop":
            return self._once(stamp_ns, mode, "reset"), VelocityCommand()
        if mode is Mode.FAULT:
            resets = step.request == "reset"
            return self._once(stamp_ns, mode, "reset") if resets else None, VelocityCommand()
        if mode is Mode.PASSIVE and step.request in ("sit", "reset"):
            return None, step.command
        return self._once(stamp_ns, mode, step.request), step.command

    def _current(self, stamp_ns: int) -> Step:
        """The step in force; standing still before the first one."""
        before = Step(time=0.0, request="stand")
        if self.stood_ns is None:
            return before
        elapsed = (stamp_ns - self.stood_ns) / NANOSECONDS
        return next((step for step in reversed(self._steps) if step.time <= elapsed), before)

    def _once(self, stamp_ns: int, mode: Mode, request: str) -> str | None:
        """`request` when it is new in this mode, or when it is due again for a lying robot."""
        lying = mode in (Mode.PASSIVE, Mode.FALLEN) and stamp_ns - self._asked_ns >= RETRY_NS
        if self._asked == (mode, request) and not lying:
            return None
        self._asked = (mode, request)
        self._asked_ns = stamp_ns
        return request
