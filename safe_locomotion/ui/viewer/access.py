"""Access control of the browser: who may move the robot, and for how long a command holds.

Watching and stopping need no token. Everything that can move the robot needs the token, once per
connection. The check runs here, on the robot, so a page cannot get around it. Times are of a
monotonic clock.
"""

import secrets
from collections.abc import Callable, Hashable
from math import isfinite
from threading import Lock
from time import monotonic

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.velocity import CommandLimits
from safe_locomotion.types import VelocityCommand

#: The user's own token. It is no parameter, because every node can read parameters.
TOKEN_VARIABLE = "SAFE_LOCOMOTION_VIEWER_TOKEN"
TOKEN_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  #: without letters that look alike
TOKEN_LENGTH = 10  #: 49 bits; at 1,000 tries a second, half of them take 9,000 years
SHORTEST_TOKEN = 8  #: that a user may choose
RETRY_S = 0.3  #: after a first wrong token the client waits this long, then twice as long [s]
LONGEST_S = 20.0  #: longest wait after a wrong token [s]
REMEMBERED_CLIENTS = 1000  #: whose wrong tokens are counted; the oldest is forgotten
HOLD_S = 0.35  #: a velocity holds for this long [s]; a held button repeats it every 0.1 s
HALT_S = 0.3  #: then zero is sent for this long [s], so the robot stops before a timeout stops it


def new_token() -> str:
    """A random token that is easy to read aloud."""
    return "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))


class Access:
    """Connections that have sent the token."""

    def __init__(self, token: str, clock: Callable[[], float] = monotonic) -> None:
        """Allow no connection yet.

        Raises:
            ConfigurationError: the token is short enough to be guessed.
        """
        if len(token) < SHORTEST_TOKEN:
            raise ConfigurationError(
                f"viewer: the token needs at least {SHORTEST_TOKEN} characters (found {len(token)})"
            )
        self._token = token.encode()
        self._clock = clock
        self._lock = Lock()
        self._allowed: set[int] = set()
        self._wrong: dict[Hashable, tuple[int, float]] = {}

    def refusal(self, client: Hashable, word: str) -> str:
        """Why this client's word is refused, or "".

        Each client waits after its own wrong words, longer each time. So a stranger who guesses
        does not lock the owner out. The comparison takes the same time for every word.
        """
        with self._lock:
            now = self._clock()
            tries, closed_until = self._wrong.get(client, (0, float("-inf")))
            if now < closed_until:
                return "too many tries, wait a moment"
            if not secrets.compare_digest(word.strip().encode(), self._token):
                self._wrong.pop(client, None)
                while len(self._wrong) >= REMEMBERED_CLIENTS:
                    self._wrong.pop(next(iter(self._wrong)))
                self._wrong[client] = (tries + 1, now + min(LONGEST_S, RETRY_S * 2.0**tries))
                return "wrong token"
            self._wrong.pop(client, None)
            return ""

    def unlock(self, client: int, word: str) -> str:
        """Allow a connection that sends the token; the refusal, or ""."""
        refusal = self.refusal(client, word)
        if not refusal:
            self.allow(client)
        return refusal

    def allow(self, client: int) -> None:
        """Allow a connection that has proved its right."""
        with self._lock:
            self._allowed.add(client)

    def allows(self, client: int) -> bool:
        """Whether a connection may move the robot."""
        return client in self._allowed

    def forget(self, client: int) -> None:
        """Forget a connection that has ended; a later one may get the same number."""
        with self._lock:
            self._allowed.discard(client)
            self._wrong.pop(client, None)


class VelocityPad:
    """A velocity that holds while a button in the browser is held (dead-man).

    One connection drives at a time. Until it lets go, the touches of others are refused.
    """

    def __init__(self, limits: CommandLimits, clock: Callable[[], float] = monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._driver: int | None = None
        self._command = VelocityCommand()
        self._touched = self._let_go = float("-inf")

    def touch(self, client: int, vx: float, vy: float, wz: float) -> str:
        """Hold a velocity [m/s, m/s, rad/s] for `HOLD_S`, clipped; the refusal, or ""."""
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
        """Stop the robot at once, if this connection drives it."""
        with self._lock:
            if self._driver == client:
                self._command = VelocityCommand()
                self._let_go = min(self._let_go, self._clock())

    def command(self) -> VelocityCommand | None:
        """Velocity to publish now: the held one, then zero for `HALT_S`, then None for silence."""
        with self._lock:
            now = self._clock()
            if now < self._let_go:
                return self._command
            self._driver = None
            return VelocityCommand() if now < self._let_go + HALT_S else None


def _clipped(value: float, limit: float) -> float:
    return min(limit, max(-limit, value))
