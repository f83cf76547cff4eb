"""The page of the viewer without a browser: it speaks viser's websocket protocol.

It can also send messages that no page would send.
"""

import json
import time
from contextlib import contextmanager
from threading import Thread

import msgspec
import viser
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

LOOK_S = 0.02


class ViserPage:
    """One connection.

    Attributes:
        elements: GUI elements by uuid, as the newest messages left them.
    """

    def __init__(self, socket):
        self._socket = socket
        self.elements = {}
        Thread(target=self._receive, daemon=True).start()
        camera = {
            "wxyz": (1, 0, 0, 0),
            "position": (1, 0, 0),
            "fov": 1.0,
            "near": 0.1,
            "far": 9.0,
            "image_height": 9,
        }
        self.send(
            "ViewerCameraMessage",
            **camera,
            image_width=9,
            look_at=(0, 0, 0),
            up_direction=(0, 0, 1),
        )

    def _receive(self):
        unpack = zstandard.ZstdDecompressor()
        try:
            for frame in self._socket:
                size = int.from_bytes(frame[8:16], "little")
                for message in msgspec.msgpack.decode(unpack.decompress(frame[16 : 16 + size]))[
                    "messages"
                ]:
                    self._take(message)
        except ConnectionClosed:
            return

    def _take(self, message):
        if message["type"] == "GuiUpdateMessage":
            self.elements[message["uuid"]] |= message["updates"]
        elif message["type"] == "LocalStorageGetItemRequestMessage":
            self.send(
                "LocalStorageGetItemResponseMessage",
                value=None,
                error=None,
                request_uuid=message["request_uuid"],
            )
        elif "uuid" in message and "props" in message:
            self.elements[message["uuid"]] = {**message["props"], "value": message.get("value")}

    def send(self, kind, **fields):
        """Send one message of viser's."""
        self._socket.send(msgspec.msgpack.encode({"type": kind, **fields}))

    def find(self, label):
        """The uuid of the element with a label, shown or hidden."""
        assert self.until(lambda: self._uuid(label)), (
            f"no {label!r} among {[e.get('label') for e in self.elements.values()]}"
        )
        return self._uuid(label)

    def _uuid(self, label):
        return next(
            (
                uuid
                for uuid, e in list(self.elements.items())
                if e.get("label") == label and "value" in e
            ),
            None,
        )

    def set(self, label, value=True):
        """Give an element a value, which is also how buttons are pressed."""
        self.send("GuiUpdateMessage", uuid=self.find(label), updates={"value": value})

    def tamper(self, label, **attributes):
        """Change attributes of an element other than its value."""
        self.send("GuiUpdateMessage", uuid=self.find(label), updates=attributes)

    def hold(self, label):
        """Send one message of a button that is held."""
        self.send("GuiButtonHoldMessage", uuid=self.find(label), frequency=10.0)

    def text(self):
        """The text of all elements."""
        return json.dumps(list(self.elements.values()), default=str)

    def until(self, condition, timeout_s=20.0):
        """Wait for `condition`; return whether it became true in time."""
        end = time.monotonic() + timeout_s
        while not (met := condition()) and time.monotonic() < end:
            time.sleep(LOOK_S)
        return met

    def reads(self, text):
        """Whether `text` appears in an element in time."""
        return self.until(lambda: text in self.text())


@contextmanager
def viser_page(port, **headers):
    """A connection to the viewer on this machine, with these headers."""
    protocol = f"viser-v{viser.__version__}"
    with connect(
        f"ws://127.0.0.1:{port}",
        subprotocols=[protocol],
        max_size=None,
        open_timeout=20,
        additional_headers=headers,
    ) as socket:
        yield ViserPage(socket)
