"""Take pictures of every state of the viewer in a real browser, on a phone, a laptop, a desktop.

    .venv/bin/python tools/viewer_pictures.py FOLDER [--states walking back] [--page]

It needs Chromium (`apt install chromium`). The robot is simulated and walks under the real stages.
Their messages go over ROS to a viewer in a process of its own, at the speed of the robot. FOLDER
then holds a picture for each state and screen, and all of them in `contact_sheet.png`. On a busy
machine the browser may not answer in time; that state is then left out. `--page` writes
the picture of docs/viewer.md from the state `what_if`.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from PIL import Image, ImageDraw, ImageFont
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray
from viewer_states import FRAME_S, WALKS, Message, frames

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.cli.sim.run import ros_environment
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.runtime.stack import StackOptions, Value, stack
from safe_locomotion.ui.viewer.access import TOKEN_VARIABLE
from safe_locomotion.ui.viewer.link import with_token
from safe_locomotion.ui.viewer.server import free_port

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/media/viewer.png"
TOKEN = "token-of-pictures"
HOST = "127.0.0.1"
TOPICS: dict[str, Any] = {
    "state_estimate": Float64MultiArray,
    "policy/proposal": JointState,
    "safety/verdict": JointState,
    "mpc/plan": MultiDOFJointState,
}
DIAGNOSE_EACH = 50  #: frames of a walk
SETTLE_S = 4.0  #: for a page to draw, without a graphics card
PATIENCE_S = 90.0  #: for a page to load
ANSWER_S = 175.0  #: for an answer to what if
GOLDEN = 80  #: more red than blue in a pixel of a hip, of 255
LEAST_GOLDEN = 0.004  #: share of such pixels in the middle of a scene with a robot
THUMB = 420  #: width of a picture in the contact sheet [px]
LABEL = 26  #: height of the line above it [px]

CLICK = """
(text => {
  const all = [...document.querySelectorAll("body *")].filter(e => e.innerText?.trim() == text);
  if (!all.length) return false;
  all[all.length - 1].scrollIntoView({block: "center"});
  all[all.length - 1].click();
  return true;
})(%s)
"""
LIVE = "getComputedStyle(document.querySelector('.sl-lost')).visibility == 'hidden'"
LOOK_AT = """
(text => {
  const all = [...document.querySelectorAll("body *")].filter(e => e.innerText?.includes(text));
  all[all.length - 1]?.scrollIntoView({block: "end"});
})(%s)
"""


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A screen [px]."""

    name: str
    width: int
    height: int
    mobile: bool = False


SCREENS = (
    Screen(name="phone", width=390, height=844, mobile=True),
    Screen(name="laptop", width=1280, height=720),
    Screen(name="desktop", width=1440, height=900),
)
Act = Callable[[Any], None]


def look_back(page: Any) -> None:
    """Go back by two takeovers."""
    _press(page, "◀◀")
    time.sleep(1.0)
    _press(page, "◀◀")


def ask(page: Any) -> None:
    """Open what if and wait for the judge."""
    _press(page, "What if")
    time.sleep(1.0)
    _press(page, "Judge the last minute")
    if not page.reads("judged again", ANSWER_S):
        sys.stderr.write("what if: no answer yet; this machine is busy\n")


def show_answer(page: Any) -> None:
    """Bring the answer into sight; a page that was laid out anew has closed the folder."""
    if "Judge the last minute" not in page.text():
        _press(page, "What if")
        time.sleep(1.0)
    page.evaluate(LOOK_AT % json.dumps("After the first decision"))


def _press(page: Any, text: str) -> None:
    assert page.until(lambda: page.evaluate(CLICK % json.dumps(text))), f"{text!r} is not there"


@dataclass(frozen=True, kw_only=True)
class State:
    """A state of the page.

    Attributes:
        walk: of `WALKS`; "" for no robot.
        token: whether the page has the token.
        ends: "" when the robot is still heard, "robot" or "viewer" for what has ended.
        act: what a person does on the page that was loaded.
        then: what a person does before each picture.
        reload: each screen loads the page; else one page is laid out anew for each screen.
    """

    walk: str
    token: bool = True
    ends: str = ""
    act: Act | None = None
    then: Act | None = None
    reload: bool = True


STATES = {
    "no_robot": State(walk=""),
    "locked": State(walk="standing", token=False),
    "standing": State(walk="standing"),
    "walking": State(walk="walking"),
    "recovery": State(walk="recovery"),
    "stopped": State(walk="stopped"),
    "fallen": State(walk="fallen"),
    "robot_lost": State(walk="walking", ends="robot"),
    "viewer_lost": State(walk="walking", ends="viewer", reload=False),
    "looks_back": State(walk="recovery", act=look_back),
    "what_if": State(walk="recovery", act=ask, then=show_answer, reload=False),
}


class Player:
    """Publishes the messages of a walk as fast as the robot, and then the last ones again."""

    def __init__(self, domain: int, walk: Sequence[Sequence[Message]], policy: str) -> None:
        """Begin to play.

        Args:
            domain: of ROS.
            walk: messages of each `FRAME_S`; none for no robot.
            policy: name of the one in force.
        """
        self._policy = policy
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("player", context=self._context)
        self._publishers = {
            name: self._node.create_publisher(
                kind, name, LATCHED if name == "safety/verdict" else NEWEST
            )
            for name, kind in TOPICS.items()
        }
        self._diagnostics = self._node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._walk = walk
        self._played = Event()
        self._silent = Event()
        self._thread = Thread(target=self._play, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the walk has been played once."""
        self._played.wait()

    def stop(self) -> None:
        """Publish nothing more."""
        self._silent.set()
        self._thread.join()

    def close(self) -> None:
        """Leave ROS."""
        self.stop()
        rclpy.shutdown(context=self._context)

    def _play(self) -> None:
        due = time.monotonic()
        for k, messages in enumerate(self._walk):
            self._say(messages)
            if k % DIAGNOSE_EACH == 0:
                self._diagnostics.publish(policy_in_force(self._policy))
            due += FRAME_S
            self._silent.wait(max(0.0, due - time.monotonic()))
        self._played.set()
        last = tuple(dict(self._walk[-1]).items()) if self._walk else ()
        while last and not self._silent.wait(FRAME_S):
            self._say(last)

    def _say(self, messages: Sequence[Message]) -> None:
        for topic, content in messages:
            self._publishers[topic].publish(content)


def policy_in_force(name: str) -> DiagnosticArray:
    """What the policy node says about its policy."""
    values = [KeyValue(key="policy", value=name)]
    return DiagnosticArray(status=[DiagnosticStatus(name="policy_node: policy", values=values)])


@contextmanager
def browser(folder: Path) -> Iterator[Callable[[str], Any]]:
    """A headless Chromium; yields a function that opens an address."""
    sys.path.insert(0, str(ROOT / "test/helpers"))
    from chromium import chromium, find_chromium  # noqa: PLC0415

    if find_chromium() is None:
        raise SystemExit("no Chromium here: apt install chromium")
    with chromium(folder, size=(SCREENS[-1].width, SCREENS[-1].height)) as open_page:
        yield open_page


@contextmanager
def viewer(domain: int, port: int, folder: Path) -> Iterator[RunningStack]:
    """A viewer in a process of its own.

    Args:
        domain: of ROS.
        port: to listen on.
        folder: for its words.

    Raises:
        SystemExit: it did not start.
    """
    settings: dict[str, Value] = {"port": port, "host": HOST, "rate_hz": 10.0}
    options = StackOptions(watchers=("viewer",), overrides={"viewer_node": settings})
    reach = {**ros_environment(domain), TOKEN_VARIABLE: TOKEN}
    process = stack(options)[-1]
    with RunningStack([process], reach, folder) as running:
        log = folder / f"{process.name}.log"
        end = time.monotonic() + PATIENCE_S
        while "token" not in log.read_text():
            if time.monotonic() > end or running.running[process.name].poll() is not None:
                raise SystemExit(f"the viewer did not start: {log.read_text()}")
            time.sleep(0.2)
        yield running


def take(name: str, walk: Sequence[Sequence[Message]], folder: Path) -> None:
    """Take the pictures of one state, one for each screen.

    Args:
        name: of the state.
        walk: its messages.
        folder: for the pictures.
    """
    state = STATES[name]
    port = free_port(HOST, 18300)
    address = f"http://{HOST}:{port}"
    with ExitStack() as opened:
        words = Path(opened.enter_context(TemporaryDirectory()))
        domain = opened.enter_context(claim_domain())
        running = opened.enter_context(viewer(domain, port, words))
        untrained = state.walk in WALKS and WALKS[state.walk].untrained
        player = Player(domain, walk, "random" if untrained else NOMINAL)
        opened.callback(player.close)
        player.wait()
        page = opened.enter_context(browser(words))("about:blank")
        for screen in SCREENS:
            _fit(page, screen)
            if state.reload or screen is SCREENS[0]:
                link = with_token(address, TOKEN) if state.token else address
                _load(page, link, robot=bool(state.walk))
                _do(page, state.act)
                _end(state.ends, player, running)
            time.sleep(SETTLE_S)
            _do(page, state.then)
            if state.ends != "viewer" and not page.until(lambda: page.evaluate(LIVE), PATIENCE_S):
                raise SystemExit(f"{name}: the page lost its viewer")
            _file(folder, name, screen).write_bytes(page.png())
            sys.stdout.write(f"{name}, {screen.name}\n")
            sys.stdout.flush()


def _load(page: Any, address: str, *, robot: bool) -> None:
    """Open the page and wait until it is drawn."""
    page.call("Page.navigate", url=address)
    if not page.reads("Emergency stop", PATIENCE_S):
        raise SystemExit(f"{address}: the page did not load: {page.text()}")
    if robot and not page.until(lambda: _robot_is_drawn(page), PATIENCE_S):
        raise SystemExit(f"{address}: no robot was drawn")
    time.sleep(SETTLE_S)


def _robot_is_drawn(page: Any) -> bool:
    """Whether the golden hips of the robot are in the middle of the scene."""
    with Image.open(BytesIO(page.png())) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.int16)
    height, width = pixels.shape[:2]
    middle = pixels[height // 5 : 3 * height // 5, width // 10 : 7 * width // 10]
    golden = (middle[..., 0] - middle[..., 2] > GOLDEN) & (middle[..., 0] > middle[..., 1])
    return float(golden.mean()) > LEAST_GOLDEN


def _end(what: str, player: Player, running: RunningStack) -> None:
    if what == "robot":
        player.stop()
    if what == "viewer":
        running.stop()


def _fit(page: Any, screen: Screen) -> None:
    size = {"width": screen.width, "height": screen.height}
    page.call(
        "Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=screen.mobile
    )


def _do(page: Any, act: Act | None) -> None:
    if act is not None:
        act(page)
        time.sleep(1.0)


def contact_sheet(folder: Path) -> Path:
    """All pictures of a folder on one sheet, a row for each state."""
    rows = [name for name in STATES if all(_file(folder, name, s).exists() for s in SCREENS)]
    narrow = [THUMB if not s.mobile else THUMB // 2 for s in SCREENS]
    heights = [round(w * s.height / s.width) for w, s in zip(narrow, SCREENS, strict=True)]
    tall = max(heights) + LABEL
    sheet = Image.new("RGB", (sum(narrow), tall * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=LABEL - 8)
    for k, name in enumerate(rows):
        left = 0
        draw.text((4, k * tall + 2), name.replace("_", " "), fill="black", font=font)
        for screen, width, height in zip(SCREENS, narrow, heights, strict=True):
            with Image.open(_file(folder, name, screen)) as picture:
                sheet.paste(
                    picture.convert("RGB").resize((width, height)), (left, k * tall + LABEL)
                )
            left += width
    target = folder / "contact_sheet.png"
    sheet.save(target, optimize=True)
    return target


def _file(folder: Path, name: str, screen: Screen) -> Path:
    return folder / f"{name}_{screen.name}.png"


def main() -> int:
    """Take the pictures that are asked for, and lay them on a sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--states", nargs="*", choices=STATES, default=list(STATES))
    parser.add_argument("--page", action="store_true", help="write docs/media/viewer.png")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    walks: dict[str, list[list[Message]]] = {"": []}
    missed = []
    for name in options.states:
        walk = STATES[name].walk
        if walk not in walks:
            walks[walk] = list(frames(WALKS[walk]))
        try:
            take(name, walks[walk], options.folder)
        except TimeoutError:
            missed.append(name)
            sys.stderr.write(f"{name}: the browser did not answer in time; is the machine busy?\n")
    sys.stdout.write(f"{contact_sheet(options.folder)}\n")
    if options.page and "what_if" not in missed:
        with Image.open(_file(options.folder, "what_if", SCREENS[-1])) as picture:
            picture.convert("P", palette=Image.Palette.ADAPTIVE).save(PAGE, optimize=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
