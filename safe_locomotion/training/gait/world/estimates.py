"""States of many robots on flat ground, as their estimators see them or as they truly are.

The ground is the plane z = 0 of odom and its normal points up. So the ground frame of the onboard
controller is the yaw frame: z up, x along the heading, origin on the ground under the centre of
mass.
"""

from typing import Any

import warp as wp

from safe_locomotion.training.gait.world.arrays import Array2, Matrices3, Vectors3
from safe_locomotion.types import N_JOINTS, N_LEGS


@wp.struct
class Estimates:
    """What `types.Estimate` holds of one robot, for B robots.

    Attributes:
        position: (B,) of the base in odom; its z is the height above the ground [m].
        rotation: (B,) from base to odom.
        velocity: (B,) of the base in odom [m/s].
        rates: (B,) angular velocity in base [rad/s].
        joints: (B, 12) positions [rad].
        joint_rates: (B, 12) velocities [rad/s].
        contact: (B, 4) 1 for a foot that feels the ground, 0 for others.
    """

    position: Vectors3
    rotation: Matrices3
    velocity: Vectors3
    rates: Vectors3
    joints: Array2
    joint_rates: Array2
    contact: Array2


def estimates(robots: int, device: str) -> Any:
    """Zeroed states of so many robots on a device of Warp."""
    out = Estimates()
    out.position = wp.zeros(robots, dtype=wp.vec3, device=device)
    out.rotation = wp.zeros(robots, dtype=wp.mat33, device=device)
    out.velocity = wp.zeros(robots, dtype=wp.vec3, device=device)
    out.rates = wp.zeros(robots, dtype=wp.vec3, device=device)
    out.joints = wp.zeros((robots, N_JOINTS), dtype=float, device=device)
    out.joint_rates = wp.zeros((robots, N_JOINTS), dtype=float, device=device)
    out.contact = wp.zeros((robots, N_LEGS), dtype=float, device=device)
    return out


@wp.func
def roll_pitch_yaw(rotation: wp.mat33) -> wp.vec3:
    """Angles [rad] of R = Rz(yaw) Ry(pitch) Rx(roll); `rotations.rpy_from_rows`."""
    pitch = wp.asin(wp.clamp(-rotation[2, 0], -1.0, 1.0))
    roll = wp.atan2(rotation[2, 1], rotation[2, 2])
    yaw = wp.atan2(rotation[1, 0], rotation[0, 0])
    return wp.vec3(roll, pitch, yaw)


@wp.func
def heading_frame(rotation: wp.mat33) -> wp.mat33:
    """Rotation from the yaw frame of a body to odom; `robot.ground_frame` on flat ground."""
    x = rotation[0, 0]
    y = rotation[1, 0]
    length = wp.sqrt(x * x + y * y)
    c = x / length
    s = y / length
    return wp.mat33(c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)
