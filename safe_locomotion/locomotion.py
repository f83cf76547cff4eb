"""Locomotion controller: gait, footholds, reference and convex MPC, from estimate and verdict to a stance plan.

Everything that the MPC sees is in the ground frame (`centroidal.ground_frame`): z along the ground normal, x along the heading, origin on
the ground plane at the foot of the normal through the centre of mass.
"""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from safe_locomotion.centroidal import LEVEL_GRAVITY, NX, CentroidalModel, centroidal_state, ground_frame
from safe_locomotion.gait import GaitClock, GaitPhase
from safe_locomotion.kinematics import Kinematics
from safe_locomotion.mpc import ConvexMpc, MpcParameters, MpcProblem
from safe_locomotion.robots import RobotModel
from safe_locomotion.rotations import matrix_from_quaternion, rpy_from_matrix
from safe_locomotion.swing import SwingParameters, cycloid, raibert_step
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array, Estimate, Flags, GaitParameters, Mode, StancePlan, VelocityCommand, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class LocomotionParameters:
    """Reference and timing of the locomotion controller.

    Attributes:
        body_height: of the base above the ground plane [m].
        acceleration: limit on the change of the velocity command [m/s2]; yaw: `yaw_acceleration` [rad/s2].
        position_slack: how far the integrated position reference may run ahead of the body [m]; acts as integral action.
        yaw_slack: the same for yaw [rad].
        velocity_slack: how far the velocity reference may lie from the body's velocity [m/s]; beyond it stepping catches the body, not the MPC,
            which would jump to find the friction for it.
        height_rate: limit on the change of the height reference [m/s].
    """

    body_height: float
    acceleration: float
    yaw_acceleration: float
    position_slack: float
    yaw_slack: float
    velocity_slack: float
    height_rate: float


@dataclass(slots=True)
class _Body:
    """The estimate of one tick, in the shapes this file needs."""

    position: Array
    rotation: Array
    rpy: tuple[float, float, float]
    frame: Array
    velocity: Array
    rate: Array
    com: Array
    feet: Array


class Reference:
    """Integrated, rate-limited command: where body and heading should be now and over the horizon."""

    def __init__(self, parameters: LocomotionParameters) -> None:
        self._p = parameters
        self.velocity = np.zeros(3)
        self.position = np.zeros(2)
        self.yaw = 0.0
        self.height = 0.0

    def reset(self, position: Array, yaw: float, height: float) -> None:
        """Start from where the body is, at rest."""
        self.velocity = np.zeros(3)
        self.position, self.yaw, self.height = position[:2].copy(), yaw, height

    def update(self, elapsed: float, command: VelocityCommand, body_position: Array, body_yaw: float) -> None:
        """Advance by `elapsed` seconds, staying within the slack around the body."""
        p = self._p
        limit = elapsed * np.array((p.acceleration, p.acceleration, p.yaw_acceleration))
        wanted = np.array((command.vx, command.vy, command.wz))
        self.velocity = self.velocity + np.minimum(np.maximum(wanted - self.velocity, -limit), limit)
        vx, vy, wz = self.velocity
        lead = (self.yaw + wz * elapsed - body_yaw + np.pi) % (2 * np.pi) - np.pi
        self.yaw = body_yaw + min(p.yaw_slack, max(-p.yaw_slack, lead))
        c, s = cos(body_yaw), sin(body_yaw)
        ahead = self.position - body_position[:2]
        along = c * ahead[0] + s * ahead[1] + vx * elapsed
        across = -s * ahead[0] + c * ahead[1] + vy * elapsed
        slack = p.position_slack
        along, across = min(slack, max(-slack, along)), min(slack, max(-slack, across))
        self.position = body_position[:2] + (c * along - s * across, s * along + c * across)
        step = p.height_rate * elapsed
        self.height += min(step, max(-step, p.body_height - self.height))


class LocomotionController:
    """One `update` per MPC tick; keeps the gait phase, lift-off points, reference and the solver's memory."""

    def __init__(self, robot: RobotModel, parameters: LocomotionParameters, swing: SwingParameters, mpc: MpcParameters) -> None:
        self._robot, self._parameters, self._swing = robot, parameters, swing
        self._kinematics = Kinematics(robot)
        self._mpc = ConvexMpc(CentroidalModel(mass=robot.mass, inertia=robot.inertia), mpc)
        self._times = mpc.dt * np.arange(1, mpc.horizon + 1)
        self._middles = self._times - 0.5 * mpc.dt
        self._clock = GaitClock()
        self._reference = Reference(parameters)
        self._stamp_ns: int | None = None
        self._stance = np.ones(N_LEGS, dtype=np.bool_)
        self._landed = np.zeros(N_LEGS, dtype=np.bool_)
        self._lost = np.zeros(N_LEGS, dtype=np.bool_)
        self._unloaded_time = np.zeros(N_LEGS)
        self._lift_off = np.zeros((N_LEGS, 3))
        self._force = np.zeros((N_LEGS, 3))
        self._running = False

    def update(self, estimate: Estimate, verdict: Verdict) -> StancePlan:
        """Plan for this tick; in modes that do not stand the plan carries no force."""
        body = self._body(estimate)
        if verdict.mode not in (Mode.STAND_UP, Mode.STAND, Mode.WALK) or estimate.diverged:
            self._running = False
            return self._idle(estimate.stamp_ns, body)
        if not self._running:
            self._restart(estimate, body)
        elapsed = 0.0 if self._stamp_ns is None else (estimate.stamp_ns - self._stamp_ns) / NANOSECONDS
        self._stamp_ns = estimate.stamp_ns
        walking = verdict.mode is Mode.WALK
        if verdict.mode is Mode.STAND_UP:
            self._reference.reset(body.position, body.rpy[2], body.position[2] - estimate.ground_height)
        self._reference.update(elapsed, verdict.command if walking else VelocityCommand(), body.position, body.rpy[2])
        phase = self._clock.update(estimate.stamp_ns, verdict.gait, step=walking)
        stance = self._contacts(phase, estimate, body, elapsed)
        footholds = self._footholds(phase, stance, estimate, verdict.gait, body)
        force, solved = self._solve(stance, estimate, verdict.gait, body, footholds)
        position, velocity = self._swing_targets(phase, stance, body, footholds)
        return StancePlan(
            stamp_ns=estimate.stamp_ns, stance=stance, force=force, foot_position=position, foot_velocity=velocity, solved=solved
        )

    def _body(self, estimate: Estimate) -> _Body:
        rotation = matrix_from_quaternion(estimate.quaternion_wxyz)
        rpy = rpy_from_matrix(rotation)
        rate = rotation @ estimate.angular_velocity
        feet = estimate.position + self._kinematics.feet(estimate.q) @ rotation.T
        com = estimate.position + rotation @ self._robot.com
        return _Body(estimate.position, rotation, rpy, ground_frame(rpy[2], estimate.ground_normal), estimate.velocity, rate, com, feet)

    def _restart(self, estimate: Estimate, body: _Body) -> None:
        self._running = True
        self._stamp_ns = None
        self._clock = GaitClock()
        self._stance[:] = True
        self._landed[:] = False
        self._lost[:] = False
        self._unloaded_time[:] = 0.0
        self._lift_off = body.feet.copy()
        self._reference.reset(body.position, body.rpy[2], body.position[2] - estimate.ground_height)

    def _idle(self, stamp_ns: int, body: _Body) -> StancePlan:
        return StancePlan(
            stamp_ns=stamp_ns,
            stance=np.ones(N_LEGS, dtype=np.bool_),
            force=np.zeros((N_LEGS, 3)),
            foot_position=(body.feet - body.position) @ body.rotation,
            foot_velocity=np.zeros((N_LEGS, 3)),
            solved=False,
        )

    def _contacts(self, phase: GaitPhase, estimate: Estimate, body: _Body, elapsed: float) -> Flags:
        """Scheduled stance plus feet that met the ground early, less feet that lost it; remembers where feet lift off.

        A foot that should carry but feels no ground for a while is taken out of the MPC and reaches for the foothold under its hip: the body
        has been thrown off it, or the ground is lower than expected.
        """
        early = ~phase.stance & (phase.swing_progress >= self._swing.early_contact) & estimate.contact
        self._landed = (self._landed | early) & ~phase.stance
        unloaded = phase.stance & ~estimate.contact & self._clock.stepping
        self._unloaded_time = np.where(unloaded, self._unloaded_time + elapsed, 0.0)
        self._lost = self._unloaded_time > self._swing.lost_after
        stance = (phase.stance & ~self._lost) | self._landed
        lifting = self._stance & ~stance
        if lifting.any():
            self._lift_off[lifting] = body.feet[lifting]
        self._stance = stance
        return stance

    def _plane_height(self, estimate: Estimate, xy: Array) -> Array:
        """Height in odom of the ground plane at points (..., 2)."""
        n = estimate.ground_normal
        offset = xy - estimate.position[:2]
        return estimate.ground_height - (offset @ n[:2]) / max(float(n[2]), 0.5)

    def _footholds(self, phase: GaitPhase, stance: Flags, estimate: Estimate, gait: GaitParameters, body: _Body) -> Array:
        """Foot centres (4, 3) in odom at the next touchdown; stance feet where they are."""
        if stance.all():
            return body.feet
        vx, vy, wz = self._reference.velocity
        yaw_at_touchdown = body.rpy[2] + body.rate[2] * phase.time_to_touchdown
        nominal = np.empty((N_LEGS, 3))
        nominal[:, 0] = self._robot.hip_position[:, 0]
        nominal[:, 1] = gait.foot_y
        nominal[:, 2] = 0.0
        under = nominal @ body.rotation.T
        c, s = np.cos(yaw_at_touchdown - body.rpy[2]), np.sin(yaw_at_touchdown - body.rpy[2])
        arm = np.stack((c * under[:, 0] - s * under[:, 1], s * under[:, 0] + c * under[:, 1]), axis=1)
        turned = np.stack((-arm[:, 1], arm[:, 0]), axis=1)
        velocity = body.velocity[:2] + body.rate[2] * turned
        heading_c, heading_s = cos(body.rpy[2]), sin(body.rpy[2])
        wanted = (heading_c * vx - heading_s * vy, heading_s * vx + heading_c * vy) + wz * turned
        step = raibert_step(velocity, wanted, phase.stance_duration, self._swing.velocity_gain, self._swing.reach)
        footholds = body.feet.copy()
        target = body.position[:2] + arm + body.velocity[:2] * phase.time_to_touchdown[:, None] + step
        height = self._plane_height(estimate, target) + self._robot.foot_radius
        swing = ~stance
        footholds[swing, :2] = target[swing]
        footholds[swing, 2] = height[swing]
        return footholds

    def _swing_targets(self, phase: GaitPhase, stance: Flags, body: _Body, footholds: Array) -> tuple[Array, Array]:
        """Position and velocity (4, 3) of the feet in base; a stance foot moves as fast as the body leaves it behind."""
        position = (body.feet - body.position) @ body.rotation
        rate = body.rotation.T @ body.rate
        velocity = -(body.velocity @ body.rotation) - _turning(rate, position)
        for leg in np.flatnonzero(~stance):
            point, speed = self._swing_point(leg, phase, footholds[leg])
            offset = point - body.position
            position[leg] = offset @ body.rotation
            velocity[leg] = (speed - body.velocity) @ body.rotation - _turning(rate, position[leg])
        return position, velocity

    def _swing_point(self, leg: int, phase: GaitPhase, foothold: Array) -> tuple[Array, Array]:
        """Point and velocity (3,) in odom of a foot in the air."""
        p = self._swing
        if self._lost[leg]:
            searched = self._unloaded_time[leg] - p.lost_after
            end = foothold - (0.0, 0.0, p.depth + min(p.search_depth, p.search_speed * searched))
            return cycloid(self._lift_off[leg], end, 0.0, searched / p.search_time, p.search_time)
        end = foothold - (0.0, 0.0, p.depth)
        return cycloid(self._lift_off[leg], end, p.height, float(phase.swing_progress[leg]), phase.swing_duration)

    def _solve(self, stance: Flags, estimate: Estimate, gait: GaitParameters, body: _Body, footholds: Array) -> tuple[Array, bool]:
        answer = self._mpc.solve(self._problem(stance, estimate, gait, body, footholds))
        if np.isfinite(answer.primal_residual):  # a rough answer is inside the cone and knows the present; the last good one does not
            self._force = answer.forces @ body.frame.T @ body.rotation
        force = np.where(stance[:, None], self._force, 0.0)
        return force, answer.ok

    def _problem(self, stance: Flags, estimate: Estimate, gait: GaitParameters, body: _Body, footholds: Array) -> MpcProblem:
        reference, frame, t = self._reference, body.frame, self._times
        normal = frame[:, 2]
        ground = np.array((*body.com[:2], self._plane_height(estimate, body.com[:2])))
        origin = body.com - normal * (normal @ (body.com - ground))
        x0 = centroidal_state(
            rotation=body.rotation,
            position=body.position,
            rates=estimate.angular_velocity,
            velocity=body.velocity,
            com=self._robot.com,
            frame=frame,
            origin=origin,
        )
        yaw_error, x0[2] = reference.yaw - body.rpy[2], 0.0
        ahead = (reference.position - body.position[:2]) @ frame[:2, :2]
        vx, vy, wz = reference.velocity
        vx, vy = (_within(v, now, self._parameters.velocity_slack) for v, now in ((vx, x0[9]), (vy, x0[10])))
        x = np.zeros((len(t), NX))
        c, s = np.cos(wz * t), np.sin(wz * t)
        x[:, 2] = yaw_error + wz * t
        x[:, 5] = reference.height + self._robot.com[2]
        x[:, 8] = wz
        x[:, 9], x[:, 10] = c * vx - s * vy, s * vx + c * vy
        steps = x[:, 9:11] * t[0]
        travel = np.cumsum(steps, axis=0)
        x[:, 3:5] = ahead + travel
        schedule = self._clock.schedule(gait, self._middles)
        schedule[0] = stance
        # The lever of each step is taken in its middle; the ground pushes one foot radius below the foot centre.
        feet = np.tile((footholds - body.com) @ frame - (0.0, 0.0, self._robot.foot_radius), (len(t), 1, 1))
        feet[:, :, :2] -= (travel - 0.5 * steps)[:, None]
        return MpcProblem(x0=x0, reference=x, feet=feet, stance=schedule, gravity=LEVEL_GRAVITY @ frame)


def _within(value: float, centre: float, slack: float) -> float:
    return min(centre + slack, max(centre - slack, value))


def _turning(rate: Array, points: Array) -> Array:
    """rate x point for points (..., 3)."""
    wx, wy, wz = rate
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack((wy * z - wz * y, wz * x - wx * z, wx * y - wy * x), axis=-1)
