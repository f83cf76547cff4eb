"""Robots that speak Unitree SDK2 (Go2, and the package's simulated robots) over DDS."""

import atexit
import time
from dataclasses import replace
from typing import Final

from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_

from safe_locomotion.backends.backend import STOP_PERIOD_S, STOP_REPEATS, Counters, damping_command
from safe_locomotion.backends.dds import LOOPBACK, SIMULATION_DOMAIN, RawReader, RawWriter, join_domain
from safe_locomotion.backends.motion_switcher import release_motion_service
from safe_locomotion.backends.sdk2_codec import LowCommandCodec, LowStateCodec
from safe_locomotion.backends.tick_clock import TickClock, TickStep
from safe_locomotion.types import LowCommand, LowState

STATE_TOPIC: Final = "rt/lowstate"
COMMAND_TOPIC: Final = "rt/lowcmd"
_FOREIGN_CHECK_EVERY: Final = 25  # reads, 50 ms


class UnitreeSdk2:
    """Backend over `rt/lowstate` and `rt/lowcmd`.

    Args:
        stop_kd: joint damping of `stop` [Nm s/rad].
        domain: DDS domain; 0 on a robot, 1 on the simulator.
        interface: the one network interface to use.
        echo_tick: write the tick of the answered state into the spare word of each command, for a simulator in lock-step.
            None: only on the loopback interface, so that a robot gets the word as the vendor sends it, 0.
        check_crc: ignore states whose checksum is wrong.
        release_motion: first lay a real robot down and release its own motion service, which commands the same motors.

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
        check_crc: bool = True,
        release_motion: bool = False,
    ) -> None:
        self._states, self._commands = LowStateCodec(), LowCommandCodec()
        self._counters, self._clock = Counters(), TickClock()
        self._echo_tick = interface == LOOPBACK if echo_tick is None else echo_tick
        self._check_crc = check_crc
        self._damping = self._commands.encode(damping_command(stop_kd))
        if self._damping is None:
            raise ValueError(f"stop_kd must be finite, not {stop_kd}")
        self._stops, self._commanding, self._closed = 0, False, False
        if release_motion:
            release_motion_service(domain, interface)
        participant = join_domain(domain, interface)
        self._reader = RawReader(participant, STATE_TOPIC, LowState_)
        self._foreign = RawReader(participant, COMMAND_TOPIC, LowCmd_, ignore_own=True)
        self._writer = RawWriter(participant, COMMAND_TOPIC, LowCmd_)
        self._participant = participant
        self._reads = 0
        atexit.register(self.close)  # an exception nobody caught must not leave the robot on its last command

    @property
    def counters(self) -> Counters:
        """A copy of the counters as they stand."""
        return replace(self._counters)

    def read(self, timeout_s: float) -> LowState | None:
        """The newest state not read before; None after `timeout_s` without one."""
        deadline = time.monotonic() + timeout_s
        self._reads += 1
        if self._reads % _FOREIGN_CHECK_EVERY == 0:
            self._look_for_foreign_commands()
        while self._reader.wait(deadline - time.monotonic()):
            state = self._newest(self._reader.take())
            if state is not None:
                return state
        return None

    def _newest(self, samples: list[bytes]) -> LowState | None:
        """The last of the samples that is sound and new; the rest is counted."""
        while samples:
            state = self._accept(samples.pop())
            if state is not None:
                self._counters.dropped += len(samples)
                return state
        return None

    def _accept(self, raw: bytes) -> LowState | None:
        counters = self._counters
        tick = self._states.load(raw, self._check_crc)
        if tick == "size":
            counters.malformed += 1
        elif tick == "crc":
            counters.crc_errors += 1
        else:
            step = self._clock.update(tick, time.time_ns())
            if step is not TickStep.REPEAT:
                counters.received += 1
                counters.tick_jumps += step in (TickStep.BACKWARD, TickStep.GAP)
                return self._states.state(self._clock.stamp_ns)
            counters.repeated_ticks += 1
        return None

    def _look_for_foreign_commands(self) -> None:
        self._counters.foreign_commands += len(self._foreign.take())
        self._counters.foreign_publishers = self._foreign.matched_publishers()

    def write(self, command: LowCommand) -> None:
        """Send a command; damping in its place where a number is not finite or `stop` came while it was on its way."""
        stops = self._stops
        raw = self._commands.encode(command, self._clock.tick_of(command.stamp_ns) if self._echo_tick else 0)
        if raw is None:
            self._counters.nonfinite_commands += 1
            raw = self._damping
        if stops != self._stops:
            self._counters.refused_commands += 1
            return
        self._commanding = True
        self._send(raw)
        if stops != self._stops:  # stop ran between the test and the send: the last word must be damping
            self._send(self._damping)

    def _send(self, raw: bytes | None) -> None:
        if raw is not None and self._writer.write(raw):
            self._counters.written += 1
        else:
            self._counters.write_failures += 1

    def stop(self) -> None:
        """Damping ten times in 20 ms, where a command was ever sent."""
        self._stops += 1
        if not self._commanding:
            return
        for _ in range(STOP_REPEATS):
            self._send(self._damping)
            time.sleep(STOP_PERIOD_S)

    def close(self) -> None:
        """Stop, then leave the domain."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.stop()
        del self._reader, self._foreign, self._writer, self._participant
