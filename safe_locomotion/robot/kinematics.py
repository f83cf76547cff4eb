"""Leg kinematics of a quadruped whose hip axis is x and whose thigh and calf axes are y.

All Unitree quadrupeds are of this kind. The hip, thigh and calf angles are a, b, c. The lengths of
thigh and calf are l, m. The signed hip offset is d. In the leg plane the foot centre is at

    x = -l sin b - m sin(b + c)        z = -l cos b - m cos(b + c)

at the lateral distance d. The leg plane is turned by a about x.

The equations are written in plain numbers, one leg at a time. At 500 Hz arrays of three joints cost
more than they save.
"""

from math import acos, atan2, cos, isfinite, nan, sin, sqrt
from typing import NamedTuple

import numpy as np

from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector, clamp, vector
from safe_locomotion.types import N_JOINTS, N_LEGS, Array

_FIRST_JOINTS = range(0, N_JOINTS, 3)
SINGULAR = 1e-9  #: of the Jacobian's determinant [m3]
#: Of the inverse Jacobian [m2]. It is (1 mm)^2, far below the square of every singular value but
#: that of a stretched knee.
DAMPING = 1e-6


class LegPose(NamedTuple):
    """Intermediate results of the kinematics of one leg, computed once per set of angles.

    Attributes:
        sa, ca, sb, cb, sbc, cbc: sines and cosines of a, b and b + c.
        mx, mz: from the knee to the foot in the leg plane [m].
        x, z: from the hip to the foot in the leg plane [m].
    """

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


class LegKinematics:
    """Forward, differential and inverse kinematics of one leg; vectors are in base."""

    def __init__(self, robot: RobotModel, leg: int) -> None:
        self._hx, self._hy, self._hz = vector(robot.hip_position[leg])
        self._d = float(robot.hip_offset[leg])
        self._l = float(robot.thigh_length)
        self._m = float(robot.calf_length)
        joints = slice(3 * leg, 3 * leg + 3)
        low = robot.q_min[joints].tolist()
        high = robot.q_max[joints].tolist()
        self._ranges = tuple(zip(low, high, strict=True))

    def pose(self, a: float, b: float, c: float) -> LegPose:
        """The leg at hip, thigh and calf angles [rad], which are finite or NaN."""
        sb = sin(b)
        cb = cos(b)
        sbc = sin(b + c)
        cbc = cos(b + c)
        mx = -self._m * sbc
        mz = -self._m * cbc
        return LegPose(
            sin(a), cos(a), sb, cb, sbc, cbc, mx, mz, mx - self._l * sb, mz - self._l * cb
        )

    def foot(self, pose: LegPose) -> Vector:
        """Foot centre [m]."""
        sa = pose.sa
        ca = pose.ca
        d = self._d
        z = pose.z
        return self._hx + pose.x, self._hy + d * ca - z * sa, self._hz + d * sa + z * ca

    def foot_at(self, a: float, b: float, c: float) -> Vector:
        """Foot centre [m] at hip, thigh and calf angles [rad]; faster than `foot` of `pose`."""
        sa = sin(a)
        ca = cos(a)
        d = self._d
        x = -self._l * sin(b) - self._m * sin(b + c)
        z = -self._l * cos(b) - self._m * cos(b + c)
        return self._hx + x, self._hy + d * ca - z * sa, self._hz + d * sa + z * ca

    def jacobian(self, pose: LegPose) -> tuple[Vector, Vector, Vector]:
        """Rows of J (3, 3): the foot moves with J (da, db, dc)."""
        sa, ca, _, _, _, _, mx, mz, x, z = pose
        d = self._d
        return (
            (0.0, z, mz),
            (-d * sa - z * ca, x * sa, mx * sa),
            (d * ca - z * sa, -x * ca, -mx * ca),
        )

    def torque(self, pose: LegPose, fx: float, fy: float, fz: float) -> Vector:
        """Joint torques J' f [Nm] of a force [N] on the foot centre."""
        sa, ca, _, _, _, _, mx, mz, x, z = pose
        y_leg = ca * fy + sa * fz
        z_leg = ca * fz - sa * fy
        return self._d * z_leg - z * y_leg, z * fx - x * z_leg, mz * fx - mx * z_leg

    def force(self, pose: LegPose, ta: float, tb: float, tc: float) -> Vector:
        """Force f [N] on the foot centre with J' f = tau [Nm]; zero where the leg is singular."""
        sa, ca, _, _, _, _, mx, mz, x, z = pose
        plane = x * mz - z * mx
        if not abs(z * plane) > SINGULAR:
            return 0.0, 0.0, 0.0
        fx = (x * tc - mx * tb) / plane
        z_leg = (z * tc - mz * tb) / plane
        y_leg = (self._d * z_leg - ta) / z
        return fx, ca * y_leg - sa * z_leg, sa * y_leg + ca * z_leg

    def joint_velocity(self, pose: LegPose, vx: float, vy: float, vz: float) -> Vector:
        """Joint velocities (da, db, dc) = J' (J J' + lambda)^-1 v [rad/s].

        They move the foot with v [m/s], damped near a stretched knee. The frame of the leg is base
        turned by the hip angle. There J J' has a zero beside its diagonal, so the elimination is
        written out by hand.
        """
        sa, ca, _, _, _, _, mx, mz, x, z = pose
        d = self._d
        y_leg = ca * vy + sa * vz
        z_leg = ca * vz - sa * vy
        xx = z * z + mz * mz + DAMPING
        yy = z * z + DAMPING
        zz = d * d + x * x + mx * mx + DAMPING
        xz = (z * x + mz * mx) / xx
        yz = z * d / yy
        wz = (z_leg + xz * vx + yz * y_leg) / (zz - xz * xz * xx - yz * yz * yy)
        wx = vx / xx + xz * wz
        wy = y_leg / yy + yz * wz
        return d * wz - z * wy, z * wx - x * wz, mz * wx - mx * wz

    def inverse(self, x: float, y: float, z: float) -> Vector:
        """Joint positions [rad] that put the foot centre at (x, y, z) [m], knee bent backwards.

        A target out of reach gives the nearest reachable pose along its direction. The result lies
        inside the joint ranges.
        """
        x = x - self._hx
        y = y - self._hy
        z = z - self._hz
        d = self._d
        l = self._l
        m = self._m
        z_plane = -sqrt(max(1e-8, y * y + z * z - d * d))
        cos_knee = clamp((x * x + z_plane * z_plane - l * l - m * m) / (2.0 * l * m), -1.0, 1.0)
        calf = -acos(cos_knee)
        thigh = atan2(-x, -z_plane) - atan2(m * sin(calf), l + m * cos_knee)
        hip = atan2(z * d - y * z_plane, y * d + z * z_plane)
        a, b, c = self._ranges
        return clamp(hip, *a), clamp(thigh, *b), clamp(calf, *c)


class Kinematics:
    """Kinematics of all four legs, as arrays.

    Attributes:
        legs: kinematics of each leg.
    """

    def __init__(self, robot: RobotModel) -> None:
        self.legs = tuple(LegKinematics(robot, leg) for leg in range(N_LEGS))

    def feet(self, q: Array) -> Array:
        """Foot centres (4, 3) in base [m] at joint positions q (12,)."""
        return np.array(self.foot_points(q))

    def foot_points(self, q: Array) -> list[Vector]:
        """`feet` in plain numbers."""
        a = _finite_angles(q)
        return [
            leg.foot_at(a[i], a[i + 1], a[i + 2])
            for leg, i in zip(self.legs, _FIRST_JOINTS, strict=True)
        ]

    def feet_and_jacobians(self, q: Array) -> tuple[Array, Array]:
        """Foot centres (4, 3) in base and their Jacobians (4, 3, 3).

        The foot velocity of leg i is J[i] @ dq[3 i : 3 i + 3].
        """
        posed = list(zip(self.legs, self.poses(q), strict=True))
        feet = np.array([leg.foot(pose) for leg, pose in posed])
        jacobians = np.array([leg.jacobian(pose) for leg, pose in posed])
        return feet, jacobians

    def inverse(self, feet: Array) -> Array:
        """Joint positions (12,) that put the foot centres at `feet` (4, 3) in base.

        See `LegKinematics.inverse`.
        """
        targets = zip(self.legs, feet.tolist(), strict=True)
        return np.array([leg.inverse(*foot) for leg, foot in targets]).reshape(-1)

    def poses(self, q: Array) -> list[LegPose]:
        """The four legs at joint positions q (12,); all NaN when one of them is not finite."""
        a = _finite_angles(q)
        return [
            leg.pose(a[i], a[i + 1], a[i + 2])
            for leg, i in zip(self.legs, _FIRST_JOINTS, strict=True)
        ]


def _finite_angles(q: Array) -> list[float]:
    """Joint positions; all NaN when one is not finite, because `math.sin` raises on infinities."""
    a: list[float] = q.tolist()
    return a if isfinite(sum(a)) else [nan] * N_JOINTS
