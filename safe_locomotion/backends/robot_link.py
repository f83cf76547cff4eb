"""The robot at the end of the control loop: its states in, commands out, and damping at the end.

The link never leaves an active robot without damping. All calls happen on the control thread.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic, sleep

from safe_locomotion.backends.backend import STOP_PERIOD_S, STOP_REPEATS, Backend
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.types import LowCommand, LowState

CLOSED_PAUSE_S = 0.02
SETTLE_S = 0.006
"""After a pause the transport hands over the states that it kept, within this time; our choice [s].
A socket keeps about 200 of them."""
MOST_BEHIND_S = 0.02
"""A state is old when one waits that is this much newer, in robot time [s]; our choice.
Motors may move on a state this old, whatever the clock of the machine says."""
STOP_S = STOP_REPEATS * STOP_PERIOD_S
STATE_OLD = "state_old"  #: reason of damping instead of a late answer


class RobotLink:
    """One backend: closed, open (read-only) or active (commands are sent).

    A control loop reads, answers and writes, whether or not the link is active. So a link becomes
    active on warm stages.

    Attributes:
        backend: the open backend; None while the link is closed.
        active: whether commands are sent.
        silences: how many reads ended without a LowState.
        late: how many answers were replaced by damping, because their LowState was old.
    """

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        damp: Callable[[LowState], LowCommand],
        *,
        silence_s: float,
        age_s: float,
        damping_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start closed.

        Args:
            open_backend: opens the link to the robot.
            damp: the damping command for a LowState.
            silence_s: after this long without a LowState an active link commands damping [s].
            age_s: an older LowState is not answered but damped [s]; infinite if the robot waits.
            damping_s: how long damping is repeated before an active link goes quiet [s].
            clock: steady clock, which goes on while the process is stopped [s].
        """
        self._open_backend = open_backend
        self._damp = damp
        self._silence_s = silence_s
        self._age_s = age_s
        self._damping_s = damping_s
        self._clock = clock
        self._ahead: LowState | None = None
        self._state: LowState | None = None
        self._read_s = clock()
        self._trusted_s = float("-inf")
        self.backend: Backend | None = None
        self.active = False
        self.silences = 0
        self.late = 0

    def open(self) -> None:
        """Open the backend, read-only."""
        if self.backend is None:
            self.backend = self._open_backend()

    def look(self, timeout_s: float) -> LowState | None:
        """Wait for the LowState that the next `read` returns; None if none came in time."""
        if self.backend is not None and self._ahead is None:
            self._ahead = self.backend.read(timeout_s)
        return self._ahead

    def listen(self, listen_s: float) -> Commanders:
        """Other programs that command this robot; listens for this long [s] and writes nothing."""
        return Commanders() if self.backend is None else self.backend.listen(listen_s)

    def activate(self) -> None:
        """Send commands from now on; a closed link stays inactive."""
        self.active = self.backend is not None
        self._read_s = self._clock()

    def read(self) -> LowState | None:
        """Wait for the next LowState; None when the link is closed or the robot is silent.

        While the robot is silent, an active link commands damping.
        """
        backend = self.backend
        if backend is None:
            sleep(CLOSED_PAUSE_S)
            return None
        state = self._ahead or backend.read(self._silence_s)
        self._ahead = None
        self._state = state
        self._note_pause()
        if state is None:
            self.silences += 1
            if self.active:
                backend.stop()
                # What `stop` takes by itself is no pause.
                self._read_s = min(self._clock(), self._read_s + STOP_S)
        return state

    def _note_pause(self) -> None:
        """Trust no LowState for a while after this process stood still.

        The transport kept the states of the pause, and hands over the oldest of them first.
        """
        now = self._clock()
        if not now - self._read_s <= self._silence_s + self._age_s:
            self._trusted_s = now + SETTLE_S
        self._read_s = now

    def write(self, command: LowCommand) -> float | None:
        """Send the answer to the LowState that was read last, if the link is active.

        The backend asks for the age of that LowState when only the call of the transport is left.
        If it is old by then, damping is sent instead. If it became old in that call, damping
        follows at once. It is old after `age_s`, or when a state waits that is `MOST_BEHIND_S`
        newer.

        Returns:
            Time from the LowState until the transport has its answer [s]; None if nothing was sent.
        """
        backend = self.backend
        state = self._state
        if backend is None or not self.active or state is None:
            return None
        fresh = partial(self._fresh, backend)
        if not (backend.write(command, fresh) and fresh()):
            return self._damp_late(backend, state)
        return self._clock() - self._read_s

    def _fresh(self, backend: Backend) -> bool:
        """Whether the last LowState may still be answered, by robot time and then by our clock.

        A newer state that waits tells of a pause which the clock's bounds may have let through.
        More of its states may be on the way, so none is trusted until the transport is drained.
        """
        if not backend.behind_s() <= MOST_BEHIND_S:
            self._trusted_s = self._clock() + SETTLE_S
        return self._trusted_s <= self._read_s and self._clock() - self._read_s <= self._age_s

    def _damp_late(self, backend: Backend, state: LowState) -> float:
        self.late += 1
        backend.write(replace(self._damp(state), reason=STATE_OLD))
        return self._clock() - self._read_s

    def deactivate(self) -> None:
        """Damp for a while, then send nothing any more."""
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
        """Damp if active, then close the backend, also when damping fails."""
        try:
            self.deactivate()
        finally:
            backend = self.backend
            self.backend = None
            self._ahead = None
            if backend is not None:
                backend.close()
