"""Contracts for networks that other projects trained and exported.

There are two layouts. Options of the user replace what the file or the layout says.

* `mjlab`: rsl_rl's exporter with the metadata that mjlab and its relatives attach: joint names,
  gains, default pose and scales. The exporter rounds them to three decimals.
* `legged_gym`: no metadata. The observation has the 45 or 48 numbers that trainings with Isaac Gym
  share, in Isaac's order of the legs.
"""

from dataclasses import dataclass
from math import inf
from pathlib import Path

import onnx

from safe_locomotion.policy.action import JointAction
from safe_locomotion.policy.contract import Origin, PolicyContract, RecurrentTensor
from safe_locomotion.policy.onnx_model import fix_batch, shape_of
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.term import ObservationTerm, observation_term
from safe_locomotion.types import JOINT_KINDS, JOINTS, N_JOINTS

ISAAC_ORDER = tuple(f"{leg}_{kind}" for leg in ("FL", "FR", "RL", "RR") for kind in JOINT_KINDS)
ORDERS = {"sdk": JOINTS, "isaac": ISAAC_ORDER}

#: Names of observation terms in mjlab and Isaac Lab.
MJLAB_TERMS = {
    "base_lin_vel": "base_velocity",
    "base_ang_vel": "base_angular_velocity",
    "projected_gravity": "projected_gravity",
    "joint_pos": "joint_position",
    "joint_vel": "joint_velocity",
    "actions": "previous_action",
    "command": "velocity_command",
    "velocity_commands": "velocity_command",
}
MJLAB_KEYS = (
    "joint_names",
    "joint_stiffness",
    "joint_damping",
    "default_joint_pos",
    "action_scale",
    "observation_names",
)

#: Observation of legged_gym with its scales; only the 48-wide variant has the first term.
LEGGED_GYM_TERMS: tuple[tuple[str, float | tuple[float, ...]], ...] = (
    ("base_velocity", 2.0),
    ("base_angular_velocity", 0.25),
    ("projected_gravity", 1.0),
    ("velocity_command", (2.0, 2.0, 0.25)),
    ("joint_position", 1.0),
    ("joint_velocity", 0.05),
    ("previous_action", 1.0),
)
#: Default pose of legged_gym's A1 [rad]; hips turn outwards.
LEGGED_GYM_POSE = {"hip": 0.1, "front_thigh": 0.8, "rear_thigh": 1.0, "calf": -1.5}
LEGGED_GYM_SCALE = 0.25
LEGGED_GYM_KP = 20.0
LEGGED_GYM_KD = 0.5
LEGGED_GYM_CLIP = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """What the user adds to the file.

    Attributes:
        name, robot, rate_hz, origin, action_limit: as in the contract.
        order: names of the joints in the network's order; None for the layout's own order.
        kp, kd, scale, default_pose: (12,) in that order; None for the values of the file or layout.
        clip: bound on the network's output; None for the layout's own bound.
    """

    name: str
    robot: str
    rate_hz: int
    origin: Origin
    action_limit: float
    order: tuple[str, ...] | None = None
    kp: Numbers | None = None
    kd: Numbers | None = None
    scale: Numbers | None = None
    default_pose: Numbers | None = None
    clip: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """What a layout says about a file; vectors are in `order`."""

    order: tuple[str, ...]
    observation: tuple[ObservationTerm, ...]
    scale: Numbers
    kp: Numbers
    kd: Numbers
    default_pose: Numbers
    clip: float | None


def load_foreign(path: Path) -> onnx.ModelProto:
    """The model in an ONNX file, with weights that lie in a file beside it.

    Raises:
        PolicyRefusedError: the file is not an ONNX model.
    """
    try:
        return onnx.load(str(path))
    except Exception as error:  # from protobuf, from the checker or from the file system
        raise refuse("source", "an ONNX model", f"{path} ({error})") from error


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Metadata of a model by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def detect_layout(model: onnx.ModelProto) -> str:
    """The layout of a model: "mjlab" when it has that metadata, otherwise "legged_gym"."""
    return "mjlab" if "joint_names" in metadata(model) else "legged_gym"


def import_contract(model: onnx.ModelProto, layout: str, options: ImportOptions) -> PolicyContract:
    """The contract of a foreign model, without recorded pairs; its open sizes become 1.

    Args:
        model: ONNX; changed in place.
        layout: "mjlab" or "legged_gym".
        options: of the user.

    Raises:
        PolicyRefusedError: the file lacks what its layout needs, or no contract can express it.
    """
    fix_batch(model)
    tensors = _Tensors(model)
    if layout == "mjlab":
        found = _mjlab(metadata(model), options)
    else:
        found = _legged_gym(tensors.observation_width, options)
    o = options
    return PolicyContract(
        name=o.name,
        kind="joint",
        robot=o.robot,
        rate_hz=o.rate_hz,
        observation=found.observation,
        joint_order=found.order,
        default_pose=o.default_pose or found.default_pose,
        action_limit=o.action_limit,
        origin=o.origin,
        joint=JointAction(
            scale=o.scale or found.scale,
            kp=o.kp or found.kp,
            kd=o.kd or found.kd,
            clip=found.clip if o.clip is None else o.clip,
        ),
        recurrent=tensors.recurrent,
        observation_input=tensors.observation,
        action_output=tensors.action,
    )


class _Tensors:
    """Roles of the tensors of a model.

    Memories are pairs called X_in and X_out. One other input and one other output must remain.

    Attributes:
        observation: name of the input that is the observation.
        observation_width: its size.
        action: name of the output that is the action.
        recurrent: memories.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        given = {tensor.name for tensor in model.graph.initializer}
        free = [value for value in model.graph.input if value.name not in given]
        inputs = {value.name: shape_of(value) for value in free}
        outputs = {value.name for value in model.graph.output}
        partners = {name: f"{name[:-3]}_out" for name in inputs if name.endswith("_in")}
        pairs = {name: partner for name, partner in partners.items() if partner in outputs}
        others = [name for name in inputs if name not in pairs]
        self.observation = _only("inputs besides memories", others)
        self.action = _only("outputs besides memories", sorted(outputs - set(pairs.values())))
        self.recurrent = tuple(
            RecurrentTensor(input=i, output=o, shape=_known(inputs[i], i)) for i, o in pairs.items()
        )
        self.observation_width = _known(inputs[self.observation], self.observation)[-1]


def _only(what: str, names: list[str]) -> str:
    if len(names) != 1:
        raise refuse(what, "one", ", ".join(names) or "none")
    return names[0]


def _known(shape: tuple[int | str, ...], name: str) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if isinstance(size, int))
    if not shape or sizes != shape:
        raise refuse(f"shape of {name!r}", "sizes", shape)
    return sizes


def _mjlab(said: dict[str, str], options: ImportOptions) -> _Layout:
    missing = [key for key in MJLAB_KEYS if key not in said]
    if missing:
        found = f"none of {', '.join(missing)}"
        raise refuse("metadata of an mjlab export", ", ".join(MJLAB_KEYS), found)
    paths = [path.strip() for path in said["joint_names"].split(",")]
    order = tuple(path.rpartition("/")[2].removesuffix("_joint") for path in paths)
    return _Layout(
        order=options.order or order,
        observation=_mjlab_terms(said),
        scale=_twelve("action_scale", said["action_scale"]),
        kp=_twelve("joint_stiffness", said["joint_stiffness"]),
        kd=_twelve("joint_damping", said["joint_damping"]),
        default_pose=_twelve("default_joint_pos", said["default_joint_pos"]),
        clip=None,
    )


def _mjlab_terms(said: dict[str, str]) -> tuple[ObservationTerm, ...]:
    names = [name.strip() for name in said["observation_names"].split(",")]
    unknown = [name for name in names if name not in MJLAB_TERMS]
    if unknown:
        expected = f"names out of {', '.join(MJLAB_TERMS)}"
        raise refuse("observation_names", expected, ", ".join(unknown))
    plain = {"history_length": {0.0, 1.0}, "clip": {-inf, inf}}
    for key, allowed in plain.items():
        text = said.get(f"observation_terms_{key}", "")
        if not {x for entry in _entries(text) for x in entry} <= allowed:
            raise refuse(f"observation_terms_{key}", "none", text)
    scales = _entries(said.get("observation_terms_scale", "")) or [(1.0,)] * len(names)
    if len(scales) != len(names):
        raise refuse("observation_terms_scale", f"{len(names)} entries", len(scales))
    return tuple(
        observation_term(MJLAB_TERMS[name], scale if len(scale) > 1 else scale[0], width=N_JOINTS)
        for name, scale in zip(names, scales, strict=True)
    )


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


def _legged_gym(width: int, options: ImportOptions) -> _Layout:
    if width not in (45, 48):
        raise refuse("observation of legged_gym", "45 or 48 numbers", width)
    order = options.order or ISAAC_ORDER
    terms = LEGGED_GYM_TERMS if width == 48 else LEGGED_GYM_TERMS[1:]
    return _Layout(
        order=order,
        observation=tuple(observation_term(name, scale, width=N_JOINTS) for name, scale in terms),
        scale=(LEGGED_GYM_SCALE,) * N_JOINTS,
        kp=(LEGGED_GYM_KP,) * N_JOINTS,
        kd=(LEGGED_GYM_KD,) * N_JOINTS,
        default_pose=tuple(_legged_gym_angle(joint) for joint in order),
        clip=LEGGED_GYM_CLIP,
    )


def _legged_gym_angle(joint: str) -> float:
    leg, _, kind = joint.partition("_")
    if kind == "hip":
        return LEGGED_GYM_POSE["hip"] * (1.0 if leg.endswith("L") else -1.0)
    if kind == "calf":
        return LEGGED_GYM_POSE["calf"]
    return LEGGED_GYM_POSE["front_thigh" if leg.startswith("F") else "rear_thigh"]
