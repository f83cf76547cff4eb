"""What a flight says about a policy: whether it stands, follows, was saved, or never drove."""

from collections.abc import Sequence
from dataclasses import dataclass

from safe_locomotion.evaluation.flight.flight import MOST_SAVES, Flight, Followed, largest
from safe_locomotion.types import VelocityCommand

MOST_VELOCITY_ERROR = 0.1  #: of the mean velocity in each segment [m/s]
MOST_TURN_ERROR = 0.2  #: of the mean turning rate in each segment [rad/s]
MOST_RECOVERY = 0.05  #: share of the time under recovery on flat ground without pushes
LEAST_DROVE = 0.05  #: share of the time below which a policy counts as never driving


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The verdict on one flight.

    Attributes:
        flies: the policy may fly.
        stands: it stood, without being saved, while it was asked to.
        follows: it followed every segment of the course.
        velocity_error, turn_error: the largest of all segments [m/s, rad/s]; NaN without any.
        line: the verdict in one line.
    """

    flies: bool
    stands: bool
    follows: bool
    velocity_error: float
    turn_error: float
    line: str

    @property
    def score(self) -> float:
        """Larger error in units of its limit; smaller is better, infinite without an error."""
        score = max(self.velocity_error / MOST_VELOCITY_ERROR, self.turn_error / MOST_TURN_ERROR)
        return score if score >= 0.0 else float("inf")


def judge(flight: Flight, segments: int) -> Judgement:
    """The verdict on a flight.

    Args:
        flight: to be judged.
        segments: of its course; a flight that ended before the last one does not follow.
    """
    moving = [f for f in flight.followed if f.command != VelocityCommand()]
    standing = [f for f in flight.followed if f.command == VelocityCommand()]
    stands = bool(standing) and all(map(followed, standing))
    follows = len(flight.followed) == segments and all(map(followed, moving))
    calm = flight.uses <= MOST_SAVES and flight.recovery <= MOST_RECOVERY
    clean = flight.falls == 0 and not flight.gate_trips and not flight.faults
    velocity_error = largest([f.velocity_error for f in flight.followed])
    turn_error = largest([f.turn_error for f in flight.followed])
    parts = [
        _standing(stands=stands, asked=bool(standing)),
        _following(moving, follows=follows, errors=(velocity_error, turn_error)),
        *_incidents(flight),
        f"saved {flight.uses} time{'s' if flight.uses != 1 else ''}",
        f"recovery drove {100.0 * flight.recovery:.0f} % of the time",
    ]
    if not 1.0 - flight.recovery >= LEAST_DROVE:
        parts = ["never drove", *_incidents(flight)]
    return Judgement(
        flies=stands and follows and calm and clean,
        stands=stands,
        follows=follows,
        velocity_error=velocity_error,
        turn_error=turn_error,
        line="; ".join(part for part in parts if part),
    )


def followed(found: Followed) -> bool:
    """Whether the policy followed a segment: it drove, and its mean errors are small."""
    return (
        found.driven >= 1.0 - MOST_RECOVERY
        and found.velocity_error <= MOST_VELOCITY_ERROR
        and found.turn_error <= MOST_TURN_ERROR
    )


def _standing(*, stands: bool, asked: bool) -> str:
    if not asked:
        return ""
    return "stands" if stands else "does not stand still"


def _following(moving: Sequence[Followed], *, follows: bool, errors: tuple[float, float]) -> str:
    if follows:
        return f"follows within {errors[0]:.2f} m/s and {errors[1]:.2f} rad/s"
    missed = [f"{f.segment} ({_error(f)})" for f in moving if not followed(f)]
    return f"does not follow: {', '.join(missed)}" if missed else "does not follow to the end"


def _error(found: Followed) -> str:
    """Why a segment counts as not followed."""
    if not found.velocity_error <= MOST_VELOCITY_ERROR:
        return _number(found.velocity_error, "m/s")
    if not found.turn_error <= MOST_TURN_ERROR:
        return _number(found.turn_error, "rad/s")
    return f"drove {100.0 * found.driven:.0f} %"


def _number(value: float, unit: str) -> str:
    return f"off by {value:.2f} {unit}" if value >= 0.0 else "hardly drove"


def _incidents(flight: Flight) -> list[str]:
    """Falls, faults and refused commands, each with its reasons."""
    found = []
    if flight.falls:
        found.append(f"fell after {flight.duration:.1f} s")
    if flight.faults:
        found.append(f"gave no proposal: {', '.join(sorted(flight.faults))}")
    if flight.gate_trips:
        found.append(f"the gate refused: {', '.join(sorted(flight.gate_trips))}")
    return found
