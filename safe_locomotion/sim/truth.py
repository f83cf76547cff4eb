"""Ground truth of a simulated robot: for scores and tests, never for a controller."""

from dataclasses import dataclass

from safe_locomotion.types import Array, Flags


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """True state at one moment.

    Attributes:
        time_s: robot time.
        position: (3,) base in the world, which is odom at the start [m].
        quaternion_wxyz: (4,) base to world.
        velocity: (3,) of the base in the world [m/s].
        angular_velocity: (3,) in base [rad/s].
        height: base above the ground under it [m].
        q, dq, tau: (12,) joints [rad, rad/s, Nm].
        foot_contact: (4,) feet that touch anything.
        foot_force: (4,) normal force on each foot [N].
        joint_power: (12,) mechanical power of the motors [W].
        energy: positive mechanical work of all joints since the start [J].
        falls: falls so far.
    """

    time_s: float
    position: Array
    quaternion_wxyz: Array
    velocity: Array
    angular_velocity: Array
    height: float
    q: Array
    dq: Array
    tau: Array
    foot_contact: Flags
    foot_force: Array
    joint_power: Array
    energy: float
    falls: int
