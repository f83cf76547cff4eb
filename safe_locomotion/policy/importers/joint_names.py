"""Orders of the twelve joints in which projects write them."""

from collections.abc import Sequence

from safe_locomotion.policy.refusal import refuse
from safe_locomotion.types import JOINT_KINDS, JOINTS

LEGS_FROM_LEFT = ("FL", "FR", "RL", "RR")

#: Leg by leg from the left: Isaac Gym, and so legged_gym and walk_these_ways.
ISAAC_GYM = tuple(f"{leg}_{kind}" for leg in LEGS_FROM_LEFT for kind in JOINT_KINDS)

#: All hips, all thighs, all calves: Isaac Sim's order, and so Isaac Lab's.
ISAAC_LAB = tuple(f"{leg}_{kind}" for kind in JOINT_KINDS for leg in LEGS_FROM_LEFT)

ORDERS = {"sdk": JOINTS, "isaacgym": ISAAC_GYM, "isaaclab": ISAAC_LAB}


def joint_order(text: str) -> tuple[str, ...]:
    """Joint names of a named order, or of a list separated by commas.

    Raises:
        PolicyRefusedError: the name is unknown, or could mean two orders.
    """
    if text == "isaac":
        expected = "isaacgym (FL FR RL RR, leg by leg) or isaaclab (all hips, thighs, calves)"
        raise refuse("--order", expected, "isaac, which may be either")
    if text not in ORDERS and "," not in text:
        raise refuse("--order", f"{', '.join(ORDERS)} or twelve names with commas", text)
    return ORDERS.get(text) or own_names(text.split(","))


def own_names(names: Sequence[str]) -> tuple[str, ...]:
    """Our names of joints: "robot/FL_hip_joint" is FL_hip. The contract checks that all exist."""
    return tuple(name.strip().rpartition("/")[2].removesuffix("_joint") for name in names)
