"""Conversion of our types to and from the messages of Unitree SDK2, whole messages at a time.

The layouts are in `sdk2_messages`. The codecs write and read numpy views of a message in one
buffer, because building the SDK's Python objects is too slow for 500 Hz.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.backends.backend import POS_STOP, VEL_STOP
from safe_locomotion.backends.sdk2_messages import (
    LOW_COMMAND,
    LOW_STATE,
    N_SLOTS,
    REMOTE_AT,
    REMOTE_BYTES,
    SPORT_STATE,
    TICK_BYTES,
    Message,
)
from safe_locomotion.rotations import rpy_from_quaternion
from safe_locomotion.types import N_JOINTS, NANOSECONDS, Array, LowCommand, LowState

MODE_FOC: Final = 0x01
HEAD: Final = (0xFE, 0xEF)
LEVEL_LOW: Final = 0xFF
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_MAX_SQUARE_SUM: Final = _FLOAT32_MAX**2  # below it each number fits in single precision

Rejection = Literal["size", "crc", "head", "level", "mode", "slots", "nonfinite"]


class LowCommandCodec:
    """LowCommand to and from `LowCmd_`; not for several threads at once."""

    def __init__(self) -> None:
        self._out = Message(LOW_COMMAND)
        self._in = Message(LOW_COMMAND)
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
    def _set_point_view(message: Message) -> NDArray[np.float32]:
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
        motor["q"] = POS_STOP
        motor["dq"] = VEL_STOP

    def encode(self, command: LowCommand, tick: int = 0) -> bytes | None:
        """The command as CDR with its CRC; None when a number is not finite in single precision.

        Args:
            command: the command to send.
            tick: tick of the state that the command answers, for a simulated robot; 0 on
                hardware. It goes into the word `reserve`.
        """
        flat = self._flat
        np.concatenate((command.q, command.dq, command.tau, command.kp, command.kd), out=flat)
        if not flat.dot(flat) <= _MAX_SQUARE_SUM:  # NaN fails too
            return None
        self._used[...] = self._flat_rows
        self._out.words[-2] = tick
        return self._out.sealed()

    def decode(self, raw: bytes) -> tuple[LowCommand, int] | Rejection:
        """The command and its `tick`, or the reason why a robot must ignore the message.

        `stamp_ns` is 0, because the wire carries no stamp.
        """
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
        self._out = Message(LOW_STATE)
        self._in = Message(LOW_STATE)
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
        self._first_mode = self._in.field("first_mode")
        self._modes = self._in.field("motor")["next_mode"][: N_JOINTS - 1]
        self._tick = self._in.field("tick")
        self._view_output()

    def _view_output(self) -> None:
        motor = self._out.field("motor")[:N_JOINTS]
        self._imu_out = self._out.words[6:19].view("<f4")
        self._q_out = motor["q"]
        self._dq_out = motor["dq"]
        self._tau_out = motor["tau"]
        self._temperature_out = motor["temperature"]
        self._foot_force_out = self._out.field("foot_force")
        self._tick_out = self._out.field("tick")
        self._voltage_out = self._out.field("voltage")

    def load(self, raw: bytes, *, check_crc: bool = True) -> Literal["size", "crc"] | int:
        """Copy a received message, and return its tick or the reason why it must be ignored."""
        if not self._in.load(raw):
            return "size"
        if check_crc and not self._in.crc_fits():
            return "crc"
        return int(self._tick[0])

    def tick_in(self, raw: bytes) -> int | None:
        """Tick of a received message, valid or not; None if its size is wrong.

        The message of the last `load` stays.
        """
        return int.from_bytes(raw[TICK_BYTES], "little") if self._in.fits(raw) else None

    def state(self, stamp_ns: int) -> LowState:
        """The message of the last `load` as a LowState with its own memory."""
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
            voltage=float(self._voltage[0]) or None,  # a robot that runs has some
            remote=self._in.get_bytes(REMOTE_AT, REMOTE_BYTES),
            motors_on=self._motors_on(),
        )

    def _motors_on(self) -> bool:
        n_on = np.count_nonzero(self._modes == MODE_FOC)
        return self._first_mode.item(0) == MODE_FOC and bool(n_on == N_JOINTS - 1)

    def encode(self, state: LowState) -> bytes:
        """The state as CDR with its CRC, as a robot sends it; `stamp_ns` is not on the wire."""
        rpy = rpy_from_quaternion(state.quaternion_wxyz)
        np.concatenate(
            (state.quaternion_wxyz, state.gyro, state.accelerometer, rpy),
            out=self._imu_out,
            casting="same_kind",
        )
        self._q_out[:] = state.q
        self._dq_out[:] = state.dq
        self._tau_out[:] = state.tau
        self._temperature_out[:] = _saturated(state.temperature, 0, 127)
        self._foot_force_out[:] = _saturated(state.foot_force, -32768, 32767)
        self._tick_out[0] = state.tick
        self._voltage_out[0] = state.voltage or 0.0
        if (state.motors_on is not False) is not self._drives_on:
            self._drives_on = not self._drives_on
            self._out.set_modes(MODE_FOC if self._drives_on else 0, 0, N_JOINTS)
        self._out.set_bytes(REMOTE_AT, state.remote)
        return self._out.sealed()


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """True motion of a simulated robot.

    Attributes:
        stamp_ns: stamp of the LowState that is published with it.
        position: (3,) of the base in odom [m].
        quaternion_wxyz: (4,) base to odom.
        velocity: (3,) of the base, in odom [m/s].
        angular_velocity: (3,) of the base, in base [rad/s].
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
        self._out = Message(SPORT_STATE)
        self._in = Message(SPORT_STATE)

    def encode(self, truth: Truth) -> bytes:
        """The truth as CDR."""
        out = self._out.fields
        out["second"], out["nanosecond"] = divmod(truth.stamp_ns, NANOSECONDS)
        out["quaternion"] = truth.quaternion_wxyz
        out["gyro"] = truth.angular_velocity
        out["position"] = truth.position
        out["velocity"] = truth.velocity
        out["body_height"] = truth.position[2]
        out["yaw_speed"] = truth.angular_velocity[2]
        out["foot_force"] = _saturated(truth.foot_force, -32768, 32767)
        return self._out.sealed()

    def decode(self, raw: bytes) -> Truth | None:
        """The truth; None when the message is malformed."""
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
    """Rounded integers within [low, high]; NaN becomes `low`."""
    return np.rint(np.fmin(np.fmax(values, low), high)).astype(np.int64)
