"""What the output of a network means: changes of the gait, or twelve joint positions."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from safe_locomotion.control.lift import some_leg_left
from safe_locomotion.policy.refusal import (
    STRICT,
    Numbers,
    check_bounds,
    check_numbers,
    check_positive,
    refuse,
)
from safe_locomotion.types import LEGS, N_JOINTS, N_LEGS

FREQUENCY_MAX = 10.0  #: of strides [Hz]; a swing of 0.05 s, faster than any leg here follows

#: Terms of a gait action with their widths. The network gives the change per step of every
#: parameter but the feet, whose positions it gives themselves (paper 1).
GAIT_WIDTHS = {"frequency": 1, "swing_ratio": 1, "phase_offsets": 3, "foot_y": N_LEGS}


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitTerm:
    """One term of a gait action, with n numbers.

    The network's output u is first clipped to +-clip. The first three terms of `GAIT_WIDTHS` are
    changes: parameter += scale u. Feet are positions: foot_y = nominal + scale u. The parameter
    is then clipped to lower..upper. Phase offsets wrap into [0, 1) instead.

    Attributes:
        name: key of `GAIT_WIDTHS`.
        width: n.
        scale: (n,) per unit of output [Hz, -, strides, m].
        nominal: (n,) parameter after a reset.
        lower, upper: (n,) bounds of the parameter.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    width: int
    scale: Numbers
    nominal: Numbers
    lower: Numbers
    upper: Numbers

    def __post_init__(self) -> None:
        """Refuse a term that can lead to an impossible gait."""
        if GAIT_WIDTHS.get(self.name) != self.width:
            found = f"{self.name!r} of width {self.width}"
            raise refuse("gait action", f"terms of widths {GAIT_WIDTHS}", found)
        where = f"gait action {self.name}"
        for key in ("scale", "nominal", "lower", "upper"):
            check_numbers(f"{where}: {key}", getattr(self, key), self.width)
        bounds = zip(self.lower, self.nominal, self.upper, strict=True)
        if not all(lo <= x <= hi for lo, x, hi in bounds):
            raise refuse(f"{where}: nominal", f"within {self.lower}..{self.upper}", self.nominal)
        self._check_bounds(f"{where}: bounds")

    def _check_bounds(self, where: str) -> None:
        """Refuse bounds that a parameter of this name cannot have."""
        lower = self.lower[0]
        upper = self.upper[0]
        if self.name == "frequency" and not 0.0 < lower <= upper <= FREQUENCY_MAX:
            raise refuse(where, f"within 0..{FREQUENCY_MAX:g} Hz", (lower, upper))
        if self.name == "swing_ratio" and not 0.0 < lower <= upper < 1.0:
            raise refuse(where, "inside 0..1", (lower, upper))
        if self.name == "phase_offsets" and (set(self.lower), set(self.upper)) != ({0.0}, {1.0}):
            raise refuse(where, "0 and 1: offsets wrap", (self.lower, self.upper))


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitAction:
    """Meaning of the output of a gait policy.

    Attributes:
        terms: in the order of the output.
        clip: bound on each number of the output.
        lifted: names of the legs that the gait holds in the air for good.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    terms: tuple[GaitTerm, ...]
    clip: float
    lifted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse anything but all four terms, once each."""
        names = [term.name for term in self.terms]
        if sorted(names) != sorted(GAIT_WIDTHS):
            expected = f"each of {', '.join(GAIT_WIDTHS)} once"
            raise refuse("gait action", expected, ", ".join(names) or "none")
        check_positive("gait action: clip", (self.clip,))
        known = len(set(self.lifted) & set(LEGS)) == len(self.lifted)
        if not (known and some_leg_left(self.lifted_flags)):
            expected = f"different legs out of {', '.join(LEGS)}, at most two"
            raise refuse("gait action: lifted", expected, ", ".join(self.lifted))

    @property
    def lifted_flags(self) -> tuple[bool, bool, bool, bool]:
        """`lifted` as in `GaitParameters`."""
        fr, fl, rr, rl = [leg in self.lifted for leg in LEGS]
        return fr, fl, rr, rl

    @property
    def width(self) -> int:
        """Numbers in an action."""
        return sum(term.width for term in self.terms)


@dataclass(frozen=True, kw_only=True, slots=True)
class JointAction:
    """Meaning of the output a of a joint policy: q = default_pose + scale a [rad].

    Attributes:
        scale: (12,) [rad].
        kp, kd: (12,) gains of the motors [Nm/rad, Nm s/rad].
        clip: bound on each number of the output before its scale; None when training had none.
        lower, upper: (12,) bounds of q [rad]; None when training had none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    scale: Numbers
    kp: Numbers
    kd: Numbers
    clip: float | None = None
    lower: Numbers | None = None
    upper: Numbers | None = None

    def __post_init__(self) -> None:
        """Refuse wrong lengths and impossible gains."""
        for key in ("scale", "kp", "kd"):
            check_numbers(f"joint action: {key}", getattr(self, key), N_JOINTS)
        check_positive("joint action: kp", self.kp)
        if not all(value >= 0.0 for value in self.kd):
            raise refuse("joint action: kd", "numbers from 0 up", self.kd)
        if self.clip is not None:
            check_positive("joint action: clip", (self.clip,))
        check_bounds("joint action", self.lower, self.upper, N_JOINTS)
