"""A headless Chromium for tests, driven as by a person: it reads the page, clicks and types."""

import base64
import io
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.request import urlopen

from matplotlib.image import imread
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0",
)
LOOK_S = 0.1

# Elements that a person can press, by the text on them; the innermost of nested ones.
FIND = """
(text => {
  const all = [...document.querySelectorAll("button, [role=tab], a")]
    .filter(e => e.innerText.trim() == text);
  if (!all.length) return null;
  const box = all[all.length - 1].getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2, all[all.length - 1].disabled === true];
})(%s)
"""

FOCUS = """
(text => {
  let row = [...document.querySelectorAll("label")].find(e => e.innerText.trim() == text);
  while (row && !row.querySelector("input")) row = row.parentElement;
  const field = row && row.querySelector("input");
  if (!field) return false;
  field.focus();
  return document.activeElement === field;
})(%s)
"""


def find_chromium():
    """Path of the browser; None when no browser is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of the browser, over the DevTools protocol."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0

    def call(self, method, **params):
        """Answer of one command of the protocol; events are dropped."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, expression):
        """Value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)[
            "result"
        ].get("value")

    def text(self):
        """The visible text of the page."""
        return self.evaluate("document.body ? document.body.innerText : ''") or ""

    def until(self, condition, timeout_s=25.0):
        """Wait for `condition`; return whether it became true in time."""
        end = time.monotonic() + timeout_s
        while not (met := condition()) and time.monotonic() < end:
            time.sleep(LOOK_S)
        return met

    def reads(self, text, timeout_s=25.0):
        """Whether `text` appears on the page in time."""
        return self.until(lambda: text in self.text(), timeout_s)

    def press(self, text, seconds=0.0):
        """Press the element with this text with the mouse, for `seconds`."""
        assert self.until(lambda: self.evaluate(FIND % json.dumps(text))), (
            f"no button {text!r} in: {self.text()}"
        )
        x, y, _ = self.evaluate(FIND % json.dumps(text))
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            if kind == "mouseReleased":
                time.sleep(seconds)
            button = "none" if kind == "mouseMoved" else "left"
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button=button,
                clickCount=int(kind != "mouseMoved"),
            )

    def enabled(self, text):
        """Whether the element with this text can be pressed."""
        found = self.evaluate(FIND % json.dumps(text))
        return found is not None and not found[2]

    def type(self, label, text):
        """Type into the field with this label."""
        assert self.until(lambda: self.evaluate(FOCUS % json.dumps(label))), (
            f"no field {label!r} in: {self.text()}"
        )
        self.call("Input.insertText", text=text)

    def png(self):
        """A picture of the page, as bytes of a PNG file."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def picture(self):
        """A picture of the page: (height, width, 3), 0 to 1."""
        return imread(io.BytesIO(self.png()))[..., :3]


@contextmanager
def chromium(folder, size=(1100, 720), scale=1.0):
    """A browser without a page; yields a function that opens an address as a `Page`."""
    data = folder / "chromium"
    arguments = [
        f"--user-data-dir={data}",
        f"--window-size={size[0]},{size[1]}",
        f"--force-device-scale-factor={scale}",
    ]
    with (folder / "chromium.log").open("wb") as said:
        browser = subprocess.Popen(
            [find_chromium(), *FLAGS, *arguments, "about:blank"], stdout=said, stderr=said
        )
    sockets = []
    try:
        port = _port(data / "DevToolsActivePort", browser)

        def open_page(address):
            with urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
                target = next(page for page in json.load(answer) if page["type"] == "page")
            sockets.append(connect(target["webSocketDebuggerUrl"], max_size=None, open_timeout=20))
            page = Page(sockets[-1])
            page.call("Page.navigate", url=address)
            return page

        yield open_page
    finally:
        for socket in sockets:
            socket.close()
        browser.terminate()
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()


def _port(file, browser, timeout_s=30.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        assert browser.poll() is None, "the browser ended"
        if file.exists() and len(words := file.read_text().split()) >= 1:
            return int(words[0])
        time.sleep(LOOK_S)
    raise AssertionError("the browser did not say its port")
