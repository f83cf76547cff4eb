"""Footholds, swings and references of many robots: parts of `control` as Warp functions.

Each function has the name of its onboard twin and works on the vectors of one robot.
"""

from dataclasses import fields
from typing import Any

import warp as wp

from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.training.gait.world.arrays import Array3, Vectors2

TWO_PI = wp.constant(6.283185307179586)
PI = wp.constant(3.141592653589793)


@wp.struct
class SwingShape:
    """Numbers of `control.swing.SwingParameters`."""

    height: float
    depth: float
    velocity_gain: float
    reach: float
    early_contact: wp.float64
    lost_after: float
    lost_distance: float
    search_time: float
    search_speed: float
    search_depth: float


@wp.struct
class ReferenceLimits:
    """Numbers of `control.reference.LocomotionParameters` that the functions need."""

    body_height: float
    acceleration: float
    yaw_acceleration: float
    position_slack: float
    yaw_slack: float
    velocity_slack: float
    height_rate: float


@wp.struct
class ReferenceState:
    """State of `control.reference.Reference`.

    Attributes:
        velocity: vx, vy along the heading [m/s], yaw rate [rad/s].
        position: x, y in odom [m].
        yaw: in odom [rad].
        height: of the base above the ground [m].
    """

    velocity: wp.vec3
    position: wp.vec2
    yaw: float
    height: float


def swing_shape(parameters: SwingParameters) -> Any:
    """The numbers of these parameters, for kernels."""
    shape = SwingShape()
    for field in fields(SwingParameters):
        setattr(shape, field.name, getattr(parameters, field.name))
    return shape


def reference_limits(parameters: LocomotionParameters) -> Any:
    """The numbers of these parameters, for kernels."""
    limits = ReferenceLimits()
    for field in fields(LocomotionParameters):
        if field.name not in ("slip", "later_contacts"):
            setattr(limits, field.name, getattr(parameters, field.name))
    return limits


@wp.func
def within(value: float, centre: float, slack: float) -> float:
    """`value`, no farther than `slack` from `centre`."""
    return wp.clamp(value, centre - slack, centre + slack)


@wp.func
def rotate_plane(angle: float, x: float, y: float) -> wp.vec2:
    """A vector of the plane, turned by an angle."""
    c = wp.cos(angle)
    s = wp.sin(angle)
    return wp.vec2(c * x - s * y, s * x + c * y)


@wp.func
def raibert_step(
    velocity: float, wanted: float, stance_duration: float, gain: float, reach: float
) -> float:
    """Step from under the hip along one horizontal axis [m]; `control.footholds.raibert_step`."""
    step = 0.5 * velocity * stance_duration + gain * (velocity - wanted)
    return wp.clamp(step, -reach, reach)


@wp.func
def foothold(
    centre: wp.vec2,
    neutral: wp.vec2,
    velocity: wp.vec2,
    yaw_rate: float,
    wanted: wp.vec3,
    left: float,
    stance_duration: float,
    shape: SwingShape,
) -> wp.vec2:
    """Where a foot touches down [m]; `control.footholds.foothold` with the same arguments."""
    place = rotate_plane(yaw_rate * left, neutral[0], neutral[1])
    vx = velocity[0] - yaw_rate * place[1]
    vy = velocity[1] + yaw_rate * place[0]
    wanted_x = wanted[0] - wanted[2] * place[1]
    wanted_y = wanted[1] + wanted[2] * place[0]
    gain = shape.velocity_gain
    step = wp.vec2(
        raibert_step(vx, wanted_x, stance_duration, gain, shape.reach),
        raibert_step(vy, wanted_y, stance_duration, gain, shape.reach),
    )
    return centre + place + velocity * left + step


@wp.func
def way(s: float) -> float:
    """Share of the way that is gone at progress s of a cycloid."""
    return s - wp.sin(TWO_PI * s) / TWO_PI


@wp.func
def way_rate(s: float) -> float:
    """Derivative of `way`."""
    return 1.0 - wp.cos(TWO_PI * s)


@wp.func
def cycloid(
    start: wp.vec3, end: wp.vec3, height: float, progress: float, duration: float
) -> tuple[wp.vec3, wp.vec3]:
    """Point [m] and velocity [m/s] of the swing foot; `control.swing.cycloid`."""
    s = wp.clamp(progress, 0.0, 1.0)
    apex = wp.max(start[2], end[2]) + height
    low = wp.where(s < 0.5, start[2], apex)
    high = wp.where(s < 0.5, apex, end[2])
    half = wp.where(s < 0.5, 2.0 * s, 2.0 * s - 1.0)
    blend = way(s)
    rate = way_rate(s) / duration
    point = wp.vec3(
        start[0] + blend * (end[0] - start[0]),
        start[1] + blend * (end[1] - start[1]),
        low + way(half) * (high - low),
    )
    velocity = wp.vec3(
        rate * (end[0] - start[0]),
        rate * (end[1] - start[1]),
        2.0 * way_rate(half) / duration * (high - low),
    )
    return point, velocity


@wp.func
def advance_reference(
    state: ReferenceState,
    elapsed: float,
    command: wp.vec3,
    body_position: wp.vec2,
    body_yaw: float,
    limits: ReferenceLimits,
) -> ReferenceState:
    """Advance the reference by `elapsed` seconds; `control.reference.Reference.update`."""
    limit = elapsed * limits.acceleration
    vx = within(command[0], state.velocity[0], limit)
    vy = within(command[1], state.velocity[1], limit)
    wz = within(command[2], state.velocity[2], elapsed * limits.yaw_acceleration)
    lead = state.yaw + wz * elapsed - body_yaw + PI
    lead = lead - TWO_PI * wp.floor(lead / TWO_PI) - PI
    ahead = state.position - body_position
    slack = limits.position_slack
    local = rotate_plane(-body_yaw, ahead[0], ahead[1])
    along = wp.clamp(local[0] + vx * elapsed, -slack, slack)
    across = wp.clamp(local[1] + vy * elapsed, -slack, slack)
    rise = limits.height_rate * elapsed
    following = ReferenceState()
    following.velocity = wp.vec3(vx, vy, wz)
    following.position = body_position + rotate_plane(body_yaw, along, across)
    following.yaw = body_yaw + wp.clamp(lead, -limits.yaw_slack, limits.yaw_slack)
    following.height = state.height + wp.clamp(limits.body_height - state.height, -rise, rise)
    return following


@wp.func
def reference_path(
    robot: int,
    start: wp.vec3,
    velocity: wp.vec3,
    height: float,
    dt: float,
    states: Array3,
    travel: Vectors2,
) -> None:
    """Write the reference of one robot over the horizon; `control.reference.reference_path`.

    Args:
        robot: which one.
        start: x, y [m] and yaw [rad] now, in the ground frame.
        velocity: along x and y [m/s], yaw rate [rad/s].
        height: of the centre of mass [m].
        dt: length of a step [s].
        states: (B, N, 12) at the end of each step, written.
        travel: (B, N) way from the start to the middle of each step [m], written.
    """
    turn = velocity[2] * dt
    c = wp.cos(turn)
    s = wp.sin(turn)
    speed = wp.vec2(velocity[0], velocity[1])
    gone = wp.vec2(0.0, 0.0)
    yaw = start[2]
    for step in range(states.shape[1]):
        speed = wp.vec2(c * speed[0] - s * speed[1], s * speed[0] + c * speed[1])
        yaw = yaw + turn
        travel[robot, step] = gone + 0.5 * dt * speed
        gone = gone + dt * speed
        for axis in range(12):
            states[robot, step, axis] = 0.0
        states[robot, step, 2] = yaw
        states[robot, step, 3] = start[0] + gone[0]
        states[robot, step, 4] = start[1] + gone[1]
        states[robot, step, 5] = height
        states[robot, step, 8] = velocity[2]
        states[robot, step, 9] = speed[0]
        states[robot, step, 10] = speed[1]
