"""What a person asks of the robot: a velocity that dies after a timeout, and requests (stand, walk, sit, estop, reset).

`Script` is a person who follows a plan: the command line's demonstrations and tests run the real stages with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

REQUESTS = ("stand", "walk", "sit", "estop", "reset")


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLimits:
    """Largest velocity a person may ask for, and for how long one message holds.

    Attributes:
        vx, vy: [m/s]; wz: [rad/s]. Larger commands are clipped.
        timeout: a command older than this is zero [s].
    """

    vx: float
    vy: float
    wz: float
    timeout: float


class VelocityInput:
    """The newest velocity command, clipped, refused when not finite, zero after the timeout."""

    def __init__(self, limits: CommandLimits) -> None:
        self._limits = limits
        self._timeout_ns = round(limits.timeout * NANOSECONDS)
        self._command = VelocityCommand()
        self._stamp_ns: int | None = None
        self.not_finite = False

    def set(self, stamp_ns: int, vx: float, vy: float, wz: float) -> None:
        """Take a command that arrived when the robot's clock read `stamp_ns`; one that is not finite counts as zero."""
        self.not_finite = not (isfinite(vx) and isfinite(vy) and isfinite(wz))
        limits = self._limits
        self._stamp_ns = stamp_ns
        self._command = (
            VelocityCommand()
            if self.not_finite
            else VelocityCommand(
                vx=_clip(vx, limits.vx), vy=_clip(vy, limits.vy), wz=_clip(wz, limits.wz)
            )
        )

    def in_force(self, stamp_ns: int) -> bool:
        """Whether a command is there and not too old at `stamp_ns`."""
        return self._stamp_ns is not None and 0 <= stamp_ns - self._stamp_ns <= self._timeout_ns

    def get(self, stamp_ns: int) -> VelocityCommand:
        """The command in force at `stamp_ns`."""
        return self._command if self.in_force(stamp_ns) else VelocityCommand()


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of a script: from `time` [s after the robot first stands] on, this goal and velocity hold."""

    time: float
    request: str
    command: VelocityCommand = field(default_factory=VelocityCommand)


def parse_script(text: str) -> tuple[Step, ...]:
    """Steps of "request@t[:vx:vy:wz],...", for instance "stand@0,walk@1:0.5:0:0,sit@10"; empty text gives none.

    Raises:
        ConfigurationError: a part of another form, an unknown request, or times that are not in order.
    """
    steps = tuple(_step(part) for part in text.split(",")) if text.strip() else ()
    Script(steps)
    return steps


def format_script(steps: Sequence[Step]) -> str:
    """The text that `parse_script` reads back as `steps`."""
    return ",".join(
        f"{s.request}@{s.time!r}:{s.command.vx!r}:{s.command.vy!r}:{s.command.wz!r}" for s in steps
    )


def _step(part: str) -> Step:
    request, _, rest = part.strip().partition("@")
    try:
        time, *velocity = (float(number) for number in rest.split(":"))
    except ValueError:
        velocity = [0.0]
        time = float("nan")
    if (
        len(velocity) not in (0, 3)
        or not time >= 0.0
        or not all(isfinite(v) for v in (time, *velocity))
    ):
        raise ConfigurationError(
            f"script: {part!r} is not of the form request@t or request@t:vx:vy:wz, for instance walk@1:0.5:0:0"
        )
    vx, vy, wz = velocity or (0.0, 0.0, 0.0)
    return Step(time=time, request=request, command=VelocityCommand(vx=vx, vy=vy, wz=wz))


RETRY_NS = NANOSECONDS  #: a robot that is down is asked again after this time


class Script:
    """Plays steps by the robot's clock: stands up first, requests again after a fall and while a request is refused.

    Raises:
        ConfigurationError: the steps are not ordered in time or name an unknown request.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.request not in REQUESTS:
                raise ConfigurationError(
                    f"script: unknown request {step.request!r}; choose one of: {', '.join(REQUESTS)}"
                )
        if any(later.time < earlier.time for earlier, later in pairwise(steps)):
            raise ConfigurationError("script: the steps are not in the order of their times")
        self._steps = tuple(steps)
        self.stood_ns: int | None = None
        self._asked: tuple[Mode, str] | None = None
        self._asked_ns = 0

    def update(self, stamp_ns: int, mode: Mode) -> tuple[str | None, VelocityCommand]:
        """Request to make now, if any, and velocity in force."""
        if self.stood_ns is None and mode in (Mode.STAND, Mode.WALK):
            self.stood_ns = stamp_ns
        step = self._current(stamp_ns)
        if mode is Mode.FALLEN and step.request != "estop":
            return self._once(stamp_ns, mode, "reset"), VelocityCommand()
        if mode is Mode.FAULT:
            return self._once(
                stamp_ns, mode, "reset"
            ) if step.request == "reset" else None, VelocityCommand()
        if mode is Mode.PASSIVE and step.request in ("sit", "reset"):
            return None, step.command
        return self._once(stamp_ns, mode, step.request), step.command

    def _current(self, stamp_ns: int) -> Step:
        """The step in force; standing still before the first."""
        before = Step(time=0.0, request="stand")
        if self.stood_ns is None:
            return before
        elapsed = (stamp_ns - self.stood_ns) / NANOSECONDS
        return next((step for step in reversed(self._steps) if step.time <= elapsed), before)

    def _once(self, stamp_ns: int, mode: Mode, request: str) -> str | None:
        """`request` when it is new in this mode, or when the robot still lies there."""
        lying = mode in (Mode.PASSIVE, Mode.FALLEN) and stamp_ns - self._asked_ns >= RETRY_NS
        if self._asked == (mode, request) and not lying:
            return None
        self._asked = (mode, request)
        self._asked_ns = stamp_ns
        return request


def _clip(value: float, limit: float) -> float:
    return min(limit, max(-limit, value))
