"""Who comes in at the viewer's port: a limited number, from our own page, by a name of ours.

A foreign web page can make a browser connect to this machine. Its requests carry the page's own
`Origin`, or a `Host` that its owner's name server points here, so both are checked. Programs that
are no browser send no `Origin`.
"""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from urllib.parse import parse_qs, urlsplit

PLACES = 32  #: connections at the same time; a browser that loads the page opens about six
COOKIE = "safe_locomotion"
ESTOP_PATH = "/estop"
ESTOP_HEADER = "X-Emergency-Stop"
"""A page of another origin cannot send a header of its own without our consent."""


class Rank(IntEnum):
    """How much a connection has shown, in order. The lowest leaves first when places are short."""

    SILENT = 0  #: connected
    OPENED = 1  #: a web socket that never said a word
    SPEAKING = 2  #: a web socket on which a message came; it is never sent away


@dataclass(eq=False, kw_only=True, slots=True)
class Visitor:
    """One connection.

    Attributes:
        leave: ends it at once.
        rank: what it has shown so far.
        trusted: it came with the cookie that only a token buys.
    """

    leave: Callable[[], None]
    rank: Rank = Rank.SILENT
    trusted: bool = False


class Door:
    """Decides about connections and requests; any thread may call it."""

    def __init__(self, host: str, names: Iterable[str] = (), places: int = PLACES) -> None:
        """Open, with nobody inside.

        Args:
            host: address that the viewer listens on.
            names: by which browsers may call this machine, besides its own.
            places: most connections at the same time.
        """
        own = socket.gethostname().lower()
        named = (host, "localhost", own, own.partition(".")[0], f"{own}.local", *names)
        self._names = {name.lower() for name in named if name}
        self._places = places
        self._visitors: list[Visitor] = []
        self._lock = Lock()
        self._cookie = secrets.token_urlsafe(24)
        self.turned_away = 0

    @property
    def inside(self) -> int:
        """Number of connections."""
        return len(self._visitors)

    def enter(self, leave: Callable[[], None]) -> Visitor | None:
        """A place for a new connection; None when everybody inside speaks.

        When all places are taken, the oldest silent one leaves for it.
        """
        with self._lock:
            if len(self._visitors) >= self._places:
                self.turned_away += 1
                guest = min(self._visitors, key=lambda visitor: visitor.rank)
                if guest.rank is Rank.SPEAKING:
                    return None
                self._visitors.remove(guest)
                guest.leave()
            visitor = Visitor(leave=leave)
            self._visitors.append(visitor)
            return visitor

    def left(self, visitor: Visitor) -> None:
        """Free a place."""
        with self._lock:
            if visitor in self._visitors:
                self._visitors.remove(visitor)

    def refusal(self, host: str, origin: str) -> str:
        """Why a request with these headers is refused; "" when it is not.

        Args:
            host: the header `Host`.
            origin: the header `Origin`; empty for none.
        """
        if not self._is_ours(host):
            return "Host: not a name of this machine; the viewer's parameter names adds one"
        if origin and origin.partition("://")[2].lower() != host.lower():
            return "Origin: another page"
        return ""

    def _is_ours(self, host: str) -> bool:
        """Whether a `Host` is an address, or a name of ours: a name server can lie about others."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    @staticmethod
    def wants_stop(path: str, headers: Mapping[str, str]) -> bool:
        """Whether a request is the emergency stop of a program."""
        return path == ESTOP_PATH and ESTOP_HEADER in headers

    @staticmethod
    def token_in(path: str) -> str:
        """The token in the link of a page; "" for none."""
        split = path.partition("?")
        return parse_qs(split[2]).get("token", [""])[0] if split[0] == "/" else ""

    @property
    def set_cookie(self) -> str:
        """Header that lets a browser in which came by the link with the token."""
        return f"{COOKIE}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def knows(self, cookies: str) -> bool:
        """Whether the header `Cookie` holds ours."""
        try:
            jar = SimpleCookie(cookies)
        except CookieError:
            return False
        held = jar[COOKIE].value if COOKIE in jar else ""
        return secrets.compare_digest(held.encode(), self._cookie.encode())
