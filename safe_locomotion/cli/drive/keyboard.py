"""Driving by keyboard: the meaning of the keys, and reading keys without waiting."""

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

import numpy as np

from safe_locomotion.operator.driving import KeyboardParameters, Wish
from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.types import Mode, VelocityCommand

HELP = "w/s forward/back, a/d left/right, q/e turn, space stop, x sit, r stand, Esc emergency stop"
STEP = {
    "w": (0.1, 0.0, 0.0),
    "s": (-0.1, 0.0, 0.0),
    "a": (0.0, 0.1, 0.0),
    "d": (0.0, -0.1, 0.0),
    "q": (0.0, 0.0, 0.3),
    "e": (0.0, 0.0, -0.3),
}
"""Change of vx, vy [m/s] and wz [rad/s] with one key press."""
HOLD = "k"
STOP = " "
ESTOP = "\x1b"
_SEQUENCES = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")  # sent by arrow and function keys
AUTOREPEAT = 0.15  # s; terminals repeat a held key every 0.02-0.05 s, a finger is slower
TELEOP_HELP = (
    "w/s forward/back, a/d left/right, q/e turn (hold the last one, or k, to keep moving),"
    " space stop, r stand or reset, x sit, p next policy, c record, Esc emergency stop, Ctrl-C ends"
)


class KeyDrive:
    """Turns keys into the operator's wish: a goal and a velocity as a script, and a policy.

    Attributes:
        policy: the wanted policy.
    """

    def __init__(self, policy: str, policies: Sequence[str] = ()) -> None:
        """Stand still under `policy`; the key p goes through `policies`."""
        self.policy = policy
        self._policies = (*policies, *(() if policy in policies else (policy,)))
        self.goal = "stand"
        self.velocity = VelocityCommand()

    def press(self, key: str) -> bool:
        """Take a key, and return whether it has a meaning."""
        if key in STEP:
            v = self.velocity
            x, y, z = STEP[key]
            self.goal = "walk"
            self.velocity = VelocityCommand(
                vx=round(v.vx + x, 1), vy=round(v.vy + y, 1), wz=round(v.wz + z, 1)
            )
        elif key in (" ", "x", "r"):
            self.velocity = VelocityCommand()
            self.goal = {" ": self.goal, "x": "sit", "r": "stand"}[key]
        elif key == "p" and len(self._policies) > 1:
            following = self._policies.index(self.policy) + 1
            self.policy = self._policies[following % len(self._policies)]
        else:
            return False
        return True

    @property
    def help(self) -> str:
        """Help line of the keys."""
        swap = ", p next policy" if len(self._policies) > 1 else ""
        return f"{HELP}{swap}, Ctrl-C ends"

    def script(self, stood_ns: int | None) -> Script:
        """The wish as a script of a robot that first stood at `stood_ns`."""
        script = Script([Step(time=0.0, request=self.goal, command=self.velocity)])
        script.stood_ns = stood_ns
        return script


class KeyTeleop:
    """Drives by keys with a dead-man.

    A velocity lasts while key events keep coming. A terminal repeats a key that is held.
    """

    def __init__(self, parameters: KeyboardParameters) -> None:
        self._p = parameters
        self._velocity = VelocityCommand()
        self._last = ""
        self._last_s = float("-inf")

    def update(self, now_s: float, keys: str, mode: Mode | None) -> Wish:
        """Wish of the keys that were pressed since the last call.

        Args:
            now_s: time on a clock that never goes back [s].
            keys: one character each, in lower case.
            mode: mode of the robot; None while it is unknown.
        """
        if ESTOP in keys:
            self._velocity = VelocityCommand()
            return Wish(estop=True)
        request = ""
        for key in keys:
            request = self._press(now_s, key, mode) or request
        if now_s - self._last_s > self._p.hold_time:
            self._velocity = VelocityCommand()
        moves = self._velocity != VelocityCommand()
        return Wish(drives=moves, command=self._velocity, request=request)

    def _press(self, now_s: float, key: str, mode: Mode | None) -> str:
        if key in STEP or key == HOLD:
            held = key == self._last and now_s - self._last_s <= AUTOREPEAT
            let_go = now_s - self._last_s > self._p.hold_time
            self._last = key
            self._last_s = now_s
            if held or key == HOLD:
                return ""
            self._step(key, VelocityCommand() if let_go else self._velocity)
            return "walk" if mode is Mode.STAND else ""
        if key in (STOP, "x", "r"):
            self._velocity = VelocityCommand()
        rises = "reset" if mode in (Mode.FAULT, Mode.FALLEN) else "stand"
        return {"x": "sit", "r": rises, "p": "next_policy", "c": "record"}.get(key, "")

    def _step(self, key: str, v: VelocityCommand) -> None:
        """Add one step in the direction of the key to the velocity `v`."""
        x, y, z = np.sign(STEP[key])
        self._velocity = VelocityCommand(
            vx=round(v.vx + self._p.speed_step * float(x), 3),
            vy=round(v.vy + self._p.speed_step * float(y), 3),
            wz=round(v.wz + self._p.turn_step * float(z), 3),
        )


class Keyboard:
    """Context manager that reads keys of the terminal as they are pressed.

    Without a terminal there are no keys.
    """

    def __init__(self, terminal: TextIO | None = None) -> None:
        """Prepare to read keys of `terminal`; None is standard input."""
        self._terminal = sys.stdin if terminal is None else terminal
        self._file: int | None = None

    def __enter__(self) -> "Keyboard":
        if self._terminal is not None and self._terminal.isatty():
            self._file = self._terminal.fileno()
            self._before = termios.tcgetattr(self._file)
            tty.setcbreak(self._file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    @property
    def present(self) -> bool:
        """Whether there is a terminal."""
        return self._file is not None

    def keys(self) -> str:
        """Keys that were pressed since the last call, in lower case."""
        if self._file is None or not select.select([self._file], [], [], 0.0)[0]:
            return ""
        return _SEQUENCES.sub("", os.read(self._file, 64).decode(errors="ignore")).lower()
