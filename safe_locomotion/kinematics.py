"""Leg kinematics of a quadruped whose hip axis is x and whose thigh and calf axes are y (all Unitree quadrupeds).

With hip, thigh, calf angles a, b, c, thigh and calf lengths l, m and signed hip offset d, the foot centre in the leg plane is
x = -l sin b - m sin(b + c), z = -l cos b - m cos(b + c), at lateral distance d, turned by a about x.
"""

import numpy as np

from safe_locomotion.robots import RobotModel
from safe_locomotion.types import N_LEGS, Array


class Kinematics:
    """Forward, differential and inverse kinematics of all four legs at once; every vector is in base."""

    def __init__(self, robot: RobotModel) -> None:
        self._hip = robot.hip_position
        self._d = robot.hip_offset
        self._l = robot.thigh_length
        self._m = robot.calf_length
        self._q_min = robot.q_min.reshape(N_LEGS, 3)
        self._q_max = robot.q_max.reshape(N_LEGS, 3)

    def feet(self, q: Array) -> Array:
        """Foot centres (4, 3) in base [m] at joint positions q (12,)."""
        return self.feet_and_jacobians(q)[0]

    def feet_and_jacobians(self, q: Array) -> tuple[Array, Array]:
        """Foot centres (4, 3) in base and their Jacobians (4, 3, 3): foot velocity of leg i is J[i] @ dq[3 i : 3 i + 3]."""
        a = q.reshape(N_LEGS, 3)
        angles = np.array((a[:, 0], a[:, 1], a[:, 1] + a[:, 2]))
        s, c = np.sin(angles), np.cos(angles)
        mx, mz = -self._m * s[2], -self._m * c[2]
        x, z = mx - self._l * s[1], mz - self._l * c[1]
        y_out, z_out = self._d * c[0] - z * s[0], self._d * s[0] + z * c[0]
        feet = self._hip.copy()
        feet[:, 0] += x
        feet[:, 1] += y_out
        feet[:, 2] += z_out
        jacobians = np.empty((N_LEGS, 3, 3))
        jacobians[:, 0, 0] = 0.0
        jacobians[:, 1, 0] = -z_out
        jacobians[:, 2, 0] = y_out
        jacobians[:, 0, 1] = z
        jacobians[:, 1, 1] = x * s[0]
        jacobians[:, 2, 1] = -x * c[0]
        jacobians[:, 0, 2] = mz
        jacobians[:, 1, 2] = mx * s[0]
        jacobians[:, 2, 2] = -mx * c[0]
        return feet, jacobians

    def inverse(self, feet: Array) -> Array:
        """Joint positions (12,) that put the foot centres at `feet` (4, 3) in base, knees bent backwards.

        A target out of reach gives the nearest reachable pose along its direction; the result lies inside the joint ranges.
        """
        x, y, z = (feet - self._hip).T
        d = self._d
        z_plane = -np.sqrt(np.maximum(y * y + z * z - d * d, 1e-8))
        hip = np.arctan2(z * d - y * z_plane, y * d + z * z_plane)
        r2 = x * x + z_plane * z_plane
        l, m = self._l, self._m
        cos_knee = np.clip((r2 - l * l - m * m) / (2 * l * m), -1.0, 1.0)
        calf = -np.arccos(cos_knee)
        thigh = np.arctan2(-x, -z_plane) - np.arctan2(m * np.sin(calf), l + m * cos_knee)
        q = np.stack((hip, thigh, calf), axis=1)
        return np.clip(q, self._q_min, self._q_max).reshape(-1)
