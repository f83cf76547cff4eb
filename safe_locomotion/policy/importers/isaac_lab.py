"""Isaac Lab: `IO_descriptors.yaml`, which it writes with `--export_io_descriptors`.

Without that file the layout says the order of the joints and the stock observation of its velocity
tasks alone; options say the rest. A term has all of its frames together, oldest first, and the
first frame stands for those before it (`circular_buffer.py`). It is cut before it is scaled.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.policy.importers.joint_names import ISAAC_LAB, own_names
from safe_locomotion.policy.importers.layout import ImportOptions, Layout, in_frames
from safe_locomotion.policy.importers.mjlab import HISTORY, past
from safe_locomotion.policy.importers.plain_files import Settings, numbers, read_yaml
from safe_locomotion.policy.importers.term_names import bounded, own_term
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.term import NOW, ObservationTerm, observation_term
from safe_locomotion.types import N_JOINTS

#: Stock observation of the velocity tasks; 45 numbers lack the first term.
STOCK = (
    "base_velocity",
    "base_angular_velocity",
    "projected_gravity",
    "velocity_command",
    "joint_position",
    "joint_velocity",
    "previous_action",
)
SAME = 1e-4  #: rad by which the action's zero may differ from the default pose
ACTION = "JointPositionAction"


def read(width: int, config: Path | None, options: ImportOptions) -> Layout:
    """What the descriptors say, or what every export of a velocity task has in common.

    Raises:
        PolicyRefusedError: the file describes what no contract can express.
    """
    if config is None:
        return _stock(width, options)
    file = read_yaml(config)
    action = _joint_action(file)
    order = own_names(action.texts("joint_names"))
    terms = tuple(_term(part, order) for part in _group(file))
    pose = _articulation(file, order, "default_joint_pos")
    _check_zero(action, pose)
    lower, upper = target_bounds(action)
    return Layout(
        source=config.name,
        order=order,
        rate_hz=_rate(file.part("scene")),
        terms=terms,
        history=None if all(term.ages == NOW for term in terms) else HISTORY,
        scale=action.numbers("scale", N_JOINTS),
        kp=_unless_zero(_articulation(file, order, "default_joint_stiffness")),
        kd=_unless_zero(_articulation(file, order, "default_joint_damping")),
        default_pose=pose,
        lower=lower,
        upper=upper,
    )


def _rate(scene: Settings) -> int:
    """Policy steps per second, which period, physics step and decimation must agree on.

    Raises:
        PolicyRefusedError: they do not.
    """
    rate = rate_of(scene.number("dt"))
    if "physics_dt" in scene and "decimation" in scene:
        stepped = rate_of(scene.number("physics_dt") * scene.number("decimation"))
        if stepped != rate:
            raise refuse("scene: dt", f"the period of {stepped} Hz, physics_dt x decimation", rate)
    return rate


def rate_of(period: float) -> int:
    """Steps per second of a period [s].

    Raises:
        PolicyRefusedError: no whole number of them.
    """
    rate = 1.0 / period if period > 0.0 else 0.0
    if not 0.0 < rate < 1e4 or abs(rate - round(rate)) > 1e-3 * rate:
        raise refuse("policy period", "the period of a whole number of Hz", f"{period:g} s")
    return round(rate)


def target_bounds(action: Settings) -> tuple[Numbers | None, Numbers | None]:
    """Bounds of the joint targets [rad], in the order of the action; None for none."""
    if "clip" not in action:
        return None, None
    where = f"{action.where}: clip"
    pairs = [numbers(where, pair, 2) for pair in action.need("clip")]
    if len(pairs) != N_JOINTS:
        raise refuse(where, f"{N_JOINTS} pairs of bounds", len(pairs))
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def check_zero(where: str, offset: Numbers, pose: Numbers) -> None:
    """Refuse an action whose zero is not the default pose.

    Raises:
        PolicyRefusedError: see above.
    """
    if not np.abs(np.subtract(offset, pose)).max() <= SAME:
        raise refuse(f"{where}: offset", "the default pose", offset)


def _stock(width: int, options: ImportOptions) -> Layout:
    frames = options.frames or 1
    sizes = {45 * frames: STOCK[1:], 48 * frames: STOCK}
    if options.terms is None and width not in sizes:
        expected = "45 or 48 numbers, or --config IO_descriptors.yaml, or --terms"
        raise refuse("observation of isaaclab", expected, in_frames(width, (45, 48)))
    names = sizes.get(width, STOCK)
    return Layout(
        source="Isaac Lab",
        order=ISAAC_LAB,
        terms=tuple(observation_term(name, width=N_JOINTS) for name in names),
        history=HISTORY if frames > 1 else None,
    )


def _joint_action(file: Settings) -> Settings:
    found = file.need("actions")
    if not isinstance(found, list) or len(found) != 1:
        raise refuse(f"{file.where}: actions", "one action", repr(found)[:80])
    action = Settings(found[0], f"{file.where}: action")
    path = str(action.need("full_path"))
    if path.rpartition(".")[2] != ACTION:
        raise refuse(f"{action.where}: full_path", ACTION, path)
    return action


def _group(file: Settings) -> list[Settings]:
    """Terms of the policy's group of observations."""
    groups = file.part("observations")
    name = "policy" if "policy" in groups else "actor"
    found = groups.need(name)
    if not isinstance(found, list):
        raise refuse(groups.where, "a list of terms", repr(found)[:80])
    return [Settings(part, f"{file.where}: observation {k}") for k, part in enumerate(found)]


def _term(part: Settings, order: tuple[str, ...]) -> ObservationTerm:
    name = str(part.need("name"))
    more = part.part("overloads")
    scale = more.numbers("scale") if "scale" in more else (1.0,)
    term = own_term(name, scale if len(scale) > 1 else scale[0], part.where)
    if part.numbers("shape") != (float(term.width),):
        raise refuse(f"{part.where}: shape of {name}", term.width, part.get("shape"))
    if "extras" in part and part.part("extras").get("modifiers"):
        raise refuse(f"{part.where}: modifiers of {name}", "none", "some")
    if "joint_names" in part and own_names(part.texts("joint_names")) != order:
        raise refuse(f"{part.where}: joint_names", "the order of the action", name)
    bounds = more.numbers("clip", 2) if "clip" in more else (-np.inf, np.inf)
    length = int(more.number("history_length")) if "history_length" in more else 0
    if length > 1 and more.get("flatten_history_dim") is False:
        raise refuse(f"{part.where}: flatten_history_dim", True, False)
    return replace(bounded(term, *bounds), ages=past(length))


def _articulation(file: Settings, order: tuple[str, ...], key: str) -> Numbers:
    """A value of each joint in the order of the action."""
    robot = file.part("articulations").part("robot")
    names = own_names(robot.texts("joint_names"))
    values = dict(zip(names, robot.numbers(key, len(names)), strict=True))
    missing = [name for name in order if name not in values]
    if missing:
        raise refuse(f"{robot.where}: joint_names", ", ".join(order), ", ".join(names))
    return tuple(values[name] for name in order)


def _unless_zero(gains: Numbers) -> Numbers | None:
    """The gains; None where an actuator model of the training hides them as zeros."""
    return gains if all(gain > 0.0 for gain in gains) else None


def _check_zero(action: Settings, pose: Numbers) -> None:
    offset: Any = action.get("offset")
    check_zero(action.where, numbers(action.where, 0.0 if offset is None else offset, 12), pose)
