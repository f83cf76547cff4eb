"""Where a foot in the air touches down (Raibert's rule)."""

from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector, clamp, rotate_plane


def raibert_step(
    velocity: float, wanted: float, stance_duration: float, gain: float, reach: float
) -> float:
    """Step [m] from under the hip along one horizontal axis.

    v T_stance / 2 + gain (v - v_wanted), clipped to `reach`.

    Args:
        velocity: of the hip [m/s].
        wanted: velocity of the hip [m/s].
        stance_duration: T_stance [s].
        gain: [s].
        reach: [m].

    Source: Raibert, Legged Robots That Balance, 1986.
    """
    return clamp(velocity * (0.5 * stance_duration) + gain * (velocity - wanted), -reach, reach)


def foothold(
    *,
    centre: tuple[float, float],
    neutral: tuple[float, float],
    velocity: tuple[float, float],
    yaw_rate: float,
    wanted: Vector,
    left: float,
    stance_duration: float,
    parameters: SwingParameters,
) -> tuple[float, float]:
    """Where a foot touches down when the body keeps its velocity and yaw rate until then [m].

    All vectors are in one horizontal frame that does not move: odom, or the ground frame.

    Args:
        centre: point of the body that moves with `velocity` [m].
        neutral: from there to the foot's place under the hip, now [m].
        velocity: of the centre [m/s].
        yaw_rate: of the body [rad/s].
        wanted: velocity of the centre along x and y [m/s], yaw rate [rad/s].
        left: time to touchdown [s].
        stance_duration: [s].
        parameters: of the swing.
    """
    p = parameters
    vx, vy = velocity
    wanted_x, wanted_y, wz = wanted
    x, y = rotate_plane(yaw_rate * left, *neutral)
    step_x = raibert_step(
        vx - yaw_rate * y, wanted_x - wz * y, stance_duration, p.velocity_gain, p.reach
    )
    step_y = raibert_step(
        vy + yaw_rate * x, wanted_y + wz * x, stance_duration, p.velocity_gain, p.reach
    )
    return centre[0] + x + vx * left + step_x, centre[1] + y + vy * left + step_y


def sideways_reach(robot: RobotModel, body_height: float) -> float:
    """Farthest step outward from under the hip that a straight leg makes on level ground [m].

    The knee moves in a plane beside the axis of abduction, at the distance d of the hip offset. So
    a leg of length l spans sqrt(l^2 + d^2) from that axis. It is 0 for a leg that does not reach
    the ground.

    Args:
        robot: model.
        body_height: of the base above the ground [m].
    """
    length = robot.thigh_length + robot.calf_length
    offset = abs(float(robot.hip_offset[0]))
    height = body_height - robot.foot_radius
    left = float(length * length + offset * offset - height * height)
    return max(0.0, max(0.0, left) ** 0.5 - offset)
