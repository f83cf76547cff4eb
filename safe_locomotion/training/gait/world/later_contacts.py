"""Feet that step within the horizon of the MPC: the twin of `control.later_contacts`."""

import warp as wp

from safe_locomotion.training.gait.world.arrays import Array2
from safe_locomotion.training.gait.world.convex_mpc import MpcInputs
from safe_locomotion.training.gait.world.locomotion import rotate_plane, within

HALF_STEP = wp.constant(wp.float64(0.5))
STRIDE = wp.constant(wp.float64(1.0))


@wp.func
def place_later_contacts(
    robot: int,
    leg: int,
    gaits: Array2,
    touchdown: wp.float64,
    dt: wp.float64,
    neutral: wp.vec3,
    wanted: wp.vec3,
    slack: float,
    reach: float,
    inputs: MpcInputs,
) -> None:
    """Write where a foot is that has come down again, if the body moves as wanted.

    Args:
        robot, leg: which one.
        gaits: (B, 9) as for the clocks.
        touchdown: time from which it stands in a later contact [s].
        dt: length of a step of the horizon [s].
        neutral: from the centre of mass to the place under the hip, in the ground frame [m].
        wanted: velocity along x and y [m/s], yaw rate [rad/s].
        slack: largest difference between the velocity and the wanted one [m/s].
        reach: largest step from under the hip [m].
        inputs: of the MPC, written.
    """
    vx = within(wanted[0], inputs.x0[robot, 9], slack)
    vy = within(wanted[1], inputs.x0[robot, 10], slack)
    if vx != wanted[0] or vy != wanted[1]:
        return
    half = 0.5 * (1.0 - gaits[robot, 1]) / gaits[robot, 0]
    stride = STRIDE / wp.float64(gaits[robot, 0])
    for step in range(inputs.feet.shape[1]):
        time = dt * (wp.float64(step) + HALF_STEP)
        if time >= touchdown:
            since = wp.mod(time - touchdown, stride)
            place = rotate_plane(wanted[2] * float(time - since), neutral[0], neutral[1])
            ahead_x = wp.clamp((vx - wanted[2] * place[1]) * half, -reach, reach)
            ahead_y = wp.clamp((vy + wanted[2] * place[0]) * half, -reach, reach)
            inputs.feet[robot, step, leg, 0] = place[0] + ahead_x - vx * float(since)
            inputs.feet[robot, step, leg, 1] = place[1] + ahead_y - vy * float(since)
            inputs.feet[robot, step, leg, 2] = -inputs.x0[robot, 5]
