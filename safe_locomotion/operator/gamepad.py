"""A game controller as Linux reports it: events of axes and buttons to a `Pad`. Opening the device is the caller's business.

Numbers: linux/input-event-codes.h, and the kernel's document on gamepads (Documentation/input/gamepad.rst). Drivers differ in two
places: where there is no second pair RX, RY the right stick is Z, RZ, and then triggers are BRAKE and GAS; and some call the left
button X, others the upper one (`teleop` shows what is pressed).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safe_locomotion.operator.mapping import Pad

EV_SYN = 0
EV_KEY = 1
EV_ABS = 3
SYN_DROPPED = 3
ABS_X = 0
ABS_Y = 1
ABS_Z = 2
ABS_RX = 3
ABS_RY = 4
ABS_RZ = 5
ABS_GAS = 9
ABS_BRAKE = 10
ABS_HAT0X = 16
ABS_HAT0Y = 17
BTN_SOUTH = 0x130
KEYS = {
    BTN_SOUTH: "A",
    0x131: "B",
    0x133: "X",
    0x134: "Y",
    0x136: "L1",
    0x137: "R1",
    0x138: "L2",
    0x139: "R2",
    0x13A: "select",
    0x13B: "start",
    0x13C: "F1",
    0x220: "up",
    0x221: "down",
    0x222: "left",
    0x223: "right",
}
HATS = {ABS_HAT0X: ("left", "right"), ABS_HAT0Y: ("up", "down")}
TRIGGER_PRESSED = 0.3  #: share of a trigger's way


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisRange:
    """Ends of an axis as its driver reports them."""

    low: int
    high: int

    def share(self, value: int) -> float:
        """0 at the low end, 1 at the high one; the middle for an axis without a range."""
        return (
            min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
            if self.high > self.low
            else 0.5
        )


def is_gamepad(keys: Iterable[int], axes: Iterable[int]) -> bool:
    """Whether a device with these keys and axes can drive."""
    return BTN_SOUTH in set(keys) and {ABS_X, ABS_Y} <= set(axes)


class GamepadState:
    """Axes and buttons as the events left them.

    Attributes:
        dropped: the kernel has lost events: `reset` is due.
    """

    def __init__(self, ranges: Mapping[int, AxisRange]) -> None:
        self._ranges = dict(ranges)
        second = ABS_RX in ranges
        self._sticks = {
            "lx": ABS_X,
            "ly": ABS_Y,
            **({"rx": ABS_RX, "ry": ABS_RY} if second else {"rx": ABS_Z, "ry": ABS_RZ}),
        }
        triggers = {ABS_Z: "L2", ABS_RZ: "R2"} if second else {}
        self._triggers = {**triggers, ABS_BRAKE: "L2", ABS_GAS: "R2"}
        self.reset((), {})

    def reset(self, pressed: Iterable[int], values: Mapping[int, int]) -> None:
        """Take what the device says that holds now; an axis it does not name is in its middle, a trigger at rest."""
        self._pressed = set(pressed)
        self._values = dict(values)
        self.dropped = False

    def take(self, kind: int, code: int, value: int) -> None:
        """One event."""
        if kind == EV_ABS:
            self._values[code] = value
        elif kind == EV_KEY and value:
            self._pressed.add(code)
        elif kind == EV_KEY:
            self._pressed.discard(code)
        elif kind == EV_SYN and code == SYN_DROPPED:
            self.dropped = True

    @property
    def pad(self) -> Pad:
        """The reading now."""
        pressed = {KEYS[code] for code in self._pressed if code in KEYS}
        for code, (low, high) in HATS.items():
            turn = self._values.get(code, 0)
            pressed |= {low} if turn < 0 else {high} if turn > 0 else set()
        for code, name in self._triggers.items():
            if (
                code in self._ranges
                and code in self._values
                and self._ranges[code].share(self._values[code]) > TRIGGER_PRESSED
            ):
                pressed.add(name)
        x = self._stick("lx")
        y = self._stick("ly")
        return Pad(
            pressed=frozenset(pressed), lx=x, ly=-y, rx=self._stick("rx"), ry=-self._stick("ry")
        )

    def _stick(self, name: str) -> float:
        """Within -1..1, as the driver counts: to the right and back positive."""
        code = self._sticks[name]
        if code not in self._ranges or code not in self._values:
            return 0.0
        return 2.0 * self._ranges[code].share(self._values[code]) - 1.0
