"""rl_sar: `config.yaml` of a policy, over `base.yaml` of its robot in the folder above.

`joint_mapping` leads the network's joints to those of Unitree's SDK. `observations_history` lists
the ages of frames in their order, whole frames or term by term (`observation_buffer.cpp`). Frames
before the first one are zeros. Source: its `rl_sdk.cpp`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from safe_locomotion.policy.importers.isaac_lab import rate_of
from safe_locomotion.policy.importers.layout import Layout
from safe_locomotion.policy.importers.plain_files import Settings, read_yaml
from safe_locomotion.policy.importers.term_names import clipped, own_term
from safe_locomotion.policy.refusal import refuse
from safe_locomotion.policy.term import NOW, ObservationHistory, ObservationTerm
from safe_locomotion.types import JOINTS, N_JOINTS

#: Key of the scale of each term; a term that is not here has none.
SCALES = {
    "lin_vel": "lin_vel_scale",
    "ang_vel": "ang_vel_scale",
    "commands": "commands_scale",
    "dof_pos": "dof_pos_scale",
    "dof_vel": "dof_vel_scale",
}
TERMS = (*SCALES, "gravity_vec", "actions")
ORDERS = {"time": "frame", "term": "term"}


def read(config: Path | None) -> Layout:
    """What config.yaml and base.yaml say.

    Raises:
        PolicyRefusedError: there is no such file, or no contract can express it.
    """
    if config is None:
        raise refuse("layout rl_sar", "--config config.yaml of the policy's folder", "none")
    said = _merged(config)
    mapping = said.integers("joint_mapping")
    if sorted(mapping) != list(range(N_JOINTS)):
        raise refuse(f"{said.where}: joint_mapping", "each of 0..11 once", mapping)
    if said.integers("wheel_indices"):
        raise refuse(f"{said.where}: wheel_indices", "none", said.get("wheel_indices"))
    ages = tuple(said.integers("observations_history")) or NOW
    rated = "dt" in said and "decimation" in said
    return Layout(
        source=config.name,
        order=tuple(JOINTS[k] for k in mapping),
        rate_hz=rate_of(said.number("dt") * said.number("decimation")) if rated else None,
        terms=tuple(replace(_term(said, name), ages=ages) for name in said.texts("observations")),
        history=None if ages == NOW else _history(said),
        scale=said.numbers("action_scale", N_JOINTS),
        kp=said.numbers("rl_kp", N_JOINTS),
        kd=said.numbers("rl_kd", N_JOINTS),
        default_pose=said.numbers("default_dof_pos", N_JOINTS),
        clip=_clip(said),
    )


def _merged(config: Path) -> Settings:
    """The policy's file over the robot's."""
    base = config.resolve().parent.parent / "base.yaml"
    values: dict[str, Any] = {}
    for path in (base, config):
        if path is config or path.is_file():
            file = read_yaml(path)
            if len(file.names) != 1:
                raise refuse(file.where, "one robot or policy", ", ".join(file.names)[:80])
            part = file.part(file.names[0])
            values |= {key: part.get(key) for key in part.names}
    return Settings(values, config.name)


def _term(said: Settings, name: str) -> ObservationTerm:
    if name not in TERMS:
        raise refuse(f"{said.where}: observations", f"terms out of {', '.join(TERMS)}", name)
    scale = said.numbers(SCALES[name]) if name in SCALES else (1.0,)
    term = own_term(name, scale if len(scale) > 1 else scale[0], said.where)
    return clipped(term, said.number("clip_obs")) if "clip_obs" in said else term


def _history(said: Settings) -> ObservationHistory:
    priority = str(said.need("observations_history_priority"))
    if priority not in ORDERS:
        raise refuse(f"{said.where}: observations_history_priority", "time or term", priority)
    return ObservationHistory(order="term" if priority == "term" else "frame", start="zero")


def _clip(said: Settings) -> float | None:
    """Bound of the output; one for all joints."""
    if "clip_actions_upper" not in said or not said.need("clip_actions_upper"):
        return None
    upper = set(said.numbers("clip_actions_upper", N_JOINTS))
    lower = set(said.numbers("clip_actions_lower", N_JOINTS))
    if len(upper) != 1 or lower != {-bound for bound in upper}:
        expected = "one bound for all joints, the same on both sides"
        raise refuse(f"{said.where}: clip_actions_upper", expected, sorted(upper | lower))
    return upper.pop()
