"""The web server of the viewer: its address and its connections."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from threading import Lock

import viser

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.ui.viewer.controls import Controls
from safe_locomotion.ui.viewer.framing import FIELD_OF_VIEW, framed
from safe_locomotion.ui.viewer.guarded_socket import VISITOR, Guard, guarded

PORTS = 100  #: that are tried, from the wanted one on
LOW_PAGE = 500  #: a page that is less high is a phone on its side [px]
LOW_PANEL = 250  #: width of its panel [px]
ANYWHERE = ("0.0.0.0", "::", "")


class _Server(viser.ViserServer):
    """A server that opens no tunnel to the internet, which any page could request otherwise."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None

    def disconnect_share_url(self) -> None:
        return None


def free_port(host: str, wanted: int) -> int:
    """The first free port from `wanted` on.

    Raises:
        ConfigurationError: no port is free, or this machine has no such address.
    """
    try:
        found = socket.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"viewer: host {host!r}: {error}") from error
    family, kind, protocol, _, address = found[0]
    refusal = OSError("no port")
    for port in range(wanted, min(wanted + PORTS, 65536)):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address[0], port, *address[2:]))
                return port
            except OSError as error:
                refusal = error
    raise ConfigurationError(
        f"viewer: no port from {wanted} to {wanted + PORTS - 1} is free on {host!r}: {refusal}"
    )


class Framing:
    """Keeps the robot whole in one browser: the first view, and a new one when the page turns.

    A view that the user chose stays, unless the page changes between tall and wide.
    """

    def __init__(self, client: viser.ClientHandle) -> None:
        self._camera = client.camera
        self._tall: bool | None = None
        self._narrow(client)
        self._look(client.camera)
        client.camera.on_update(self._look)

    def _look(self, camera: viser.CameraHandle) -> None:
        width = camera.image_width
        height = camera.image_height
        tall = height > width
        if tall == self._tall:
            return
        self._tall = tall
        view = framed(width, height)
        self._camera.position = view.position
        self._camera.look_at = view.look_at

    @staticmethod
    def _narrow(client: viser.ClientHandle) -> None:
        """Leave a phone that lies on its side more of its page for the picture."""
        if client.camera.image_height < LOW_PAGE:
            client.gui.main_panel.set_width(LOW_PANEL)


class ViewerServer:
    """One page for many browsers.

    Attributes:
        scene, gui: shared by all browsers.
        address: of the page.
    """

    def __init__(self, host: str, port: int, guard: Guard) -> None:
        """Listen.

        Raises:
            ConfigurationError: see `free_port` and `guarded`.
        """
        port = free_port(host, port)
        # A browser that opens a connection in advance is not an error.
        logging.getLogger("websockets").setLevel(logging.CRITICAL)
        with redirect_stdout(StringIO()), guarded(guard):  # viser prints a greeting
            self._server = _Server(host=host, port=port, verbose=False)
        self._server.initial_camera.fov = FIELD_OF_VIEW
        self.scene = self._server.scene
        self.gui = self._server.gui
        shown = socket.gethostname() if host in ANYWHERE else f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._server.get_port()}"
        self._controls: dict[int, Controls] = {}
        self._lock = Lock()

    def admit(self, build: Callable[[viser.ClientHandle, bool], Controls]) -> None:
        """From now on give every browser controls of its own.

        Args:
            build: makes them, for a browser and whether it came by the link with the token.
        """

        def welcome(client: viser.ClientHandle, trusted: bool) -> None:
            Framing(client)
            controls = build(client, trusted)
            with self._lock:
                self._controls[client.client_id] = controls
            controls.remember()

        @self._server.on_client_connect
        async def _(client: viser.ClientHandle) -> None:
            visitor = VISITOR.get()
            trusted = visitor is not None and visitor.trusted
            # A page may take seconds to answer what it has stored.
            await asyncio.to_thread(welcome, client, trusted)

        @self._server.on_client_disconnect
        def _(client: viser.ClientHandle) -> None:
            with self._lock:
                controls = self._controls.pop(client.client_id, None)
            if controls is not None:
                controls.close()

    @property
    def browsers(self) -> int:
        """Number of connected browsers."""
        return len(self._controls)

    def follow(self, policy: str) -> None:
        """Show in all browsers which policy is in force."""
        with self._lock:
            controls = tuple(self._controls.items())
        for client, each in controls:
            try:
                each.follow(policy)
            except Exception:  # a page can break its own elements with any error, but not others'
                with self._lock:
                    self._controls.pop(client, None)
                each.close()

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Send all changes within this context at once."""
        with self._server.atomic():
            yield

    def stop(self) -> None:
        """Close every connection."""
        with redirect_stdout(StringIO()):
            self._server.stop()
