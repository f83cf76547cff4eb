"""unitree_rl_lab: `params/deploy.yaml`, which its training writes beside `exported/policy.onnx`.

Gains are in the order of Unitree's SDK; all other vectors are in the order of the network, which
`joint_ids_map` leads to that of the SDK. A term has all of its frames together, oldest first;
`use_gym_history` places whole frames one after the other. Source: its `export_deploy_cfg.py` and
`observation_manager.h`.
"""

from dataclasses import replace
from pathlib import Path

from safe_locomotion.policy.importers.isaac_lab import check_zero, rate_of, target_bounds
from safe_locomotion.policy.importers.layout import Layout
from safe_locomotion.policy.importers.mjlab import past
from safe_locomotion.policy.importers.plain_files import Settings, numbers, read_yaml
from safe_locomotion.policy.importers.term_names import bounded, own_name
from safe_locomotion.policy.refusal import LARGEST, Numbers, refuse
from safe_locomotion.policy.term import (
    NOW,
    Clock,
    ObservationHistory,
    ObservationTerm,
    observation_term,
)
from safe_locomotion.types import JOINTS, N_JOINTS

#: Keys of the observations that are no terms.
SWITCHES = ("use_gym_history", "scale_first")
COMMANDS = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
PHASE = "gait_phase"


def read(config: Path | None) -> Layout:
    """What deploy.yaml says.

    Raises:
        PolicyRefusedError: there is no such file, or no contract can express it.
    """
    if config is None:
        found = "none; it lies in params/ beside exported/policy.onnx"
        raise refuse("layout unitree_rl_lab", "--config deploy.yaml", found)
    file = read_yaml(config)
    to_sdk = _to_sdk(file)
    actions = file.part("actions")
    if actions.names != ["JointPositionAction"]:
        raise refuse(actions.where, "JointPositionAction alone", ", ".join(actions.names))
    action = actions.part("JointPositionAction")
    pose = file.numbers("default_joint_pos", N_JOINTS)
    check_zero(action.where, action.numbers("offset", N_JOINTS), pose)
    lower, upper = target_bounds(action)
    observations = file.part("observations")
    terms = tuple(
        _term(file, observations, name) for name in observations.names if name not in SWITCHES
    )
    whole_frames = bool(observations.get("use_gym_history"))
    history = ObservationHistory(order="frame" if whole_frames else "term", start="repeat")
    plain = all(term.ages == NOW for term in terms)
    stiffness = file.numbers("stiffness", N_JOINTS)
    damping = file.numbers("damping", N_JOINTS)
    return Layout(
        source=config.name,
        order=tuple(JOINTS[k] for k in to_sdk),
        rate_hz=rate_of(file.number("step_dt")),
        terms=terms,
        history=None if plain else history,
        clock=_clock(observations),
        scale=action.numbers("scale", N_JOINTS),
        kp=tuple(stiffness[k] for k in to_sdk),
        kd=tuple(damping[k] for k in to_sdk),
        default_pose=pose,
        lower=lower,
        upper=upper,
    )


def _to_sdk(file: Settings) -> list[int]:
    file.need("joint_ids_map")
    found = file.integers("joint_ids_map")
    if sorted(found) != list(range(N_JOINTS)):
        raise refuse(f"{file.where}: joint_ids_map", f"each of 0..{N_JOINTS - 1} once", found)
    return found


def _term(file: Settings, observations: Settings, name: str) -> ObservationTerm:
    part = observations.part(name)
    if name == PHASE:
        term = observation_term("clock", width=2)
    else:
        own = own_name(name, observations.where)
        term = observation_term(own, width=N_JOINTS)
    scale = part.numbers("scale", term.width) if "scale" in part else (1.0,) * term.width
    term = replace(term, scale=scale)
    if "clip" in part:
        term = _cut(term, part.numbers("clip", 2), late=bool(observations.get("scale_first")))
    if term.name == "velocity_command":
        term = _within(term, file)
    length = int(part.number("history_length")) if "history_length" in part else 1
    return replace(term, ages=past(length))


def _cut(term: ObservationTerm, bounds: Numbers, *, late: bool) -> ObservationTerm:
    """The term within bounds that hold before its scale, or after it."""
    if not late:
        return bounded(term, *bounds)
    lower, upper = bounds
    return replace(term, lower=(lower,) * term.width, upper=(upper,) * term.width)


def _within(term: ObservationTerm, file: Settings) -> ObservationTerm:
    """The velocity command within the ranges that the robot's controller cuts it to."""
    if "commands" not in file:
        return term
    ranges = file.part("commands").part("base_velocity").part("ranges")
    pairs = [numbers(f"{ranges.where}: {key}", ranges.need(key), 2) for key in COMMANDS]
    ends = [
        sorted((low * factor, high * factor))
        for (low, high), factor in zip(pairs, term.scale, strict=True)
    ]
    least = term.lower or (-LARGEST,) * term.width
    most = term.upper or (LARGEST,) * term.width
    return replace(
        term,
        lower=tuple(max(low, bound) for (low, _), bound in zip(ends, least, strict=True)),
        upper=tuple(min(high, bound) for (_, high), bound in zip(ends, most, strict=True)),
    )


def _clock(observations: Settings) -> Clock | None:
    """Sine and cosine of the gait's phase."""
    if PHASE not in observations:
        return None
    period = observations.part(PHASE).part("params").number("period")
    if not period > 0.0:
        raise refuse(f"{observations.where}: {PHASE}: period", "a positive time", period)
    return Clock(frequency=1.0 / period, offsets=(0.0, 0.25))
