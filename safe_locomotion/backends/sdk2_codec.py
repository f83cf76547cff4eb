"""The two low-level messages of Unitree SDK2 as bytes, whole messages at a time.

`unitree_go::msg::dds_::LowCmd_` and `LowState_` hold no sequences and nothing wider than four bytes, so their CDR form has one
fixed layout (XCDR1 and XCDR2 alike): the structured dtypes below describe the little-endian body behind the four bytes of the
encapsulation header.

The checksum does not run over those bytes but over the C struct of the vendor's SDK (unitree_sdk2py/utils/crc.py), which differs
in one place only: in C the first motor starts on a four-byte boundary, in CDR its mode byte follows its predecessor at once.

Field meanings and constants: `unitree_sdk2py/idl/unitree_go` and the vendor's low-level examples.
"""

import zlib
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.backends.backend import POS_STOP, VEL_STOP
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.types import N_JOINTS, NANOSECONDS, Array, LowCommand, LowState

N_SLOTS: Final = 20
MODE_FOC: Final = 0x01
HEAD: Final = (0xFE, 0xEF)
LEVEL_LOW: Final = 0xFF
REMOTE_BYTES: Final = 40
_REMOTE_AT: Final = 1100  # wireless_remote in the body of LowState_
CDR_HEADER: Final = b"\x00\x01\x00\x00"  # XCDR1, little endian
LITTLE_ENDIAN_KINDS: Final = (0x01, 0x07)  # XCDR1 and XCDR2 of a final type

_MAX_SQUARE_SUM: Final = (
    float(np.finfo(np.float32).max) ** 2
)  # below it, each addend's root fits in single precision

Rejection = Literal["size", "crc", "head", "level", "mode", "slots", "nonfinite"]


def _dtype(itemsize: int, **fields: tuple[Any, int]) -> np.dtype[Any]:
    """Structured dtype from name = (format, byte offset)."""
    formats, offsets = zip(*fields.values(), strict=True)
    return np.dtype(
        {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": itemsize}
    )


# A motor record starts at `q`, where all slots are aligned alike. The mode byte of a slot lies in front of its record, that is in
# the last word of the record before; slot 0 has its own field, `first_mode`. In record 19 that word already is the battery's.
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
    48, q=("<f4", 0), dq=("<f4", 4), ddq=("<f4", 8), tau=("<f4", 12), raw=(("<f4", 3), 16), temperature=("u1", 28),
    lost=("<u4", 32), reserve=(("<u4", 2), 36), next_mode=("u1", 44),
)  # fmt: skip
_FRAME: Final[dict[str, tuple[Any, int]]] = {
    "head": (("u1", 2), 0),
    "level": ("u1", 2),
    "frame_reserve": ("u1", 3),
    "sn": (("<u4", 2), 4),
    "version": (("<u4", 2), 12),
    "bandwidth": ("<u2", 20),
}
LOW_COMMAND: Final = _dtype(
    808, **_FRAME, first_mode=("u1", 22), motor=((MOTOR_COMMAND, N_SLOTS), 24), bms=(("u1", 4), 740), remote=(("u1", REMOTE_BYTES), 744),
    led=(("u1", 12), 784), fan=(("u1", 2), 796), gpio=("u1", 798), reserve=("<u4", 800), crc=("<u4", 804),
)  # fmt: skip
LOW_STATE: Final = _dtype(
    1176, **_FRAME, quaternion=(("<f4", 4), 24), gyro=(("<f4", 3), 40), accelerometer=(("<f4", 3), 52), rpy=(("<f4", 3), 64),
    imu_temperature=("u1", 76), first_mode=("u1", 77), motor=((MOTOR_STATE, N_SLOTS), 80), bms_version_status_soc=(("u1", 4), 1036),
    bms_current=("<i4", 1040), bms_cycle=("<u2", 1044), bms_ntc=(("u1", 4), 1046), bms_cell_voltage=(("<u2", 15), 1050),
    foot_force=(("<i2", 4), 1080), foot_force_estimate=(("<i2", 4), 1088), tick=("<u4", 1096), remote=(("u1", REMOTE_BYTES), _REMOTE_AT),
    bit_flag=("u1", 1140), adc_reel=("<f4", 1144), temperature_ntc=(("u1", 2), 1148), voltage=("<f4", 1152), current=("<f4", 1156),
    fan_frequency=(("<u2", 4), 1160), reserve=("<u4", 1168), crc=("<u4", 1172),
)  # fmt: skip

# The head of SportModeState_; foot positions, foot speeds and path points behind it stay zero.
SPORT_STATE: Final = _dtype(
    512, second=("<i4", 0), nanosecond=("<u4", 4), quaternion=(("<f4", 4), 12), gyro=(("<f4", 3), 28), position=(("<f4", 3), 80),
    body_height=("<f4", 92), velocity=(("<f4", 3), 96), yaw_speed=("<f4", 108), foot_force=(("<i2", 4), 128),
)  # fmt: skip

_BIT_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc32_words(words: NDArray[np.uint32]) -> int:
    """CRC of 32-bit words as the SDK computes it: polynomial 0x04C11DB7, start 0xFFFFFFFF, high bit first, no final xor.

    That is CRC-32/MPEG-2 over the big-endian bytes of the words. zlib's CRC runs the same polynomial low bit first and inverts the
    result, so mirrored bytes go in and the inverted answer comes out mirrored.
    """
    mirrored = words.astype(">u4").tobytes().translate(_BIT_REVERSED)
    return int.from_bytes(
        (zlib.crc32(mirrored) ^ 0xFFFFFFFF).to_bytes(4, "little").translate(_BIT_REVERSED), "big"
    )


def _mark_used(dtype: np.dtype[Any], used: NDArray[np.uint8], start: int) -> None:
    """Set the bytes of `used` that belong to a field of `dtype`; what stays zero is padding."""
    base, shape = dtype.subdtype if dtype.subdtype else (dtype, ())
    for item in range(int(np.prod(shape))):
        at = start + item * base.itemsize
        if base.fields is None:
            used[at : at + base.itemsize] = 0xFF
        for field in (base.fields or {}).values():
            _mark_used(field[0], used, at + field[1])


class _Checksum:
    """The SDK's CRC of a message whose CDR body is at hand: rebuilds the words of the C struct, padding zeroed."""

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


class _Message:
    """One message in a buffer of its own: header, body, and the body as words and as named fields."""

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

    def load(self, raw: bytes) -> bool:
        """Take over a received message; False where it cannot be one."""
        if len(raw) != self.size or raw[1] not in LITTLE_ENDIAN_KINDS:
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
        """Whether the checksum is that of the rest; True for a message without one."""
        return self._checksum is None or bool(self._checksum(self.words) == self.words.item(-1))

    def sealed(self) -> bytes:
        """The message with its checksum set, where it has one."""
        if self._checksum is not None:
            self.words[-1] = self._checksum(self.words)
        return bytes(self._bytes)

    def set_modes(self, first: int, others: int, n_used: int) -> None:
        """Mode byte of the first `n_used` slots and of the rest."""
        self.field("first_mode")[0] = first
        self.field("motor")["next_mode"][: n_used - 1] = first
        self.field("motor")["next_mode"][n_used - 1 : N_SLOTS - 1] = others


class LowCommandCodec:
    """LowCommand to and from `LowCmd_`; not for several threads at once."""

    def __init__(self) -> None:
        self._out, self._in = _Message(LOW_COMMAND), _Message(LOW_COMMAND)
        self._fill_constants()
        self._set_points = self._set_point_view(self._out)
        self._received = self._set_point_view(self._in)
        self._received_modes = self._in.field("motor")["next_mode"][: N_SLOTS - 1]
        self._received_first_mode = self._in.field("first_mode")
        self._received_used = self._received[:N_JOINTS].T
        self._received_unused = self._received[N_JOINTS:, 2:]  # torque and gains
        self._used = self._set_points[:N_JOINTS].T
        self._flat = np.empty(5 * N_JOINTS)
        self._flat_rows = self._flat.reshape(5, N_JOINTS)

    @staticmethod
    def _set_point_view(message: _Message) -> NDArray[np.float32]:
        """(20, 5) floats q, dq, tau, kp, kd of all slots."""
        motor: NDArray[np.float32] = (
            message.words[6 : 6 + 9 * N_SLOTS].view("<f4").reshape(N_SLOTS, 9)[:, :5]
        )
        return motor

    def _fill_constants(self) -> None:
        self._out.field("head")[:] = HEAD
        self._out.field("level")[0] = LEVEL_LOW
        self._out.set_modes(MODE_FOC, MODE_FOC, N_JOINTS)
        motor = self._out.field("motor")
        motor["q"], motor["dq"] = POS_STOP, VEL_STOP

    def encode(self, command: LowCommand, tick: int = 0) -> bytes | None:
        """The command as CDR with its CRC; None where a number is not finite in single precision.

        `tick` goes into the word `reserve`: a simulated robot reads there which state the command answers; 0 on hardware.
        """
        flat = self._flat
        np.concatenate((command.q, command.dq, command.tau, command.kp, command.kd), out=flat)
        if not flat.dot(flat) <= _MAX_SQUARE_SUM:  # NaN fails too
            return None
        self._used[...] = self._flat_rows
        self._out.words[-2] = tick
        return self._out.sealed()

    def decode(self, raw: bytes) -> tuple[LowCommand, int] | Rejection:
        """The command and its `tick`, or why a robot must ignore the message. `stamp_ns` is 0: the wire carries none."""
        if not self._in.load(raw):
            return "size"
        if not self._in.crc_fits():
            return "crc"
        fault = self._fault()
        if fault is not None:
            return fault
        q, dq, tau, kp, kd = self._received_used.astype(np.float64)
        command = LowCommand(stamp_ns=0, q=q, dq=dq, tau=tau, kp=kp, kd=kd)
        return command, int(self._in.words[-2])

    def _fault(self) -> Rejection | None:
        start = self._in.words.item(0)
        if start & 0xFFFF != HEAD[0] | HEAD[1] << 8:
            return "head"
        if start >> 16 & 0xFF != LEVEL_LOW:
            return "level"
        if self._received_first_mode[0] != MODE_FOC or (self._received_modes != MODE_FOC).any():
            return "mode"
        if not np.isfinite(self._received).all():
            return "nonfinite"
        return "slots" if self._received_unused.any() else None


class LowStateCodec:
    """LowState to and from `LowState_`; not for several threads at once."""

    def __init__(self) -> None:
        self._out, self._in = _Message(LOW_STATE), _Message(LOW_STATE)
        self._out.field("head")[:] = HEAD
        self._out.field("level")[0] = LEVEL_LOW
        self._out.set_modes(MODE_FOC, 0, N_JOINTS)
        self._drives_on = True
        words = self._in.words
        self._imu = words[6:16].view("<f4")
        self._joints = words[20 : 20 + 12 * N_JOINTS].view("<f4").reshape(N_JOINTS, 12)[:, :4].T
        self._temperature = self._in.field("motor")["temperature"][:N_JOINTS]
        self._foot_force = self._in.field("foot_force")
        self._voltage = self._in.field("voltage")
        self._first_mode, self._modes = (
            self._in.field("first_mode"),
            self._in.field("motor")["next_mode"][: N_JOINTS - 1],
        )
        self._tick = self._in.field("tick")
        self._view_output()

    def _view_output(self) -> None:
        motor = self._out.field("motor")[:N_JOINTS]
        self._imu_out = self._out.words[6:19].view("<f4")
        self._joints_out = motor["q"], motor["dq"], motor["tau"]
        self._temperature_out = motor["temperature"]
        self._foot_force_out = self._out.field("foot_force")
        self._tick_out, self._voltage_out = self._out.field("tick"), self._out.field("voltage")

    def load(self, raw: bytes, check_crc: bool = True) -> Literal["size", "crc"] | int:
        """Take over a received message: its tick, or why it must be ignored."""
        if not self._in.load(raw):
            return "size"
        if check_crc and not self._in.crc_fits():
            return "crc"
        return int(self._tick[0])

    def state(self, stamp_ns: int) -> LowState:
        """The message taken over last, as a LowState of its own memory."""
        imu = self._imu.astype(np.float64)
        q, dq, _, tau = self._joints.astype(np.float64)
        return LowState(
            stamp_ns=stamp_ns,
            tick=int(self._tick[0]),
            quaternion_wxyz=imu[:4],
            gyro=imu[4:7],
            accelerometer=imu[7:10],
            q=q,
            dq=dq,
            tau=tau,
            foot_force=self._foot_force.astype(np.float64),
            temperature=self._temperature.astype(np.float64),
            voltage=float(self._voltage[0]),
            remote=self._in.get_bytes(_REMOTE_AT, REMOTE_BYTES),
            motors_on=self._first_mode.item(0) == MODE_FOC
            and bool(np.count_nonzero(self._modes == MODE_FOC) == N_JOINTS - 1),
        )

    def encode(self, state: LowState) -> bytes:
        """The state as CDR with its CRC, as a robot sends it; `stamp_ns` is not on the wire."""
        rpy = rpy_from_quaternion(state.quaternion_wxyz)
        np.concatenate(
            (state.quaternion_wxyz, state.gyro, state.accelerometer, rpy),
            out=self._imu_out,
            casting="same_kind",
        )
        q, dq, tau = self._joints_out
        q[:], dq[:], tau[:] = state.q, state.dq, state.tau
        self._temperature_out[:] = _saturated(state.temperature, 0, 127)
        self._foot_force_out[:] = _saturated(state.foot_force, -32768, 32767)
        self._tick_out[0], self._voltage_out[0] = state.tick, state.voltage
        if (state.motors_on is not False) is not self._drives_on:
            self._drives_on = not self._drives_on
            self._out.set_modes(MODE_FOC if self._drives_on else 0, 0, N_JOINTS)
        self._out.set_bytes(_REMOTE_AT, state.remote)
        return self._out.sealed()


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What only a simulator knows.

    Attributes:
        stamp_ns: of the LowState published with it.
        position: (3,) base in odom [m].
        quaternion_wxyz: (4,) base to odom.
        velocity: (3,) of the base, in odom [m/s].
        angular_velocity: (3,) in base [rad/s].
        foot_force: (4,) normal forces of the ground [N], whole numbers on the wire.
    """

    stamp_ns: int
    position: Array
    quaternion_wxyz: Array
    velocity: Array
    angular_velocity: Array
    foot_force: Array


class TruthCodec:
    """Truth to and from `SportModeState_`, in single precision; not for several threads at once."""

    def __init__(self) -> None:
        self._out, self._in = _Message(SPORT_STATE), _Message(SPORT_STATE)

    def encode(self, truth: Truth) -> bytes:
        """The truth as CDR."""
        out = self._out.fields
        out["second"], out["nanosecond"] = divmod(truth.stamp_ns, NANOSECONDS)
        out["quaternion"], out["gyro"] = truth.quaternion_wxyz, truth.angular_velocity
        out["position"], out["velocity"] = truth.position, truth.velocity
        out["body_height"], out["yaw_speed"] = truth.position[2], truth.angular_velocity[2]
        out["foot_force"] = _saturated(truth.foot_force, -32768, 32767)
        return self._out.sealed()

    def decode(self, raw: bytes) -> Truth | None:
        """The truth; None where the message is none."""
        if not self._in.load(raw):
            return None
        fields = self._in.fields
        columns = {
            name: fields[name][0].astype(np.float64)
            for name in ("position", "velocity", "foot_force")
        }
        return Truth(
            stamp_ns=int(fields["second"][0]) * NANOSECONDS + int(fields["nanosecond"][0]),
            quaternion_wxyz=fields["quaternion"][0].astype(np.float64),
            angular_velocity=fields["gyro"][0].astype(np.float64),
            **columns,
        )


def _saturated(values: Array, low: int, high: int) -> NDArray[np.int64]:
    """Rounded integers within [low, high]; NaN reads `low`."""
    return np.rint(np.fmin(np.fmax(values, low), high)).astype(np.int64)
