"""The velocity that an operator commands: clipped, and zero when it is not renewed in time."""

from dataclasses import dataclass
from math import isfinite

from safe_locomotion.rotations import clamp
from safe_locomotion.types import NANOSECONDS, VelocityCommand


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLimits:
    """Largest velocity that an operator may command, and how long one message holds.

    Attributes:
        vx, vy: [m/s]; larger commands are clipped.
        wz: [rad/s]; larger commands are clipped.
        timeout: a command older than this counts as zero [s].
    """

    vx: float
    vy: float
    wz: float
    timeout: float


class VelocityInput:
    """The newest velocity command.

    Attributes:
        not_finite: the newest command contained NaN or an infinity.
    """

    def __init__(self, limits: CommandLimits) -> None:
        self._limits = limits
        self._timeout_ns = round(limits.timeout * NANOSECONDS)
        self._command = VelocityCommand()
        self._stamp_ns: int | None = None
        self.not_finite = False

    def set(self, stamp_ns: int, vx: float, vy: float, wz: float) -> None:
        """Take a command; a command that is not finite counts as zero.

        Args:
            stamp_ns: robot time at which the command arrived.
            vx: [m/s].
            vy: [m/s].
            wz: [rad/s].
        """
        limits = self._limits
        self._stamp_ns = stamp_ns
        self.not_finite = not (isfinite(vx) and isfinite(vy) and isfinite(wz))
        if self.not_finite:
            self._command = VelocityCommand()
            return
        self._command = VelocityCommand(
            vx=clamp(vx, -limits.vx, limits.vx),
            vy=clamp(vy, -limits.vy, limits.vy),
            wz=clamp(wz, -limits.wz, limits.wz),
        )

    def in_force(self, stamp_ns: int) -> bool:
        """Whether a command has arrived and is not older than the timeout at `stamp_ns`."""
        return self._stamp_ns is not None and 0 <= stamp_ns - self._stamp_ns <= self._timeout_ns

    def get(self, stamp_ns: int) -> VelocityCommand:
        """The command in force at `stamp_ns`; zero when there is none."""
        return self._command if self.in_force(stamp_ns) else VelocityCommand()
