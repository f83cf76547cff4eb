"""The controls of one browser: each connection has elements of its own.

Stopping needs no token. Every other press asks `Access` first, because a manipulated page can send
presses of hidden elements.
"""

from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any

import viser

from safe_locomotion.operator.velocity import CommandLimits
from safe_locomotion.ui.viewer.access import Access, VelocityPad
from safe_locomotion.ui.viewer.link import on_page
from safe_locomotion.ui.viewer.panels import TEXT
from safe_locomotion.ui.viewer.requests import ESTOP, Requests
from safe_locomotion.ui.viewer.rewind import History, Rewind

MODES = ("stand", "walk", "sit", "reset")
HOLD_HZ = 10.0  #: presses per second that a held button sends
FIRST_SPEED = 0.3  #: first value of the slider forward [m/s]
REMEMBERED = "token"  #: key in the browser's storage
REMEMBERED_S = 3.0  #: time that the browser has to answer [s]
LOCKED = "locked: type the token that the viewer printed"


@dataclass(frozen=True, kw_only=True)
class Driving:
    """What the controls of all connections share.

    Attributes:
        access: knows which connections have sent the token.
        pad: the velocity that is held.
        requests: the clients of the stack's services.
        policies: names that a user can choose.
        limits: of the velocity.
        history: the last minute, to look back at.
        phone_link: the link with the token for another device; empty where none reaches us.
    """

    access: Access
    pad: VelocityPad
    requests: Requests
    policies: tuple[str, ...]
    limits: CommandLimits
    history: History
    phone_link: str = ""


class Controls:
    """The controls of one connection."""

    def __init__(self, client: viser.ClientHandle, driving: Driving, *, trusted: bool) -> None:
        """Add the controls to the page, locked.

        A browser that came by the link with the token is allowed before it sees a control.
        """
        if trusted:
            driving.access.allow(client.client_id)
        self._client = client
        self._id = client.client_id
        self._driving = driving
        gui = client.gui
        stop = gui.add_button("Emergency stop", color="red", icon=viser.Icon.HAND_STOP, order=1)
        stop.on_click(self._stop)
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
        self._phone: Any = None
        self._rewind = Rewind(client, driving.history, lambda: driving.access.allows(self._id))

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
        # The browser sends a click when the button is released.
        hold.on_click(lambda _: self._driving.pad.release(self._id))
        gui.add_button("Zero").on_click(lambda _: self._zero())

    def remember(self) -> None:
        """Unlock a browser that came by the link, or has stored the token; waits for its answer."""
        if self._driving.access.allows(self._id):
            self._open("")
            return
        with suppress(RuntimeError, TimeoutError):
            word = self._client.local_storage.get_item(REMEMBERED, timeout=REMEMBERED_S)
            if word and not self._driving.access.unlock(self._id, word):
                self._open("")

    def unlock(self, word: str) -> None:
        """Show the controls if the word is the token."""
        refusal = self._driving.access.unlock(self._id, word)
        if refusal:
            self._tell(refusal)
            return
        self._client.local_storage.set_item(REMEMBERED, word)
        self._open("unlocked")

    def follow(self, policy: str) -> None:
        """Show which policy is in force, also when another browser chose it, and the minute."""
        self._rewind.refresh()
        if policy and policy != self._in_force:
            self._in_force = policy
            if policy not in self._policies:
                self._policies = (*self._policies, policy)
                self._policy.options = self._policies
            self._policy.value = policy

    def close(self) -> None:
        """Release what an ended connection held."""
        self._driving.pad.release(self._id)
        self._driving.access.forget(self._id)

    def _open(self, text: str) -> None:
        self._lock.visible = False
        self._drive.visible = True
        self._show_link()
        self._tell(text)

    def _show_link(self) -> None:
        """Show the link with the token. A locked page never gets it."""
        gui = self._client.gui
        if self._phone is None:
            self._phone = gui.add_folder("Phone", order=9, expand_by_default=False)
            with self._phone:
                gui.add_html(f"<div style='{TEXT}'>{on_page(self._driving.phone_link)}</div>")

    async def _stop(self, _: Any) -> None:
        """Stop on the thread that received the press.

        Other presses wait for a thread of a pool, which pages that answer nothing can keep busy.
        """
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
        """Request the policy that the user chose.

        Changes of the field by this program arrive here too; they have no client.
        """
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
            self._rewind.live()
            refusal = self._driving.pad.touch(self._id, *(slider.value for slider in self._sliders))
            if refusal:
                self._tell(refusal)

    def _zero(self) -> None:
        for slider in self._sliders:
            slider.value = 0.0
        self._driving.pad.release(self._id)

    def _tell(self, text: str) -> None:
        self._said.content = f"<div style='{TEXT}'>{escape(text)}</div>"
