"""Fault latch: the bridge's own memory of a FAULT, which no verdict can clear.

The supervisor latches faults too. But verdicts come over a topic that others can write to, and the
bridge is the last hop. So it remembers by itself, and only its own `reset` makes it forget.
"""

from collections.abc import Iterable

from safe_locomotion.safety.hazards import HAZARDS, Severity
from safe_locomotion.types import DAMPED, Mode, Verdict

NOT_RESET = frozenset({"not_reset"})
JUMP = frozenset({"state_jump"})
NOTHING: frozenset[str] = frozenset()


class FaultLatch:
    """Holds the hazard `not_reset` from the first FAULT until `reset`.

    Attributes:
        causes: hazards of severity FAULT that latched it, for a message; may be empty.
        latched: whether commands that move the robot must be refused.
    """

    def __init__(self) -> None:
        self.latched = False
        self.causes: frozenset[str] = NOTHING
        self._reset_ns = -1
        self._mode: Mode | None = None  # of the last verdict

    @property
    def hazards(self) -> frozenset[str]:
        """What the gate is told: `not_reset` while latched."""
        return NOT_RESET if self.latched else NOTHING

    def report(self, hazards: frozenset[str]) -> None:
        """Take the hazards that the bridge itself sees.

        As for the supervisor, a jump in time means nothing while the robot is damped: it may be
        switched off and on, and activation waits for other commanders.
        """
        if hazards:
            faults = _faults(hazards)
            if self._mode is None or self._mode in DAMPED:
                faults -= JUMP
            self._hold(bool(faults), faults)

    def hear(self, verdict: Verdict) -> None:
        """Take a verdict; one in FAULT latches, unless it was made before the reset."""
        self._mode = verdict.mode
        self._hold(
            verdict.mode is Mode.FAULT and verdict.stamp_ns > self._reset_ns, verdict.reasons
        )

    def _hold(self, fault: bool, causes: Iterable[str]) -> None:
        if fault:
            self.latched = True
            self.causes |= _faults(causes)

    def reset(self, stamp_ns: int) -> None:
        """Forget, until a hazard or a verdict on a later state latches again.

        The supervisor resets first and the bridge afterwards. A verdict of before may still be
        under way then.

        Args:
            stamp_ns: of the newest LowState.
        """
        self.latched = False
        self.causes = NOTHING
        self._reset_ns = stamp_ns


def _faults(names: Iterable[str]) -> frozenset[str]:
    """Those of severity FAULT; a name that is no hazard is none."""
    return frozenset(
        name for name in names if name in HAZARDS and HAZARDS[name].severity is Severity.FAULT
    )
