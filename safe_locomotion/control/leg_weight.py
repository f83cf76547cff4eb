"""Leg weight: the joint torques that hold up a leg's own links."""

from safe_locomotion.robot.kinematics import LegPose
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector
from safe_locomotion.types import GRAVITY


class LegWeight:
    """Joint torques that hold up one leg's own links.

    Attributes:
        moments: mass times place of what each joint carries [kg m]: y of all links, z of the hip
            link, x and z of the thigh link, x and z of the calf link. Places are from the joint
            above, in the frame of the leg or of the link.
    """

    def __init__(self, robot: RobotModel, leg: int) -> None:
        m_hip, m_thigh, m_calf = robot.leg_link_mass.tolist()
        hip, thigh, calf = robot.leg_link_com[leg].tolist()
        d = float(robot.hip_offset[leg])
        below_knee = m_calf * float(robot.thigh_length)
        self.moments = (
            m_hip * hip[1] + m_thigh * (d + thigh[1]) + m_calf * (d + calf[1]),
            m_hip * hip[2],
            m_thigh * thigh[0],
            m_thigh * thigh[2] - below_knee,
            m_calf * calf[0],
            m_calf * calf[2],
        )

    def torque(self, pose: LegPose, up: Vector) -> Vector:
        """Torque [Nm] that balances gravity on the links.

        tau_j = -a_j . (sum m (c - o_j) x g), joint j at o_j about the axis a_j.

        Args:
            pose: of the leg.
            up: vertical, unit vector in base.
        """
        all_y, hip_z, thigh_x, thigh_z, own_x, own_z = self.moments
        sa, ca, sb, cb, sbc, cbc, *_ = pose
        gx = -GRAVITY * up[0]
        gy = -GRAVITY * up[1]
        gz = -GRAVITY * up[2]
        # The leg's frame is base turned by the hip angle, with its origin in the hip joint.
        gy_leg = ca * gy + sa * gz
        gz_leg = ca * gz - sa * gy
        calf_x = cbc * own_x + sbc * own_z
        calf_z = cbc * own_z - sbc * own_x
        below_x = calf_x + cb * thigh_x + sb * thigh_z
        below_z = calf_z + cb * thigh_z - sb * thigh_x
        return (
            (hip_z + below_z) * gy_leg - all_y * gz_leg,
            below_x * gz_leg - below_z * gx,
            calf_x * gz_leg - calf_z * gx,
        )
