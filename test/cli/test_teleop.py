"""`safe-locomotion teleop`: keys with a dead-man, a gamepad, and a device that is gone."""

import os
import struct
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from rich.console import Console

from safe_locomotion.cli.drive import teleop as teleop_module
from safe_locomotion.cli.drive.gamepad import Gamepad, GamepadGoneError, open_gamepad
from safe_locomotion.cli.drive.keyboard import KeyTeleop
from safe_locomotion.cli.drive.teleop import SPEAK_NS, PadSource, Teleop
from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.driving import Wish
from safe_locomotion.operator.gamepad import EV_ABS, EV_KEY, EV_SYN
from safe_locomotion.operator.pad import Pad
from safe_locomotion.types import Mode, VelocityCommand

DRIVING = load_config("a1").driving
ZERO = VelocityCommand()
L1 = 0x136
R1 = 0x137
L2 = 0x138
A = 0x130
B = 0x131
R2 = 0x139
EVENT = struct.Struct("llHHi")  # struct input_event of linux/input.h


class Stack:
    """Stores the velocities and requests of teleop."""

    mode = Mode.WALK
    heard_s = float("inf")
    reasons = ()
    refusal = ""

    def __init__(self):
        self.log = []

    def drive(self, command):
        """Store a velocity."""
        self.log.append(command)

    def request(self, name):
        """Store a request."""
        self.log.append(name)

    ask = request


@contextmanager
def gamepad():
    """A gamepad whose events come through a pipe; evdev decodes them like those of a device."""
    evdev = pytest.importorskip("evdev")
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    class Device(evdev.InputDevice):
        def __init__(self):
            self.fd = reading
            self.name = "test pad"
            self.path = "pipe"
            self.held = {}

        def capabilities(self, **_):
            """Sticks of 0..255 and all buttons."""
            return {
                EV_ABS: [(c, SimpleNamespace(min=0, max=255)) for c in (0, 1, 3, 4)],
                EV_KEY: [A, B, L1, R1, L2, R2],
            }

        def active_keys(self, **_):
            """Nothing is held."""
            return []

        def absinfo(self, code):
            """Sticks are in their middle."""
            return SimpleNamespace(value=128)

        def close(self):
            """The pipe is closed below."""

        def __del__(self):
            """The same."""

    def send(*events):
        os.write(writing, b"".join(EVENT.pack(0, 0, *event) for event in (*events, (EV_SYN, 0, 0))))

    try:
        yield Gamepad(Device()), send, lambda: os.close(reading)
    finally:
        os.close(writing)
        if os.path.exists(f"/proc/self/fd/{reading}"):
            os.close(reading)


def test_events_of_a_device_become_readings():
    """A reading is new once after an event, and not new before and afterwards."""
    with gamepad() as (pad, send, _):
        assert pad.read()[1] is False
        send((EV_KEY, R1, 1), (EV_ABS, 1, 0))
        assert pad.read() == (pad.read()[0], True)
        reading, new = pad.read()
        assert reading.pressed == {"R1"} and reading.ly == 1.0 and not new
        send((EV_SYN, 3, 0))
        reading, _ = pad.read()
        assert reading.pressed == frozenset() and reading.ly == pytest.approx(0.0, abs=0.01)


def test_a_gamepad_drives_while_the_dead_man_is_held_and_asks_by_its_chords():
    """20 velocities per second, then one zero and silence; a chord is one request.

    The emergency stop is repeated.
    """
    with gamepad() as (pad, send, _):
        stack = Stack()
        teleop = Teleop(stack, PadSource(pad, DRIVING))
        now = 10**18

        def steps(ms):
            nonlocal now
            for _ in range(ms // 10):
                now += 10_000_000
                teleop.step(now)
            said = stack.log
            stack.log = []
            return said

        send((EV_ABS, 1, 0))
        assert steps(500) == []
        send((EV_KEY, R1, 1))
        said = steps(500)
        assert len(said) == 500_000_000 // SPEAK_NS and {c.vx for c in said} == {DRIVING.vx}
        send((EV_KEY, R1, 0))
        assert steps(500) == [ZERO]
        send((EV_KEY, R2, 1), (EV_KEY, A, 1))
        assert steps(500) == ["walk"]
        send((EV_KEY, R2, 0), (EV_KEY, A, 0), (EV_KEY, R1, 1))
        assert steps(50)
        send((EV_KEY, L2, 1), (EV_KEY, B, 1))
        said = steps(500)
        assert said[:2] == ["estop", ZERO] and set(said[2:]) == {"estop"} and len(said) >= 3
        assert "R1" in teleop.line(now) and "walk" in teleop.line(now)


def test_a_device_that_is_gone_stops_the_robot_and_says_so():
    """Without its device teleop sends one zero and raises an error with the device's name."""
    with gamepad() as (pad, send, unplug):
        stack = Stack()
        teleop = Teleop(stack, PadSource(pad, DRIVING))
        send((EV_KEY, R1, 1), (EV_ABS, 1, 0))
        teleop.step(10**18)
        unplug()
        with pytest.raises(GamepadGoneError, match="test pad is gone"):
            teleop.step(10**18 + SPEAK_NS)
        assert [c.vx for c in stack.log] == [DRIVING.vx, 0.0]


def test_a_missing_device_is_refused_with_what_can_be_done(tmp_path):
    """A missing file and a missing controller are refused with a remedy."""
    pytest.importorskip("evdev")
    with pytest.raises(ConfigurationError, match="No such file or directory; present devices"):
        open_gamepad(str(tmp_path / "event99"))
    if not os.path.exists("/dev/input"):
        with pytest.raises(ConfigurationError, match="none found; plug one in"):
            open_gamepad("any")


@pytest.mark.parametrize("mode", [*Mode, None])
def test_keys_ask_for_what_fits_the_mode(mode):
    """Keys request what fits the mode.

    A motion key walks a standing robot, r resets one that fell, and Esc is always the emergency
    stop.
    """
    keys = KeyTeleop(DRIVING.keyboard)
    assert keys.update(0.0, "w", mode).request == ("walk" if mode is Mode.STAND else "")
    assert keys.update(0.1, "r", mode) == Wish(
        request="reset" if mode in (Mode.FAULT, Mode.FALLEN) else "stand"
    )
    assert keys.update(0.2, "x", mode).request == "sit"
    assert [keys.update(0.3, key, mode).request for key in "pc"] == ["next_policy", "record"]
    assert keys.update(0.4, "w\x1br", mode) == Wish(estop=True)


def test_a_velocity_lasts_while_keys_keep_coming():
    """Steps add up, a held key keeps the velocity, and after `hold_time` it is zero."""
    p = DRIVING.keyboard
    keys = KeyTeleop(p)
    assert keys.update(0.0, "w", Mode.WALK).command == VelocityCommand(vx=p.speed_step)
    assert keys.update(0.4, "w", Mode.WALK).command == VelocityCommand(vx=2 * p.speed_step)
    for k in range(1, 100):
        held = keys.update(0.4 + 0.03 * k, "w", Mode.WALK)
    assert held == Wish(drives=True, command=VelocityCommand(vx=2 * p.speed_step))
    assert keys.update(3.9, "k", Mode.WALK).command.vx == 2 * p.speed_step
    assert keys.update(3.89 + p.hold_time, "", Mode.WALK).drives
    assert keys.update(3.91 + p.hold_time, "", Mode.WALK) == Wish()
    assert keys.update(4.0 + p.hold_time, "k", Mode.WALK) == Wish()
    assert keys.update(4.1 + p.hold_time, "q", Mode.WALK).command == VelocityCommand(wz=p.turn_step)
    assert keys.update(4.2 + p.hold_time, " ", Mode.WALK) == Wish()


def test_without_a_terminal_it_says_what_to_do(capsys):
    """Without a terminal teleop ends with status 2."""
    assert main(["teleop"]) == 2
    assert "run it in one, or choose --gamepad" in capsys.readouterr().err


def test_without_a_stack_it_says_what_to_look_at(ros_domain, capsys, monkeypatch):
    """Without a stack it ends with status 1 and prints the settings of discovery."""
    monkeypatch.setattr(teleop_module, "PATIENCE_S", 0.3)
    assert (
        teleop_module.drive(ros_domain, lambda: SimpleNamespace(help=""), Console(stderr=True)) == 1
    )
    assert f"ROS_DOMAIN_ID={ros_domain}" in capsys.readouterr().err


@pytest.mark.parametrize("sequence", ["\x1b[A", "\x1b[1;5C", "\x1bOP", "\x1b[15~"])
def test_arrow_and_function_keys_are_neither_letters_nor_the_emergency_stop(sequence):
    """Sequences of arrow and function keys are dropped; a single Esc is kept."""
    from safe_locomotion.cli.drive.keyboard import Keyboard

    leader, follower = os.openpty()
    with (
        os.fdopen(leader, "wb", buffering=0) as hand,
        os.fdopen(follower) as terminal,
        Keyboard(terminal) as keyboard,
    ):
        hand.write(f"{sequence}w".encode())
        time.sleep(0.05)
        assert keyboard.keys() == "w"
        hand.write(b"\x1b")
        time.sleep(0.05)
        assert keyboard.keys() == "\x1b"


def test_pad_is_what_the_mapping_reads():
    """The help line names the dead-man and the emergency stop of the configuration."""
    with gamepad() as (pad, _, _):
        source = PadSource(pad, DRIVING)
        assert "hold R1" in source.help and "L2+B emergency stop" in source.help
        assert (
            source.look(0, None) == Wish() and source.shown() == "" and Pad().pressed == frozenset()
        )
