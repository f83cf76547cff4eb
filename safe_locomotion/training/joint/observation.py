"""Observation of joint policies in training, for numpy and torch alike.

Its terms have the names of `policy.observation`.
"""

from collections.abc import Callable
from typing import Any

#: In their order; the numbers are not scaled, because the normaliser is inside the network.
OBSERVATION = (
    "base_angular_velocity",
    "projected_gravity",
    "velocity_command",
    "joint_position",
    "joint_velocity",
    "previous_action",
)


def observation_terms(
    qpos: Any, qvel: Any, q_stand: Any, command: Any, action: Any, stack: Callable[[Any, int], Any]
) -> dict[str, Any]:
    """The terms (n, width) of n robots by name.

    Args:
        qpos: (n, 19) of MuJoCo: position, quaternion w x y z, joints.
        qvel: (n, 18) of MuJoCo: velocity in the world, rates in base, joints.
        q_stand: (12,) standing pose [rad].
        command: (n, 3) vx, vy [m/s], wz [rad/s].
        action: (n, 12) previous one, clipped.
        stack: `numpy.stack` or `torch.stack`.
    """
    return {
        "base_angular_velocity": qvel[:, 3:6],
        "projected_gravity": -up_in_base(qpos[:, 3:7], stack),
        "velocity_command": command,
        "joint_position": qpos[:, 7:] - q_stand,
        "joint_velocity": qvel[:, 6:],
        "previous_action": action,
    }


def up_in_base(quaternion: Any, stack: Callable[[Any, int], Any]) -> Any:
    """The vertical (n, 3) in base, of unit quaternions w x y z (n, 4)."""
    w = quaternion[:, 0]
    x = quaternion[:, 1]
    y = quaternion[:, 2]
    z = quaternion[:, 3]
    return stack((2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)), 1)
