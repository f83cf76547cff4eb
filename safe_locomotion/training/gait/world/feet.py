"""Feet of many robots: `control.foot.Foot` as Warp functions, for legs that the MPC drives."""

from typing import Any

import warp as wp

from safe_locomotion.training.gait.world.arrays import Array2, LegVectors3
from safe_locomotion.training.gait.world.locomotion import SwingShape, cycloid, way, way_rate
from safe_locomotion.types import N_LEGS


@wp.struct
class Feet:
    """What the controller remembers of the feet from tick to tick.

    Attributes:
        lift_off: (B, 4) where each foot left the ground, in odom [m].
        stance: (B, 4) 1 for a foot that pushes.
        landed: (B, 4) 1 for a foot that met the ground before its swing ended.
        lost: (B, 4) 1 for a foot that should push, but has lost the ground and reaches for it.
        unloaded_time: (B, 4) for how long each has found no ground where it should push [s].
    """

    lift_off: LegVectors3
    stance: Array2
    landed: Array2
    lost: Array2
    unloaded_time: Array2


def feet_of(robots: int, device: str) -> Any:
    """Standing feet of so many robots, on a device of Warp."""
    feet = Feet()
    feet.lift_off = wp.zeros((robots, N_LEGS), dtype=wp.vec3, device=device)
    feet.stance = wp.full((robots, N_LEGS), 1.0, dtype=float, device=device)
    for name in ("landed", "lost", "unloaded_time"):
        setattr(feet, name, wp.zeros((robots, N_LEGS), dtype=float, device=device))
    return feet


@wp.func
def restart_foot(feet: Feet, robot: int, leg: int, at: wp.vec3) -> None:
    """Let one foot start over, standing at a point of odom."""
    feet.lift_off[robot, leg] = at
    feet.stance[robot, leg] = 1.0
    feet.landed[robot, leg] = 0.0
    feet.lost[robot, leg] = 0.0
    feet.unloaded_time[robot, leg] = 0.0


@wp.func
def step_foot(
    feet: Feet,
    robot: int,
    leg: int,
    at: wp.vec3,
    scheduled: bool,
    progress: wp.float64,
    contact: bool,
    hangs: bool,
    elapsed: float,
    shape: SwingShape,
    lifted: bool,
) -> None:
    """Decide whether one foot pushes on this tick; the twin of `Foot.step`.

    Args:
        feet: all feet.
        robot, leg: which one.
        at: foot centre in odom [m].
        scheduled: the gait wants the foot on the ground.
        progress: of its swing.
        contact: it carries load.
        hangs: it is away from the ground plane while the robot steps.
        elapsed: since the last tick [s].
        shape: of the swing.
        lifted: the gait wants the leg held in the air, and it is on its way up or there.
    """
    early = progress >= shape.early_contact and contact
    landed = not scheduled and not lifted and (feet.landed[robot, leg] > 0.5 or early)
    unloaded = float(0.0)
    if scheduled and not contact and hangs:
        unloaded = feet.unloaded_time[robot, leg] + elapsed
    lost = unloaded > shape.lost_after
    pushes = (scheduled and not lost) or landed
    leaves = feet.stance[robot, leg] > 0.5 and not pushes
    if leaves or (feet.lost[robot, leg] > 0.5 and not scheduled):
        feet.lift_off[robot, leg] = at
    feet.landed[robot, leg] = wp.where(landed, 1.0, 0.0)
    feet.unloaded_time[robot, leg] = unloaded
    feet.lost[robot, leg] = wp.where(lost, 1.0, 0.0)
    feet.stance[robot, leg] = wp.where(pushes, 1.0, 0.0)


@wp.func
def swing_foot(
    feet: Feet,
    robot: int,
    leg: int,
    foothold: wp.vec3,
    progress: float,
    duration: float,
    shape: SwingShape,
) -> tuple[wp.vec3, wp.vec3]:
    """Point [m] and velocity [m/s] in odom of one foot in the air; the twin of `Foot.swing`.

    Args:
        feet: all feet.
        robot, leg: which one.
        foothold: foot centre at touchdown, in odom [m].
        progress: of the swing.
        duration: of the whole swing [s].
        shape: of the swing.
    """
    end = foothold - wp.vec3(0.0, 0.0, shape.depth)
    height = shape.height
    gone = progress
    time = duration
    if feet.lost[robot, leg] > 0.5:
        searched = feet.unloaded_time[robot, leg] - shape.lost_after
        end = end - wp.vec3(0.0, 0.0, wp.min(shape.search_depth, shape.search_speed * searched))
        height = 0.0
        gone = searched / shape.search_time
        time = shape.search_time
    point, velocity = cycloid(feet.lift_off[robot, leg], end, height, gone, time)
    return point, velocity


@wp.func
def lift_foot(
    feet: Feet,
    robot: int,
    leg: int,
    foothold: wp.vec3,
    under_hip: wp.vec3,
    hip_velocity: wp.vec3,
    share: float,
    rate: float,
    shape: SwingShape,
) -> tuple[wp.vec3, wp.vec3]:
    """Point [m] and velocity [m/s] in odom of a foot whose leg has left the gait.

    The twin of `Foot.descend` and of `Foot.swing` with a lift.

    Args:
        feet: all feet.
        robot, leg: which one.
        foothold: foot centre at touchdown, in odom [m].
        under_hip: foot centre on the ground under the hip, in odom [m].
        hip_velocity: of that place [m/s].
        share: of the way up.
        rate: of the share [1/s].
        shape: of the swing.
    """
    if rate < 0.0:
        feet.lift_off[robot, leg] = foothold - wp.vec3(0.0, 0.0, shape.depth)
    ground = feet.lift_off[robot, leg]
    line = under_hip + wp.vec3(0.0, 0.0, shape.height) - ground
    blend = way(share)
    return ground + blend * line, way_rate(share) * rate * line + blend * hip_velocity
