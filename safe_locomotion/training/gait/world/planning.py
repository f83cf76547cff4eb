"""Stance plans of many robots: the parts of `control.locomotion` around the MPC, as kernels.

A tick is `move_references`, `step_feet`, `assume_friction`, the MPC, and `take_forces`.
"""

from typing import TYPE_CHECKING, Any

import warp as wp

from safe_locomotion.control.lift import LIFT_TIME
from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.training.gait.world.arrays import (
    BLOCK,
    Array1,
    Array2,
    LegVectors3,
    Vectors2,
    Vectors3,
)
from safe_locomotion.training.gait.world.body import Body, body_of, write_ground_state
from safe_locomotion.training.gait.world.convex_mpc import MpcInputs, MpcOutputs
from safe_locomotion.training.gait.world.estimates import Estimates
from safe_locomotion.training.gait.world.feet import (
    Feet,
    lift_foot,
    restart_foot,
    step_foot,
    swing_foot,
)
from safe_locomotion.training.gait.world.friction import (
    SlipRules,
    SlipWatch,
    restart_watch,
    update_friction,
    watch_foot,
)
from safe_locomotion.training.gait.world.gait import (
    GaitClocks,
    advance_clock,
    any_swings,
    later_touchdown,
    restart_clock,
    schedule_stance,
)
from safe_locomotion.training.gait.world.later_contacts import place_later_contacts
from safe_locomotion.training.gait.world.legs import Legs, foot_at, joints_of
from safe_locomotion.training.gait.world.locomotion import (
    ReferenceLimits,
    ReferenceState,
    SwingShape,
    advance_reference,
    foothold,
    reference_path,
    rotate_plane,
    within,
)
from safe_locomotion.types import N_LEGS

wp.set_module_options({"block_dim": BLOCK})

if TYPE_CHECKING:
    References = Any
else:
    References = wp.array(dtype=ReferenceState)

UNIT = wp.constant(FORCE_UNIT)
RATE = wp.constant(1.0 / LIFT_TIME)  # [1/s] of a lifted foot's way up
TOP = wp.constant(wp.float64(1.0))
#: Residual of the MPC from which there is no solution [N]; the solver reports numbers that are not
#: finite as 1e9 and more.
NO_SOLUTION = wp.constant(1.0e6)


@wp.struct
class PlanningConstants:
    """What is the same for all robots and ticks.

    Attributes:
        legs: of the robot.
        com: centre of mass in base [m].
        shape: of the swings.
        limits: of the references.
        slip: rules of the watch over sliding feet.
        dt: length of a step of the horizon [s].
        later_contacts: 1 when feet that step within the horizon come down ahead in the MPC.
    """

    legs: Legs
    com: wp.vec3
    shape: SwingShape
    limits: ReferenceLimits
    slip: SlipRules
    dt: wp.float64
    later_contacts: int


@wp.struct
class PlanningState:
    """What the controllers remember from tick to tick.

    Attributes:
        fresh: (B,) 1 for a robot whose walk begins on the next tick.
        elapsed: (B,) since the tick before [s]; 0 on the first one.
        references: (B,) of the bodies.
        clocks: of the gaits.
        feet: of the robots.
        slip: watch over sliding feet.
        travel: (B, N) way of the reference to the middle of each step, in the ground frame [m].
        force: (B, 4) of the last solution, in base [N].
    """

    fresh: Array1
    elapsed: Array1
    references: References
    clocks: GaitClocks
    feet: Feet
    slip: SlipWatch
    travel: Vectors2
    force: LegVectors3


@wp.struct
class Plans:
    """What `types.StancePlan` holds of one robot, for B robots.

    Attributes:
        stance: (B, 4) 1 for a foot that pushes.
        force: (B, 4) of the ground on the foot in base [N]; zero for swing feet.
        foot_position, foot_velocity: (B, 4) target of the foot centre in base [m, m/s].
    """

    stance: Array2
    force: LegVectors3
    foot_position: LegVectors3
    foot_velocity: LegVectors3


def plans_of(robots: int, device: str) -> Any:
    """Zeroed plans for so many robots, on a device of Warp."""
    plans = Plans()
    plans.stance = wp.zeros((robots, N_LEGS), dtype=float, device=device)
    for name in ("force", "foot_position", "foot_velocity"):
        setattr(plans, name, wp.zeros((robots, N_LEGS), dtype=wp.vec3, device=device))
    return plans


@wp.kernel(enable_backward=False)
def move_references(
    constants: PlanningConstants,
    state: PlanningState,
    estimates: Estimates,
    gaits: Array2,
    lifted: Array2,
    commands: Vectors3,
    elapsed: wp.float64,
    inputs: MpcInputs,
    outputs: MpcOutputs,
) -> None:
    """Advance reference and clock of one robot per thread, and write its state and schedule."""
    robot = wp.tid()
    body = body_of(estimates, robot, constants.com)
    since = elapsed
    if state.fresh[robot] > 0.5:
        since = wp.float64(0.0)
        restart_robot(constants, state, body, robot, outputs)
    state.elapsed[robot] = float(since)
    reference = advance_reference(
        state.references[robot],
        float(since),
        commands[robot],
        wp.vec2(body.position[0], body.position[1]),
        body.yaw,
        constants.limits,
    )
    state.references[robot] = reference
    advance_clock(state.clocks, robot, since, gaits, lifted, True)
    schedule_stance(state.clocks, robot, gaits, constants.dt, inputs.stance)
    write_ground_state(body, robot, inputs.x0)
    slack = constants.limits.velocity_slack
    ahead = rotate_plane(
        -body.yaw,
        reference.position[0] - body.position[0],
        reference.position[1] - body.position[1],
    )
    reference_path(
        robot,
        wp.vec3(ahead[0], ahead[1], reference.yaw - body.yaw),
        wp.vec3(
            within(reference.velocity[0], inputs.x0[robot, 9], slack),
            within(reference.velocity[1], inputs.x0[robot, 10], slack),
            reference.velocity[2],
        ),
        reference.height + constants.com[2],
        float(constants.dt),
        inputs.reference,
        state.travel,
    )


@wp.func
def restart_robot(
    constants: PlanningConstants,
    state: PlanningState,
    body: Body,
    robot: int,
    outputs: MpcOutputs,
) -> None:
    """Begin a walk as a new controller would; `step_feet` does so for the feet."""
    reference = ReferenceState()
    reference.velocity = wp.vec3(0.0, 0.0, 0.0)
    reference.position = wp.vec2(body.position[0], body.position[1])
    reference.yaw = body.yaw
    reference.height = body.position[2]
    state.references[robot] = reference
    restart_clock(state.clocks, robot)
    restart_watch(state.slip, robot, constants.slip)
    for step in range(outputs.forces.shape[1]):
        for axis in range(12):
            outputs.forces[robot, step, axis] = 0.0
            outputs.dual[robot, step, axis] = 0.0


@wp.kernel(enable_backward=False)
def step_feet(
    constants: PlanningConstants,
    state: PlanningState,
    estimates: Estimates,
    gaits: Array2,
    inputs: MpcInputs,
    plans: Plans,
) -> None:
    """Decide what one foot per thread does, and write its target and its place in the MPC."""
    robot, leg = wp.tid()
    body = body_of(estimates, robot, constants.com)
    position = foot_at(constants.legs, leg, joints_of(estimates.joints, robot, leg))
    at = body.position + body.rotation * position
    contact = estimates.contact[robot, leg] > 0.5
    if state.fresh[robot] > 0.5:
        restart_foot(state.feet, robot, leg, at)
        state.force[robot, leg] = wp.vec3(0.0, 0.0, 0.0)
    away = wp.abs(at[2] - constants.legs.radius) > constants.shape.lost_distance
    step_foot(
        state.feet,
        robot,
        leg,
        at,
        state.clocks.held[robot, leg] > 0.5,
        state.clocks.progress[robot, leg],
        contact,
        away and any_swings(state.clocks, robot),
        state.elapsed[robot],
        constants.shape,
        state.clocks.raised[robot, leg] > 0.5 and state.clocks.wanted[robot, leg] > 0.5,
    )
    loaded = state.feet.stance[robot, leg] > 0.5 and contact
    watch_foot(state.slip, robot, leg, at, loaded, state.elapsed[robot], constants.slip)
    speed = wp.vec3(0.0, 0.0, 0.0)
    if state.feet.stance[robot, leg] < 0.5:
        at = next_foothold(constants, state, body, robot, leg, gaits)
        duration = gaits[robot, 1] / gaits[robot, 0]
        progress = float(state.clocks.progress[robot, leg])
        point, velocity = swing_foot(
            state.feet, robot, leg, at, progress, duration, constants.shape
        )
        if state.clocks.raised[robot, leg] > 0.5:
            point, velocity = raised_foot(constants, state, body, robot, leg, at, gaits)
        position = wp.transpose(body.rotation) * (point - body.position)
        speed = velocity
    relative = wp.transpose(body.rotation) * (speed - body.velocity)
    plans.stance[robot, leg] = state.feet.stance[robot, leg]
    plans.foot_position[robot, leg] = position
    plans.foot_velocity[robot, leg] = relative - wp.cross(body.rates_in_base, position)
    put_foot(constants, state, body, robot, leg, at, gaits, inputs)


@wp.func
def put_foot(
    constants: PlanningConstants,
    state: PlanningState,
    body: Body,
    robot: int,
    leg: int,
    at: wp.vec3,
    gaits: Array2,
    inputs: MpcInputs,
) -> None:
    """Write one foot to the MPC: whether it pushes now, and where `at` is during each step.

    The ground pushes one foot radius below the foot centre.
    """
    inputs.stance[robot, 0, leg] = state.feet.stance[robot, leg]
    lever = wp.transpose(body.frame) * (at - body.com)
    for step in range(inputs.feet.shape[1]):
        inputs.feet[robot, step, leg, 0] = lever[0] - state.travel[robot, step][0]
        inputs.feet[robot, step, leg, 1] = lever[1] - state.travel[robot, step][1]
        inputs.feet[robot, step, leg, 2] = lever[2] - constants.legs.radius
    if constants.later_contacts > 0:
        hip = body.rotation * wp.vec3(constants.legs.hip[leg, 0], gaits[robot, 5 + leg], 0.0)
        neutral = wp.transpose(body.frame) * (body.position + hip - body.com)
        wanted = state.references[robot].velocity
        slack = constants.limits.velocity_slack
        reach = constants.shape.reach
        touchdown = later_touchdown(state.clocks, robot, leg, gaits)
        place_later_contacts(
            robot, leg, gaits, touchdown, constants.dt, neutral, wanted, slack, reach, inputs
        )


@wp.func
def next_foothold(
    constants: PlanningConstants,
    state: PlanningState,
    body: Body,
    robot: int,
    leg: int,
    gaits: Array2,
) -> wp.vec3:
    """Foot centre in odom at the end of a swing [m]."""
    hip = wp.vec3(constants.legs.hip[leg, 0], gaits[robot, 5 + leg], 0.0)
    neutral = body.rotation * hip
    velocity = state.references[robot].velocity
    wanted = rotate_plane(body.yaw, velocity[0], velocity[1])
    place = foothold(
        wp.vec2(body.position[0], body.position[1]),
        wp.vec2(neutral[0], neutral[1]),
        wp.vec2(body.velocity[0], body.velocity[1]),
        body.rates[2],
        wp.vec3(wanted[0], wanted[1], velocity[2]),
        state.clocks.left[robot, leg],
        (1.0 - gaits[robot, 1]) / gaits[robot, 0],
        constants.shape,
    )
    return wp.vec3(place[0], place[1], constants.legs.radius)


@wp.func
def raised_foot(
    constants: PlanningConstants,
    state: PlanningState,
    body: Body,
    robot: int,
    leg: int,
    foothold: wp.vec3,
    gaits: Array2,
) -> tuple[wp.vec3, wp.vec3]:
    """Target of a foot whose leg has left the gait; `LocomotionController._lifted`."""
    neutral = body.rotation * wp.vec3(constants.legs.hip[leg, 0], gaits[robot, 5 + leg], 0.0)
    yaw_rate = body.rates[2]
    share = state.clocks.share[robot, leg]
    rate = -RATE
    if state.clocks.wanted[robot, leg] > 0.5:
        rate = wp.where(share < TOP, RATE, 0.0)
    point, velocity = lift_foot(
        state.feet,
        robot,
        leg,
        foothold,
        wp.vec3(
            body.position[0] + neutral[0], body.position[1] + neutral[1], constants.legs.radius
        ),
        wp.vec3(
            body.velocity[0] - yaw_rate * neutral[1], body.velocity[1] + yaw_rate * neutral[0], 0.0
        ),
        float(share),
        rate,
        constants.shape,
    )
    return point, velocity


@wp.kernel(enable_backward=False)
def assume_friction(constants: PlanningConstants, state: PlanningState) -> None:
    """Let the MPC of one robot per thread count on less friction while a loaded foot slides."""
    robot = wp.tid()
    update_friction(state.slip, robot, state.elapsed[robot], constants.slip)


@wp.kernel(enable_backward=False)
def take_forces(
    constants: PlanningConstants,
    state: PlanningState,
    estimates: Estimates,
    outputs: MpcOutputs,
    plans: Plans,
) -> None:
    """Write the force of one foot per thread; without a solution the last one holds."""
    robot, leg = wp.tid()
    body = body_of(estimates, robot, constants.com)
    if outputs.residual[robot] < NO_SOLUTION:
        first = wp.vec3(
            outputs.forces[robot, 0, 3 * leg],
            outputs.forces[robot, 0, 3 * leg + 1],
            outputs.forces[robot, 0, 3 * leg + 2],
        )
        in_odom = body.frame * (UNIT * first)
        state.force[robot, leg] = wp.transpose(body.rotation) * in_odom
    plans.force[robot, leg] = state.feet.stance[robot, leg] * state.force[robot, leg]
    state.fresh[robot] = 0.0
