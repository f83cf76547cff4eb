"""Lower rates, derived from the stamps of LowStates."""


class Divider:
    """Says which stamps are due at a lower rate: the first one in each period.

    All processes agree on them without counting messages.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._bucket: int | None = None

    def pace(self, period_ns: int, stamp_ns: int) -> None:
        """Change the period, as if `stamp_ns` had been due under the new one.

        Args:
            period_ns: new period; 0 keeps the present one.
            stamp_ns: of the present LowState.
        """
        if period_ns not in (0, self._period_ns):
            self._period_ns = period_ns
            self._bucket = stamp_ns // period_ns

    def due(self, stamp_ns: int) -> bool:
        """Whether `stamp_ns` is the first one seen in its period."""
        bucket = stamp_ns // self._period_ns
        due = bucket != self._bucket
        self._bucket = bucket
        return due
