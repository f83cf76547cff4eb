"""The feet of a scene: contact, planned force and friction cone, swing target and foothold."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, inf, isfinite, nan

import numpy as np

from safe_locomotion.config import StackConfig
from safe_locomotion.control.swing import time_left
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    cross,
    rotate,
    rotate_back,
    rows_from_quaternion,
    rpy_from_rows,
    vector,
)
from safe_locomotion.types import (
    LEGS,
    N_LEGS,
    Array,
    Estimate,
    GaitParameters,
    Mode,
    StancePlan,
    Verdict,
)
from safe_locomotion.ui.robot_body import Poses, RobotBody
from safe_locomotion.ui.scene import FORCE_SCALE, KEPT_FOOTHOLDS, FootScene, added

FORCE_FLOOR = 1.0  #: a smaller force counts as none [N]
SAME = 0.005  #: footholds closer than this are one, seen twice [m]
STEEPEST = 0.3  #: least z of the normal of ground
UPRIGHT: Vector = (0.0, 0.0, 1.0)
ZERO: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyMotion:
    """Where the body is drawn, and how it moves.

    Attributes:
        position: of the base in odom [m].
        rows: rotation of base to odom.
        frame: rotation of the ground frame to odom.
        normal: unit normal of the ground in odom.
        velocity: of the base in odom [m/s].
        angular_velocity: in base [rad/s].
        ground_height: of the ground below the base [m].
    """

    position: Vector
    rows: RotationRows
    frame: RotationRows
    normal: Vector
    velocity: Vector
    angular_velocity: Vector
    ground_height: float


def body_motion(links: Poses, estimate: Estimate) -> BodyMotion:
    """Motion of a body that is drawn with these links, of which the first is the base."""
    rows = rows_from_quaternion(links.quaternion_wxyz[0])
    normal = ground_normal(estimate)
    return BodyMotion(
        position=vector(links.position[0]),
        rows=rows,
        frame=ground_rows(rpy_from_rows(rows)[2], normal),
        normal=normal,
        velocity=vector(estimate.velocity),
        angular_velocity=vector(estimate.angular_velocity),
        ground_height=estimate.ground_height,
    )


def ground_normal(estimate: Estimate) -> Vector:
    """The estimated normal; upright where it is not finite, or where the ground is too steep."""
    x, y, z = vector(estimate.ground_normal)
    return (x, y, z) if z >= STEEPEST and isfinite(x + y + z) else UPRIGHT


class FootMaker:
    """Makes the feet of scenes, and remembers where feet touched down."""

    def __init__(self, robot: RobotModel, config: StackConfig, body: RobotBody) -> None:
        self._radius = robot.foot_radius
        self._mu = config.mpc.solver.mu
        self._swing_height = config.mpc.swing.height
        self._links = [body.links.index(f"{leg}_foot") for leg in LEGS]
        corners = ((1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0))
        self._rim: list[Vector] = [
            (FORCE_SCALE * self._mu * x, FORCE_SCALE * self._mu * y, FORCE_SCALE)
            for x, y in corners
        ]
        self._body = body
        self._stood = [True] * N_LEGS
        self._touched = [True] * N_LEGS
        self._footholds: deque[Vector] = deque(maxlen=KEPT_FOOTHOLDS)

    @property
    def footholds(self) -> Array:
        """(n, 3) places in odom where feet touched down lately, oldest first [m]."""
        return np.array(self._footholds).reshape(-1, 3)

    def update(
        self, links: Poses, estimate: Estimate, verdict: Verdict | None, plan: StancePlan | None
    ) -> tuple[FootScene, ...]:
        """The feet now: FR, FL, RR, RL."""
        motion = body_motion(links, estimate)
        gait = None if verdict is None else verdict.gait
        feet = tuple(
            self._foot(leg, links, motion, bool(estimate.contact[leg]), plan, gait)
            for leg in range(N_LEGS)
        )
        self._remember(feet, walks=verdict is not None and verdict.mode is Mode.WALK)
        return feet

    def note(self, estimate: Estimate, *, walks: bool) -> None:
        """Remember where feet touched down, without making a scene."""
        contact = [bool(touches) for touches in estimate.contact]
        landed = [leg for leg in range(N_LEGS) if contact[leg] and not self._touched[leg]]
        if walks and landed and np.isfinite(estimate.position).all():
            links = self._body.poses(estimate.position, estimate.quaternion_wxyz, estimate.q)
            normal = ground_normal(estimate)
            for leg in landed:
                centre = vector(links.position[self._links[leg]])
                self._land(added(centre, normal, -self._radius))
        self._touched = contact

    def _land(self, place: Vector) -> None:
        """Remember a foothold, unless it is one of the newest ones, seen twice."""
        newest = list(self._footholds)[-N_LEGS:]
        if all(dist(place, known) > SAME for known in newest):
            self._footholds.append(place)

    def _remember(self, feet: Sequence[FootScene], *, walks: bool) -> None:
        for leg, foot in enumerate(feet):
            stands = foot.contact and foot.stance
            if walks and stands and not self._stood[leg]:
                self._land(foot.ground)
            self._stood[leg] = stands
            self._touched[leg] = foot.contact

    def _foot(
        self,
        leg: int,
        links: Poses,
        motion: BodyMotion,
        contact: bool,
        plan: StancePlan | None,
        gait: GaitParameters | None,
    ) -> FootScene:
        centre = vector(links.position[self._links[leg]])
        ground = added(centre, motion.normal, -self._radius)
        stance = plan is None or bool(plan.stance[leg])
        lifted = gait is not None and gait.lifted[leg] and not stance
        force = ZERO
        target = None
        foothold = None
        if plan is not None and stance:
            force = rotate(motion.rows, vector(plan.force[leg]))
        elif plan is not None:
            target, foothold = self._swing(leg, motion, plan, None if lifted else gait)
        pushes = rotate_back(motion.frame, force)
        return FootScene(
            leg=LEGS[leg],
            position=centre,
            ground=ground,
            contact=contact,
            stance=stance,
            force=force,
            cone=self._cone(ground, motion, pushes[2]),
            friction=_friction(pushes, self._mu),
            target=target,
            foothold=foothold,
            lifted=lifted,
        )

    def _cone(self, ground: Vector, motion: BodyMotion, normal_force: float) -> Array:
        """(4, 3) rim of the friction cone, at the height of the normal force [m]."""
        height = max(0.0, normal_force)
        return np.array([added(ground, rotate(motion.frame, c), height) for c in self._rim])

    def _swing(
        self, leg: int, motion: BodyMotion, plan: StancePlan, gait: GaitParameters | None
    ) -> tuple[Vector | None, Vector | None]:
        """Target of a swing foot and the place where its swing ends, both in odom [m]."""
        from_base = vector(plan.foot_position[leg])
        turning = cross(motion.angular_velocity, from_base)
        speed_in_base = added(vector(plan.foot_velocity[leg]), turning)
        target = added(motion.position, rotate(motion.rows, from_base))
        speed = added(motion.velocity, rotate(motion.rows, speed_in_base))
        end = None if gait is None else self._swing_end(target, speed, motion, gait)
        return target if isfinite(sum(target)) else None, end

    def _swing_end(
        self, target: Vector, speed: Vector, motion: BodyMotion, gait: GaitParameters
    ) -> Vector | None:
        """Place on the ground where a swing ends, from its target and speed [m/s] in odom."""
        x, y, z = target
        nx, ny, nz = motion.normal
        rise = -(nx * (x - motion.position[0]) + ny * (y - motion.position[1])) / nz
        ground = motion.ground_height + rise
        height = (z - self._radius - ground) / self._swing_height
        progress_left = time_left(height, rising=speed[2] > 0.0)
        if progress_left is None or not gait.frequency > 0.0:
            return None
        time = progress_left * (gait.swing_ratio / gait.frequency)
        dx = time * speed[0]
        dy = time * speed[1]
        end = (x + dx, y + dy, ground - (nx * dx + ny * dy) / nz)
        return end if isfinite(sum(end)) else None


def _friction(force: Vector, mu: float) -> float:
    """Share of the friction pyramid that a force in the ground frame takes.

    The greater tangential part over mu times the normal part. Infinite for a foot that would have
    to pull; NaN without a force.
    """
    fx, fy, fz = force
    if not abs(fx) + abs(fy) + abs(fz) >= FORCE_FLOOR:
        return nan
    return max(abs(fx), abs(fy)) / (mu * fz) if fz > 0.0 else inf
