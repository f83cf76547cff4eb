"""Problems of the rollouts of many gaits: what `safety.gait_rollout` gives its MPC to solve.

The ground is flat. So the ground frame of a robot is its yaw frame, with the origin on the ground
under the centre of mass.
"""

from typing import Any

import warp as wp

from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.centroidal import NX, CentroidalModel
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.gait_rollout import ALOFT, FALL_TIME
from safe_locomotion.training.gait.world.arrays import (
    BLOCK,
    Array2,
    Array3,
    Integers1,
    LegVectors3,
    Vectors2,
    Vectors3,
)
from safe_locomotion.training.gait.world.body import Body, body_of, write_ground_state
from safe_locomotion.training.gait.world.convex_mpc import MpcInputs
from safe_locomotion.training.gait.world.estimates import Estimates
from safe_locomotion.training.gait.world.gait import GaitClocks, advance_clock, schedule_stance
from safe_locomotion.training.gait.world.legs import Legs, foot_at, joints_of
from safe_locomotion.training.gait.world.locomotion import (
    SwingShape,
    foothold,
    reference_path,
    swing_shape,
    within,
)
from safe_locomotion.types import GRAVITY, N_LEGS

wp.set_module_options({"block_dim": BLOCK})

G = wp.constant(GRAVITY)
HANGS = wp.constant(ALOFT)
FALLS_FOR = wp.constant(FALL_TIME)
AT_ONCE = wp.constant(wp.float64(0.0))


@wp.struct
class RolloutModel:
    """What is the same for all robots and ticks.

    Attributes:
        legs: of the robots.
        shape: of their swings.
        com: centre of mass in base [m].
        mass: [kg].
        inverse_inertia: about the centre of mass [1/(kg m2)].
        height: wanted, of the centre of mass [m].
        slack: how far the velocity reference may lie from the velocity [m/s].
        dt: length of a solver step [s].
        mu: friction.
    """

    legs: Legs
    shape: SwingShape
    com: wp.vec3
    mass: float
    inverse_inertia: wp.mat33
    height: float
    slack: float
    dt: wp.float64
    mu: float


@wp.struct
class Scenes:
    """The robots now.

    Attributes:
        x0: (B, 12) centroidal states.
        spots: (B, 4) contact points [m]; z is their height above the ground.
        wanted: (B,) velocity along x and y [m/s] and yaw rate [rad/s] of the command.
        travel: (B, N) way of the reference to the middle of each step [m]; not used.
    """

    x0: Array2
    spots: LegVectors3
    wanted: Vectors3
    travel: Vectors2


@wp.struct
class GaitPlans:
    """Plans of one MPC solve per robot.

    Attributes:
        feet: (B, 4) now, relative to the centre of mass [m]; NaN if there is no plan.
        forces: (B, N, 12) each held over a solver step [FORCE_UNIT].
    """

    feet: LegVectors3
    forces: Array3


def rollout_model(
    robot: RobotModel,
    legs: Any,
    *,
    reference: LocomotionParameters,
    swing: SwingParameters,
    solver: MpcParameters,
) -> Any:
    """The model of a robot that the given controller drives.

    Args:
        robot: model of all robots.
        legs: of `legs_of`.
        reference, swing: of the controller.
        solver: of the rollout.
    """
    body = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
    out = RolloutModel()
    out.legs = legs
    out.shape = swing_shape(swing)
    out.com = wp.vec3(*robot.com.tolist())
    out.mass = robot.mass
    out.inverse_inertia = wp.mat33(*body.inverse_inertia.reshape(-1).tolist())
    out.height = reference.body_height + float(robot.com[2])
    out.slack = reference.velocity_slack
    out.dt = wp.float64(solver.dt)
    out.mu = solver.mu
    return out


def empty_scenes(robots: int, horizon: int, device: str) -> Any:
    """Zeroed scenes of so many robots, for a solver with so many steps."""
    out = Scenes()
    out.x0 = wp.zeros((robots, NX), dtype=float, device=device)
    out.spots = wp.zeros((robots, N_LEGS), dtype=wp.vec3, device=device)
    out.wanted = wp.zeros(robots, dtype=wp.vec3, device=device)
    out.travel = wp.zeros((robots, horizon), dtype=wp.vec2, device=device)
    return out


@wp.func
def see_foot(model: RolloutModel, body: Body, q: wp.vec3, leg: int) -> wp.vec3:
    """Contact point of a foot with these joint angles in the scene [m]."""
    arm = body.rotation * (foot_at(model.legs, leg, q) - model.com)
    foot = wp.transpose(body.frame) * arm
    return wp.vec3(foot[0], foot[1], foot[2] + body.com[2] - model.legs.radius)


@wp.kernel(enable_backward=False)
def see_scenes(
    model: RolloutModel,
    estimates: Estimates,
    robots: Integers1,
    commands: Vectors3,
    scenes: Scenes,
) -> None:
    """`GaitRollout.scene` of each robot that is judged."""
    judged = wp.tid()
    robot = robots[judged]
    body = body_of(estimates, robot, model.com)
    write_ground_state(body, judged, scenes.x0)
    scenes.wanted[judged] = commands[robot]
    for leg in range(4):
        q = joints_of(estimates.joints, robot, leg)
        scenes.spots[judged, leg] = see_foot(model, body, q, leg)


@wp.func
def copy_clock(clocks: GaitClocks, copies: GaitClocks, robot: int) -> None:
    """Let the copy go on from where the clock is; `GaitClock.__copy__`."""
    copies.stride[robot] = clocks.stride[robot]
    copies.stepping[robot] = clocks.stepping[robot]
    for leg in range(4):
        copies.phases[robot, leg] = clocks.phases[robot, leg]
        copies.held[robot, leg] = clocks.held[robot, leg]
        copies.passes[robot, leg] = clocks.passes[robot, leg]
        copies.raised[robot, leg] = clocks.raised[robot, leg]
        copies.share[robot, leg] = clocks.share[robot, leg]


@wp.func
def place_foot(
    model: RolloutModel, scenes: Scenes, clocks: GaitClocks, gait: Array2, robot: int, leg: int
) -> wp.vec3:
    """One foot relative to the centre of mass [m]; `GaitRollout._feet`.

    A foot that does not stand, or hangs in the air, is at its next foothold.
    """
    spot = scenes.spots[robot, leg]
    height = scenes.x0[robot, 5]
    stands = clocks.held[robot, leg] > 0.5
    if stands and not spot[2] > HANGS:
        return wp.vec3(spot[0], spot[1], spot[2] - height)
    left = clocks.left[robot, leg] + wp.where(stands, FALLS_FOR, 0.0)
    neutral_x = model.legs.hip[leg, 0] - model.com[0]
    place = foothold(
        wp.vec2(0.0, 0.0),
        wp.vec2(neutral_x, gait[robot, 5 + leg] - model.com[1]),
        wp.vec2(scenes.x0[robot, 9], scenes.x0[robot, 10]),
        scenes.x0[robot, 8],
        scenes.wanted[robot],
        left,
        (1.0 - gait[robot, 1]) / gait[robot, 0],
        model.shape,
    )
    return wp.vec3(place[0], place[1], -height)


@wp.kernel(enable_backward=False)
def pose_problems(
    model: RolloutModel,
    scenes: Scenes,
    clocks: GaitClocks,
    copies: GaitClocks,
    gait: Array2,
    lifted: Array2,
    problems: MpcInputs,
    plans: GaitPlans,
) -> None:
    """The MPC's problem of each robot under its gait; first half of `GaitRollout.inputs`."""
    robot = wp.tid()
    copy_clock(clocks, copies, robot)
    advance_clock(copies, robot, AT_ONCE, gait, lifted, True)
    schedule_stance(copies, robot, gait, model.dt, problems.stance)
    wanted = scenes.wanted[robot]
    kept = wp.vec3(
        within(wanted[0], scenes.x0[robot, 9], model.slack),
        within(wanted[1], scenes.x0[robot, 10], model.slack),
        wanted[2],
    )
    origin = wp.vec3(0.0, 0.0, 0.0)
    dt = float(model.dt)
    reference_path(robot, origin, kept, model.height, dt, problems.reference, scenes.travel)
    total = wanted[0] + wanted[1] + wanted[2]
    for column in range(12):
        problems.x0[robot, column] = scenes.x0[robot, column]
        total += scenes.x0[robot, column]
    problems.gravity[robot, 2] = -G
    problems.mu[robot] = model.mu
    back = wp.vec3(scenes.x0[robot, 9], scenes.x0[robot, 10], 0.0)
    for leg in range(4):
        foot = place_foot(model, scenes, copies, gait, robot, leg)
        hangs = scenes.spots[robot, leg][2] > HANGS
        total += foot[0] + foot[1] + foot[2]
        plans.feet[robot, leg] = foot
        for step in range(problems.stance.shape[1]):
            time = dt * (float(step) + 0.5)
            if hangs and time < FALLS_FOR:
                problems.stance[robot, step, leg] = 0.0
            left_behind = foot - time * back
            for axis in range(3):
                problems.feet[robot, step, leg, axis] = left_behind[axis]
    if not wp.isfinite(total):
        for leg in range(4):
            plans.feet[robot, leg] = wp.vec3(wp.NAN, wp.NAN, wp.NAN)
