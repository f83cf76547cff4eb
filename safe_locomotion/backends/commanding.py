"""What backends that send commands have in common: whatever happens, the last thing they say is damping."""

import atexit
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from safe_locomotion.backends.backend import STOP_PERIOD_S, STOP_REPEATS, Counters
from safe_locomotion.types import LowCommand


class CommandingBackend(ABC):
    """`write`, `stop` and `close` of a backend; the link itself is the subclass's."""

    def __init__(self) -> None:
        """Call when the link is open."""
        self._counters = Counters()
        self._stops = 0
        self._commanding = False
        self._closed = False
        atexit.register(
            self.close
        )  # an exception nobody caught must not leave the robot on its last command

    @abstractmethod
    def _packed(self, command: LowCommand) -> Any | None:
        """What the transport sends for a command; None where a number is not finite."""

    @abstractmethod
    def _packed_damping(self) -> Any:
        """What the transport sends for damping; called from any thread."""

    @abstractmethod
    def _transmit(self, packet: Any) -> bool:
        """Hand a packet to the transport; False where it refuses."""

    @abstractmethod
    def _leave(self) -> None:
        """Close the link; called once, after damping."""

    @property
    def counters(self) -> Counters:
        """A copy of the counters as they stand."""
        return replace(self._counters)

    def write(self, command: LowCommand) -> None:
        """Send a command; damping in its place where a number is not finite or `stop` came while it was on its way."""
        stops = self._stops
        packet = self._packed(command)
        if packet is None:
            self._counters.nonfinite_commands += 1
            packet = self._packed_damping()
        if stops != self._stops:
            self._counters.refused_commands += 1
            return
        self._commanding = True
        self._send(packet)
        if (
            stops != self._stops
        ):  # stop ran between the test and the send: the last word must be damping
            self._send(self._packed_damping())

    def greet(self) -> None:
        """Say nothing: most robots report unasked."""
        return None

    def _send(self, packet: Any) -> None:
        if self._transmit(packet):
            self._counters.written += 1
        else:
            self._counters.write_failures += 1

    def stop(self) -> None:
        """Damping ten times in 20 ms, where a command was ever sent."""
        self._stops += 1
        if not self._commanding:
            return
        for _ in range(STOP_REPEATS):
            self._send(self._packed_damping())
            time.sleep(STOP_PERIOD_S)

    def close(self) -> None:
        """Stop, then close the link; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.stop()
        self._leave()
