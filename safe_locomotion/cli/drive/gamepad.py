"""A game controller under /dev/input, read with `evdev`."""

from pathlib import Path
from typing import Any

from safe_locomotion.errors import ConfigurationError, SafeLocomotionError
from safe_locomotion.operator.gamepad import EV_ABS, EV_KEY, AxisRange, GamepadState, is_gamepad
from safe_locomotion.operator.pad import Pad

ANY = "any"  #: in place of a path: the only controller that is plugged in


class GamepadGoneError(SafeLocomotionError):
    """The device was unplugged, or its radio link broke."""


class Gamepad:
    """Read one device without waiting."""

    def __init__(self, device: Any) -> None:
        """Take over an open `evdev.InputDevice`."""
        self._device = device
        self.name = str(device.name)
        self._axes = dict(device.capabilities(absinfo=True).get(EV_ABS, ()))
        self._state = GamepadState(
            {code: AxisRange(low=info.min, high=info.max) for code, info in self._axes.items()}
        )
        self._ask()

    def _ask(self) -> None:
        """Read the present state, at the start and after the kernel has dropped events."""
        self._state.reset(
            self._device.active_keys(),
            {code: self._device.absinfo(code).value for code in self._axes},
        )

    def read(self) -> tuple[Pad, bool]:
        """The present reading, and whether an event came since the last call.

        Raises:
            GamepadGoneError: the device was unplugged, or its radio link broke.
        """
        try:
            events = list(self._device.read())
        except BlockingIOError:
            return self._state.pad, False
        except OSError as error:
            raise GamepadGoneError(f"the gamepad {self.name} is gone ({error.strerror})") from error
        for event in events:
            self._state.take(event.type, event.code, event.value)
        if self._state.dropped:
            self._ask()
        return self._state.pad, bool(events)

    def close(self) -> None:
        """Close the device."""
        self._device.close()


def open_gamepad(wanted: str) -> Gamepad:
    """Open the controller at a path, or with `ANY` the only one that is plugged in.

    Raises:
        ConfigurationError: `evdev` is not installed, or the choice is none or not unique. The
            message says what to do.
    """
    try:
        import evdev
    except ImportError:
        raise ConfigurationError(
            "--gamepad needs evdev: pip install 'safe_locomotion[gamepad]'"
        ) from None
    if wanted != ANY:
        return Gamepad(_opened(evdev, wanted))
    found = [device for path in evdev.list_devices() if _drives(device := evdev.InputDevice(path))]
    if len(found) == 1:
        return Gamepad(found[0])
    if found:
        names = ", ".join(_shown(device) for device in found)
        raise ConfigurationError(f"--gamepad: several are plugged in; choose one of: {names}")
    raise ConfigurationError(
        "--gamepad: none found; plug one in, and make sure that you may read /dev/input"
        " (sudo usermod -aG input $USER, then log in again)"
    )


def _opened(evdev: Any, path: str) -> Any:
    try:
        device = evdev.InputDevice(path)
    except OSError as error:
        there = ", ".join(sorted(str(p) for p in Path("/dev/input").glob("event*"))) or "none"
        raise ConfigurationError(
            f"--gamepad {path}: {error.strerror}; present devices: {there}"
        ) from error
    if not _drives(device):
        raise ConfigurationError(f"--gamepad {path}: {device.name} lacks a stick or the button A")
    return device


def _drives(device: Any) -> bool:
    capabilities = device.capabilities(absinfo=False)
    return is_gamepad(capabilities.get(EV_KEY, ()), capabilities.get(EV_ABS, ()))


def _shown(device: Any) -> str:
    return f"{device.path} ({device.name})"
