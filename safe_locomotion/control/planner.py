"""Where plans are computed: on the control thread between two ticks, or on a thread beside it while it waits for the next LowState.

Either way the plan of a tick acts from the next tick on, and whoever asks for it gets the same numbers.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from safe_locomotion.types import StancePlan

PATIENCE = 0.0005  #: [s] with a plan that is late: a quarter of the time between two LowStates


class Planner(Protocol):
    """Takes the work of a plan, and has the newest that is done."""

    def begin(self, work: Callable[[], StancePlan]) -> None:
        """Compute this plan."""
        ...

    def newest(self) -> StancePlan | None:
        """The last plan that was begun; None before the first."""
        ...

    def close(self) -> None:
        """Compute nothing any more."""
        ...


class PlansInTurn:
    """Computes a plan at once, on the thread that begins it."""

    def __init__(self) -> None:
        self._plan: StancePlan | None = None

    def begin(self, work: Callable[[], StancePlan]) -> None:
        """Compute it now."""
        self._plan = work()

    def newest(self) -> StancePlan | None:
        """The last one."""
        return self._plan

    def close(self) -> None:
        """Nothing is left to do."""


class PlansBeside:
    """Computes plans on a thread of its own, so that the longest computation of a cycle keeps no LowState waiting.

    OSQP lets the interpreter go while it solves. Whoever asks for a plan that is not done waits for it, at most `patience` seconds, then
    goes on with the one before; the leg controller knows its age. While one is in work, none is begun.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._plan: StancePlan | None = None
        self._work: Future[StancePlan] | None = None
        self._thread = ThreadPoolExecutor(1, "planner", initializer=_step_back)

    def begin(self, work: Callable[[], StancePlan]) -> None:
        """Hand it to the other thread."""
        if self._work is None:
            self._work = self._thread.submit(work)

    def newest(self) -> StancePlan | None:
        """The last one, or the one before that when patience is at its end; what its computation raised is raised here."""
        work = self._work
        if work is not None:
            if not work.done():
                wait((work,), self._patience)
            if work.done():
                self._work = None
                self._plan = work.result()
        return self._plan

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)


def _step_back() -> None:
    """One priority below the control thread, whose scheduling this thread has inherited: on a core they share, commands come first."""
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        priority = os.sched_getparam(0).sched_priority
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(max(1, priority - 1)))
