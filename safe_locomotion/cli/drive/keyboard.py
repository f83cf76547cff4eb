"""Driving with the keyboard: which key means what, and reading keys without waiting."""

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType

from safe_locomotion.operator.commands import Script, Step
from safe_locomotion.operator.mapping import KeyboardParameters, Wish
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
_SEQUENCES = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")  # what arrow and function keys send
AUTOREPEAT = 0.15  # s; terminals repeat a held key each 0.02-0.05 s, a finger needs longer
TELEOP_HELP = (
    "w/s forward/back, a/d left/right, q/e turn (hold the last one, or k, to keep moving), space stop, r stand or reset,"
    " x sit, p next policy, c record, Esc emergency stop, Ctrl-C ends"
)


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
            self.velocity = VelocityCommand(
                vx=round(v.vx + x, 1), vy=round(v.vy + y, 1), wz=round(v.wz + z, 1)
            )
        elif key in (" ", "x", "r"):
            self.velocity = VelocityCommand()
            self.goal = {" ": self.goal, "x": "sit", "r": "stand"}[key]
        elif key == "p" and len(self._policies) > 1:
            self.policy = self._policies[
                (self._policies.index(self.policy) + 1) % len(self._policies)
            ]
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


class KeyTeleop:
    """Drives by keys with a dead-man: a velocity lasts while keys keep coming, as they do from a key that is held."""

    def __init__(self, parameters: KeyboardParameters) -> None:
        self._p = parameters
        self._velocity = VelocityCommand()
        self._last = ""
        self._last_s = float("-inf")

    def update(self, now_s: float, keys: str, mode: Mode | None) -> Wish:
        """What the keys pressed since the last call ask for.

        Args:
            now_s: time on any clock that goes on [s].
            keys: one character each, in lower case.
            mode: of the robot; None while it is not known.
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
        x, y, z = (1.0 if step > 0.0 else -1.0 if step < 0.0 else 0.0 for step in STEP[key])
        speed = self._p.speed_step
        turn = self._p.turn_step
        self._velocity = VelocityCommand(
            vx=round(v.vx + speed * x, 3),
            vy=round(v.vy + speed * y, 3),
            wz=round(v.wz + turn * z, 3),
        )


class Keyboard:
    """Context manager: keys of the terminal as they are pressed; nothing where stdin is no terminal."""

    def __enter__(self) -> "Keyboard":
        self._file = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        if self._file is not None:
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
        """Whether somebody can press keys."""
        return self._file is not None

    def keys(self) -> str:
        """What was pressed since the last call."""
        if self._file is None or not select.select([self._file], [], [], 0.0)[0]:
            return ""
        return _SEQUENCES.sub("", os.read(self._file, 64).decode(errors="ignore")).lower()
