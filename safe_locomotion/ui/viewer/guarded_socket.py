"""Web sockets that pass the door: how the viewer's library is made to ask it.

The library opens its socket by `websockets.asyncio.server.serve` and offers no place for a check.
So while it starts, that function is ours. A library that does not call it is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio import server as web

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.ui.viewer.door import Door, Rank, Visitor

OPEN_S = 3.0  #: longest time until a connection has sent its first request
LARGEST_MESSAGE = 1 << 20  #: bytes that a page may send at once
VISITOR: ContextVar[Visitor | None] = ContextVar("visitor", default=None)
"""The connection whose message is being handled."""

Check = Callable[[str, str], str]  #: refusal of a token that came from an address


class GuardedConnection(web.ServerConnection):
    """A connection that has a place behind the door, or is cut off."""

    door: Door
    visitor: Visitor | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a place."""
        leaving = cast(asyncio.Transport, transport)
        self.visitor = self.door.enter(leaving.abort)
        super().connection_made(transport)
        if self.visitor is None:
            leaving.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        if self.visitor is not None:
            self.door.left(self.visitor)
        super().connection_lost(exc)

    async def recv(self, decode: bool | None = None) -> Any:
        """Receive a message; who speaks keeps the place."""
        message = await super().recv(decode)
        if self.visitor is not None:
            self.visitor.rank = Rank.SPEAKING
        return message


class Guard:
    """Answers requests before the library sees them.

    Attributes:
        door: decides who comes in.
        stop: presses the emergency stop; returns why that failed, or "".
        check: refusal of a token, or "".
    """

    def __init__(self, door: Door, stop: Callable[[], str], check: Check) -> None:
        self.door = door
        self.stop = stop
        self.check = check

    def answer(self, connection: Any, request: Any) -> Any:
        """The response to a request that goes no further; None lets it pass."""
        headers = request.headers
        refusal = self.door.refusal(headers.get("Host", ""), headers.get("Origin", ""))
        if refusal:
            return connection.respond(HTTPStatus.FORBIDDEN, refusal + "\n")
        if self.door.wants_stop(request.path, headers):
            failure = self.stop()
            code = HTTPStatus.SERVICE_UNAVAILABLE if failure else HTTPStatus.OK
            return connection.respond(code, (failure or "emergency stop") + "\n")
        token = self.door.token_in(request.path)
        if token:
            return self._by_link(connection, token)
        visitor = connection.visitor
        if visitor is not None and headers.get("Upgrade") == "websocket":
            visitor.rank = max(visitor.rank, Rank.OPENED)
            visitor.trusted = self.door.knows(headers.get("Cookie", ""))
        return None

    def _by_link(self, connection: Any, token: str) -> Any:
        """Swap the token of a link for a cookie, so that it does not stay in the address."""
        refusal = self.check(connection.remote_address[0], token)
        if refusal:
            return connection.respond(HTTPStatus.FORBIDDEN, refusal + "\n")
        response = connection.respond(HTTPStatus.SEE_OTHER, "")
        response.headers["Location"] = "/"
        response.headers["Set-Cookie"] = self.door.set_cookie
        response.headers["Cache-Control"] = "no-store"
        return response

    def process(self, inner: Callable[[Any, Any], Any] | None) -> Callable[[Any, Any], Any]:
        """The library's own answers, behind ours."""

        def process_request(connection: Any, request: Any) -> Any:
            response = self.answer(connection, request)
            return response if response is not None or inner is None else inner(connection, request)

        return process_request

    def handle(self, inner: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        """The library's handler, which knows whose messages it handles."""

        async def handler(connection: Any) -> None:
            VISITOR.set(connection.visitor)
            await inner(connection)

        return handler


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Let the library open its socket behind the guard within this context.

    Raises:
        ConfigurationError: the library opened it in another way.
    """
    serve = web.serve
    used = False

    class Connection(GuardedConnection):
        door = guard.door

    def serve_guarded(handler: Any, *args: Any, **options: Any) -> Any:
        nonlocal used
        used = True
        inner = options.pop("process_request", None)
        bounds = {"max_size": LARGEST_MESSAGE, "open_timeout": OPEN_S}
        return serve(
            guard.handle(handler),
            *args,
            **{**options, **bounds},
            process_request=guard.process(inner),
            create_connection=Connection,
        )

    web.serve = serve_guarded  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        web.serve = serve  # type: ignore[misc]
    if not used:
        raise ConfigurationError(
            "viewer: this version of viser opens its port past our checks; install viser>=1.1,<1.2"
        )
