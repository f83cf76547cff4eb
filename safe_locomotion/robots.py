"""Robot models: numbers of one robot, with units and sources, read from the URDF that ships with the package."""

from dataclasses import dataclass

from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class RobotModel:
    """A quadruped with twelve joints, legs FR, FL, RR, RL, in SI units.

    Attributes:
        name: key under `models/robots`.
        hip_position: (4, 3) hip joints in base [m].
        hip_offset: (4,) signed lateral distance from the hip axis to the leg plane, positive left [m].
        thigh_length, calf_length, foot_radius: [m].
        q_min, q_max: (12,) joint ranges [rad].
        dq_max: (12,) joint speeds [rad/s].
        tau_max: (12,) peak torques [Nm].
        q_stand, q_sit: (12,) poses [rad]; q_stand has the feet under the hips at `nominal_height`.
        nominal_height: base above the ground when standing [m].
        mass: of the whole robot [kg].
        com: (3,) whole-body centre of mass in base at q_stand [m].
        inertia: (3, 3) whole-body inertia about `com`, base axes, at q_stand [kg m2].
        leg_link_mass: (3,) hip, thigh, calf with foot [kg].
        leg_link_com: (4, 3, 3) per leg, per link, CoM in the link's own frame (origin in its joint) [m].
    """

    name: str
    hip_position: Array
    hip_offset: Array
    thigh_length: float
    calf_length: float
    foot_radius: float
    q_min: Array
    q_max: Array
    dq_max: Array
    tau_max: Array
    q_stand: Array
    q_sit: Array
    nominal_height: float
    mass: float
    com: Array
    inertia: Array
    leg_link_mass: Array
    leg_link_com: Array
