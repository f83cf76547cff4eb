"""Which single usual error of an import makes a policy walk once it is mended.

Each change of `permutations.changes` is flown over a short course, as far as it follows. Those that
follow to the end are compared, and the best one is flown over the whole course.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from safe_locomotion.envs.workers import workers
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.evaluation.flight.course import COURSE, TRIAL_COURSE, Segment
from safe_locomotion.evaluation.flight.flight import Flight, fly
from safe_locomotion.evaluation.flight.judgement import Judgement, followed, judge
from safe_locomotion.evaluation.flight.permutations import Change

TRIAL_SAVES = 1  #: a trial that needs more ends
CONFIRMED = 3  #: of the changes that follow the short course, so many are flown again


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A changed contract, its flight and the verdict."""

    change: Change
    flight: Flight
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Makes, in a worker, the function that flies one changed contract.

    Attributes:
        model: ONNX of the policy.
        course: that is flown.
        parent: process that asked; the others note Ctrl-C themselves.
    """

    model: bytes
    course: Sequence[Segment]
    parent: int

    def __call__(self) -> Callable[[Change], Trial | None]:
        """The function; it returns None once Ctrl-C was pressed."""
        stopped: list[int] = []
        if os.getpid() != self.parent:
            signal.signal(signal.SIGINT, lambda *_: stopped.append(1))

        def tell(_: float) -> None:
            if stopped:
                raise InterruptedError

        def attempt(change: Change) -> Trial | None:
            if stopped:
                return None
            try:
                flight = fly(
                    change.contract,
                    self.model,
                    self.course,
                    most_saves=TRIAL_SAVES,
                    tell=tell,
                    give_up=lambda found: not followed(found),
                )
            except (InterruptedError, PolicyRefusedError):
                return None
            return Trial(change=change, flight=flight, judgement=judge(flight, len(self.course)))

        return attempt


def attempts(
    model: bytes,
    tried: Sequence[Change],
    processes: int,
    course: Sequence[Segment] = TRIAL_COURSE,
) -> Iterator[Trial | None]:
    """Fly each change over a short course, in their order.

    A change with which the network does not run gives None.

    Args:
        model: ONNX of the policy.
        tried: changes of its contract.
        processes: that fly at the same time.
        course: that is flown.
    """
    make = Trials(model=model, course=course, parent=os.getpid())
    with workers(make, processes) as walked:
        yield from walked(tried)


def best(trials: Sequence[Trial | None]) -> list[Trial]:
    """Trials that follow the short course, the best one first."""
    walk = [trial for trial in trials if trial is not None and trial.judgement.flies]
    return sorted(walk, key=lambda trial: trial.judgement.score)


def confirm(model: bytes, walk: Sequence[Trial]) -> Iterator[Trial]:
    """Fly the best changes over the whole course until one follows it.

    Args:
        model: ONNX of the policy.
        walk: trials that follow the short course, the best one first.
    """
    for trial in walk[:CONFIRMED]:
        flight = fly(trial.change.contract, model, COURSE)
        judgement = judge(flight, len(COURSE))
        yield Trial(change=trial.change, flight=flight, judgement=judgement)
        if judgement.flies:
            return
