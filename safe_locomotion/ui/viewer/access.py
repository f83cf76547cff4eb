"""Who may move the robot from a browser, and for how long a touch there holds.

Looking and stopping need nothing. Everything that can move the robot needs the token, once per connection: a connection that has
not given it is refused here, on the robot, whatever buttons its page shows. Times are of a monotonic clock.
"""

import secrets
from collections.abc import Callable
from math import isfinite
from threading import Lock
from time import monotonic

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.commands import CommandLimits
from safe_locomotion.types import VelocityCommand

TOKEN_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  #: none that a person could take for another
TOKEN_LENGTH = 10  #: 49 bits; at one try per `RETRY_S` half of them take more than a million years
SHORTEST_TOKEN = 8  #: of a person's own
RETRY_S = 0.3  #: after a wrong token nobody's is looked at for this long [s]
HOLD_S = 0.35  #: a touch of the pad holds for this long [s]; a button that is held touches it every 0.1 s
HALT_S = 0.3  #: for which zero is commanded after the last touch [s], so that the robot need not wait for the command's timeout


def new_token() -> str:
    """A random token that can be read to somebody."""
    return "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))


class Access:
    """Connections that have given the token."""

    def __init__(self, token: str, clock: Callable[[], float] = monotonic) -> None:
        """Let nobody in yet.

        Raises:
            ConfigurationError: a token that is too short to keep anybody out.
        """
        if len(token) < SHORTEST_TOKEN:
            raise ConfigurationError(
                f"the viewer's token needs at least {SHORTEST_TOKEN} characters (found {len(token)})"
            )
        self._token = token.encode()
        self._clock = clock
        self._lock = Lock()
        self._allowed: set[int] = set()
        self._closed_until = float("-inf")

    def unlock(self, client: int, word: str) -> str:
        """Let a connection in for the right word, compared in a time that does not depend on it; the refusal, or ""."""
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                return "too many tries, wait a moment"
            if not secrets.compare_digest(word.strip().encode(), self._token):
                self._closed_until = now + RETRY_S
                return "wrong token"
            self._allowed.add(client)
            return ""

    def allows(self, client: int) -> bool:
        """Whether a connection may move the robot."""
        return client in self._allowed

    def forget(self, client: int) -> None:
        """A connection has ended; its number may come again."""
        with self._lock:
            self._allowed.discard(client)


class VelocityPad:
    """A velocity that lives while somebody holds a button: the dead-man of the browser.

    One connection drives at a time: until it lets go, touches of others do nothing.
    """

    def __init__(self, limits: CommandLimits, clock: Callable[[], float] = monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._driver: int | None = None
        self._command = VelocityCommand()
        self._touched = self._let_go = float("-inf")

    def touch(self, client: int, vx: float, vy: float, wz: float) -> str:
        """Hold a velocity [m/s, m/s, rad/s], clipped, for `HOLD_S`; the refusal, or ""."""
        if not (isfinite(vx) and isfinite(vy) and isfinite(wz)):
            return "the velocity is not a number"
        limits = self._limits
        command = VelocityCommand(
            vx=_clipped(vx, limits.vx), vy=_clipped(vy, limits.vy), wz=_clipped(wz, limits.wz)
        )
        with self._lock:
            now = self._clock()
            if self._driver not in (None, client) and now - self._touched <= HOLD_S:
                return "another browser drives"
            self._driver = client
            self._command = command
            self._touched = now
            self._let_go = now + HOLD_S
            return ""

    def release(self, client: int) -> None:
        """Stop at once what this connection drives."""
        with self._lock:
            if self._driver == client:
                self._command = VelocityCommand()
                self._let_go = min(self._let_go, self._clock())

    def command(self) -> VelocityCommand | None:
        """What to publish now: the velocity that is held, zero for a moment after that, then None: nothing."""
        with self._lock:
            now = self._clock()
            if now < self._let_go:
                return self._command
            self._driver = None
            return VelocityCommand() if now < self._let_go + HALT_S else None


def _clipped(value: float, limit: float) -> float:
    return min(limit, max(-limit, value))
