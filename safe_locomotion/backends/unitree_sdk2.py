"""Robots that speak Unitree SDK2 (Go2, and the package's simulated robots) over DDS."""

import time
from dataclasses import replace
from typing import Final

from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_

from safe_locomotion.backends.backend import stop_command
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.backends.commanding import CommandingBackend
from safe_locomotion.backends.dds import (
    LOOPBACK,
    SIMULATION_DOMAIN,
    RawReader,
    RawWriter,
    join_domain,
)
from safe_locomotion.backends.motion_switcher import release_motion_service
from safe_locomotion.backends.sdk2_codec import LowCommandCodec, LowStateCodec
from safe_locomotion.backends.tick_clock import (
    MILLISECOND_TICK_NS,
    TICK_MODULUS,
    Drift,
    TickClock,
    TickStep,
)
from safe_locomotion.errors import BackendError, UnknownNameError
from safe_locomotion.types import LowCommand, LowState

STATE_TOPIC: Final = "rt/lowstate"
COMMAND_TOPIC: Final = "rt/lowcmd"
_COUNT_PUBLISHERS_EVERY: Final = 25  # reads; 50 ms
_DISCOVERY_S: Final = 0.5  # longest wait for a robot that may start later
_DISCOVERY_LOOK_S: Final = 0.005
TOLERABLE = ("crc", "tick", "mode")
"""What the vendor's simulator leaves out: the checksum, the robot's clock and the motors' mode."""


class UnitreeSdk2(CommandingBackend):
    """Backend over `rt/lowstate` and `rt/lowcmd`.

    Args:
        stop_kd: joint damping of `stop` [Nm s/rad].
        domain: DDS domain; 0 on a robot, 1 on the simulator.
        interface: the only network interface that is used.
        echo_tick: write the tick of the answered state into the spare word of each command, for
            a simulator in lock-step. None does so only on the loopback interface; a robot gets
            0, as from the vendor's SDK.
        tolerate: what a simulator may leave out of its states, some of `TOLERABLE` joined by
            commas. Only on the loopback interface: a robot leaves nothing out.
        release_motion: first lay a real robot down and release its own motion service, which
            would command the same motors.

    Raises:
        BackendError: unknown or busy interface or domain, or a motion service that stays.
    """

    def __init__(
        self,
        *,
        stop_kd: float,
        domain: int = SIMULATION_DOMAIN,
        interface: str = LOOPBACK,
        echo_tick: bool | None = None,
        tolerate: str = "",
        release_motion: bool = False,
    ) -> None:
        self._states = LowStateCodec()
        self._commands = LowCommandCodec()
        self._clock = TickClock(drift=None if interface == LOOPBACK else Drift())
        self._echo_tick = interface == LOOPBACK if echo_tick is None else echo_tick
        self._tolerated = _tolerated(tolerate, interface)
        damping = self._commands.encode(stop_command(stop_kd))
        if damping is None:
            raise ValueError(f"stop_kd must be finite, not {stop_kd}")
        self._damping = damping
        if release_motion:
            release_motion_service(domain, interface)
        participant = join_domain(domain, interface)
        self._reader = RawReader(participant, STATE_TOPIC, LowState_)
        self._foreign = RawReader(participant, COMMAND_TOPIC, LowCmd_, ignore_own=True)
        self._writer = RawWriter(participant, COMMAND_TOPIC, LowCmd_)
        self._participant = participant
        self._waiting: list[bytes] = []  # taken by a look since the last read
        self._reads = 0
        super().__init__()

    def read(self, timeout_s: float) -> LowState | None:
        """The newest state that was not read before; None after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        self._reads += 1
        if self._reads % _COUNT_PUBLISHERS_EVERY == 0:
            self._counters.foreign_publishers = self._foreign.matched_publishers()
            self._counters.state_sources = self._reader.matched_publishers()
        state = None
        if self._waiting:
            state = self._newest(self._waiting + self._reader.take())
            self._waiting = []
        while state is None and self._reader.wait(deadline - time.monotonic()):
            state = self._newest(self._reader.take())
        # After the wait, so that the answer to this very state can be damping.
        self._counters.foreign_commands += len(self._foreign.take())
        return state

    def behind_s(self) -> float:
        """See `Backend.behind_s`. The checksum is not looked at, for the sake of speed.

        So a spoiled state counts too, and its tick may be any number. That errs towards damping.
        """
        if "tick" in self._tolerated:
            return 0.0
        self._waiting += self._reader.take()
        for raw in reversed(self._waiting):
            tick = self._states.tick_in(raw)
            if tick is not None:
                return self._clock.distance_s(tick)
        return 0.0

    def listen(self, listen_s: float) -> Commanders:
        """Find other commanders; the first command of one ends the wait.

        The time counts from where the robot is connected: then the others have heard of us too.
        Without a robot it counts from `_DISCOVERY_S` on.
        """
        end = time.monotonic() + _DISCOVERY_S
        while self._reader.matched_publishers() == 0 and time.monotonic() < end:
            time.sleep(_DISCOVERY_LOOK_S)
        self._foreign.wait(listen_s)
        return Commanders(
            commands=len(self._foreign.take()),
            publishers=self._foreign.matched_publishers(),
            state_sources=self._reader.matched_publishers(),
        )

    def _newest(self, samples: list[bytes]) -> LowState | None:
        """State of the newest sample that is valid and new; the others are counted."""
        while samples:
            state = self._accept(samples.pop())
            if state is not None:
                self._counters.dropped += len(samples)
                return state
        return None

    def _accept(self, raw: bytes) -> LowState | None:
        counters = self._counters
        tick = self._states.load(raw, check_crc="crc" not in self._tolerated)
        if tick == "size":
            counters.malformed += 1
        elif tick == "crc":
            counters.crc_errors += 1
        else:
            if "tick" in self._tolerated:
                tick = time.monotonic_ns() // MILLISECOND_TICK_NS % TICK_MODULUS
            step = self._clock.update(tick, time.time_ns())
            if step is not TickStep.REPEAT:
                counters.received += 1
                counters.tick_jumps += step in (TickStep.BACKWARD, TickStep.GAP)
                counters.clock_offset_us = self._clock.offset_us
                return self._state()
            counters.repeated_ticks += 1
        return None

    def _state(self) -> LowState:
        state = self._states.state(self._clock.stamp_ns)
        if "mode" in self._tolerated:
            return replace(state, motors_on=None)
        return state

    def _packed(self, command: LowCommand) -> bytes | None:
        return self._commands.encode(
            command, self._clock.tick_of(command.stamp_ns) if self._echo_tick else 0
        )

    def _packed_damping(self) -> bytes:
        return self._damping

    def _transmit(self, packet: bytes) -> bool:
        return self._writer.write(packet)

    def _leave(self) -> None:
        del self._reader, self._foreign, self._writer, self._participant


def _tolerated(text: str, interface: str) -> frozenset[str]:
    """The words of an option `tolerate`.

    Raises:
        UnknownNameError: a word is not in `TOLERABLE`.
        BackendError: something is to be tolerated from a robot.
    """
    words = frozenset(text.replace(",", " ").split())
    for word in sorted(words - {*TOLERABLE}):
        raise UnknownNameError("what tolerate may hold", word, TOLERABLE)
    if words and interface != LOOPBACK:
        raise BackendError(
            f"tolerate: only a simulator on the interface {LOOPBACK} may leave out"
            f" {', '.join(sorted(words))}, and this is {interface}"
        )
    return words
