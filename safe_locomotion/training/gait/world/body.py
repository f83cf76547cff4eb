"""Bodies of many robots on one tick: `control.body.Body` on flat ground, as Warp functions."""

import warp as wp

from safe_locomotion.training.gait.world.arrays import Array2
from safe_locomotion.training.gait.world.estimates import Estimates, heading_frame, roll_pitch_yaw


@wp.struct
class Body:
    """Estimate of one robot; vectors are in odom unless they say otherwise.

    Attributes:
        position: of the base [m].
        rotation: from base to odom.
        yaw: of the base [rad].
        velocity: of the base [m/s].
        rates_in_base, rates: angular velocity [rad/s].
        com_in_base, com: centre of mass [m].
        frame: rotation from the ground frame to odom.
    """

    position: wp.vec3
    rotation: wp.mat33
    yaw: float
    velocity: wp.vec3
    rates_in_base: wp.vec3
    rates: wp.vec3
    com_in_base: wp.vec3
    com: wp.vec3
    frame: wp.mat33


@wp.func
def body_of(estimates: Estimates, robot: int, com_in_base: wp.vec3) -> Body:
    """Body of one estimate; `com_in_base` is the centre of mass of the robot model."""
    body = Body()
    body.position = estimates.position[robot]
    body.rotation = estimates.rotation[robot]
    body.yaw = roll_pitch_yaw(body.rotation)[2]
    body.velocity = estimates.velocity[robot]
    body.rates_in_base = estimates.rates[robot]
    body.rates = body.rotation * body.rates_in_base
    body.com_in_base = com_in_base
    body.com = body.position + body.rotation * com_in_base
    body.frame = heading_frame(body.rotation)
    return body


@wp.func
def write_ground_state(body: Body, robot: int, x0: Array2) -> None:
    """Write the centroidal state (12 numbers a robot) in the ground frame; `Body.on_ground`."""
    turn = wp.transpose(body.frame) * body.rotation
    rpy = roll_pitch_yaw(turn)
    rates = turn * body.rates_in_base
    swept = turn * wp.cross(body.rates_in_base, body.com_in_base)
    velocity = wp.transpose(body.frame) * body.velocity + swept
    x0[robot, 0] = rpy[0]
    x0[robot, 1] = rpy[1]
    x0[robot, 2] = 0.0
    x0[robot, 3] = 0.0
    x0[robot, 4] = 0.0
    x0[robot, 5] = body.com[2]
    for axis in range(3):
        x0[robot, 6 + axis] = rates[axis]
        x0[robot, 9 + axis] = velocity[axis]
