"""`safe-locomotion teleop`: drive a running stack by gamepad or keyboard."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from safe_locomotion.cli.drive.gamepad import ANY, Gamepad, GamepadGoneError, open_gamepad
from safe_locomotion.cli.drive.hearing import PATIENCE_S, SILENT_S, ros_domain, unheard
from safe_locomotion.cli.drive.keyboard import TELEOP_HELP, Keyboard, KeyTeleop
from safe_locomotion.cli.options import robot_option
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.driving import DrivingParameters, PadDriver, Wish
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

if TYPE_CHECKING:
    from safe_locomotion.ui.remote_operator import RemoteOperator

LOOK_S = 0.02  # between two readings of the device
SPEAK_NS = 50_000_000  # between two velocity commands; each one is valid for 0.5 s
SHOW_NS = 200_000_000  # between two status lines
ESTOP_EACH_NS = 200_000_000  # between two requests while the button is held
GONE = 1
UNHEARD = 1


class Source(Protocol):
    """A device that gives the operator's wishes."""

    help: str

    def look(self, now_ns: int, mode: Mode | None) -> Wish:
        """The wish now."""
        ...

    def shown(self) -> str:
        """State of the device for the status line."""
        ...


class PadSource:
    """A gamepad and its mapping."""

    def __init__(self, gamepad: Gamepad, parameters: DrivingParameters) -> None:
        self._gamepad = gamepad
        self._driver = PadDriver(parameters, parameters.gamepad)
        m = parameters.gamepad
        self.help = (
            f"{gamepad.name}: hold {m.dead_man} to drive, {m.stand} stand, {m.walk} walk,"
            f" {m.sit} sit, {m.estop} emergency stop"
        )
        self._pressed: frozenset[str] = frozenset()

    def look(self, now_ns: int, mode: Mode | None) -> Wish:
        """The wish now."""
        pad, changed = self._gamepad.read()
        self._pressed = pad.pressed
        return self._driver.update(now_ns, pad, changed=changed)

    def shown(self) -> str:
        """Buttons that are pressed."""
        return "+".join(sorted(self._pressed))


class KeySource:
    """The keyboard of this terminal."""

    help = TELEOP_HELP

    def __init__(self, keyboard: Keyboard, parameters: DrivingParameters) -> None:
        self._keyboard = keyboard
        self._keys = KeyTeleop(parameters.keyboard)

    def look(self, now_ns: int, mode: Mode | None) -> Wish:
        """The wish now."""
        return self._keys.update(now_ns / NANOSECONDS, self._keyboard.keys(), mode)

    def shown(self) -> str:
        """An empty text: keys have no state."""
        return ""


class Teleop:
    """Passes wishes on to the stack.

    Velocities are published while the operator drives, and once a zero afterwards. Requests are
    sent at once.
    """

    def __init__(self, remote: "RemoteOperator", source: Source) -> None:
        self._remote = remote
        self._source = source
        self.help = source.help
        self._drove = False
        self._spoke_ns = 0
        self._stopped_ns = 0
        self._wish = Wish()

    def step(self, now_ns: int) -> None:
        """Read the device once and act.

        Raises:
            GamepadGoneError: the gamepad is gone; the robot was told to stop.
        """
        try:
            wish = self._source.look(now_ns, self._remote.mode)
        except GamepadGoneError:
            self.stop()
            raise
        self._wish = wish
        if wish.estop and now_ns - self._stopped_ns >= ESTOP_EACH_NS:
            self._stopped_ns = now_ns
            self._remote.request("estop")
        if wish.request:
            send = self._remote.request if wish.request in REQUESTS else self._remote.ask
            send(wish.request)
        if wish.drives and now_ns - self._spoke_ns >= SPEAK_NS:
            self._spoke_ns = now_ns
            self._remote.drive(wish.command)
        if not wish.drives:
            self.stop()
        self._drove = wish.drives

    def stop(self) -> None:
        """Publish a zero velocity once after driving; then publish nothing."""
        if self._drove:
            self._drove = False
            self._remote.drive(VelocityCommand())

    def line(self, now_ns: int) -> str:
        """Status line."""
        remote = self._remote
        wish = self._wish
        if remote.mode is None or now_ns / NANOSECONDS - remote.heard_s > SILENT_S:
            return "the stack is silent"
        reasons = f" ({', '.join(remote.reasons)})" if remote.reasons else ""
        c = wish.command
        moves = f"{c.vx:+.2f} {c.vy:+.2f} m/s {c.wz:+.2f} rad/s" if wish.drives else "not driving"
        frozen = "device frozen: move a stick" if wish.frozen else ""
        said = (
            remote.mode.name.lower() + reasons,
            moves,
            self._source.shown(),
            frozen,
            remote.refusal,
        )
        return "  ".join(part for part in said if part)


@click.command()
@click.option(
    "--gamepad",
    is_flag=False,
    flag_value=ANY,
    metavar="[DEVICE]",
    help="Drive by gamepad: the only one, or a device such as /dev/input/event5."
    " [default: keyboard]",
)
@robot_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parameter file with mapping and speeds. [default: the robot's own]",
)
def teleop(gamepad: str | None, robot: str, config: Path | None) -> int:
    """Drive a running stack by keyboard or gamepad.

    Topics and services are those of ROS_DOMAIN_ID. Velocities are published only while the
    dead-man is held. Exit status 1 when no stack is heard or the gamepad is gone.
    """
    parameters = load_config(config or robot).driving
    console = Console(stderr=True)
    domain = ros_domain()
    with ExitStack() as stack:
        if gamepad is not None:
            device = open_gamepad(gamepad)
            stack.callback(device.close)
            return drive(domain, lambda: PadSource(device, parameters), console)
        keyboard = stack.enter_context(Keyboard())
        if not keyboard.present:
            raise ConfigurationError(
                "teleop needs a terminal to read keys from; run it in one, or choose --gamepad"
            )
        return drive(domain, lambda: KeySource(keyboard, parameters), console)


def drive(domain: int, source: Callable[[], Source], console: Console) -> int:
    """Drive until Ctrl-C, and return the exit status."""
    from safe_locomotion.ui.remote_operator import RemoteOperator

    remote = RemoteOperator(domain)
    teleop = Teleop(remote, source())
    try:
        end = monotonic_ns() + round(PATIENCE_S * NANOSECONDS)
        while remote.mode is None and monotonic_ns() < end:
            remote.spin(LOOK_S)
        if remote.mode is None:
            console.print(f"error: {unheard()}", markup=False, highlight=False, soft_wrap=True)
            return UNHEARD
        return _loop(remote, teleop, console)
    finally:
        teleop.stop()
        remote.spin(2.0 * LOOK_S)
        remote.close()


def _loop(remote: "RemoteOperator", teleop: Teleop, console: Console) -> int:
    console.print(teleop.help, markup=False, highlight=False)
    shown_ns = 0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            remote.spin(LOOK_S)
            now_ns = monotonic_ns()
            try:
                teleop.step(now_ns)
            except GamepadGoneError as error:
                console.print(
                    f"error: {error}; nothing is published any more, and the robot stops",
                    markup=False,
                    highlight=False,
                )
                return GONE
            if now_ns - shown_ns >= SHOW_NS:
                shown_ns = now_ns
                live.update(Text(teleop.line(now_ns)), refresh=True)
