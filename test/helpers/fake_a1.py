"""The motor controller of an A1 on a UDP socket: states of 771 bytes, commands of 610."""

import socket
import struct
from contextlib import suppress

import numpy as np

from safe_locomotion.backends.sdk2_messages import crc32_words

STATE_BYTES = 771
COMMAND_BYTES = 610
CHECKED_BYTES = 764  #: words before the checksum of a state
LOW_LEVEL = 0xFF
IMU = 10  #: offset of quaternion, gyroscope and accelerometer
MOTOR = 63
MOTOR_BYTES = 32
TEMPERATURE = 23  #: offset within a motor
FOOT_FORCE = 703
TICK = 719
CHECKSUM = 767


def state_packet(tick: int, q: float = 0.5) -> bytearray:
    """A low-level state at rest, upright, with all joints at `q` [rad] and its checksum."""
    packet = bytearray(STATE_BYTES)
    packet[0] = LOW_LEVEL
    struct.pack_into("<10f", packet, IMU, 1.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.0, 0.0, 9.81)
    for motor in range(12):
        place = MOTOR + MOTOR_BYTES * motor
        struct.pack_into("<Bff", packet, place, 0x0A, q, 0.25)
        packet[place + TEMPERATURE] = 41
    struct.pack_into("<4h", packet, FOOT_FORCE, 10, 20, 30, 40)
    struct.pack_into("<I", packet, TICK, tick)
    return sealed(packet)


def sealed(packet: bytearray) -> bytearray:
    """The packet with its checksum."""
    words = np.frombuffer(bytes(packet[:CHECKED_BYTES]), dtype="<u4")
    struct.pack_into("<I", packet, CHECKSUM, crc32_words(words))
    return packet


class FakeA1:
    """The robot's end of the link."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(2.0)
        self._controller: tuple[str, int] | None = None

    @property
    def port(self) -> int:
        """UDP port of the robot."""
        return int(self._socket.getsockname()[1])

    def command(self) -> bytes:
        """The next command, whose sender gets the states from then on."""
        data, self._controller = self._socket.recvfrom(4096)
        return data

    def last_command(self) -> bytes:
        """The last command before the line is silent for 0.1 s."""
        last = self.command()
        self._socket.settimeout(0.1)
        with suppress(TimeoutError):
            while True:
                last = self._socket.recv(4096)
        return last

    def send(self, packet: bytes) -> None:
        """Send a state to the one who sent a command."""
        assert self._controller is not None
        self._socket.sendto(packet, self._controller)

    def close(self) -> None:
        """End the link."""
        self._socket.close()
