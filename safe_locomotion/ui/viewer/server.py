"""The web server behind the viewer's page: where it listens, and who is connected."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from threading import Lock

import viser

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.ui.viewer.controls import Controls

PORTS = 100  #: tried from the wanted one on
ANYWHERE = ("0.0.0.0", "::", "")


class _Server(viser.ViserServer):
    """Without the tunnel to a server on the internet that any page could ask for otherwise."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None

    def disconnect_share_url(self) -> None:
        return None


def free_port(host: str, wanted: int) -> int:
    """The first port from `wanted` on that can be had.

    Raises:
        ConfigurationError: none is free, or this machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"viewer: host {host!r}: {error}") from error
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
        f"viewer: no port from {wanted} to {wanted + PORTS - 1} can be had on {host!r}: {refusal}"
    )


class ViewerServer:
    """One page for many browsers.

    Attributes:
        scene, gui: what all of them see.
        address: where it is.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            ConfigurationError: see `free_port`.
        """
        port = free_port(host, port)
        logging.getLogger("websockets").setLevel(
            logging.CRITICAL
        )  # a browser that opens a connection in advance is no error
        with redirect_stdout(StringIO()):  # it would announce itself
            self._server = _Server(host=host, port=port, verbose=False)
        self.scene = self._server.scene
        self.gui = self._server.gui
        shown = socket.gethostname() if host in ANYWHERE else f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._server.get_port()}"
        self._controls: dict[int, Controls] = {}
        self._lock = Lock()

    def admit(self, build: Callable[[viser.ClientHandle], Controls]) -> None:
        """Give every browser controls of its own from now on."""

        @self._server.on_client_connect
        def _(client: viser.ClientHandle) -> None:
            controls = build(client)
            with self._lock:
                self._controls[client.client_id] = controls
            controls.remember()

        @self._server.on_client_disconnect
        def _(client: viser.ClientHandle) -> None:
            with self._lock:
                controls = self._controls.pop(client.client_id, None)
            if controls is not None:
                controls.close()

    @property
    def browsers(self) -> int:
        """How many are connected."""
        return len(self._controls)

    def follow(self, policy: str) -> None:
        """Show everybody which policy is in force."""
        with self._lock:
            controls = tuple(self._controls.items())
        for client, each in controls:
            try:
                each.follow(policy)
            except Exception:  # a page can break its own elements, with whatever error; it must not break the others'
                with self._lock:
                    self._controls.pop(client, None)
                each.close()

    def look_from(
        self, position: tuple[float, float, float], look_at: tuple[float, float, float], fov: float
    ) -> None:
        """Where a new browser's camera is."""
        camera = self._server.initial_camera
        camera.position = position
        camera.look_at = look_at
        camera.fov = fov

    @contextmanager
    def frame(self) -> Iterator[None]:
        """What changes within is seen at once."""
        with self._server.atomic():
            yield

    def stop(self) -> None:
        """Close every connection."""
        with redirect_stdout(StringIO()):
            self._server.stop()
