"""The low-level messages of Unitree SDK2 as bytes: layouts, checksum and a message in a buffer.

`unitree_go::msg::dds_::LowCmd_` and `LowState_` hold no sequences and nothing wider than four
bytes. Their CDR form therefore has one fixed layout (XCDR1 and XCDR2 alike). The structured
dtypes below describe the little-endian body behind the four bytes of the encapsulation header.

The checksum does not run over those bytes but over the C struct of the vendor's SDK
(unitree_sdk2py/utils/crc.py). The struct differs in one place only. In C the first motor starts
on a four-byte boundary; in CDR the motor's mode byte directly follows the field before it.

Field meanings and constants: `unitree_sdk2py/idl/unitree_go` and the vendor's low-level examples.
"""

import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

N_SLOTS: Final = 20  # motors in a message; a robot with twelve uses the first twelve
REMOTE_BYTES: Final = 40
TICK_AT: Final = 1096  # offset of tick in the body of LowState_ [bytes]
REMOTE_AT: Final = 1100  # offset of wireless_remote in the body of LowState_ [bytes]
CDR_HEADER: Final = b"\x00\x01\x00\x00"  # XCDR1, little endian
TICK_BYTES: Final = slice(len(CDR_HEADER) + TICK_AT, len(CDR_HEADER) + TICK_AT + 4)
LITTLE_ENDIAN_KINDS: Final = (0x01, 0x07)  # XCDR1 and XCDR2 of a final type


def _dtype(itemsize: int, **fields: tuple[Any, int]) -> np.dtype[Any]:
    """Structured dtype from name = (format, byte offset)."""
    formats, offsets = zip(*fields.values(), strict=True)
    return np.dtype(
        {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": itemsize}
    )


# A motor record starts at `q`, because there all slots have the same alignment. The mode byte of
# a slot lies before its record, in the last word of the record before. Slot 0 has the field
# `first_mode` instead. In record 19 this last word already belongs to the battery.
MOTOR_COMMAND: Final = _dtype(
    36,
    q=("<f4", 0),
    dq=("<f4", 4),
    tau=("<f4", 8),
    kp=("<f4", 12),
    kd=("<f4", 16),
    reserve=(("<u4", 3), 20),
    next_mode=("u1", 32),
)
MOTOR_STATE: Final = _dtype(
    48,
    q=("<f4", 0),
    dq=("<f4", 4),
    ddq=("<f4", 8),
    tau=("<f4", 12),
    raw=(("<f4", 3), 16),
    temperature=("u1", 28),
    lost=("<u4", 32),
    reserve=(("<u4", 2), 36),
    next_mode=("u1", 44),
)
_FRAME: Final[dict[str, tuple[Any, int]]] = {
    "head": (("u1", 2), 0),
    "level": ("u1", 2),
    "frame_reserve": ("u1", 3),
    "sn": (("<u4", 2), 4),
    "version": (("<u4", 2), 12),
    "bandwidth": ("<u2", 20),
}
LOW_COMMAND: Final = _dtype(
    808,
    **_FRAME,
    first_mode=("u1", 22),
    motor=((MOTOR_COMMAND, N_SLOTS), 24),
    bms=(("u1", 4), 740),
    remote=(("u1", REMOTE_BYTES), 744),
    led=(("u1", 12), 784),
    fan=(("u1", 2), 796),
    gpio=("u1", 798),
    reserve=("<u4", 800),
    crc=("<u4", 804),
)
LOW_STATE: Final = _dtype(
    1176,
    **_FRAME,
    quaternion=(("<f4", 4), 24),
    gyro=(("<f4", 3), 40),
    accelerometer=(("<f4", 3), 52),
    rpy=(("<f4", 3), 64),
    imu_temperature=("u1", 76),
    first_mode=("u1", 77),
    motor=((MOTOR_STATE, N_SLOTS), 80),
    bms_version_status_soc=(("u1", 4), 1036),
    bms_current=("<i4", 1040),
    bms_cycle=("<u2", 1044),
    bms_ntc=(("u1", 4), 1046),
    bms_cell_voltage=(("<u2", 15), 1050),
    foot_force=(("<i2", 4), 1080),
    foot_force_estimate=(("<i2", 4), 1088),
    tick=("<u4", TICK_AT),
    remote=(("u1", REMOTE_BYTES), REMOTE_AT),
    bit_flag=("u1", 1140),
    adc_reel=("<f4", 1144),
    temperature_ntc=(("u1", 2), 1148),
    voltage=("<f4", 1152),
    current=("<f4", 1156),
    fan_frequency=(("<u2", 4), 1160),
    reserve=("<u4", 1168),
    crc=("<u4", 1172),
)

# The head of SportModeState_. Foot positions, foot speeds and path points after it stay zero.
SPORT_STATE: Final = _dtype(
    512,
    second=("<i4", 0),
    nanosecond=("<u4", 4),
    quaternion=(("<f4", 4), 12),
    gyro=(("<f4", 3), 28),
    position=(("<f4", 3), 80),
    body_height=("<f4", 92),
    velocity=(("<f4", 3), 96),
    yaw_speed=("<f4", 108),
    foot_force=(("<i2", 4), 128),
)

_BIT_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc32_words(words: NDArray[np.uint32]) -> int:
    """CRC of 32-bit words as the SDK computes it.

    It is CRC-32/MPEG-2 over the big-endian bytes of the words: polynomial 0x04C11DB7, start
    0xFFFFFFFF, high bit first, no final xor. zlib uses the same polynomial with the low bit
    first and inverts the result. So the bytes are mirrored before the call, and its result is
    inverted and mirrored.
    """
    mirrored = words.astype(">u4").tobytes().translate(_BIT_REVERSED)
    return int.from_bytes(
        (zlib.crc32(mirrored) ^ 0xFFFFFFFF).to_bytes(4, "little").translate(_BIT_REVERSED), "big"
    )


def _mark_used(dtype: np.dtype[Any], used: NDArray[np.uint8], start: int) -> None:
    """Set the bytes of `used` that belong to a field of `dtype`; padding stays zero."""
    base, shape = dtype.subdtype or (dtype, ())
    for item in range(int(np.prod(shape))):
        at = start + item * base.itemsize
        if base.fields is None:
            used[at : at + base.itemsize] = 0xFF
        for field in (base.fields or {}).values():
            _mark_used(field[0], used, at + field[1])


class _Checksum:
    """The SDK's CRC of a CDR body: rebuilds the words of the C struct, with padding zeroed."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        used = np.zeros(dtype.itemsize, np.uint8)
        _mark_used(dtype, used, 0)
        assert dtype.fields is not None
        mode_at = dtype.fields["first_mode"][1]
        self._split = mode_at // 4
        self._shift = 8 * (mode_at % 4)
        self._mask = used.view("<u4")[:-1].copy()
        self._mask[self._split] = (1 << self._shift) - 1
        self._words = np.empty(dtype.itemsize // 4, np.uint32)

    def __call__(self, body: NDArray[np.uint32]) -> int:
        split = self._split
        words = self._words
        np.bitwise_and(body[: split + 1], self._mask[: split + 1], out=words[: split + 1])
        words[split + 1] = (body.item(split) >> self._shift) & 0xFF
        np.bitwise_and(body[split + 1 : -1], self._mask[split + 1 :], out=words[split + 2 :])
        return crc32_words(words)


class Message:
    """One message in its own buffer, with views of its body as words and as named fields.

    Attributes:
        size: length with the header [bytes].
        words: body as 32-bit words.
        fields: body as a record of named fields.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.size = len(CDR_HEADER) + dtype.itemsize
        self._bytes = bytearray(CDR_HEADER + bytes(dtype.itemsize))
        self._checksum = _Checksum(dtype) if "crc" in (dtype.names or ()) else None
        self.words = np.frombuffer(self._bytes, "<u4", offset=len(CDR_HEADER))
        self.fields = np.frombuffer(self._bytes, dtype, offset=len(CDR_HEADER))

    def field(self, name: str) -> NDArray[Any]:
        """View of a field: an array of the field's shape, (1,) for a scalar."""
        view: NDArray[Any] = self.fields[name]
        return view if view.ndim == 1 else view[0]

    def fits(self, raw: bytes) -> bool:
        """Whether size and encoding of a received message are right."""
        return len(raw) == self.size and raw[1] in LITTLE_ENDIAN_KINDS

    def load(self, raw: bytes) -> bool:
        """Copy a received message into the buffer; False when size or encoding are wrong."""
        if not self.fits(raw):
            return False
        self._bytes[4:] = raw[4:]
        return True

    def get_bytes(self, at: int, size: int) -> bytes:
        """`size` bytes of the body from offset `at`."""
        return bytes(self._bytes[len(CDR_HEADER) + at : len(CDR_HEADER) + at + size])

    def set_bytes(self, at: int, data: bytes) -> None:
        """Overwrite the body from offset `at`; the size of the message stays."""
        self._bytes[len(CDR_HEADER) + at : len(CDR_HEADER) + at + len(data)] = data

    def crc_fits(self) -> bool:
        """Whether the checksum is right; True for a message without one."""
        return self._checksum is None or bool(self._checksum(self.words) == self.words.item(-1))

    def sealed(self) -> bytes:
        """Bytes of the message, with its checksum set if it has one."""
        if self._checksum is not None:
            self.words[-1] = self._checksum(self.words)
        return bytes(self._bytes)

    def set_modes(self, first: int, others: int, n_used: int) -> None:
        """Set the mode byte of the first `n_used` slots to `first`, and of the rest to `others`."""
        self.field("first_mode")[0] = first
        self.field("motor")["next_mode"][: n_used - 1] = first
        self.field("motor")["next_mode"][n_used - 1 : N_SLOTS - 1] = others
