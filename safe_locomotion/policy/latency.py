"""How long a policy computes: the bound, measured by the processor time of the calling thread.

Processor time does not count what other programs take, so a busy machine judges as an idle one.
"""

from collections.abc import Callable
from statistics import median
from time import thread_time

from safe_locomotion.policy.refusal import refuse

LATENCY_MAX_MS = 0.5  #: median of a step: a quarter of the time between two LowStates
STEPS = 200
LONGEST_S = 0.5  #: of the measurement; a step that takes longer is measured once


def step_ms(step: Callable[[], object], clock: Callable[[], float] = thread_time) -> float:
    """Median time of a step [ms], after one step that warms up.

    Args:
        step: of the policy.
        clock: time [s].
    """
    step()
    start = before = clock()
    spent: list[float] = []
    while len(spent) < STEPS and before - start < LONGEST_S:
        step()
        now = clock()
        spent.append(1e3 * (now - before))
        before = now
    return median(spent)


def require_quick(step: Callable[[], object], clock: Callable[[], float] = thread_time) -> None:
    """Refuse a policy whose step takes too long.

    Raises:
        PolicyRefusedError: the median is above `LATENCY_MAX_MS`.
    """
    found = step_ms(step, clock)
    if not found <= LATENCY_MAX_MS:
        raise refuse("latency", f"a median of at most {LATENCY_MAX_MS} ms", f"{found:.3g} ms")
