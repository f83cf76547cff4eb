"""Leg weight: the joint torques that hold up a leg's own links."""

from safe_locomotion.robot.kinematics import LegPose
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector
from safe_locomotion.types import GRAVITY


class LegWeight:
    """Joint torques that hold up one leg's own links."""

    def __init__(self, robot: RobotModel, leg: int) -> None:
        m_hip, m_thigh, m_calf = robot.leg_link_mass.tolist()
        hip, thigh, calf = robot.leg_link_com[leg].tolist()
        d = float(robot.hip_offset[leg])
        below_knee = m_calf * float(robot.thigh_length)
        self._all_y = m_hip * hip[1] + m_thigh * (d + thigh[1]) + m_calf * (d + calf[1])
        self._hip_z = m_hip * hip[2]
        self._thigh_x = m_thigh * thigh[0]
        self._thigh_z = m_thigh * thigh[2] - below_knee
        self._calf_x = m_calf * calf[0]
        self._calf_z = m_calf * calf[2]

    def torque(self, pose: LegPose, up: Vector) -> Vector:
        """Torque [Nm] that balances gravity on the links: tau_j = -a_j . (sum m (c - o_j) x g), joint j at o_j about a_j.

        Args:
            pose: of the leg.
            up: vertical, unit vector in base.
        """
        sa, ca, sb, cb, sbc, cbc, *_ = pose
        gx = -GRAVITY * up[0]
        gy = -GRAVITY * up[1]
        gz = -GRAVITY * up[2]
        # Everything below is in the leg's frame: base turned by the hip angle, origin in the hip joint.
        gy_leg = ca * gy + sa * gz
        gz_leg = ca * gz - sa * gy
        calf_x = cbc * self._calf_x + sbc * self._calf_z
        calf_z = cbc * self._calf_z - sbc * self._calf_x
        below_x = calf_x + cb * self._thigh_x + sb * self._thigh_z
        below_z = calf_z + cb * self._thigh_z - sb * self._thigh_x
        return (
            (self._hip_z + below_z) * gy_leg - self._all_y * gz_leg,
            below_x * gz_leg - below_z * gx,
            calf_x * gz_leg - calf_z * gx,
        )
