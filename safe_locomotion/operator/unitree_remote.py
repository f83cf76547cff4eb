"""The wireless remote of a Unitree robot: 40 bytes in every LowState.

    byte 2, high bit first: F2 F1 L2 R2 select start L1 R1        (F1 and F2 only on some remotes)
    byte 3, high bit first: left down right up Y X B A
    float32, little-endian: lx at 4, rx at 8, ry at 12, ly at 20; right and forward positive

Source: `wireless_controller` of the vendor's unitree_legged_sdk and unitree_sdk2
(`xRockerBtnDataStruct`). A robot without a remote sends zeros, the same as a remote at rest.

Bytes that cannot come from a remote must not drive the robot: another length, sticks that are not
finite or beyond their ends, opposite directions of the cross at once, all buttons at once. The
emergency stop needs fewer valid bytes, see `EstopButton`.
"""

from collections.abc import Iterable
from math import isfinite
from struct import Struct

from safe_locomotion.operator.driving import NO_WISH, DrivingParameters, PadDriver, Wish
from safe_locomotion.operator.pad import BUTTONS, Pad
from safe_locomotion.robot_time import Divider
from safe_locomotion.rotations import clamp
from safe_locomotion.types import LowState, Mode, Verdict

SIZE = 40
_LAYOUT = Struct("<2xHfff4xf16x")
_BUTTONS_AT = slice(2, 4)
_STUCK = 0xFFFF
_OPPOSITE = (("up", "down"), ("left", "right"))
FULL = 1.05  #: largest stick; a little beyond the end, for a stick that is not calibrated
CONFIRMED = 2  #: LowStates in a row that must show the emergency stop
READ_EACH_NS = 10_000_000  #: robot time between two readings; the emergency stop is read each time


def mask_of(buttons: Iterable[str]) -> int:
    """Bits of these buttons in the word of bytes 2 and 3."""
    return sum(1 << BUTTONS.index(name) for name in set(buttons))


_OPPOSITE_MASKS = tuple(mask_of(pair) for pair in _OPPOSITE)


def decode_remote(raw: bytes) -> Pad | None:
    """The reading in these bytes, sticks clipped to +-1; None when no remote sends such bytes."""
    if len(raw) != SIZE:
        return None
    word, lx, rx, ry, ly = _LAYOUT.unpack(raw)
    if word == _STUCK or any(word & mask == mask for mask in _OPPOSITE_MASKS):
        return None
    if not all(isfinite(stick) and -FULL <= stick <= FULL for stick in (lx, ly, rx, ry)):
        return None
    return Pad(
        pressed=frozenset(name for bit, name in enumerate(BUTTONS) if word >> bit & 1),
        lx=clamp(lx, -1.0, 1.0),
        ly=clamp(ly, -1.0, 1.0),
        rx=clamp(rx, -1.0, 1.0),
        ry=clamp(ry, -1.0, 1.0),
    )


def encode_remote(pad: Pad) -> bytes:
    """The bytes of a reading, as a robot sends them in its LowState."""
    return _LAYOUT.pack(mask_of(pad.pressed), pad.lx, pad.rx, pad.ry, pad.ly)


class EstopButton:
    """The emergency stop on the remote, latched until the supervisor has taken it over.

    It is a level, read on every LowState from the two button bytes alone. Sticks may be broken, and
    a hand in a hurry may press other buttons too. It counts when two LowStates in a row (4 ms) show
    it, so that one bad packet does not drop a walking robot. A word of all ones is a broken line,
    not a chord.

    Once it counts, it stays latched after its buttons are released. Then a verdict with the mode
    FAULT and the reason `estop` unlatches it. From then on only `reset` leads out of FAULT. A
    supervisor that is gone or does not listen never unlatches it.

    Attributes:
        latched: the robot must be damped.
    """

    def __init__(self, chord: Iterable[str]) -> None:
        self._mask = mask_of(chord)
        self._count = 0
        self.latched = False

    def update(self, raw: bytes, verdict: Verdict | None) -> bool:
        """Take a LowState; returns whether the robot must be damped.

        Args:
            raw: bytes of the remote in the newest LowState.
            verdict: newest verdict of the supervisor; None when there is none.
        """
        word = int.from_bytes(raw[_BUTTONS_AT], "little")
        if word & self._mask == self._mask and word != _STUCK:
            self._count += 1
            self.latched = self.latched or self._count >= CONFIRMED
        else:
            self._count = 0
            self.latched = self.latched and not _took_over(verdict)
        return self.latched


def _took_over(verdict: Verdict | None) -> bool:
    """Whether the supervisor has latched the emergency stop itself."""
    return verdict is not None and verdict.mode is Mode.FAULT and "estop" in verdict.reasons


class RemoteControl:
    """The remote, read on every LowState.

    Attributes:
        estop: the emergency stop.
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
        """Take a LowState; returns whether it gave a new wish.

        The emergency stop is read on every LowState, everything else once in `READ_EACH_NS`.
        """
        latched = self.estop.update(state.remote, verdict)
        due = self._due.due(state.stamp_ns)
        if not due and not (latched and self.wish is not NO_WISH):
            return False
        changed = state.remote != self._raw
        if changed:
            self._raw = state.remote
            self._pad = decode_remote(state.remote)
            self.valid = self._pad is not None
        wish = self._driver.update(state.stamp_ns, self._pad, changed=changed)
        self.wish = NO_WISH if latched else wish
        return True
