"""Base of backends that send commands: whatever happens, the last command is damping."""

import atexit
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from safe_locomotion.backends.backend import STOP_PERIOD_S, STOP_REPEATS, Counters, always
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.types import LowCommand


class CommandingBackend(ABC):
    """`write`, `stop` and `close` of a backend; the subclass provides the link."""

    def __init__(self) -> None:
        """Call when the link is open."""
        self._counters = Counters()
        self._stops = 0
        self._commanding = False
        self._closed = False
        # An uncaught exception must not leave the robot with its last command.
        atexit.register(self.close)

    @abstractmethod
    def _packed(self, command: LowCommand) -> Any | None:
        """Packet of a command, ready to be sent; None when a number is not finite."""

    @abstractmethod
    def _packed_damping(self) -> Any:
        """Packet of damping, ready to be sent; any thread may call this."""

    @abstractmethod
    def _transmit(self, packet: Any) -> bool:
        """Give a packet to the transport, and do nothing else; False when it is refused."""

    @abstractmethod
    def _leave(self) -> None:
        """Close the link; called once, after the damping."""

    @property
    def counters(self) -> Counters:
        """A copy of the present counters."""
        return replace(self._counters)

    def write(self, command: LowCommand, fresh: Callable[[], bool] = always) -> bool:
        """Send a command, or damping when a number is not finite.

        When `stop` comes during the call, the last packet is damping.

        Args:
            command: what the motors shall do.
            fresh: asked between the packing and the call of the transport.

        Returns:
            Whether it was fresh; otherwise nothing was sent.
        """
        stops = self._stops
        packet = self._packed(command)
        if packet is None:
            self._counters.nonfinite_commands += 1
            packet = self._packed_damping()
        if stops != self._stops:
            self._counters.refused_commands += 1
            return True
        self._commanding = True
        if not fresh():
            return False
        self._send(packet)
        if stops != self._stops:  # stop came between the test and the send
            self._send(self._packed_damping())
        return True

    def listen(self, listen_s: float) -> Commanders:
        """Find nobody: this link does not show others."""
        return Commanders()

    def greet(self) -> None:
        """Do nothing: most robots send states without a request."""
        return None

    def _send(self, packet: Any) -> None:
        if self._transmit(packet):
            self._counters.written += 1
        else:
            self._counters.write_failures += 1

    def stop(self) -> None:
        """Send damping ten times in 20 ms, unless no command was ever sent."""
        self._stops += 1
        if not self._commanding:
            return
        for _ in range(STOP_REPEATS):
            self._send(self._packed_damping())
            time.sleep(STOP_PERIOD_S)

    def close(self) -> None:
        """Stop and close the link; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.stop()
        self._leave()
