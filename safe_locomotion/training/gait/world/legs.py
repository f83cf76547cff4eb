"""Legs of many robots: kinematics, leg weight and leg control as Warp functions.

Each function has the name of its onboard twin in `robot.kinematics`, `control.leg_weight` or
`control.leg_control`. Vectors are in base. Every robot of a world has the same model.
"""

from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.control.leg_control import LegGains
from safe_locomotion.control.leg_weight import LegWeight
from safe_locomotion.robot.kinematics import DAMPING
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import Array1, Array2
from safe_locomotion.types import GRAVITY, N_LEGS, Array

SMALLEST = wp.constant(1.0e-8)
DAMPED = wp.constant(DAMPING)
WEIGHT = wp.constant(-GRAVITY)


@wp.struct
class Legs:
    """Numbers of the four legs.

    Attributes:
        hip: (4, 3) joint [m].
        offset: (4,) of the leg plane from the hip, positive to the left [m].
        thigh, calf: lengths [m].
        radius: of the feet [m].
        q_min, q_max, dq_max, tau_max: (4, 3) limits of the joints [rad, rad/s, Nm].
        moments: (4, 6) mass times place of the links, as `LegWeight` keeps them [kg m].
        swing_margin: distance that swing targets keep from the ends of the joint ranges [rad].
        swing_kp, swing_kd, stance_kd: gains [Nm/rad, Nm s/rad].
    """

    hip: Array2
    offset: Array1
    thigh: float
    calf: float
    radius: float
    q_min: Array2
    q_max: Array2
    dq_max: Array2
    tau_max: Array2
    moments: Array2
    swing_margin: float
    swing_kp: float
    swing_kd: float
    stance_kd: float


@wp.struct
class LegPose:
    """Intermediate results of one leg, computed once per set of angles; `kinematics.LegPose`."""

    sa: float
    ca: float
    sb: float
    cb: float
    sbc: float
    cbc: float
    mx: float
    mz: float
    x: float
    z: float


@wp.struct
class JointCommand:
    """Command to the three joints of a leg, as the motors take it."""

    q: wp.vec3
    dq: wp.vec3
    tau: wp.vec3
    kp: float
    kd: float


def legs_of(robot: RobotModel, gains: LegGains | None, device: str) -> Any:
    """The legs of a robot model, on a device of Warp; without gains only kinematics can be used."""

    def on_device(values: Array) -> Any:
        return wp.array(values.astype(np.float32), dtype=float, device=device)

    legs = Legs()
    legs.hip = on_device(robot.hip_position)
    legs.offset = on_device(np.asarray(robot.hip_offset))
    legs.thigh = float(robot.thigh_length)
    legs.calf = float(robot.calf_length)
    legs.radius = float(robot.foot_radius)
    for name in ("q_min", "q_max", "dq_max", "tau_max"):
        setattr(legs, name, on_device(getattr(robot, name).reshape(N_LEGS, 3)))
    weights = [LegWeight(robot, leg).moments for leg in range(N_LEGS)]
    legs.moments = on_device(np.array(weights))
    if gains is not None:
        for name in ("swing_margin", "swing_kp", "swing_kd", "stance_kd"):
            setattr(legs, name, getattr(gains, name))
    return legs


@wp.func
def joints_of(values: Array2, robot: int, leg: int) -> wp.vec3:
    """Hip, thigh and calf of one leg from an array (B, 12)."""
    first = 3 * leg
    return wp.vec3(values[robot, first], values[robot, first + 1], values[robot, first + 2])


@wp.func
def foot_at(legs: Legs, leg: int, q: wp.vec3) -> wp.vec3:
    """Foot centre [m] at hip, thigh and calf angles [rad]."""
    sa = wp.sin(q[0])
    ca = wp.cos(q[0])
    x = -legs.thigh * wp.sin(q[1]) - legs.calf * wp.sin(q[1] + q[2])
    z = -legs.thigh * wp.cos(q[1]) - legs.calf * wp.cos(q[1] + q[2])
    d = legs.offset[leg]
    local = wp.vec3(x, d * ca - z * sa, d * sa + z * ca)
    return local + wp.vec3(legs.hip[leg, 0], legs.hip[leg, 1], legs.hip[leg, 2])


@wp.func
def leg_pose(legs: Legs, q: wp.vec3) -> LegPose:
    """Sines, cosines and places of a leg at hip, thigh and calf angles [rad]."""
    pose = LegPose()
    pose.sa = wp.sin(q[0])
    pose.ca = wp.cos(q[0])
    pose.sb = wp.sin(q[1])
    pose.cb = wp.cos(q[1])
    pose.sbc = wp.sin(q[1] + q[2])
    pose.cbc = wp.cos(q[1] + q[2])
    pose.mx = -legs.calf * pose.sbc
    pose.mz = -legs.calf * pose.cbc
    pose.x = pose.mx - legs.thigh * pose.sb
    pose.z = pose.mz - legs.thigh * pose.cb
    return pose


@wp.func
def torque_of(legs: Legs, leg: int, pose: LegPose, force: wp.vec3) -> wp.vec3:
    """J' f: what a force [N] on the foot centre does at the joints [Nm]."""
    y_leg = pose.ca * force[1] + pose.sa * force[2]
    z_leg = pose.ca * force[2] - pose.sa * force[1]
    return wp.vec3(
        legs.offset[leg] * z_leg - pose.z * y_leg,
        pose.z * force[0] - pose.x * z_leg,
        pose.mz * force[0] - pose.mx * z_leg,
    )


@wp.func
def joint_velocity(legs: Legs, leg: int, pose: LegPose, velocity: wp.vec3) -> wp.vec3:
    """Joint velocities [rad/s] that move the foot with a velocity [m/s], damped."""
    mx = pose.mx
    mz = pose.mz
    x = pose.x
    z = pose.z
    d = legs.offset[leg]
    y_leg = pose.ca * velocity[1] + pose.sa * velocity[2]
    z_leg = pose.ca * velocity[2] - pose.sa * velocity[1]
    xx = z * z + mz * mz + DAMPED
    yy = z * z + DAMPED
    zz = d * d + x * x + mx * mx + DAMPED
    xz = (z * x + mz * mx) / xx
    yz = z * d / yy
    wz = (z_leg + xz * velocity[0] + yz * y_leg) / (zz - xz * xz * xx - yz * yz * yy)
    wx = velocity[0] / xx + xz * wz
    wy = y_leg / yy + yz * wz
    return wp.vec3(d * wz - z * wy, z * wx - x * wz, mz * wx - mx * wz)


@wp.func
def inverse(legs: Legs, leg: int, foot: wp.vec3) -> wp.vec3:
    """Joint positions [rad] that put the foot centre at `foot`, knee bent backwards."""
    x = foot[0] - legs.hip[leg, 0]
    y = foot[1] - legs.hip[leg, 1]
    z = foot[2] - legs.hip[leg, 2]
    d = legs.offset[leg]
    l = legs.thigh
    m = legs.calf
    z_plane = -wp.sqrt(wp.max(SMALLEST, y * y + z * z - d * d))
    cos_knee = wp.clamp((x * x + z_plane * z_plane - l * l - m * m) / (2.0 * l * m), -1.0, 1.0)
    calf = -wp.acos(cos_knee)
    thigh = wp.atan2(-x, -z_plane) - wp.atan2(m * wp.sin(calf), l + m * cos_knee)
    hip = wp.atan2(z * d - y * z_plane, y * d + z * z_plane)
    return wp.vec3(
        wp.clamp(hip, legs.q_min[leg, 0], legs.q_max[leg, 0]),
        wp.clamp(thigh, legs.q_min[leg, 1], legs.q_max[leg, 1]),
        wp.clamp(calf, legs.q_min[leg, 2], legs.q_max[leg, 2]),
    )


@wp.func
def leg_weight(legs: Legs, leg: int, pose: LegPose, up: wp.vec3) -> wp.vec3:
    """Joint torques [Nm] that hold up the leg's own links; `up` is the vertical in base."""
    g = WEIGHT * up
    gy_leg = pose.ca * g[1] + pose.sa * g[2]
    gz_leg = pose.ca * g[2] - pose.sa * g[1]
    calf_x = pose.cbc * legs.moments[leg, 4] + pose.sbc * legs.moments[leg, 5]
    calf_z = pose.cbc * legs.moments[leg, 5] - pose.sbc * legs.moments[leg, 4]
    below_x = calf_x + pose.cb * legs.moments[leg, 2] + pose.sb * legs.moments[leg, 3]
    below_z = calf_z + pose.cb * legs.moments[leg, 3] - pose.sb * legs.moments[leg, 2]
    return wp.vec3(
        (legs.moments[leg, 1] + below_z) * gy_leg - legs.moments[leg, 0] * gz_leg,
        below_x * gz_leg - below_z * g[0],
        calf_x * gz_leg - calf_z * g[0],
    )


@wp.func
def support_torque(legs: Legs, leg: int, pose: LegPose, up: wp.vec3, force: wp.vec3) -> wp.vec3:
    """Leg weight less J_c' f, with the contact one foot radius below the foot centre."""
    r = legs.radius
    about_y = r * (
        pose.ca * (up[2] * force[0] - up[0] * force[2])
        + pose.sa * (up[0] * force[1] - up[1] * force[0])
    )
    lever = wp.vec3(r * (up[1] * force[2] - up[2] * force[1]), about_y, about_y)
    return leg_weight(legs, leg, pose, up) - torque_of(legs, leg, pose, force) + lever


@wp.func
def leg_command(
    legs: Legs,
    leg: int,
    q: wp.vec3,
    up: wp.vec3,
    stance: bool,
    force: wp.vec3,
    foot: wp.vec3,
    velocity: wp.vec3,
    age: float,
) -> JointCommand:
    """Command of one leg on one LowState; `control.leg_control` for a leg that the MPC drives.

    Args:
        legs: of the robot.
        leg: which one.
        q: joint positions [rad].
        up: vertical in base.
        stance: the foot pushes.
        force: ground reaction force in base [N].
        foot, velocity: target of the foot in base [m, m/s].
        age: of the plan [s].
    """
    pose = leg_pose(legs, q)
    wanted = joint_velocity(legs, leg, pose, velocity)
    target = q
    command = JointCommand()
    command.tau = support_torque(legs, leg, pose, up, force)
    command.kp = 0.0
    command.kd = legs.stance_kd
    margin = float(0.0)
    if not stance:
        target = inverse(legs, leg, foot + age * velocity)
        command.kp = legs.swing_kp
        command.kd = legs.swing_kd
        margin = legs.swing_margin
    for joint in range(3):
        low = legs.q_min[leg, joint] + margin
        high = legs.q_max[leg, joint] - margin
        held = wp.clamp(target[joint], low, high)
        fastest = legs.dq_max[leg, joint]
        speed = wp.clamp(wanted[joint], -fastest, fastest)
        command.dq[joint] = wp.where(not stance and held != target[joint], 0.0, speed)
        command.q[joint] = held
    return command


@wp.func
def commanded_torque(
    legs: Legs, leg: int, command: JointCommand, q: wp.vec3, dq: wp.vec3
) -> wp.vec3:
    """Torque that the motors are asked for [Nm], at most their peak torque."""
    wanted = command.tau + command.kp * (command.q - q) + command.kd * (command.dq - dq)
    peak = wp.vec3(legs.tau_max[leg, 0], legs.tau_max[leg, 1], legs.tau_max[leg, 2])
    return wp.min(wp.max(wanted, -peak), peak)
