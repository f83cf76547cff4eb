"""A game controller as Linux reports it: from events of axes and buttons to a `Pad`.

The caller opens the device. Numbers are from linux/input-event-codes.h and the kernel's document
on gamepads (Documentation/input/gamepad.rst). Drivers differ in two places:

* The right stick is RX, RY, and the triggers are Z, RZ. A device without RX has its right stick
  on Z, RZ and its triggers on BRAKE, GAS.
* Some drivers call the left button X, others the upper one. `teleop` shows what is pressed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safe_locomotion.operator.pad import Pad
from safe_locomotion.rotations import clamp

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
TRIGGER_PRESSED = 0.3  #: share of a trigger's way beyond which it counts as pressed


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisRange:
    """Ends of an axis as its driver reports them."""

    low: int
    high: int

    def share(self, value: int) -> float:
        """0 at the low end, 1 at the high end; 0.5 for an axis without a range."""
        if not self.high > self.low:
            return 0.5
        return clamp((value - self.low) / (self.high - self.low), 0.0, 1.0)


def is_gamepad(keys: Iterable[int], axes: Iterable[int]) -> bool:
    """Whether a device with these keys and axes can drive."""
    return BTN_SOUTH in set(keys) and {ABS_X, ABS_Y} <= set(axes)


class GamepadState:
    """Axes and buttons after the events so far.

    Attributes:
        dropped: the kernel has lost events, so the caller must call `reset`.
    """

    def __init__(self, ranges: Mapping[int, AxisRange]) -> None:
        self._ranges = dict(ranges)
        self._sticks = {"lx": ABS_X, "ly": ABS_Y}
        self._triggers = {ABS_BRAKE: "L2", ABS_GAS: "R2"}
        if ABS_RX in ranges:
            self._sticks |= {"rx": ABS_RX, "ry": ABS_RY}
            self._triggers |= {ABS_Z: "L2", ABS_RZ: "R2"}
        else:
            self._sticks |= {"rx": ABS_Z, "ry": ABS_RZ}
        self.reset((), {})

    def reset(self, pressed: Iterable[int], values: Mapping[int, int]) -> None:
        """Take the present state of the device.

        Args:
            pressed: codes of the pressed buttons.
            values: positions of the axes. An axis that is missing is in its middle, a trigger that
                is missing is at rest.
        """
        self._pressed = set(pressed)
        self._values = dict(values)
        self.dropped = False

    def take(self, kind: int, code: int, value: int) -> None:
        """Take one event: its type, code and value."""
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
        """The present reading."""
        pressed = {KEYS[code] for code in self._pressed if code in KEYS}
        for code, (low, high) in HATS.items():
            turn = self._values.get(code, 0)
            if turn < 0:
                pressed.add(low)
            elif turn > 0:
                pressed.add(high)
        for code, name in self._triggers.items():
            if self._share(code, at_rest=0.0) > TRIGGER_PRESSED:
                pressed.add(name)
        return Pad(
            pressed=frozenset(pressed),
            lx=self._stick("lx"),
            ly=-self._stick("ly"),
            rx=self._stick("rx"),
            ry=-self._stick("ry"),
        )

    def _stick(self, name: str) -> float:
        """Position within -1..1 with the driver's signs: right and back are positive."""
        return 2.0 * self._share(self._sticks[name], at_rest=0.5) - 1.0

    def _share(self, code: int, *, at_rest: float) -> float:
        """Position of an axis as a share of its range; `at_rest` when nothing is known of it."""
        if code not in self._ranges or code not in self._values:
            return at_rest
        return self._ranges[code].share(self._values[code])
