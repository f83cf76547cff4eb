"""A robot that replays recorded states and stores the commands."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike

from safe_locomotion.backends.backend import Counters, always, is_finite, stop_command
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.backends.log import load_states
from safe_locomotion.errors import BackendError
from safe_locomotion.types import NANOSECONDS, LowCommand, LowState


class Mock:
    """Backend over a list or a log of LowStates.

    Args:
        stop_kd: joint damping of `stop` [Nm s/rad].
        states: the recording; give either this or `path`.
        path: the `.npz` file of the recording (`log.save_states`).
        realtime: return each state at its time, counted from the first read; otherwise at once.

    Attributes:
        commands: all written commands and the damping of `stop`.

    Raises:
        BackendError: not exactly one of `states` and `path`, or an empty recording.
    """

    def __init__(
        self,
        *,
        stop_kd: float,
        states: Sequence[LowState] | None = None,
        path: str | PathLike[str] | None = None,
        realtime: bool = False,
    ) -> None:
        if (states is None) == (path is None):
            raise BackendError(
                "the mock backend replays either `states` or the log at `path`; give one of them"
            )
        recording = load_states(path) if path is not None else states
        if not recording:
            raise BackendError("the mock backend has no state to replay")
        self._states = recording
        self._realtime = realtime
        self._damping = stop_command(stop_kd)
        self._counters = Counters()
        self._next = 0
        self._start_s = 0.0
        self._closed = False
        self.commands: list[LowCommand] = []

    @property
    def counters(self) -> Counters:
        """A copy of the present counters."""
        return replace(self._counters)

    def read(self, timeout_s: float) -> LowState | None:
        """The next state of the recording, or in real time the newest one that is due.

        Returns:
            None after `timeout_s` without a state, and always at the end of the recording.
        """
        if self._next == 0:
            self._start_s = time.monotonic()
        wait_s = self._due_in_s(self._next)
        if wait_s > timeout_s:
            time.sleep(max(0.0, timeout_s))
            return None
        time.sleep(max(0.0, wait_s))
        while self._realtime and self._due_in_s(self._next + 1) <= 0.0:
            self._next += 1
            self._counters.dropped += 1
        self._next += 1
        self._counters.received += 1
        return self._states[self._next - 1]

    def _due_in_s(self, index: int) -> float:
        if index >= len(self._states):
            return float("inf")
        if not self._realtime:
            return 0.0
        age_s = (self._states[index].stamp_ns - self._states[0].stamp_ns) / NANOSECONDS
        return self._start_s + age_s - time.monotonic()

    def behind_s(self) -> float:
        """Nothing waits: a recording is read as it is due."""
        return 0.0

    def write(self, command: LowCommand, fresh: Callable[[], bool] = always) -> bool:
        """Store a command that is fresh, or damping when a number is not finite."""
        if not is_finite(command):
            self._counters.nonfinite_commands += 1
            command = replace(self._damping, stamp_ns=command.stamp_ns, reason="nonfinite")
        if not fresh():
            return False
        self.commands.append(command)
        self._counters.written += 1
        return True

    def listen(self, listen_s: float) -> Commanders:
        """Find nobody."""
        return Commanders()

    def greet(self) -> None:
        """Do nothing."""
        return None

    def stop(self) -> None:
        """Store damping, unless no command was ever written."""
        if self.commands:
            self.commands.append(self._damping)

    def close(self) -> None:
        """Stop; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self.stop()
