"""Locomotion controller: gait, footholds, reference and convex MPC, from estimate and verdict to a stance plan.

Everything that the MPC sees is in the ground frame (`centroidal.ground_frame`): z along the ground normal, x along the heading, origin on
the ground plane at the foot of the normal through the centre of mass.
"""

from dataclasses import dataclass
from math import cos, isfinite, sin

import numpy as np

from safe_locomotion.control.friction import SlipWatch
from safe_locomotion.control.gait import GaitClock, GaitPhase
from safe_locomotion.control.mpc import ConvexMpc, MpcParameters, MpcProblem
from safe_locomotion.control.reference import LocomotionParameters, Reference, within
from safe_locomotion.control.swing import SwingParameters, cycloid, raibert_step
from safe_locomotion.robot.centroidal import NX, CentroidalModel, centroidal_values
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.robot.kinematics import Kinematics, clamp
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    cross,
    relative_rows,
    rotate,
    rotate_back,
    rows_from_quaternion,
    rpy_from_rows,
)
from safe_locomotion.types import (
    GRAVITY,
    N_LEGS,
    NANOSECONDS,
    Array,
    Estimate,
    GaitParameters,
    Mode,
    StancePlan,
    VelocityCommand,
    Verdict,
)

MOMENT = 1e-6  #: [s] in the air of a foot that has just left the ground
_GRAVITY: Vector = (0.0, 0.0, -GRAVITY)


@dataclass(slots=True)
class _Body:
    """The estimate of one tick, in the shapes this file needs: vectors in odom as plain numbers, unless they say otherwise.

    Attributes:
        rows: rotation from base to odom.
        feet_in_base, feet: foot centres.
        frame: `ground_frame`.
        normal, ground_height: of the ground plane.
    """

    position: Vector
    rows: RotationRows
    rpy: Vector
    velocity: Vector
    rate_in_base: Vector
    rate: Vector
    com: Vector
    feet_in_base: list[Vector]
    feet: list[Vector]
    frame: RotationRows
    normal: Vector
    ground_height: float

    def plane_height(self, x: float, y: float) -> float:
        """Height in odom of the ground plane at a point."""
        (px, py, _), (nx, ny, nz) = self.position, self.normal
        return self.ground_height - (nx * (x - px) + ny * (y - py)) / max(nz, 0.5)


@dataclass(frozen=True, slots=True)
class _Catch:
    """A foot that was in the air at `progress` of its swing, `away` [m] from the curve: it joins the curve by touchdown."""

    away: Vector
    progress: float

    def joined(
        self, point: Vector, velocity: Vector, progress: float, duration: float
    ) -> tuple[Vector, Vector]:
        rest = 1.0 - self.progress
        left = clamp((1.0 - progress) / rest, 0.0, 1.0)
        rate = -1.0 / (rest * duration)
        (x, y, z), (vx, vy, vz), (ax, ay, az) = point, velocity, self.away
        return (x + left * ax, y + left * ay, z + left * az), (
            vx + rate * ax,
            vy + rate * ay,
            vz + rate * az,
        )


class LocomotionController:
    """One `update` per MPC tick; keeps the gait phase, lift-off points, reference and the solver's memory."""

    def __init__(
        self,
        robot: RobotModel,
        parameters: LocomotionParameters,
        swing: SwingParameters,
        mpc: MpcParameters,
    ) -> None:
        self._robot = robot
        self._parameters = parameters
        self._swing = swing
        self._kinematics = Kinematics(robot)
        self._mpc = ConvexMpc(CentroidalModel(mass=robot.mass, inertia=robot.inertia), mpc)
        self._horizon = mpc.horizon
        self._dt = mpc.dt
        self._middles: list[float] = (mpc.dt * np.arange(0.5, mpc.horizon)).tolist()
        self._clock = GaitClock()
        self._slip = SlipWatch(parameters.slip, mpc.mu)
        self._reference = Reference(parameters)
        self._stamp_ns: int | None = None
        self._hip_x: list[float] = robot.hip_position[:, 0].tolist()
        self._com: Vector = tuple(robot.com.tolist())
        self._radius = float(robot.foot_radius)
        self._stance = [True] * N_LEGS
        self._landed = [False] * N_LEGS
        self._lost = [False] * N_LEGS
        self._unloaded_time = [0.0] * N_LEGS
        self._lift_off: list[Vector] = [(0.0, 0.0, 0.0)] * N_LEGS
        self._force = np.zeros((N_LEGS, 3))
        self._running = False
        self._following = False
        self._air_time = [0.0] * N_LEGS
        self._ground_time = [0.0] * N_LEGS
        self._caught: list[_Catch | None] = [None] * N_LEGS

    def update(self, estimate: Estimate, verdict: Verdict) -> StancePlan:
        """Plan for this tick; in modes that do not stand the plan carries no force.

        While a joint policy drives, the plan is what the MPC would do with the feet that really carry the robot. Nobody executes it: it
        keeps solver, gait phase and reference such that the MPC can take over at any tick.
        """
        body = self._body(estimate)
        if verdict.mode not in (Mode.STAND_UP, Mode.STAND, Mode.WALK) or estimate.diverged:
            self._running = False
            return self._idle(estimate.stamp_ns, body)
        if not self._running:
            self._restart(estimate, body)
        elapsed = (
            0.0
            if self._stamp_ns is None
            else max(0, estimate.stamp_ns - self._stamp_ns) / NANOSECONDS
        )
        self._stamp_ns = estimate.stamp_ns
        walking = verdict.mode is Mode.WALK
        if verdict.mode is Mode.STAND_UP:
            self._reference.reset(
                body.position, body.rpy[2], body.position[2] - estimate.ground_height
            )
        self._reference.update(
            elapsed, verdict.command if walking else VelocityCommand(), body.position, body.rpy[2]
        )
        following = verdict.joints is not None
        phase, stance = (self._follow if following else self._step)(
            estimate, verdict, body, elapsed
        )
        loaded = [
            pushes and felt for pushes, felt in zip(stance, estimate.contact.tolist(), strict=True)
        ]
        self._mpc.assume_friction(self._slip.update(elapsed, body.feet, loaded))
        footholds = self._footholds(phase, stance, verdict.gait, body)
        force, solved = self._solve(stance, estimate, verdict.gait, body, footholds)
        if self._following and not following:
            self._catch(phase, stance, body, footholds)
        self._following = following
        position, velocity = self._swing_targets(phase, stance, body, footholds)
        return StancePlan(
            stamp_ns=estimate.stamp_ns,
            stance=np.array(stance),
            force=force,
            foot_position=position,
            foot_velocity=velocity,
            solved=solved,
        )

    def _body(self, estimate: Estimate) -> _Body:
        rows = rows_from_quaternion(estimate.quaternion_wxyz)
        rpy = rpy_from_rows(rows)
        position = estimate.position.tolist()
        rate = estimate.angular_velocity.tolist()
        normal = estimate.ground_normal.tolist()
        legs = self._kinematics.legs
        feet = [
            leg.foot(pose)
            for leg, pose in zip(legs, self._kinematics.poses(estimate.q), strict=True)
        ]
        return _Body(
            position=position,
            rows=rows,
            rpy=rpy,
            velocity=estimate.velocity.tolist(),
            rate_in_base=rate,
            rate=rotate(rows, rate),
            com=_sum(position, rotate(rows, self._com)),
            feet_in_base=feet,
            feet=[_sum(position, rotate(rows, foot)) for foot in feet],
            frame=ground_rows(rpy[2], normal),
            normal=normal,
            ground_height=estimate.ground_height,
        )

    def _restart(self, estimate: Estimate, body: _Body) -> None:
        self._running = True
        self._slip.reset()
        self._stamp_ns = None
        self._clock = GaitClock()
        self._stance = [True] * N_LEGS
        self._landed = [False] * N_LEGS
        self._lost = [False] * N_LEGS
        self._unloaded_time = [0.0] * N_LEGS
        self._lift_off = body.feet.copy()
        self._caught = [None] * N_LEGS
        self._following = False
        self._reference.reset(body.position, body.rpy[2], body.position[2] - estimate.ground_height)

    def _idle(self, stamp_ns: int, body: _Body) -> StancePlan:
        return StancePlan(
            stamp_ns=stamp_ns,
            stance=np.ones(N_LEGS, dtype=np.bool_),
            force=np.zeros((N_LEGS, 3)),
            foot_position=np.array(body.feet_in_base),
            foot_velocity=np.zeros((N_LEGS, 3)),
            solved=False,
        )

    def _step(
        self, estimate: Estimate, verdict: Verdict, body: _Body, elapsed: float
    ) -> tuple[GaitPhase, list[bool]]:
        phase = self._clock.update(estimate.stamp_ns, verdict.gait, step=verdict.mode is Mode.WALK)
        return phase, self._contacts(phase, estimate, body, elapsed)

    def _follow(
        self, estimate: Estimate, verdict: Verdict, body: _Body, elapsed: float
    ) -> tuple[GaitPhase, list[bool]]:
        """Gait phase and stance as the feet are, reference as the body is; a foot in the air that the gait wants down counts as lost."""
        contact = estimate.contact.tolist()
        p = self._swing
        height = body.position[2] - estimate.ground_height
        self._reference.follow(body.position, body.rpy[2], height, body.velocity)
        for leg, down in enumerate(contact):
            if down:
                self._lift_off[leg] = body.feet[leg]
            self._air_time[leg] = 0.0 if down else self._air_time[leg] + max(elapsed, MOMENT)
            self._ground_time[leg] = self._ground_time[leg] + elapsed if down else 0.0
        phase = self._clock.follow(
            estimate.stamp_ns, verdict.gait, self._air_time, self._ground_time
        )
        for leg, stands in enumerate(phase.stance):
            lost = stands and not contact[leg]
            self._unloaded_time[leg] = p.lost_after if lost else 0.0
            if lost:
                self._lift_off[leg] = body.feet[leg]
        self._landed = [False] * N_LEGS
        self._lost = [False] * N_LEGS
        self._stance = contact
        return phase, contact.copy()

    def _catch(
        self, phase: GaitPhase, stance: list[bool], body: _Body, footholds: list[Vector]
    ) -> None:
        """Remember how far each foot in the air is from the curve that it is to follow from now on."""
        for leg, foot in enumerate(body.feet):
            self._caught[leg] = None
            if not stance[leg] and not self._lost[leg]:
                point, _ = self._swing_point(leg, phase, footholds[leg])
                self._caught[leg] = _Catch(
                    _difference(foot, point), float(phase.swing_progress[leg])
                )

    def _contacts(
        self, phase: GaitPhase, estimate: Estimate, body: _Body, elapsed: float
    ) -> list[bool]:
        """Scheduled stance plus feet that met the ground early, less feet that lost it; remembers where feet lift off.

        A foot that should carry but feels no ground for a while, away from the ground plane, is taken out of the MPC and reaches for the
        foothold under its hip: the body has been thrown off it, or the ground is lower than expected. A foot that slides stays.
        """
        p = self._swing
        stepping = self._clock.stepping
        scheduled = phase.stance
        progress = phase.swing_progress
        contact = estimate.contact.tolist()
        for leg, on in enumerate(scheduled):
            x, y, z = body.feet[leg]
            early = progress[leg] >= p.early_contact and contact[leg]
            self._landed[leg] = not on and (self._landed[leg] or early)
            away = abs(z - self._radius - body.plane_height(x, y)) > p.lost_distance
            unloaded = on and not contact[leg] and away and stepping
            self._unloaded_time[leg] = self._unloaded_time[leg] + elapsed if unloaded else 0.0
            reached_out = self._lost[leg]
            lost = self._unloaded_time[leg] > p.lost_after
            pushes = (on and not lost) or self._landed[leg]
            if (self._stance[leg] and not pushes) or (reached_out and not on):
                self._lift_off[leg], self._caught[leg] = (x, y, z), None
            self._lost[leg], self._stance[leg] = lost, pushes
        return self._stance.copy()

    def _footholds(
        self, phase: GaitPhase, stance: list[bool], gait: GaitParameters, body: _Body
    ) -> list[Vector]:
        """Foot centres in odom at the next touchdown; stance feet where they are."""
        left = phase.time_to_touchdown
        return [
            foot
            if stance[leg]
            else self._foothold(
                (self._hip_x[leg], gait.foot_y[leg], 0.0), left[leg], phase.stance_duration, body
            )
            for leg, foot in enumerate(body.feet)
        ]

    def _foothold(
        self, nominal: Vector, left: float, stance_duration: float, body: _Body
    ) -> Vector:
        """Raibert's foothold, in odom, of a foot that wants to be at `nominal` in base, `left` seconds before it touches down."""
        p, (wanted_x, wanted_y, wz) = self._swing, self._reference.velocity
        (px, py, _), (vx, vy, _), rate = body.position, body.velocity, body.rate[2]
        c = cos(rate * left)
        s = sin(rate * left)
        x, y, _ = rotate(body.rows, nominal)
        x, y = c * x - s * y, s * x + c * y
        c = cos(body.rpy[2])
        s = sin(body.rpy[2])
        wanted_x, wanted_y = (
            c * wanted_x - s * wanted_y - wz * y,
            s * wanted_x + c * wanted_y + wz * x,
        )
        step_x = raibert_step(vx - rate * y, wanted_x, stance_duration, p.velocity_gain, p.reach)
        step_y = raibert_step(vy + rate * x, wanted_y, stance_duration, p.velocity_gain, p.reach)
        x = px + x + vx * left + step_x
        y = py + y + vy * left + step_y
        return x, y, body.plane_height(x, y) + self._radius

    def _swing_targets(
        self, phase: GaitPhase, stance: list[bool], body: _Body, footholds: list[Vector]
    ) -> tuple[Array, Array]:
        """Position and velocity (4, 3) of the feet in base; a stance foot moves as fast as the body leaves it behind."""
        positions = []
        velocities = []
        for leg, foot in enumerate(body.feet_in_base):
            position = foot
            speed = (0.0, 0.0, 0.0)
            if not stance[leg]:
                point, speed = self._swing_point(leg, phase, footholds[leg])
                position = rotate_back(body.rows, _difference(point, body.position))
            relative = rotate_back(body.rows, _difference(speed, body.velocity))
            positions.append(position)
            velocities.append(_difference(relative, cross(body.rate_in_base, position)))
        return np.array(positions), np.array(velocities)

    def _swing_point(self, leg: int, phase: GaitPhase, foothold: Vector) -> tuple[Vector, Vector]:
        """Point and velocity in odom of a foot in the air."""
        p, (x, y, z) = self._swing, foothold
        if self._lost[leg]:
            searched = self._unloaded_time[leg] - p.lost_after
            end = (x, y, z - p.depth - min(p.search_depth, p.search_speed * searched))
            return cycloid(self._lift_off[leg], end, 0.0, searched / p.search_time, p.search_time)
        progress = phase.swing_progress[leg]
        caught = self._caught[leg]
        point, velocity = cycloid(
            self._lift_off[leg], (x, y, z - p.depth), p.height, progress, phase.swing_duration
        )
        return (
            (point, velocity)
            if caught is None
            else caught.joined(point, velocity, progress, phase.swing_duration)
        )

    def _solve(
        self,
        stance: list[bool],
        estimate: Estimate,
        gait: GaitParameters,
        body: _Body,
        footholds: list[Vector],
    ) -> tuple[Array, bool]:
        answer = self._mpc.solve(self._problem(stance, estimate, gait, body, footholds))
        if isfinite(
            answer.primal_residual
        ):  # a rough answer is inside the cone and knows the present; the last good one does not
            self._force = answer.forces.dot(np.array(relative_rows(body.frame, body.rows)))
        force = self._force.copy()
        for leg, pushes in enumerate(stance):
            if not pushes:
                force[leg] = 0.0
        return force, answer.ok

    def _problem(
        self,
        stance: list[bool],
        estimate: Estimate,
        gait: GaitParameters,
        body: _Body,
        footholds: list[Vector],
    ) -> MpcProblem:
        frame, (nx, ny, nz), (cx, cy, cz) = body.frame, body.normal, body.com
        gap = nz * (cz - body.plane_height(cx, cy))
        (roll, pitch, _), place, rates, speed = centroidal_values(
            rotation=body.rows,
            position=body.position,
            rates=body.rate_in_base,
            velocity=body.velocity,
            com=self._com,
            frame=frame,
            origin=(cx - gap * nx, cy - gap * ny, cz - gap * nz),
        )
        reference, travel = self._reference_states(body, speed[0], speed[1])
        schedule = self._clock.schedule(gait, self._middles)
        schedule[0] = stance
        levers = [rotate_back(frame, _difference(foot, body.com)) for foot in footholds]
        feet = np.empty((len(schedule), N_LEGS, 3))
        # The ground pushes one foot radius below the foot centre.
        feet[:] = [(x, y, z - self._radius) for x, y, z in levers]
        feet[:, :, :2] -= travel[:, None]
        return MpcProblem(
            x0=np.array((roll, pitch, 0.0, *place, *rates, *speed)),
            reference=reference,
            feet=feet,
            stance=schedule,
            gravity=np.array(rotate_back(frame, _GRAVITY)),
        )

    def _reference_states(self, body: _Body, vx: float, vy: float) -> tuple[Array, Array]:
        """Reference (N, 12) of a body that moves with vx, vy now, and how far it has gone in the middle of each step (N, 2)."""
        reference = self._reference
        slack = self._parameters.velocity_slack
        dt = self._dt
        (ax, bx, _), (ay, by, _), _ = body.frame
        ahead_x = reference.position[0] - body.position[0]
        ahead_y = reference.position[1] - body.position[1]
        wanted_x, wanted_y, wz = reference.velocity
        x = ax * ahead_x + ay * ahead_y
        y = bx * ahead_x + by * ahead_y
        vx = within(wanted_x, vx, slack)
        vy = within(wanted_y, vy, slack)
        yaw = reference.yaw - body.rpy[2]
        height = reference.height + self._com[2]
        turn = wz * dt
        c = cos(turn)
        s = sin(turn)
        rows: list[float] = []
        travel: list[float] = []
        gone_x = gone_y = 0.0
        for _ in range(self._horizon):
            vx, vy, yaw = (
                c * vx - s * vy,
                s * vx + c * vy,
                yaw + turn,
            )  # the velocity turns with the heading
            step_x = dt * vx
            step_y = dt * vy
            travel += (gone_x + 0.5 * step_x, gone_y + 0.5 * step_y)
            gone_x = gone_x + step_x
            gone_y = gone_y + step_y
            rows += (0.0, 0.0, yaw, x + gone_x, y + gone_y, height, 0.0, 0.0, wz, vx, vy, 0.0)
        return np.array(rows).reshape(-1, NX), np.array(travel).reshape(-1, 2)


def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _difference(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]
