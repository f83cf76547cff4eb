"""The SDK's own codec of low-level messages, as baseline for the codec with fixed layout."""

from typing import Any

from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowCmd_
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowState_
from unitree_sdk2py.utils.crc import CRC

from safe_locomotion.backends.backend import POS_STOP, VEL_STOP
from safe_locomotion.backends.sdk2_codec import HEAD, LEVEL_LOW, MODE_FOC
from safe_locomotion.types import N_JOINTS, LowCommand


class GenericCodec:
    """Reads LowStates and writes LowCommands with `unitree_sdk2py`, as the vendor's examples do."""

    def __init__(self) -> None:
        self._crc = CRC()
        self._command: Any = unitree_go_msg_dds__LowCmd_()
        self._command.head[:] = HEAD
        self._command.level_flag = LEVEL_LOW
        for motor in self._command.motor_cmd:
            motor.mode = MODE_FOC
            motor.q = POS_STOP
            motor.dq = VEL_STOP

    def read(self, raw: bytes) -> tuple[Any, bool]:
        """The message object, and whether its checksum is right."""
        message: Any = LowState_.deserialize(raw)
        return message, bool(self._crc.Crc(message) == message.crc)

    def write(self, command: LowCommand) -> bytes:
        """The command as bytes with checksum."""
        message = self._command
        values = zip(
            command.q.tolist(),
            command.dq.tolist(),
            command.tau.tolist(),
            command.kp.tolist(),
            command.kd.tolist(),
            strict=True,
        )
        for motor, (q, dq, tau, kp, kd) in zip(message.motor_cmd[:N_JOINTS], values, strict=True):
            motor.q = q
            motor.dq = dq
            motor.tau = tau
            motor.kp = kp
            motor.kd = kd
        message.crc = self._crc.Crc(message)
        raw: bytes = message.serialize()
        return raw
