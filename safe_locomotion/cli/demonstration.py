"""A person watches: a short demonstration over the real topics and services, then the keyboard."""

from safe_locomotion.cli.keyboard import HELP, Keyboard, KeyDrive
from safe_locomotion.nodes.remote_operator import RemoteOperator
from safe_locomotion.operator_input import Script, Step
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

PERIOD = 0.05  # s of wall time between two velocity commands; they die after 0.5 s
END = 16.0  # s after standing up


def demonstration(vx: float, vy: float, wz: float) -> tuple[Step, ...]:
    """Stand, walk, be pushed, turn, stop."""
    return (
        Step(time=0.0, request="stand"),
        Step(time=1.0, request="walk", command=VelocityCommand(vx=vx, vy=vy, wz=wz)),
        Step(time=9.0, request="walk", command=VelocityCommand(vx=0.5 * vx, wz=0.8)),
        Step(time=13.0, request="stand"),
    )


class Watcher:
    """Acts for the person, one `act` per line on the screen."""

    def __init__(self, remote: RemoteOperator, keyboard: Keyboard, steps: tuple[Step, ...]) -> None:
        self._remote, self._keyboard, self._keys = remote, keyboard, KeyDrive()
        self._script = Script(steps)
        self._demonstrating = True

    def act(self) -> str:
        """Listen and command for one period; what to tell the person."""
        remote = self._remote
        remote.spin(PERIOD)
        if remote.mode is None or remote.stamp_ns is None:
            return ""
        self._listen(remote.stamp_ns)
        request, command = self._script.update(remote.stamp_ns, remote.mode)
        if request is not None:
            remote.request(request)
        remote.drive(command)
        return self._say(command)

    def _listen(self, stamp_ns: int) -> None:
        """Any key ends the demonstration."""
        keys, stood = self._keyboard.keys(), self._script.stood_ns
        if "r" in keys and self._remote.mode is Mode.FAULT:
            self._remote.request("reset")
        pressed = [self._keys.press(key) for key in keys]
        over = stood is not None and (stamp_ns - stood) / NANOSECONDS >= END
        if any(pressed) or (self._demonstrating and over):
            self._demonstrating = False
            self._script = self._keys.script(stood)

    def _say(self, command: VelocityCommand) -> str:
        mode = "" if self._remote.mode is None else self._remote.mode.name.lower()
        if self._remote.reasons:
            mode += f" ({', '.join(self._remote.reasons)})"
        if self._demonstrating:
            return f"{mode}  demonstration"
        wanted = f"{command.vx:+.1f} {command.vy:+.1f} m/s {command.wz:+.1f} rad/s"
        told = HELP if self._keyboard.present else "Ctrl-C ends"
        return f"{mode}  {wanted}  {self._remote.refusal or told}"
