"""The contract of a policy: all that the robot must know about a network to run it.

A `gait` policy (paper 1, section V) proposes changes of the stepping and lateral foot positions. A
`joint` policy proposes twelve joint positions. Vectors of joints are in the contract's own
`joint_order`; `PolicyContract.to_policy` brings vectors into that order.

The text form is JSON at full precision. Reading is strict: it refuses an unknown or missing key, a
wrong type, a wrong length and an impossible number.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from safe_locomotion.errors import PolicyRefusedError, one_line
from safe_locomotion.policy.action import GaitAction, JointAction
from safe_locomotion.policy.exploration import Exploration
from safe_locomotion.policy.refusal import (
    STRICT,
    Numbers,
    check_numbers,
    check_positive,
    refuse,
)
from safe_locomotion.policy.term import (
    CHOSEN,
    TERM_WIDTHS,
    Clock,
    ObservationHistory,
    ObservationTerm,
    check_history,
)
from safe_locomotion.types import JOINTS, N_JOINTS, NANOSECONDS

FORMAT = 1
STATE_RATE_HZ = 500  #: of LowState, on which everything ticks
PARITY_PAIRS = 64
ESTIMATE_MAX = 64  #: numbers in one term of an estimate
#: Of the parity check; float32 networks of this size agree within 1e-5 between machines.
TOLERANCE_MAX = 1e-3
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Kind = Literal["gait", "joint"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrentTensor:
    """A memory of the network, zeros at first.

    Attributes:
        input: name of the tensor that a step reads.
        output: name of the tensor that a step writes; the next step reads it as `input`.
        shape: of both.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    input: str
    output: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse an empty or huge shape."""
        if not self.shape or not all(0 < n <= 65_536 for n in self.shape):
            raise refuse(
                f"recurrent tensor {self.input!r}", "a shape of positive sizes", self.shape
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class StateEstimate:
    """An estimate of the robot's state that the network gives beside its action.

    Attributes:
        output: name of the tensor (1, W), float32.
        terms: names and widths of its parts in order. They are for viewers and recorders alone; no
            controller uses them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    output: str
    terms: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        """Refuse an estimate of nothing, and one that is huge."""
        if not self.terms or not all(0 < width <= ESTIMATE_MAX for _, width in self.terms):
            raise refuse("estimate", f"terms of 1..{ESTIMATE_MAX} numbers", self.terms)

    @property
    def width(self) -> int:
        """Numbers in the estimate."""
        return sum(width for _, width in self.terms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a network comes from: the command that made it, its seed, and the code's commit."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    command: str
    seed: int
    commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """Recorded pairs, as one sequence from zero memory.

    Attributes:
        observations: (64, O).
        actions: (64, A) answers of the network.
        tolerance: largest allowed difference of an answer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    observations: tuple[Numbers, ...]
    actions: tuple[Numbers, ...]
    tolerance: float

    def __post_init__(self) -> None:
        """Refuse too few pairs, and a tolerance that would let anything pass."""
        if not len(self.observations) == len(self.actions) == PARITY_PAIRS:
            found = f"{len(self.observations)} observations, {len(self.actions)} actions"
            raise refuse("parity", f"{PARITY_PAIRS} pairs", found)
        if not 0.0 < self.tolerance <= TOLERANCE_MAX:
            raise refuse("parity: tolerance", f"within 0..{TOLERANCE_MAX:g}", self.tolerance)


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyContract:
    """All that the robot must know about a policy.

    Attributes:
        name: of the policy.
        kind: what the policy proposes. Exactly the field `gait` or `joint` of that name is set.
        robot: name of the robot that it was trained for.
        rate_hz: policy steps per second of robot time; a step takes a whole number of LowStates.
        observation: terms in order.
        joint_order: names out of `types.JOINTS` in the network's order.
        default_pose: (12,) in that order [rad].
        action_limit: an output beyond +-this is a fault of the policy and is never used.
        origin: where the network comes from.
        recurrent: memories; empty for a network without memory.
        observation_input, action_output: names of the tensors (1, O) and (1, A), float32.
        estimate: what the network estimates beside its action; None if nothing.
        history: how frames of several ages follow one another; None where all terms are new.
        clock: of the term `clock`; None without that term.
        layout: of the other project's file that the policy was imported from; "" for one that its
            own training wrote. Nothing but a flight shows that an imported layout is right.
        exploration: noise that a learning robot adds to the action; None for all that fly.
        parity: recorded pairs; None only until the file is written.
        format: version of this layout.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

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
    estimate: StateEstimate | None = None
    history: ObservationHistory | None = None
    clock: Clock | None = None
    layout: str = ""
    exploration: Exploration | None = None
    parity: Parity | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse fields that contradict each other."""
        if self.format != FORMAT:
            raise refuse("format", FORMAT, self.format)
        if not NAME.fullmatch(self.name):
            raise refuse("name", "letters, digits, '_', '.' and '-', at most 64", repr(self.name))
        if not (0 < self.rate_hz <= STATE_RATE_HZ and STATE_RATE_HZ % self.rate_hz == 0):
            raise refuse("rate_hz", f"a divisor of {STATE_RATE_HZ}", self.rate_hz)
        if sorted(self.joint_order) != sorted(JOINTS):
            expected = f"each of {', '.join(JOINTS)} once"
            raise refuse("joint_order", expected, ", ".join(self.joint_order))
        check_numbers("default_pose", self.default_pose, N_JOINTS)
        check_positive("action_limit", (self.action_limit,))
        self._check_action()
        self._check_observation()
        self._check_recurrent()
        self._check_exploration()
        self._check_parity()

    @property
    def period_ns(self) -> int:
        """Robot time between policy steps."""
        return NANOSECONDS // self.rate_hz

    @property
    def observation_width(self) -> int:
        """Numbers in an observation."""
        return sum(term.size for term in self.observation)

    @property
    def frame_width(self) -> int:
        """Numbers that the terms give on one policy step."""
        return sum(term.width for term in self.observation)

    @property
    def action_width(self) -> int:
        """Numbers in an action."""
        return N_JOINTS if self.gait is None else self.gait.width

    @property
    def to_policy(self) -> NDArray[np.intp]:
        """(12,) with vector_in_policy_order = vector_in_sdk_order[to_policy].

        Its argsort leads back to SDK order.
        """
        return np.array([JOINTS.index(name) for name in self.joint_order])

    def to_json(self) -> str:
        """Text that `contract_from_json` reads back into an equal contract.

        It names what many contracts lack only where it is there, so that releases which do not
        know it read the rest.
        """
        document = asdict(self)
        parts = [document, *document["observation"], *filter(None, (document[self.kind],))]
        for part in parts:
            for key, absent in _LATER_KEYS.items():
                if key in part and part[key] == absent:
                    del part[key]
        return json.dumps(document, allow_nan=False, separators=(",", ":"))

    def _check_action(self) -> None:
        set_fields = [key for key in ("gait", "joint") if getattr(self, key) is not None]
        if set_fields != [self.kind]:
            found = " and ".join(set_fields) or "none"
            raise refuse("action", f"exactly the field {self.kind!r}", found)

    def _check_observation(self) -> None:
        if not self.observation:
            raise refuse("observation", "at least one term", "none")
        for term in self.observation:
            if term.name not in TERM_WIDTHS:
                expected = f"terms out of {', '.join(TERM_WIDTHS)}"
                raise refuse("observation", expected, repr(term.name))
            where = f"observation {term.name}"
            width = self._width_of(term)
            if term.width != width:
                raise refuse(f"{where}: width", width, term.width)
            if term.name == "previous_gait" and self.gait is None:
                raise refuse(where, "a policy of kind 'gait'", repr(self.kind))
            check_numbers(f"{where}: scale", term.scale, width)
        check_history(self.observation, self.history)

    def _width_of(self, term: ObservationTerm) -> int:
        """Width that a term must have."""
        if term.name not in CHOSEN:
            return TERM_WIDTHS[term.name] or self.action_width
        if term.name == "constant":
            return max(1, term.width)
        if self.clock is None:
            raise refuse("observation clock", "the field 'clock'", "none")
        return len(self.clock.offsets)

    def _check_exploration(self) -> None:
        if self.exploration is None:
            return
        if self.gait is None:
            raise refuse("exploration", "a policy of kind 'gait'", repr(self.kind))
        if len(self.exploration.deviation) != self.action_width:
            found = len(self.exploration.deviation)
            raise refuse("exploration: deviation", f"{self.action_width} numbers", found)

    def _check_recurrent(self) -> None:
        tensors = [self.observation_input, self.action_output]
        tensors += [name for pair in self.recurrent for name in (pair.input, pair.output)]
        tensors += [] if self.estimate is None else [self.estimate.output]
        if len(set(tensors)) != len(tensors) or not all(tensors):
            raise refuse("tensor names", "different names", ", ".join(map(repr, tensors)))

    def _check_parity(self) -> None:
        if self.parity is None:
            return
        for row in self.parity.observations:
            check_numbers("parity: observations", row, self.observation_width)
        for row in self.parity.actions:
            check_numbers("parity: actions", row, self.action_width)


def contract_from_json(text: str) -> PolicyContract:
    """The contract in a text.

    Raises:
        PolicyRefusedError: the text is not JSON or not a contract. The message says where, what was
            expected and what was found.
    """
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
        if isinstance(document, dict) and document.get("format") != FORMAT:
            raise refuse("format", FORMAT, document.get("format"))
        contract: PolicyContract = _ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "contract"
        found = f"{str(first['input'])[:80]!r}"
        raise PolicyRefusedError(one_line(f"{place}: {first['msg']} (found {found})")) from error
    except (ValueError, RecursionError) as error:
        message = f"contract: expected JSON, found an error: {error}"
        raise PolicyRefusedError(one_line(message)) from error
    return contract


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


#: Keys that contracts of earlier releases do not have, and what their absence means.
_LATER_KEYS: dict[str, Any] = {
    "ages": (0,),
    "clock": None,
    "estimate": None,
    "exploration": None,
    "history": None,
    "layout": "",
    "lifted": (),
    "lower": None,
    "upper": None,
}
_ADAPTER = TypeAdapter(PolicyContract)
