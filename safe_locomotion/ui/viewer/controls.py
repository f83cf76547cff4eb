"""What one browser can press: each connection has elements of its own, and the robot's side checks every press.

Stopping needs no token. All else asks `Access` first, because a page can be made to send a press of what it hides.
"""

from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any

import viser

from safe_locomotion.operator.commands import CommandLimits
from safe_locomotion.ui.viewer.access import Access, VelocityPad
from safe_locomotion.ui.viewer.panels import TEXT
from safe_locomotion.ui.viewer.requests import Requests

MODES = ("stand", "walk", "sit", "reset")
ESTOP = "estop"
HOLD_HZ = 10.0  #: at which a button that is held says so
FIRST_SPEED = 0.3  #: of the slider forward [m/s]
REMEMBERED = "token"  #: key in the browser's storage, and how long it may take to answer [s]
REMEMBERED_S = 3.0
LOCKED = "locked: type the token that the viewer printed"


@dataclass(frozen=True, kw_only=True)
class Driving:
    """What all connections share.

    Attributes:
        policies: that a person may choose.
        limits: of a velocity.
    """

    access: Access
    pad: VelocityPad
    requests: Requests
    policies: tuple[str, ...]
    limits: CommandLimits


class Controls:
    """The controls of one connection."""

    def __init__(self, client: viser.ClientHandle, driving: Driving) -> None:
        """Add them to the page, locked."""
        self._client = client
        self._id = client.client_id
        self._driving = driving
        gui = client.gui
        stop = gui.add_button("Emergency stop", color="red", icon=viser.Icon.HAND_STOP, order=1)
        stop.on_click(lambda _: self._stop())
        self._said = gui.add_html("", order=2)
        self._lock = gui.add_folder("Drive", order=3)
        with self._lock:
            self._token = gui.add_text("Token", "", hint="printed where the viewer was started")
            gui.add_button("Unlock", icon=viser.Icon.LOCK_OPEN).on_click(
                lambda _: self.unlock(self._token.value)
            )
        self._drive = gui.add_folder("Drive", order=4, visible=False)
        with self._drive:
            self._add_drive(gui)

    def _add_drive(self, gui: viser.GuiApi) -> None:
        limits = self._driving.limits
        modes = gui.add_button_group("Mode", MODES)
        modes.on_click(lambda event: self._request(event.target.value))
        self._policies = self._driving.policies
        self._policy: Any = gui.add_dropdown("Policy", self._policies)
        self._in_force = self._policies[0]
        self._policy.on_update(self._choose)
        self._sliders: Any = tuple(
            gui.add_slider(label, -limit, limit, 0.05, min(first, limit))
            for label, limit, first in (
                ("Forward m/s", limits.vx, FIRST_SPEED),
                ("Left m/s", limits.vy, 0.0),
                ("Turn rad/s", limits.wz, 0.0),
            )
        )
        hold = gui.add_button("Hold to drive", icon=viser.Icon.HAND_MOVE, color="green")
        hold.on_hold(lambda _: self._touch(), callback_hz=HOLD_HZ)
        hold.on_click(
            lambda _: self._driving.pad.release(self._id)
        )  # comes with the release of the button
        gui.add_button("Zero").on_click(lambda _: self._zero())

    def remember(self) -> None:
        """Let a browser in that has given the token before; waits for its answer."""
        with suppress(RuntimeError, TimeoutError):
            word = self._client.local_storage.get_item(REMEMBERED, timeout=REMEMBERED_S)
            if word and not self._driving.access.unlock(self._id, word):
                self._open("")

    def unlock(self, word: str) -> None:
        """Show the controls for the right word."""
        refusal = self._driving.access.unlock(self._id, word)
        if refusal:
            self._tell(refusal)
            return
        self._client.local_storage.set_item(REMEMBERED, word)
        self._open("unlocked")

    def follow(self, policy: str) -> None:
        """Show which policy is in force, whoever chose it."""
        if policy and policy != self._in_force:
            self._in_force = policy
            if policy not in self._policies:
                self._policies = (*self._policies, policy)
                self._policy.options = self._policies
            self._policy.value = policy

    def close(self) -> None:
        """The connection has ended: nobody holds anything any more."""
        self._driving.pad.release(self._id)
        self._driving.access.forget(self._id)

    def _open(self, text: str) -> None:
        self._lock.visible, self._drive.visible = False, True
        self._tell(text)

    def _stop(self) -> None:
        self._driving.pad.release(self._id)
        self._driving.requests.request(ESTOP, self._tell)

    def _allowed(self) -> bool:
        allowed = self._driving.access.allows(self._id)
        if allowed:
            self._driving.requests.take_over()
        else:
            self._tell(LOCKED)
        return allowed

    def _request(self, name: str) -> None:
        if name in MODES and self._allowed():
            self._driving.requests.request(name, self._tell)

    def _choose(self, event: Any) -> None:
        """Ask for the policy that a person chose; what is written into the field from here comes without a client."""
        name = self._policy.value
        before = self._in_force
        if event.client is None or name == before:
            return
        if name not in self._policies or not self._allowed():
            self._policy.value = before
            return
        self._in_force = name
        self._tell(f"policy {name}: being checked")
        self._driving.requests.swap(name, lambda taken, text: self._swapped(taken, text, before))

    def _swapped(self, taken: bool, text: str, before: str) -> None:
        self._tell(text)
        if not taken:
            self._in_force = before
            self._policy.value = before

    def _touch(self) -> None:
        if self._allowed():
            refusal = self._driving.pad.touch(self._id, *(slider.value for slider in self._sliders))
            if refusal:
                self._tell(refusal)

    def _zero(self) -> None:
        for slider in self._sliders:
            slider.value = 0.0
        self._driving.pad.release(self._id)

    def _tell(self, text: str) -> None:
        self._said.content = f"<div style='{TEXT}'>{escape(text)}</div>"
