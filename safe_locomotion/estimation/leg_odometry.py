"""Foot positions, foot velocities, rolling and load by torque, from the joints of the four legs.

Everything is in base. The equations are those of `robot.kinematics` in plain numbers. At 500 Hz
arrays of twelve joints cost more than they save.
"""

from math import cos, sin
from typing import NamedTuple

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector
from safe_locomotion.types import GRAVITY, N_LEGS, Array


class Leg(NamedTuple):
    """One leg, in base.

    Attributes:
        foot: centre of the foot [m].
        velocity: of the foot relative to the base [m/s].
        calf_rate: angular velocity of the calf relative to the base [rad/s].
        load: force of the ground on the foot, from the thigh and calf torques, along the base's z
            axis turned by the hip [N].
    """

    foot: Vector
    velocity: Vector
    calf_rate: Vector
    load: float


class LegOdometry:
    """Reads the legs, and computes how the base would move if each foot stood.

    The load follows from tau = tau_weight - J^T f of thigh and calf, two equations for the two
    forces in the leg's plane. Their determinant is thigh * calf * sin(calf angle), which is never
    zero inside the joint ranges. Hip torque, tilt and inertia of the leg count as noise.
    """

    def __init__(self, robot: RobotModel) -> None:
        self._hips = [tuple(map(float, hip)) for hip in robot.hip_position]
        self._d = robot.hip_offset.tolist()
        self._l = float(robot.thigh_length)
        self._m = float(robot.calf_length)
        self._radius = float(robot.foot_radius)
        _, thigh, calf = robot.leg_link_mass.tolist()
        thigh_share = float(-robot.leg_link_com[:, 1, 2].mean()) / self._l
        calf_share = float(-robot.leg_link_com[:, 2, 2].mean()) / self._m
        self._knee_weight = GRAVITY * (calf + thigh * thigh_share)
        self._calf_weight = GRAVITY * calf * calf_share

    def read(self, q: Array, dq: Array, tau: Array) -> list[Leg]:
        """The four legs at joint positions, speeds and torques (12,)."""
        by_leg = [joints.reshape(N_LEGS, 3).tolist() for joints in (q, dq, tau)]
        return list(map(self._leg, range(N_LEGS), *by_leg))

    def _leg(self, i: int, angles: list[float], rates: list[float], torques: list[float]) -> Leg:
        a, b, c = angles
        da, db, dc = rates
        _, tau_thigh, tau_calf = torques
        sa = sin(a)
        ca = cos(a)
        bc = b + c
        mx = -self._m * sin(bc)
        mz = -self._m * cos(bc)
        kx = -self._l * sin(b)
        x = kx + mx
        z = mz - self._l * cos(b)
        d = self._d[i]
        y_out = d * ca - z * sa
        z_out = d * sa + z * ca
        hx, hy, hz = self._hips[i]
        vx = z * db + mz * dc
        vz = -x * db - mx * dc
        pitch = db + dc
        calf_torque = tau_calf + self._calf_weight * mx
        thigh_torque = tau_thigh + self._knee_weight * kx + self._calf_weight * mx
        determinant = mx * z - x * mz
        return Leg(
            (hx + x, hy + y_out, hz + z_out),
            (vx, -z_out * da - sa * vz, y_out * da + ca * vz),
            (da, pitch * ca, pitch * sa),
            (z * calf_torque - mz * thigh_torque) / determinant if abs(determinant) > 1e-4 else 0.0,
        )

    def standing(self, leg: Leg, rate: Vector, normal: Vector) -> tuple[Vector, Vector]:
        """How base and foot would move if this foot stood.

        The foot centre rolls: v_foot = omega_calf x (radius n).

        Args:
            leg: as read.
            rate: angular velocity of the base [rad/s].
            normal: of the ground, unit vector.

        Returns:
            Velocity of the base, and velocity of the foot centre [m/s].
        """
        fx, fy, fz = leg.foot
        vx, vy, vz = leg.velocity
        wx, wy, wz = rate
        nx, ny, nz = normal
        r = self._radius
        cx = leg.calf_rate[0] + wx
        cy = leg.calf_rate[1] + wy
        cz = leg.calf_rate[2] + wz
        rx = r * (cy * nz - cz * ny)
        ry = r * (cz * nx - cx * nz)
        rz = r * (cx * ny - cy * nx)
        base = (
            rx - vx - wy * fz + wz * fy,
            ry - vy - wz * fx + wx * fz,
            rz - vz - wx * fy + wy * fx,
        )
        return base, (rx, ry, rz)
