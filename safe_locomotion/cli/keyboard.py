"""Driving with the keyboard: which key means what, and reading keys without waiting."""

import os
import select
import sys
import termios
import tty
from types import TracebackType

from safe_locomotion.operator_input import Script, Step
from safe_locomotion.types import VelocityCommand

HELP = "w/s forward/back, a/d left/right, q/e turn, space stop, x sit, r stand, Ctrl-C ends"
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
    """Turns keys into what the operator wants: a goal and a velocity, as a script of one step."""

    def __init__(self) -> None:
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
        else:
            return False
        return True

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
