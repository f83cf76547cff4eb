"""The robot at the end of the control loop: reads its states, answers them while active, and never leaves it without damping.

All calls happen on the control thread. There is no ROS in here.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Protocol

from safe_locomotion.types import LowCommand, LowState

IDLE_S = 0.02


class Backend(Protocol):
    """The four methods every robot SDK is reduced to."""

    def read(self, timeout_s: float) -> LowState | None:
        """Next LowState, or None after `timeout_s`."""
        ...

    def write(self, command: LowCommand) -> None:
        """Send one command."""
        ...

    def stop(self) -> None:
        """Send one damping command."""
        ...

    def close(self) -> None:
        """Free the link."""
        ...


class RobotLink:
    """One backend, closed, open (read-only) or active (answers every LowState)."""

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        respond: Callable[[LowState], LowCommand],
        observe: Callable[[LowState], None],
        *,
        silence_s: float,
        damping_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start closed.

        Args:
            open_backend: opens the link to the robot.
            respond: command for a LowState, called only while active.
            observe: told every LowState, active or not, before `respond`.
            silence_s: after this long without a LowState an active link commands damping [s].
            damping_s: how long damping is repeated before an active link goes quiet [s].
        """
        self._open_backend, self._respond, self._observe = open_backend, respond, observe
        self._silence_s, self._damping_s, self._clock = silence_s, damping_s, clock
        self._backend: Backend | None = None
        self.active = False
        self.silences = 0

    @property
    def is_open(self) -> bool:
        """A backend is there to read from."""
        return self._backend is not None

    def open(self) -> None:
        """Open the backend, read-only."""
        if self._backend is None:
            self._backend = self._open_backend()

    def activate(self) -> None:
        """Answer LowStates from now on."""
        self.active = self._backend is not None

    def step(self) -> LowCommand | None:
        """Wait for one LowState and answer it; the command that was written, if any."""
        if self._backend is None:
            sleep(IDLE_S)
            return None
        state = self._backend.read(self._silence_s)
        if state is None:
            self._silent()
            return None
        self._observe(state)
        if not self.active:
            return None
        command = self._respond(state)
        self._backend.write(command)
        return command

    def _silent(self) -> None:
        self.silences += 1
        if self.active and self._backend is not None:
            self._backend.stop()

    def deactivate(self) -> None:
        """Damp for a while, then write nothing any more."""
        if not self.active or self._backend is None:
            return
        self.active = False
        end = self._clock() + self._damping_s
        self._backend.stop()
        while self._clock() < end:
            state = self._backend.read(self._silence_s)
            if state is not None:
                self._observe(state)
            self._backend.stop()

    def close(self) -> None:
        """Damp if active, then close the backend, whatever goes wrong on the way."""
        try:
            self.deactivate()
        finally:
            self.active, backend, self._backend = False, self._backend, None
            if backend is not None:
                backend.close()
