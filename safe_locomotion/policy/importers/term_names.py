"""Names that projects give to the terms of an observation, and terms that users write."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from safe_locomotion.policy.refusal import LARGEST, Numbers, refuse
from safe_locomotion.policy.term import CHOSEN, TERM_WIDTHS, ObservationTerm, observation_term
from safe_locomotion.types import N_JOINTS

#: Our name of a term by the names of other projects.
FOREIGN_TERMS = {
    # Isaac Lab and unitree_rl_lab; mjlab shares most of them.
    "base_lin_vel": "base_velocity",
    "base_ang_vel": "base_angular_velocity",
    "joint_pos_rel": "joint_position",
    "joint_vel_rel": "joint_velocity",
    "last_action": "previous_action",
    "generated_commands": "velocity_command",
    "velocity_commands": "velocity_command",
    "keyboard_velocity_commands": "velocity_command",
    # mjlab
    "joint_pos": "joint_position",
    "joint_vel": "joint_velocity",
    "actions": "previous_action",
    "command": "velocity_command",
    # rl_sar
    "lin_vel": "base_velocity",
    "ang_vel": "base_angular_velocity",
    "gravity_vec": "projected_gravity",
    "commands": "velocity_command",
    "dof_pos": "joint_position",
    "dof_vel": "joint_velocity",
}

#: Terms that a user may name; those with a width of their own choice have options of their own.
OWN_TERMS = tuple(name for name in TERM_WIDTHS if name not in (*CHOSEN, "previous_gait"))


def own_name(name: str, where: str) -> str:
    """Our name of a term.

    Raises:
        PolicyRefusedError: no term of that name.
    """
    name = name.strip()
    if name in OWN_TERMS:
        return name
    if name not in FOREIGN_TERMS:
        expected = f"terms out of {', '.join((*OWN_TERMS, *FOREIGN_TERMS))}"
        raise refuse(where, expected, repr(name))
    return FOREIGN_TERMS[name]


def own_term(name: str, scale: float | Sequence[float], where: str) -> ObservationTerm:
    """Our term by any name, with one factor for all numbers or one for each.

    Raises:
        PolicyRefusedError: no term of that name.
    """
    return observation_term(own_name(name, where), scale, width=N_JOINTS)


def terms_from_text(text: str) -> tuple[ObservationTerm, ...]:
    """Terms separated by commas; a scale follows a colon, with slashes between its numbers.

    For example "base_ang_vel:0.25,projected_gravity,velocity_commands:2/2/0.25".

    Raises:
        PolicyRefusedError: an unknown term, or what is not a number.
    """
    terms = []
    for entry in text.split(","):
        name, colon, factors = entry.partition(":")
        scale = numbers_from_text("--terms", factors) if colon else (1.0,)
        terms.append(own_term(name, scale if len(scale) > 1 else scale[0], "--terms"))
    return tuple(terms)


def scales_from_text(text: str) -> dict[str, Numbers]:
    """Scales of terms, as in "base_ang_vel=0.25,joint_vel=0.05", by our names of the terms.

    Raises:
        PolicyRefusedError: an unknown term, or what is not a number.
    """
    pairs = [entry.partition("=") for entry in text.split(",")]
    return {
        own_name(name, "--obs-scale"): numbers_from_text("--obs-scale", factors)
        for name, _, factors in pairs
    }


def numbers_from_text(where: str, text: str) -> Numbers:
    """Numbers separated by slashes.

    Raises:
        PolicyRefusedError: what is not a number.
    """
    try:
        return tuple(float(word) for word in text.split("/"))
    except ValueError:
        raise refuse(where, "numbers separated by slashes", repr(text)) from None


def bounded(term: ObservationTerm, lower: float, upper: float) -> ObservationTerm:
    """The term whose numbers were cut to these bounds before their scale; infinite: no bound."""
    if not (isfinite(lower) or isfinite(upper)):
        return term
    ends = [sorted((_cut(lower * factor), _cut(upper * factor))) for factor in term.scale]
    return replace(term, lower=tuple(low for low, _ in ends), upper=tuple(high for _, high in ends))


def clipped(term: ObservationTerm, bound: float) -> ObservationTerm:
    """The term whose scaled numbers stay within +-bound, unless it has bounds already."""
    if term.lower is not None:
        return term
    return replace(term, lower=(-bound,) * term.width, upper=(bound,) * term.width)


def _cut(bound: float) -> float:
    return min(max(bound, -LARGEST), LARGEST)
