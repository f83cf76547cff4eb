"""legged_gym: it exports weights alone, so the layout is that of its code.

Source: legged_gym, `legged_robot.py` (observation), `legged_robot_config.py` (scales, clips, time
step) and `a1_config.py` (pose and gains). Joints are in Isaac Gym's order.
"""

from safe_locomotion.policy.importers.joint_names import ISAAC_GYM
from safe_locomotion.policy.importers.layout import ImportOptions, Layout, in_frames
from safe_locomotion.policy.importers.term_names import clipped
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.term import observation_term
from safe_locomotion.types import N_JOINTS

#: Observation with its scales; only the 48-wide variant has the first term.
TERMS: tuple[tuple[str, float | tuple[float, ...]], ...] = (
    ("base_velocity", 2.0),
    ("base_angular_velocity", 0.25),
    ("projected_gravity", 1.0),
    ("velocity_command", (2.0, 2.0, 0.25)),
    ("joint_position", 1.0),
    ("joint_velocity", 0.05),
    ("previous_action", 1.0),
)
WIDTHS = (45, 48)
RATE_HZ = 50  #: four steps of 5 ms
SCALE = 0.25
KP = 20.0
KD = 0.5
CLIP = 100.0
#: Default pose of its A1 [rad]; hips turn outwards.
POSE = {"hip": 0.1, "front_thigh": 0.8, "rear_thigh": 1.0, "calf": -1.5}


def read(width: int, options: ImportOptions) -> Layout:
    """What legged_gym's code says about a network of this many inputs.

    Raises:
        PolicyRefusedError: another width.
    """
    frames = options.frames or 1
    if width not in [frames * size for size in WIDTHS] and options.terms is None:
        expected = "45 or 48 numbers" + (f" in each of {frames} frames" if frames > 1 else "")
        raise refuse("observation of legged_gym", expected, in_frames(width, WIDTHS))
    terms = TERMS if width == 48 * frames else TERMS[1:]
    order = options.order or ISAAC_GYM
    for_a1 = options.robot == "a1"
    return Layout(
        source="legged_gym",
        order=order,
        rate_hz=RATE_HZ,
        terms=tuple(
            clipped(observation_term(name, scale, width=N_JOINTS), CLIP) for name, scale in terms
        ),
        scale=(SCALE,) * N_JOINTS if for_a1 else None,
        kp=(KP,) * N_JOINTS if for_a1 else None,
        kd=(KD,) * N_JOINTS if for_a1 else None,
        default_pose=_pose(order) if for_a1 else None,
        clip=CLIP,
        sources=dict.fromkeys(("scale", "kp", "kd", "default_pose"), "legged_gym's A1"),
    )


def _pose(order: tuple[str, ...]) -> Numbers:
    return tuple(_angle(joint) for joint in order)


def _angle(joint: str) -> float:
    leg, _, kind = joint.partition("_")
    if kind == "hip":
        return POSE["hip"] * (1.0 if leg.endswith("L") else -1.0)
    if kind == "calf":
        return POSE["calf"]
    return POSE["front_thigh" if leg.startswith("F") else "rear_thigh"]
