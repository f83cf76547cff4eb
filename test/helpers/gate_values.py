"""A gate, what it refuses, and values around its limits, for tests of the gate."""

import math

from core_values import A1, LIMITS, low_command, low_state, stance_plan, verdict

from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.types import LowCommand, LowState, Mode, StancePlan

NOT_FINITE = [math.nan, math.inf, -math.inf]
DAMPED = (Mode.PASSIVE, Mode.FALLEN, Mode.FAULT)
RAMPED = (Mode.STAND_UP, Mode.SIT, Mode.SELF_RIGHT)
DRIVEN = tuple(sorted(set(Mode) - set(DAMPED)))


def gate() -> CommandGate:
    """A fresh gate of the A1."""
    return CommandGate(A1, LIMITS)


def refusal(
    state: LowState | None = None,
    command: LowCommand | None = None,
    *,
    mode: Mode = Mode.WALK,
    plan: StancePlan | None = None,
) -> str:
    """Reason for which a fresh gate refuses; what is not given is in order."""
    return gate().refusal(
        low_state() if state is None else state,
        verdict(mode=mode),
        stance_plan() if plan is None else plan,
        low_command() if command is None else command,
    )


def around(bound: float, side: int) -> tuple[tuple[float, bool], ...]:
    """Values at, just inside, just outside and far outside a bound, and whether each is allowed.

    `side` points outwards: 1 for an upper bound, -1 for a lower one.
    """
    outwards = side * math.inf
    return (
        (bound, True),
        (math.nextafter(bound, -outwards), True),
        (math.nextafter(bound, outwards), False),
        (bound + side * 1e6, False),
        (math.nan, False),
        (side * math.inf, False),
    )
