"""What a policy file says about its network: everything the robot must know to run it, and nothing it may guess.

A `gait` policy (paper 1, section V) proposes changes of the stepping and lateral foot positions, a `joint` policy twelve joint
positions. Vectors of joints are in the contract's own `joint_order`; `PolicyContract.to_policy` brings them there.
The text form is JSON at full precision; reading is strict: an unknown key, a missing one, a wrong type, length or number is refused.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.types import JOINTS, N_JOINTS, N_LEGS, NANOSECONDS

FORMAT = 1
STATE_RATE_HZ = 500  #: of LowState, on which everything ticks
PARITY_PAIRS = 64
TOLERANCE_MAX = (
    1e-3  #: of the parity check; float32 networks of this size agree within 1e-5 between machines
)
FREQUENCY_MAX = 10.0  #: of strides [Hz]; a swing of 0.05 s, faster than any leg here follows
LARGEST = 1e6  #: numbers beyond mean nothing here and leave no room for arithmetic in float32
SMALLEST = 1e-6
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Kind = Literal["gait", "joint"]
Numbers = tuple[float, ...]

#: Width of every observation term; that of the previous action is the action's own. What they mean: `observation.py`.
TERM_WIDTHS: dict[str, int | None] = {
    "base_angular_velocity": 3,
    "projected_gravity": 3,
    "velocity_command": 3,
    "joint_position": N_JOINTS,
    "joint_velocity": N_JOINTS,
    "previous_action": None,
    "base_velocity": 3,
    "heading_velocity": 3,
    "base_height": 1,
    "base_rpy": 3,
    "base_roll_pitch": 2,
    "previous_gait": 5 + N_LEGS,
}
JOINT_TERMS = frozenset({"joint_position", "joint_velocity"})

#: Entries of a gait action: the network gives the change per step of all but the feet, whose value it gives (paper 1).
GAIT_WIDTHS = {"frequency": 1, "swing_ratio": 1, "phase_offsets": 3, "foot_y": N_LEGS}

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def refuse(what: str, expected: object, found: object) -> PolicyRefusedError:
    """The error that says, in one line, what was expected and what was found; of what a file says only so much is repeated."""
    return PolicyRefusedError(
        _line(f"{what[:80]}: expected {_short(expected)}, found {_short(found)}")
    )


def _short(said: object) -> str:
    text = str(said)
    return text if len(text) <= 250 else f"{text[:250]}..."


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservationTerm:
    """One stretch of the observation: its name in `TERM_WIDTHS`, its width, and the factor (width,) on each number."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    width: int
    scale: Numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitTerm:
    """One stretch of a gait action, with n numbers; the network's output u is limited to +-clip first.

    The first three of `GAIT_WIDTHS` change: parameter += scale u. Feet are set: foot_y = nominal + scale u. The parameter then stays
    in lower..upper, but for phase offsets, which wrap into [0, 1).

    Attributes:
        name: key of `GAIT_WIDTHS`.
        width: n.
        scale: (n,) of one unit of output [Hz, -, strides, m].
        nominal: (n,) parameter after a reset.
        lower, upper: (n,) bounds of the parameter.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    width: int
    scale: Numbers
    nominal: Numbers
    lower: Numbers
    upper: Numbers

    def __post_init__(self) -> None:
        """Refuse a term that can lead to what is no gait."""
        if GAIT_WIDTHS.get(self.name) != self.width:
            raise refuse(
                "gait action",
                f"terms of widths {GAIT_WIDTHS}",
                f"{self.name!r} of width {self.width}",
            )
        where = f"gait action {self.name}"
        for key in ("scale", "nominal", "lower", "upper"):
            _check_numbers(f"{where}: {key}", getattr(self, key), self.width)
        if not all(
            lo <= x <= hi for lo, x, hi in zip(self.lower, self.nominal, self.upper, strict=True)
        ):
            raise refuse(f"{where}: nominal", f"within {self.lower}..{self.upper}", self.nominal)
        if self.name == "frequency" and not 0.0 < self.lower[0] <= self.upper[0] <= FREQUENCY_MAX:
            raise refuse(
                f"{where}: bounds",
                f"within 0..{FREQUENCY_MAX:g} Hz",
                (self.lower[0], self.upper[0]),
            )
        if self.name == "swing_ratio" and not 0.0 < self.lower[0] <= self.upper[0] < 1.0:
            raise refuse(f"{where}: bounds", "inside 0..1", (self.lower[0], self.upper[0]))
        if self.name == "phase_offsets" and (set(self.lower), set(self.upper)) != ({0.0}, {1.0}):
            raise refuse(f"{where}: bounds", "0 and 1: offsets wrap", (self.lower, self.upper))


@dataclass(frozen=True, kw_only=True, slots=True)
class GaitAction:
    """What the output of a gait policy means: terms in order, and the bound `clip` on each number of the output."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    terms: tuple[GaitTerm, ...]
    clip: float

    def __post_init__(self) -> None:
        """All four terms, once each."""
        names = [term.name for term in self.terms]
        if sorted(names) != sorted(GAIT_WIDTHS):
            raise refuse(
                "gait action", f"each of {', '.join(GAIT_WIDTHS)} once", ", ".join(names) or "none"
            )
        _check_positive("gait action: clip", (self.clip,))


@dataclass(frozen=True, kw_only=True, slots=True)
class JointAction:
    """What the output a of a joint policy means: q = default_pose + scale a [rad], a limited to +-clip first where there is one.

    Attributes:
        scale: (12,) [rad].
        kp, kd: (12,) gains of the motors [Nm/rad, Nm s/rad].
        clip: bound on each number of the output; None when training had none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    scale: Numbers
    kp: Numbers
    kd: Numbers
    clip: float | None = None

    def __post_init__(self) -> None:
        """Refuse lengths and gains that are none."""
        for key in ("scale", "kp", "kd"):
            _check_numbers(f"joint action: {key}", getattr(self, key), N_JOINTS)
        _check_positive("joint action: kp", self.kp)
        if not all(value >= 0.0 for value in self.kd):
            raise refuse("joint action: kd", "numbers from 0 up", self.kd)
        if self.clip is not None:
            _check_positive("joint action: clip", (self.clip,))


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrentTensor:
    """A memory of the network: the output `output` of one step is the input `input` of the next, zeros at first."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    input: str
    output: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a shape that holds nothing."""
        if not self.shape or not all(0 < n <= 65_536 for n in self.shape):
            raise refuse(
                f"recurrent tensor {self.input!r}", "a shape of positive sizes", self.shape
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the network comes from: the command that made it, its seed, and the commit of the code."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    command: str
    seed: int
    commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """Recorded pairs: `actions` (64, A) are the network's answers to `observations` (64, O), as one sequence from zero memory."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    observations: tuple[Numbers, ...]
    actions: tuple[Numbers, ...]
    tolerance: float

    def __post_init__(self) -> None:
        """Refuse too few pairs and a tolerance that would let anything pass."""
        if not len(self.observations) == len(self.actions) == PARITY_PAIRS:
            raise refuse(
                "parity",
                f"{PARITY_PAIRS} pairs",
                f"{len(self.observations)} observations, {len(self.actions)} actions",
            )
        if not 0.0 < self.tolerance <= TOLERANCE_MAX:
            raise refuse("parity: tolerance", f"within 0..{TOLERANCE_MAX:g}", self.tolerance)


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyContract:
    """Everything the robot must know about a policy.

    Attributes:
        name: of the policy.
        kind: what it proposes; exactly the field `gait` or `joint` of that name is set.
        robot: name of the robot it was trained for.
        rate_hz: policy steps per second of robot time; a whole number of LowStates apart.
        observation: terms in order.
        joint_order: names out of `types.JOINTS` in the network's order.
        default_pose: (12,) in that order [rad].
        action_limit: an output beyond +-this is a fault of the policy and never used.
        origin: where it comes from.
        recurrent: memories, none for a network without.
        observation_input, action_output: names of the tensors (1, O) and (1, A), float32.
        parity: recorded pairs; None only until the file is written.
        format: version of this layout.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    kind: Kind
    robot: str
    rate_hz: int
    observation: tuple[ObservationTerm, ...]
    default_pose: Numbers
    action_limit: float
    origin: Origin
    joint_order: tuple[str, ...] = JOINTS
    gait: GaitAction | None = None
    joint: JointAction | None = None
    recurrent: tuple[RecurrentTensor, ...] = ()
    observation_input: str = "observation"
    action_output: str = "action"
    parity: Parity | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.format != FORMAT:
            raise refuse("format", FORMAT, self.format)
        if not NAME.fullmatch(self.name):
            raise refuse("name", "letters, digits, '_', '.' and '-', at most 64", repr(self.name))
        if not (0 < self.rate_hz <= STATE_RATE_HZ and STATE_RATE_HZ % self.rate_hz == 0):
            raise refuse("rate_hz", f"a divisor of {STATE_RATE_HZ}", self.rate_hz)
        if sorted(self.joint_order) != sorted(JOINTS):
            raise refuse(
                "joint_order", f"each of {', '.join(JOINTS)} once", ", ".join(self.joint_order)
            )
        _check_numbers("default_pose", self.default_pose, N_JOINTS)
        _check_positive("action_limit", (self.action_limit,))
        self._check_action()
        self._check_observation()
        self._check_recurrent()
        self._check_parity()

    @property
    def period_ns(self) -> int:
        """Robot time between policy steps."""
        return NANOSECONDS // self.rate_hz

    @property
    def observation_width(self) -> int:
        """Numbers in an observation."""
        return sum(term.width for term in self.observation)

    @property
    def action_width(self) -> int:
        """Numbers in an action."""
        return N_JOINTS if self.gait is None else sum(term.width for term in self.gait.terms)

    @property
    def to_policy(self) -> NDArray[np.intp]:
        """(12,) with vector_in_policy_order = vector_in_sdk_order[to_policy]; its argsort leads back."""
        return np.array([JOINTS.index(name) for name in self.joint_order])

    def to_json(self) -> str:
        """Text that `contract_from_json` reads back into an equal contract."""
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    def _check_action(self) -> None:
        set_fields = [key for key in ("gait", "joint") if getattr(self, key) is not None]
        if set_fields != [self.kind]:
            raise refuse(
                "action", f"exactly the field {self.kind!r}", " and ".join(set_fields) or "none"
            )

    def _check_observation(self) -> None:
        if not self.observation:
            raise refuse("observation", "at least one term", "none")
        for term in self.observation:
            if term.name not in TERM_WIDTHS:
                raise refuse(
                    "observation", f"terms out of {', '.join(TERM_WIDTHS)}", repr(term.name)
                )
            width = TERM_WIDTHS[term.name] or self.action_width
            if term.width != width:
                raise refuse(f"observation {term.name}: width", width, term.width)
            if term.name == "previous_gait" and self.gait is None:
                raise refuse(
                    "observation previous_gait", "a policy of kind 'gait'", repr(self.kind)
                )
            _check_numbers(f"observation {term.name}: scale", term.scale, width)

    def _check_recurrent(self) -> None:
        tensors = [self.observation_input, self.action_output]
        tensors += [name for pair in self.recurrent for name in (pair.input, pair.output)]
        if len(set(tensors)) != len(tensors) or not all(tensors):
            raise refuse("tensor names", "different names", ", ".join(map(repr, tensors)))

    def _check_parity(self) -> None:
        if self.parity is None:
            return
        for what, rows, width in (
            ("observations", self.parity.observations, self.observation_width),
            ("actions", self.parity.actions, self.action_width),
        ):
            for row in rows:
                _check_numbers(f"parity: {what}", row, width)


def contract_from_json(text: str) -> PolicyContract:
    """The contract in a text.

    Raises:
        PolicyRefusedError: not JSON, or not a contract; says where, what was expected and found.
    """
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
        if isinstance(document, dict) and document.get("format") != FORMAT:
            raise refuse("format", FORMAT, document.get("format"))
        contract: PolicyContract = _ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "contract"
        raise PolicyRefusedError(
            _line(f"{place}: {first['msg']} (found {str(first['input'])[:80]!r})")
        ) from error
    except (ValueError, RecursionError) as error:
        raise PolicyRefusedError(
            _line(f"contract: expected JSON, found an error: {error}")
        ) from error
    return contract


def observation_term(
    name: str, scale: float | Sequence[float] = 1.0, *, width: int | None = None
) -> ObservationTerm:
    """A term of its usual width under one factor or several; `previous_action` needs its width said."""
    width = TERM_WIDTHS[name] or width
    if width is None:
        raise refuse(f"observation {name}", "its width", "none")
    factors = [scale] * width if isinstance(scale, int | float) else scale
    return ObservationTerm(name=name, width=width, scale=tuple(float(factor) for factor in factors))


def with_parity(
    contract: PolicyContract, observations: NDArray[Any], actions: NDArray[Any], tolerance: float
) -> PolicyContract:
    """The contract with recorded pairs (64, O) and (64, A)."""
    pairs = Parity(observations=_rows(observations), actions=_rows(actions), tolerance=tolerance)
    return replace(contract, parity=pairs)


def _rows(array: NDArray[Any]) -> tuple[Numbers, ...]:
    return tuple(tuple(float(x) for x in row) for row in array)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError(f"a key twice among {', '.join(key[:40] for key, _ in pairs)}")
    return keys


def _check_numbers(what: str, values: Sequence[float], size: int) -> None:
    if len(values) != size:
        raise refuse(what, f"{size} numbers", len(values))
    if not all(-LARGEST <= value <= LARGEST for value in values):
        raise refuse(what, f"finite numbers within +-{LARGEST:g}", values)


def _check_positive(what: str, values: Sequence[float]) -> None:
    if not all(SMALLEST <= value <= LARGEST for value in values):
        raise refuse(what, f"positive numbers within {SMALLEST:g}..{LARGEST:g}", values)


def _line(text: str) -> str:
    return " ".join(text.split())


_ADAPTER = TypeAdapter(PolicyContract)
