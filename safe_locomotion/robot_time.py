"""Lower rates out of the stamps of LowStates."""


class Divider:
    """Says which stamps are due at a lower rate: the first in each period. Every process agrees without counting messages."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._bucket: int | None = None

    def pace(self, period_ns: int, stamp_ns: int) -> None:
        """Take another period (0: keep the present one), counted as if `stamp_ns` had been due under it."""
        if period_ns not in (0, self._period_ns):
            self._period_ns = period_ns
            self._bucket = stamp_ns // period_ns

    def due(self, stamp_ns: int) -> bool:
        """Whether `stamp_ns` is the first seen in its period."""
        bucket = stamp_ns // self._period_ns
        due = bucket != self._bucket
        self._bucket = bucket
        return due
