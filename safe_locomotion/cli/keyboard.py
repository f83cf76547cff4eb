"""Driving with the keyboard: which key means what, and reading keys without waiting."""

import os
import select
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType

from safe_locomotion.operator_input import Script, Step
from safe_locomotion.types import VelocityCommand

HELP = "w/s forward/back, a/d left/right, q/e turn, space stop, x sit, r stand"
STEP = {
    "w": (0.1, 0.0, 0.0),
    "s": (-0.1, 0.0, 0.0),
    "a": (0.0, 0.1, 0.0),
    "d": (0.0, -0.1, 0.0),
    "q": (0.0, 0.0, 0.3),
    "e": (0.0, 0.0, -0.3),
}
"""Change of vx, vy [m/s] and wz [rad/s] with one key press."""


class KeyDrive:
    """Turns keys into what the operator wants: a goal and a velocity, as a script of one step, and a policy.

    Attributes:
        policy: the one that is wanted.
    """

    def __init__(self, policy: str, policies: Sequence[str] = ()) -> None:
        """Stand still under `policy`; the key p goes through `policies`."""
        self.policy = policy
        self._policies = (*policies, *(() if policy in policies else (policy,)))
        self.goal = "stand"
        self.velocity = VelocityCommand()

    def press(self, key: str) -> bool:
        """Take a key; whether it means anything."""
        if key in STEP:
            v, (x, y, z) = self.velocity, STEP[key]
            self.goal = "walk"
            self.velocity = VelocityCommand(vx=round(v.vx + x, 1), vy=round(v.vy + y, 1), wz=round(v.wz + z, 1))
        elif key in (" ", "x", "r"):
            self.velocity = VelocityCommand()
            self.goal = {" ": self.goal, "x": "sit", "r": "stand"}[key]
        elif key == "p" and len(self._policies) > 1:
            self.policy = self._policies[(self._policies.index(self.policy) + 1) % len(self._policies)]
        else:
            return False
        return True

    @property
    def help(self) -> str:
        """What the keys do."""
        return f"{HELP}{', p next policy' if len(self._policies) > 1 else ''}, Ctrl-C ends"

    def script(self, stood_ns: int | None) -> Script:
        """The wish as a script of a robot that first stood at `stood_ns`."""
        script = Script([Step(time=0.0, request=self.goal, command=self.velocity)])
        script.stood_ns = stood_ns
        return script


class Keyboard:
    """Context manager: keys of the terminal as they are pressed; nothing where stdin is no terminal."""

    def __enter__(self) -> "Keyboard":
        self._file = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        if self._file is not None:
            self._before = termios.tcgetattr(self._file)
            tty.setcbreak(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    @property
    def present(self) -> bool:
        """Whether somebody can press keys."""
        return self._file is not None

    def keys(self) -> str:
        """What was pressed since the last call."""
        if self._file is None or not select.select([self._file], [], [], 0.0)[0]:
            return ""
        return os.read(self._file, 64).decode(errors="ignore").lower()
