"""What joint policies are shown in training, term by term under the names of `observation.py`; for numpy and torch alike."""

from collections.abc import Callable
from typing import Any

#: In the order in which they are shown, every number as it is: the normaliser is inside the network.
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
        qpos, qvel: (n, 19), (n, 18) of MuJoCo: position, quaternion w x y z, joints; velocity in the world, rates in base, joints.
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
    w, x, y, z = (quaternion[:, k] for k in range(4))
    return stack((2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)), 1)
