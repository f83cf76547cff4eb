"""Frames that may fail: one broken picture does not end the viewer, a hundred in a row do.

The library's buffers are shared between threads, and a frame that meets a new connection can fail
in them. The next frame shows everything anew.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from diagnostic_msgs.msg import DiagnosticStatus

from safe_locomotion.errors import one_line
from safe_locomotion.nodes.health import OK, WARN, status

MOST_IN_A_ROW = 100  #: failures, 5 s at 20 frames per second
SHOWN = 200  #: characters of an error


class Guarded:
    """Attempts of one kind, with a count of those that failed.

    Attributes:
        failures: how many failed since the start.
    """

    def __init__(self, name: str, say: Callable[[str], object]) -> None:
        """No attempt yet.

        Args:
            name: of the row of the diagnostics.
            say: is told of the first failure of each row of failures.
        """
        self._name = name
        self._say = say
        self._in_a_row = 0
        self._last = ""
        self.failures = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Swallow and count an error, until `MOST_IN_A_ROW` attempts have failed."""
        try:
            yield
        except Exception as error:
            self.failures += 1
            self._in_a_row += 1
            self._last = one_line(f"{type(error).__name__}: {error}", SHOWN)
            if self._in_a_row >= MOST_IN_A_ROW:
                raise
            if self._in_a_row == 1:
                self._say(f"{self._name}: {self._last}")
        else:
            self._in_a_row = 0

    def status(self) -> DiagnosticStatus:
        """Row of the diagnostics message."""
        values = {"failed": self.failures, "last": self._last or "none"}
        level = WARN if self._in_a_row else OK
        return status(self._name, level, f"{self.failures} failed", values)
