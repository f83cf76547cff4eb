"""mjlab: rsl_rl's exporter with metadata that mjlab and its relatives attach to the file.

The metadata has joint names, gains, default pose and scales, rounded to three decimals.
"""

from dataclasses import replace
from math import isfinite

from safe_locomotion.policy.importers.joint_names import own_names
from safe_locomotion.policy.importers.layout import Layout
from safe_locomotion.policy.importers.term_names import bounded, own_name, own_term
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.term import NOW, ObservationHistory, ObservationTerm
from safe_locomotion.types import N_JOINTS

KEYS = (
    "joint_names",
    "joint_stiffness",
    "joint_damping",
    "default_joint_pos",
    "action_scale",
    "observation_names",
    "observation_terms_scale",
)
#: Of an Isaac Lab style history: oldest first, and the first frame stands for those before it.
HISTORY = ObservationHistory(order="term", start="repeat")


def read(said: dict[str, str]) -> Layout:
    """What the metadata says.

    Raises:
        PolicyRefusedError: a key is missing, or a value cannot be read.
    """
    missing = [key for key in KEYS if key not in said]
    if missing:
        found = f"none of {', '.join(missing)}"
        raise refuse("metadata of an mjlab export", ", ".join(KEYS), found)
    terms = _terms(said)
    return Layout(
        source="metadata of the file",
        order=own_names(said["joint_names"].split(",")),
        terms=terms,
        history=None if all(term.ages == NOW for term in terms) else HISTORY,
        scale=_twelve("action_scale", said["action_scale"]),
        kp=_twelve("joint_stiffness", said["joint_stiffness"]),
        kd=_twelve("joint_damping", said["joint_damping"]),
        default_pose=_twelve("default_joint_pos", said["default_joint_pos"]),
    )


def past(length: int) -> tuple[int, ...]:
    """Ages of a history of so many frames, oldest first; 0 and 1 frames are the newest alone."""
    return tuple(range(max(length, 1) - 1, -1, -1))


def _terms(said: dict[str, str]) -> tuple[ObservationTerm, ...]:
    listed = said["observation_names"].split(",")
    names = [own_name(name, "observation_names") for name in listed]
    count = len(names)
    scales = _column("observation_terms_scale", said, count, (1.0,))
    bounds = _column("observation_terms_clip", said, count, (float("-inf"), float("inf")))
    lengths = _column("observation_terms_history_length", said, count, (0.0,))
    flat = _column("observation_terms_flatten_history_dim", said, count, (1.0,))
    terms = []
    for name, scale, bound, length, flattened in zip(
        names, scales, bounds, lengths, flat, strict=True
    ):
        if len(bound) != 2:
            raise refuse("observation_terms_clip", "a lower and an upper bound", bound)
        if length[0] > 1.0 and not flattened[0]:
            raise refuse("observation_terms_flatten_history_dim", "1", 0)
        if not (isfinite(length[0]) and length[0] <= 100.0):
            raise refuse("observation_terms_history_length", "at most 100", length[0])
        term = own_term(name, scale if len(scale) > 1 else scale[0], "observation_names")
        terms.append(_aged(bounded(term, *bound), past(int(length[0]))))
    return tuple(terms)


def _aged(term: ObservationTerm, ages: tuple[int, ...]) -> ObservationTerm:
    return replace(term, ages=ages)


def _column(key: str, said: dict[str, str], count: int, absent: Numbers) -> list[Numbers]:
    """One entry for each term."""
    entries = _entries(said.get(key, "")) or [absent] * count
    if len(entries) != count:
        raise refuse(key, f"{count} entries", len(entries))
    return entries


def _entries(text: str) -> list[Numbers]:
    """Entries separated by commas; the numbers of one entry are separated by semicolons."""
    if not text.strip():
        return []
    try:
        return [tuple(float(x) for x in entry.split(";")) for entry in text.split(",")]
    except ValueError:
        raise refuse("metadata", "numbers separated by commas", repr(text)) from None


def _twelve(key: str, text: str) -> Numbers:
    """Twelve numbers; a single number counts for all joints."""
    numbers = tuple(x for entry in _entries(text) for x in entry)
    if len(numbers) not in (1, N_JOINTS):
        raise refuse(key, f"1 or {N_JOINTS} numbers", len(numbers))
    return numbers * (N_JOINTS // len(numbers))
