"""The robot at the end of the control loop: reads its states, answers them while active, and never leaves it without damping.

All calls happen on the control thread. There is no ROS in here.
"""

from collections.abc import Callable
from time import monotonic, perf_counter, sleep

from safe_locomotion.backends.backend import Backend
from safe_locomotion.types import LowCommand, LowState

CLOSED_PAUSE_S = 0.02


class RobotLink:
    """One backend: closed, open (read-only) or active (every LowState is answered)."""

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        respond: Callable[[LowState], LowCommand],
        damp: Callable[[LowState], LowCommand],
        *,
        silence_s: float,
        damping_s: float,
        clock: Callable[[], float] = monotonic,
        sent: Callable[[LowState, LowCommand, float], None] | None = None,
        silent: Callable[[], None] | None = None,
    ) -> None:
        """Start closed.

        Args:
            open_backend: opens the link to the robot.
            respond: command for a LowState; runs whether or not its answer is sent, so that a link becomes active on warm stages.
            damp: damping for a LowState.
            silence_s: after this long without a LowState an active link commands damping [s].
            damping_s: how long damping is repeated before an active link goes quiet [s].
            sent: told of each answer when the transport has it, and of the time since its LowState was there [s].
            silent: told of each wait for a LowState that was in vain.
        """
        self._open_backend = open_backend
        self._respond = respond
        self._damp = damp
        self._silence_s = silence_s
        self._damping_s = damping_s
        self._clock = clock
        self._sent = sent
        self._silent = silent
        self._ahead: LowState | None = None
        self.backend: Backend | None = None
        self.active = False
        self.silences = 0

    def open(self) -> None:
        """Open the backend, read-only."""
        if self.backend is None:
            self.backend = self._open_backend()

    def look(self, timeout_s: float) -> LowState | None:
        """The LowState that the next `step` will answer, read ahead; None where none came in time."""
        if self.backend is not None and self._ahead is None:
            self._ahead = self.backend.read(timeout_s)
        return self._ahead

    def activate(self) -> None:
        """Answer LowStates from now on."""
        self.active = self.backend is not None

    def step(self) -> None:
        """Wait for one LowState and answer it."""
        backend = self.backend
        if backend is None:
            sleep(CLOSED_PAUSE_S)
            return
        state = self._ahead or backend.read(self._silence_s)
        self._ahead = None
        if state is None:
            self._be_silent(backend)
            return
        start = perf_counter()
        command = self._respond(state)
        if not self.active:
            return
        backend.write(command)
        if self._sent is not None:
            self._sent(state, command, perf_counter() - start)

    def _be_silent(self, backend: Backend) -> None:
        self.silences += 1
        if self.active:
            backend.stop()
        if self._silent is not None:
            self._silent()

    def deactivate(self) -> None:
        """Damp for a while, then write nothing any more."""
        backend = self.backend
        was_active = self.active
        self.active = False
        if backend is None or not was_active:
            return
        end = self._clock() + self._damping_s
        backend.stop()
        while self._clock() < end:
            state = backend.read(self._silence_s)
            if state is None:
                backend.stop()
            else:
                backend.write(self._damp(state))
        backend.stop()

    def close(self) -> None:
        """Damp if active, then close the backend, whatever goes wrong on the way."""
        try:
            self.deactivate()
        finally:
            backend = self.backend
            self.backend = None
            self._ahead = None
            if backend is not None:
                backend.close()
