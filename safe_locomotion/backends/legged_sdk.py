"""Robots of the vendor's older SDK (A1, Go1) over UDP, with its Python module `robot_interface`.

The vendor's library compresses the packets itself. This adapter only copies values between our
types and the module's objects. Constants: unitree_legged_sdk v3.3.1 (A1) and v3.8.0 (Go1),
`comm.h`, `udp.h` and the low-level examples.
"""

import importlib
import itertools
import socket
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np

from safe_locomotion.backends.backend import POS_STOP, VEL_STOP, is_finite, stop_command
from safe_locomotion.backends.commanding import CommandingBackend
from safe_locomotion.backends.tick_clock import TICK_UNITS, Drift, TickClock, TickStep, TickUnit
from safe_locomotion.errors import BackendError, UnknownNameError
from safe_locomotion.types import N_JOINTS, LowCommand, LowState

LOW_LEVEL: Final = 0xFF
MODE_SERVO: Final = 0x0A
MODE_DAMPING: Final = 0x00
_V331_LENGTHS: Final = (
    610,
    771,
)  # of compressed LowCmd and LowState; v3.3.1 wants them as arguments
_POLL_S: Final = 0.0002  # a tenth of the wire's period; the module's receive does not wait
_MAX_DRAIN: Final = 64  # datagrams, 0.13 s of states
# Answers of Recv, as observed with the module of v3.8. -1 also means a datagram without frame head.
# That of v3.3.1 empties the socket itself. Neither its answer nor its counters tell an empty socket
# from a wrong checksum. Such states are dropped there, but nobody can count them.
_NOTHING_ARRIVED: Final = -1
_WRONG_CHECKSUM: Final = -3
_MODULES: Final = ("robot_interface", "unitree_legged_sdk.robot_interface")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variant:
    legged_type: str
    tick_unit: str
    origin: str


LOOPBACK = "127.0.0.1"  #: of a simulated robot, whose stamps follow its ticks alone
AUTO: Final = "auto"  #: compare the tick with the clock first, for 0.1 s
VARIANTS: Final = {
    "a1": _Variant(
        legged_type="A1",
        tick_unit="us",
        origin="build it with `make a1-sdk SDK=FOLDER`, where FOLDER is a checkout of"
        " unitree_legged_sdk v3.3.1, and put its folder on PYTHONPATH",
    ),
    "go1": _Variant(
        legged_type="Go1",
        tick_unit=AUTO,  # its header says us, and robots that count ms were seen
        origin="pip install unitree-legged-sdk==3.8.20231105 (Python 3.11), or build the binding"
        " of unitree_legged_sdk v3.8.0",
    ),
}


class LeggedSdk(CommandingBackend):
    """Backend over the vendor's UDP link, on which other commanders are not visible.

    Args:
        robot: `a1` or `go1`; their ticks have different units.
        stop_kd: joint damping of `stop` [Nm s/rad].
        local_port, robot_address, robot_port: the link; the defaults are the vendor's values for
            the motor controller.
        power_level: 1..10 applies the vendor's own limits of power and joint position to each
            command; None does not. The library of the A1 can end the process there, so it has none.
        tick_unit: of the robot's clock, `us` or `ms`, which is checked against ours; `auto` finds
            it in the first 0.1 s, before which no state is handed out; empty is the robot's usual.

    Raises:
        UnknownNameError: another robot.
        BackendError: the module is missing, the port is taken, or the library has no power limit
            that one can rely on.
    """

    def __init__(
        self,
        *,
        robot: str,
        stop_kd: float,
        local_port: int = 8080,
        robot_address: str = "192.168.123.10",
        robot_port: int = 8007,
        power_level: int | None = None,
        tick_unit: str = "",
    ) -> None:
        if robot not in VARIANTS:
            raise UnknownNameError("robot for sdk 'legged_sdk'", robot, VARIANTS)
        if power_level is not None and not 1 <= power_level <= 10:
            raise BackendError(f"power_level must be within 1..10, not {power_level}")
        variant = VARIANTS[robot]
        unit = tick_unit or variant.tick_unit
        if unit not in (*TICK_UNITS, AUTO):
            raise UnknownNameError("tick_unit", unit, (*TICK_UNITS, AUTO))
        self._sdk = _vendor_module(variant)
        _require_free_port(local_port)
        self._v331 = _is_v331(self._sdk)
        if self._v331 and power_level is not None:
            raise BackendError(
                "power_level: the power limit of unitree_legged_sdk v3.3.1 can end this process and"
                " drop the robot; leave it out, the gate's own limits hold"
            )
        self._udp = _open_udp(self._sdk, local_port, robot_address, robot_port, v331=self._v331)
        self._command = self._sdk.LowCmd()
        self._state = self._sdk.LowState()
        self._waiting = self._sdk.LowState()
        self._udp.InitCmdData(self._command)
        self._command.levelFlag = LOW_LEVEL
        self._safety = self._sdk.Safety(getattr(self._sdk.LeggedType, variant.legged_type))
        self._power_level = power_level
        self._damping = stop_command(stop_kd)
        self._tick_unit = TickUnit(TICK_UNITS.get(unit))
        self._clock = TickClock(drift=None if robot_address == LOOPBACK else Drift())
        self._arrived = 0  # datagrams since the last read
        self._tick = 0  # of the last state; 0 before the first
        super().__init__()

    def read(self, timeout_s: float) -> LowState | None:
        """The newest state that was not read before; None after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._drain()
            self._counters.dropped += max(0, self._arrived - 1)
            self._arrived = 0
            self._udp.GetRecv(self._state)
            if self._advance(self._state.tick):
                return self._current()
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)

    def behind_s(self) -> float:
        """See `Backend.behind_s`: the library keeps the newest state for the next read."""
        self._drain()
        self._udp.GetRecv(self._waiting)
        return self._clock.distance_s(self._waiting.tick)

    def greet(self) -> None:
        """Send one packet of damping, because the robot sends states only to a commander."""
        self._commanding = True
        self._send(self._packed_damping())

    def _drain(self) -> None:
        """Receive all waiting datagrams; the library keeps the last valid one.

        Their number is bounded, so that a flood of datagrams cannot delay the control loop.
        """
        if self._v331:
            self._udp.Recv()
            return
        for _ in range(_MAX_DRAIN):
            code = self._udp.Recv()
            if code == _NOTHING_ARRIVED:
                break
            self._counters.crc_errors += code == _WRONG_CHECKSUM
            self._arrived += code >= 0

    def _advance(self, tick: int) -> bool:
        """Whether the library's state is a new one that can be handed out.

        Its tick is 0 before the first datagram.
        """
        if tick in (0, self._tick):
            return False
        self._tick = tick
        tick_ns = self._tick_unit.hear(tick, time.monotonic_ns())
        if tick_ns is None:
            return False
        self._clock.tick_ns = tick_ns
        step = self._clock.update(tick, time.time_ns())
        self._counters.tick_jumps += step in (TickStep.BACKWARD, TickStep.GAP)
        self._counters.received += 1
        self._counters.clock_offset_us = self._clock.offset_us
        return True

    def _current(self) -> LowState:
        state = self._state
        rows = [
            (m.q, m.dq, m.tauEst, m.temperature, m.mode)
            for m in itertools.islice(state.motorState, N_JOINTS)
        ]
        motors = np.array(rows).T
        return LowState(
            stamp_ns=self._clock.stamp_ns,
            tick=self._clock.tick,
            quaternion_wxyz=np.array(state.imu.quaternion, dtype=np.float64),
            gyro=np.array(state.imu.gyroscope, dtype=np.float64),
            accelerometer=np.array(state.imu.accelerometer, dtype=np.float64),
            q=motors[0],
            dq=motors[1],
            tau=motors[2],
            foot_force=np.array(state.footForce, dtype=np.float64),
            temperature=motors[3],
            voltage=_battery_voltage(state),
            remote=bytes(state.wirelessRemote),
            motors_on=all(row[4] == MODE_SERVO for row in rows),
        )

    def _packed(self, command: LowCommand) -> bool | None:
        """Give the library these values, or damping when the power limit trips.

        The library copies, compresses and seals them. Whether it took them is the packet.
        """
        if not is_finite(command):
            return None
        self._fill(command)
        if self._power_level is not None:
            self._apply_vendor_limits(self._power_level)
        return self._compressed()

    def _packed_damping(self) -> bool:
        self._fill(self._damping)
        return self._compressed()

    def _compressed(self) -> bool:
        return bool(self._udp.SetSend(self._command) >= 0)

    def _fill(self, command: LowCommand) -> None:
        columns = (
            command.q.tolist(),
            command.dq.tolist(),
            command.tau.tolist(),
            command.kp.tolist(),
            command.kd.tolist(),
        )
        motors = self._command.motorCmd
        for motor, q, dq, tau, kp, kd in zip(motors, *columns, strict=False):
            motor.mode = MODE_SERVO
            motor.q = q
            motor.dq = dq
            motor.tau = tau
            motor.Kp = kp
            motor.Kd = kd

    def _apply_vendor_limits(self, power_level: int) -> None:
        self._safety.PositionLimit(self._command)
        if self._safety.PowerProtect(self._command, self._state, power_level) < 0:
            self._fill(self._damping)

    def _transmit(self, packet: bool) -> bool:
        return packet and bool(self._udp.Send() > 0)

    def _leave(self) -> None:
        """Switch the motors to the robot's own damping mode and close the link."""
        if self._commanding:
            self._switch_off()
        del self._udp

    def _switch_off(self) -> None:
        for motor in itertools.islice(self._command.motorCmd, N_JOINTS):
            motor.mode = MODE_DAMPING
            motor.q = POS_STOP
            motor.dq = VEL_STOP
            motor.tau = 0.0
            motor.Kp = 0.0
            motor.Kd = 0.0
        self._send(self._compressed())


def _vendor_module(variant: _Variant) -> ModuleType:
    """The module for this robot: that of an A1 does not speak to a Go1."""
    failures = []
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            failures.append(f"{name}: {error}")
            continue
        if hasattr(module.LeggedType, variant.legged_type):
            return module
        failures.append(f"{name}: knows no {variant.legged_type}")
    raise BackendError(
        f"the vendor's module robot_interface cannot be imported ({'; '.join(failures)});"
        f" {variant.origin}"
    )


def _require_free_port(port: int) -> None:
    """Refuse a busy port: the vendor's library would only print a line and receive nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except (OSError, OverflowError) as error:
            raise BackendError(
                f"UDP port {port} cannot be bound ({error}): stop the other program that controls"
                " the robot, or choose another local_port of 1024..65535"
            ) from error


def _is_v331(sdk: ModuleType) -> bool:
    """Whether this is the version for the A1, whose low-level state has no battery."""
    return not hasattr(sdk.LowState(), "bms")


def _open_udp(sdk: ModuleType, local_port: int, address: str, port: int, *, v331: bool) -> Any:
    """Open the link: v3.5 and later take the level first, v3.3.1 takes the packet lengths last."""
    if v331:
        return sdk.UDP(local_port, address, port, *_V331_LENGTHS)
    return sdk.UDP(LOW_LEVEL, local_port, address, port)


def _battery_voltage(state: Any) -> float | None:
    """Sum of the cells [V]; None on an A1, whose low-level state has no battery."""
    cells_mv = getattr(getattr(state, "bms", None), "cell_vol", None)
    return sum(cells_mv) / 1000.0 if cells_mv and any(cells_mv) else None
