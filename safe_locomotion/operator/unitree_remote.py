"""The wireless remote of a Unitree robot: 40 bytes that every LowState carries.

    byte 2, high bit first: F2 F1 L2 R2 select start L1 R1        (F1 and F2 only on some remotes)
    byte 3, high bit first: left down right up Y X B A
    float32, little-endian: lx at 4, rx at 8, ry at 12, ly at 20; right and forward positive

Source: `wireless_controller` of the vendor's unitree_legged_sdk and unitree_sdk2 (`xRockerBtnDataStruct`). Bytes that nobody
writes are zero: no remote is a remote that nobody touches.

What does not come from a remote must not drive: another length, sticks that are not finite or past their ends, opposite
directions of the cross at once, or all buttons. The emergency stop asks for less, see `EstopButton`.
"""

from collections.abc import Iterable
from math import isfinite
from struct import Struct

from safe_locomotion.operator.mapping import (
    BUTTONS,
    NO_WISH,
    DrivingParameters,
    Pad,
    PadDriver,
    Wish,
)
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import LowState, Mode, Verdict

SIZE = 40
_LAYOUT = Struct("<2xHfff4xf16x")
_BUTTONS_AT = slice(2, 4)
_STUCK = 0xFFFF
_OPPOSITE = (("up", "down"), ("left", "right"))
FULL = 1.05  #: of a stick; a little past the end for one that is not calibrated
CONFIRMED = 2  #: LowStates in a row with the emergency stop pressed
READ_EACH_NS = 10_000_000  #: robot time between two readings of what is not the emergency stop


def mask_of(buttons: Iterable[str]) -> int:
    """Bits of buttons in the word of bytes 2 and 3."""
    return sum(1 << BUTTONS.index(name) for name in set(buttons))


_OPPOSITE_MASKS = tuple(mask_of(pair) for pair in _OPPOSITE)


def decode_remote(raw: bytes) -> Pad | None:
    """The reading behind the bytes, sticks clipped to their ends; None where no remote sends them."""
    if len(raw) != SIZE:
        return None
    word, lx, rx, ry, ly = _LAYOUT.unpack(raw)
    if word == _STUCK or any(word & mask == mask for mask in _OPPOSITE_MASKS):
        return None
    if not all(isfinite(stick) and -FULL <= stick <= FULL for stick in (lx, ly, rx, ry)):
        return None
    lx, ly, rx, ry = (min(1.0, max(-1.0, stick)) for stick in (lx, ly, rx, ry))
    pressed = frozenset(name for bit, name in enumerate(BUTTONS) if word >> bit & 1)
    return Pad(pressed=pressed, lx=lx, ly=ly, rx=rx, ry=ry)


def encode_remote(pad: Pad) -> bytes:
    """The bytes of a reading, as a robot puts them into its LowState."""
    return _LAYOUT.pack(mask_of(pad.pressed), pad.lx, pad.rx, pad.ry, pad.ly)


class EstopButton:
    """The emergency stop on the remote, latched until the supervisor has latched it in turn.

    A level, judged on every LowState from the two button bytes alone: sticks may be broken and other buttons pressed by a hand in a
    hurry. It counts when two LowStates in a row carry it, 4 ms, so that one bad packet does not drop a walking robot; a word of all
    ones is a broken line and no chord. Once it counts, releasing it changes nothing until a verdict says FAULT because of it: from
    then on only `reset` leads out of that mode, and a supervisor that is gone or deaf never releases it.
    """

    def __init__(self, chord: Iterable[str]) -> None:
        self._mask = mask_of(chord)
        self._count = 0
        self.latched = False

    def update(self, raw: bytes, verdict: Verdict | None) -> bool:
        """Whether the robot must be damped.

        Args:
            raw: bytes of the remote in the newest LowState.
            verdict: newest of the supervisor, None where there is none.
        """
        word = int.from_bytes(raw[_BUTTONS_AT], "little")
        if word & self._mask == self._mask and word != _STUCK:
            self._count += 1
            self.latched = self.latched or self._count >= CONFIRMED
        else:
            self._count = 0
            if (
                self.latched
                and verdict is not None
                and verdict.mode is Mode.FAULT
                and "estop" in verdict.reasons
            ):
                self.latched = False
        return self.latched


class RemoteControl:
    """What the remote says, on every LowState.

    Attributes:
        wish: of the last reading.
        valid: the last bytes can come from a remote.
    """

    def __init__(self, parameters: DrivingParameters) -> None:
        self.estop = EstopButton(parameters.remote.estop_chord)
        self._driver = PadDriver(parameters, parameters.remote)
        self._due = Divider(READ_EACH_NS)
        self._raw = b""
        self._pad: Pad | None = None
        self.wish: Wish = NO_WISH
        self.valid = False

    def update(self, state: LowState, verdict: Verdict | None) -> bool:
        """Take a LowState; whether a new wish was made of it. The emergency stop is looked at each time."""
        latched = self.estop.update(state.remote, verdict)
        due = self._due.due(state.stamp_ns)
        if not due and not (latched and self.wish is not NO_WISH):
            return False
        changed = state.remote != self._raw
        if changed:
            self._raw, self._pad = state.remote, decode_remote(state.remote)
            self.valid = self._pad is not None
        wish = self._driver.update(state.stamp_ns, self._pad, changed=changed)
        self.wish = NO_WISH if latched else wish
        return True
