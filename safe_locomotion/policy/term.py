"""The terms of an observation in a contract: what they are, how they are scaled, how old they are.

A frame is what the terms give on one policy step. An observation is made of frames of several
ages; most policies observe the newest frame alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from safe_locomotion.policy.refusal import (
    STRICT,
    Numbers,
    check_bounds,
    check_numbers,
    check_positive,
    refuse,
)
from safe_locomotion.types import N_JOINTS, N_LEGS

AGE_MAX = 99  #: policy steps; two seconds at 50 Hz
SIZE_MAX = 8192  #: numbers in an observation; 30 frames of 70 numbers have a quarter of that
#: Numbers in all frames that are remembered; each step copies them once.
REMEMBERED_MAX = 1 << 16
NOW = (0,)  #: ages of a term without history

#: Widths that the contract chooses: those of constants, and of the clock's phases.
CHOSEN = ("constant", "clock")

#: Width of every observation term; None: the width of the action, or one of `CHOSEN`.
#: `observation.py` defines the terms.
TERM_WIDTHS: dict[str, int | None] = {
    "base_angular_velocity": 3,
    "projected_gravity": 3,
    "velocity_command": 3,
    "joint_position": N_JOINTS,
    "joint_velocity": N_JOINTS,
    "previous_action": None,
    "earlier_action": None,
    "base_velocity": 3,
    "heading_velocity": 3,
    "base_height": 1,
    "base_rpy": 3,
    "base_roll_pitch": 2,
    "previous_gait": 5 + N_LEGS,
    "constant": None,
    "clock": None,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservationTerm:
    """One term of the observation.

    Attributes:
        name: key of `TERM_WIDTHS`.
        width: numbers in the term on one policy step.
        scale: (width,) factor on each number.
        lower, upper: (width,) bounds of the scaled numbers; None where training had none.
        ages: how many policy steps old the copies of the term are, in the order of the input.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    width: int
    scale: Numbers
    lower: Numbers | None = None
    upper: Numbers | None = None
    ages: tuple[int, ...] = NOW

    def __post_init__(self) -> None:
        """Refuse ages that no history holds, and bounds that cross."""
        where = f"observation {self.name}"
        if not self.ages or not all(0 <= age <= AGE_MAX for age in self.ages):
            raise refuse(f"{where}: ages", f"policy steps within 0..{AGE_MAX}", self.ages)
        check_bounds(where, self.lower, self.upper, self.width)

    @property
    def size(self) -> int:
        """Numbers of the term in the observation."""
        return self.width * len(self.ages)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservationHistory:
    """How an observation is made of frames of several ages.

    Attributes:
        order: "term" places all ages of the first term before the second term. "frame" places a
            whole frame before the next, so all terms have the same ages.
        start: frames before the first one after a reset. "repeat" takes the first frame for them,
            "zero" takes zeros.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    order: Literal["term", "frame"]
    start: Literal["repeat", "zero"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """A periodic signal in the observation: sin(2 pi (frequency t + offsets)).

    t is the robot time since the policy was reset [s].

    Attributes:
        frequency: [Hz].
        offsets: (n,) one for each number of the term `clock` [periods].
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    frequency: float
    offsets: Numbers

    def __post_init__(self) -> None:
        """Refuse a clock that stands, and one without phases."""
        check_positive("clock: frequency", (self.frequency,))
        if not 0 < len(self.offsets) <= N_JOINTS:
            raise refuse("clock: offsets", f"1..{N_JOINTS} of them", len(self.offsets))
        check_numbers("clock: offsets", self.offsets, len(self.offsets))


def observation_term(
    name: str,
    scale: float | Sequence[float] = 1.0,
    *,
    width: int | None = None,
    ages: tuple[int, ...] = NOW,
) -> ObservationTerm:
    """A term of its usual width, with one factor for all numbers or one for each.

    Args:
        name: key of `TERM_WIDTHS`.
        scale: the factor, or (width,) factors.
        width: needed for terms as wide as the action, and for `CHOSEN`; unused otherwise.
        ages: see `ObservationTerm`.

    Raises:
        PolicyRefusedError: a term without a width of its own, and none is given.
    """
    width = TERM_WIDTHS[name] or width
    if width is None:
        raise refuse(f"observation {name}", "its width", "none")
    factors = [scale] * width if isinstance(scale, int | float) else scale
    return ObservationTerm(
        name=name, width=width, scale=tuple(float(factor) for factor in factors), ages=ages
    )


def check_history(terms: Sequence[ObservationTerm], history: ObservationHistory | None) -> None:
    """Refuse terms whose ages need another history, and an observation that is too large.

    Raises:
        PolicyRefusedError: see above.
    """
    ages = {term.ages for term in terms}
    if history is None and ages != {NOW}:
        raise refuse("history", "its order and start, because terms have ages", "none")
    if history is not None and history.order == "frame" and len(ages) > 1:
        raise refuse("history in frames", "the same ages for all terms", sorted(ages))
    size = sum(term.size for term in terms)
    if size > SIZE_MAX:
        raise refuse("observation", f"at most {SIZE_MAX} numbers", size)
    depth = 1 + max(age for term in terms for age in term.ages)
    remembered = depth * sum(term.width for term in terms)
    if remembered > REMEMBERED_MAX:
        raise refuse("history", f"at most {REMEMBERED_MAX} numbers in all frames", remembered)
