"""Whether a policy that follows the course was flown at half the rate of its training.

A joint policy can walk at half its rate and follow as well. Two things then differ. Its targets
change more roughly, because it sees each stride half as often. And the robot is calmer at the right
rate. Only both together count, and only where the policy passes the flight at the other rate, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from safe_locomotion.evaluation.flight.course import Segment, length
from safe_locomotion.evaluation.flight.flight import Flight, Tell, fly
from safe_locomotion.evaluation.flight.judgement import Judgement, judge
from safe_locomotion.evaluation.flight.permutations import rates
from safe_locomotion.policy.contract import PolicyContract

ROUGH = 0.76
"""Roughness above which a rate is doubted. Measured: 0.67 to 0.72 at the rates of trainings, 0.80
and more at half of them; docs/flight_check.md has the numbers."""
CALMER = 0.9  #: share of the roll and pitch rates below which another rate is the better one
FASTEST = 2  #: times the own rate, up to which other rates are flown


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherRate:
    """A flight at another rate.

    Attributes:
        rate_hz: flown.
        flight, judgement: of it.
    """

    rate_hz: int
    flight: Flight
    judgement: Judgement


def is_doubtful(flight: Flight) -> bool:
    """Whether the policy changes its targets as roughly as one at half its rate."""
    return flight.roughness > ROUGH


def faster(contract: PolicyContract) -> list[PolicyContract]:
    """The contract with each usual rate that is higher, up to about twice its own."""
    found = [changed for _, changed in rates(contract)]
    own = contract.rate_hz
    return [changed for changed in found if own < changed.rate_hz <= FASTEST * own]


def better_rate(
    contract: PolicyContract,
    model: bytes,
    course: Sequence[Segment],
    flight: Flight,
    tell: Tell | None = None,
) -> OtherRate | None:
    """The higher rate at which a policy walks better; None when its own is not doubted.

    Args:
        contract: of the policy.
        model: ONNX.
        course: that was flown, and is flown again.
        flight: over the course, which it passed.
        tell: is told the time flown in all further flights together [s].

    Raises:
        PolicyRefusedError: the policy does not run.
    """
    if not is_doubtful(flight):
        return None
    others = flown_faster(contract, model, course, tell)
    found = [other for other in others if is_better(other, flight)]
    return min(found, key=lambda other: other.flight.tilt_rate, default=None)


def is_better(other: OtherRate, flight: Flight) -> bool:
    """Whether a flight at another rate passes, is calmer by a margin, and less rough."""
    return (
        other.judgement.flies
        and other.flight.tilt_rate < CALMER * flight.tilt_rate
        and other.flight.roughness < flight.roughness
    )


def flown_faster(
    contract: PolicyContract, model: bytes, course: Sequence[Segment], tell: Tell | None
) -> Iterator[OtherRate]:
    """Fly a policy at each of its higher rates; arguments as in `better_rate`."""
    for k, changed in enumerate(faster(contract)):
        begin = k * length(course)
        told = None if tell is None else partial(_told, tell, begin)
        flight = fly(changed, model, course, tell=told)
        judgement = judge(flight, len(course))
        yield OtherRate(rate_hz=changed.rate_hz, flight=flight, judgement=judgement)


def _told(tell: Tell, begin: float, elapsed: float) -> None:
    tell(begin + elapsed)
