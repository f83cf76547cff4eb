"""ALARM, its baselines and its ablations (section IV.A of the paper)."""

from dataclasses import dataclass
from typing import Literal

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.training.joint.alarm.learning.world import N_BASE_VELOCITY, N_EXPLICIT

Implicit = Literal["teacher", "context", "none"]
Beta = Literal["hybrid", "written", "clock", "student", "stages"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One way to learn. All use the same world, rewards, NP3O and networks unless they say other.

    Attributes:
        name: of the variant.
        meaning: in one sentence.
        explicit: how many explicit states the student estimates.
        implicit: where the implicit latent comes from. "teacher": the student mimics a teacher's.
            "context": it is the code of a variational auto-encoder. "none": there is none.
        beta: how beta changes. "hybrid": by the hybrid advantage, normalised by the previous
            iteration. "written": by equation 12 as written. "clock": in every iteration.
            "student": it is always 1. "stages": 0 in the first stage and 1 in the second.
        decoder: the next observation is reconstructed.
        normalised: inputs are normalised empirically.
        memory: actor and critic have an LSTM.
        constrained: costs are penalised.
    """

    name: str
    meaning: str
    explicit: int = N_EXPLICIT
    implicit: Implicit = "teacher"
    beta: Beta = "hybrid"
    decoder: bool = True
    normalised: bool = True
    memory: bool = True
    constrained: bool = True


_ALL = (
    Variant(name="alarm", meaning="ALARM whole"),
    Variant(
        name="concurrent",
        meaning="explicit states are estimated beside the policy, without a latent",
        implicit="none",
        beta="student",
        decoder=False,
    ),
    Variant(
        name="dreamwaq",
        meaning="base velocity is estimated, and a variational code describes the context",
        explicit=N_BASE_VELOCITY,
        implicit="context",
        beta="student",
    ),
    Variant(
        name="two_stage",
        meaning="the teacher learns first; then the student mimics its latents and actions",
        beta="stages",
        decoder=False,
    ),
    Variant(name="no_en", meaning="ALARM without empirical normalisation", normalised=False),
    Variant(name="no_lstm_ac", meaning="ALARM with MLPs as actor and critic", memory=False),
    Variant(name="no_decoder", meaning="ALARM without reconstruction", decoder=False),
    Variant(name="no_constraints", meaning="ALARM with PPO for NP3O", constrained=False),
    Variant(name="beta_by_clock", meaning="ALARM whose beta asks no advantage", beta="clock"),
    Variant(
        name="beta_as_written",
        meaning="ALARM whose advantages in equation 12 are normalised by their own batch",
        beta="written",
    ),
)
VARIANTS = {variant.name: variant for variant in _ALL}


def variant_named(name: str) -> Variant:
    """The variant of a name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in VARIANTS:
        raise UnknownNameError("variant", name, VARIANTS)
    return VARIANTS[name]
