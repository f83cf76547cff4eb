"""Locomotion controller: from estimate and verdict to a stance plan.

It sets gait, footholds and reference, and solves the convex MPC. Everything that the MPC sees is in
the ground frame (`ground_frame`): z along the ground normal, x along the heading. Its origin lies
on the ground plane, at the foot of the normal through the centre of mass.
"""

import numpy as np

from safe_locomotion.control.body import Body, body_of
from safe_locomotion.control.foot import Foot, Swing
from safe_locomotion.control.footholds import foothold
from safe_locomotion.control.friction import SlipWatch
from safe_locomotion.control.gait import GaitClock, GaitPhase, first_stride
from safe_locomotion.control.later_contacts import place_later_contacts
from safe_locomotion.control.lift import Lift
from safe_locomotion.control.mpc import ConvexMpc, MpcSolver
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem, feet_left_behind
from safe_locomotion.control.reference import (
    LocomotionParameters,
    Reference,
    ReferencePath,
    reference_path,
    within,
)
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    add,
    cross,
    relative_rows,
    rotate,
    rotate_back,
    rotate_plane,
    subtract,
    vector,
)
from safe_locomotion.types import (
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

STANDING = (Mode.STAND_UP, Mode.STAND, Mode.WALK)  #: modes in which feet push by the MPC's forces


class LocomotionController:
    """One `update` per MPC tick; keeps gait phase, feet, reference and the solver's memory.

    Attributes:
        mpc: the solver; a recording may put a listener in its place.
    """

    def __init__(
        self,
        robot: RobotModel,
        parameters: LocomotionParameters,
        swing: SwingParameters,
        mpc: MpcParameters,
    ) -> None:
        self._parameters = parameters
        self._swing = swing
        self._kinematics = Kinematics(robot)
        model = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
        self.mpc: MpcSolver = _solver(model, mpc)
        self._middles = mpc.dt * np.arange(0.5, mpc.horizon)
        self._clock = GaitClock()
        self._slip = SlipWatch(parameters.slip, mpc.mu)
        self._reference = Reference(parameters)
        self._stamp_ns: int | None = None
        self._hip_x: list[float] = robot.hip_position[:, 0].tolist()
        self._com = vector(robot.com)
        self._radius = float(robot.foot_radius)
        self._feet = [Foot() for _ in range(N_LEGS)]
        self._force = np.zeros((N_LEGS, 3))
        self._running = False
        self._following = False

    def update(self, estimate: Estimate, verdict: Verdict) -> StancePlan:
        """Plan for this tick; in modes that do not stand the plan carries no force.

        While a joint policy drives, the plan is what the MPC would do with the feet that really
        carry the robot. Nobody executes it. It keeps solver, gait phase and reference such that the
        MPC can take over at any tick.
        """
        body = body_of(estimate, self._kinematics, self._com)
        if verdict.mode not in STANDING or estimate.diverged:
            self._running = False
            return _idle(estimate.stamp_ns, body)
        if not self._running:
            self._restart(body)
        elapsed = self._elapsed(estimate.stamp_ns)
        self._move_reference(elapsed, verdict, body)
        following = verdict.joints is not None
        move_feet = self._follow if following else self._step
        phase = move_feet(estimate, verdict, body, elapsed)
        self._watch_slip(body, estimate, elapsed)
        swings = self._swings(phase, verdict.gait, body)
        force, solved = self._solve(verdict.gait, body, swings)
        if self._following and not following:
            for foot, at, swing in zip(self._feet, body.feet, swings, strict=True):
                foot.catch(at, swing, self._swing)
        self._following = following
        position, velocity = self._targets(body, swings)
        return StancePlan(
            stamp_ns=estimate.stamp_ns,
            stance=np.array([foot.stance for foot in self._feet]),
            force=force,
            foot_position=position,
            foot_velocity=velocity,
            solved=solved,
        )

    def _restart(self, body: Body) -> None:
        self._running = True
        self._following = False
        self._stamp_ns = None
        self._clock = GaitClock()
        self._slip.reset()
        for foot, at in zip(self._feet, body.feet, strict=True):
            foot.restart(at)
        self._reference.reset(body.position, body.rpy[2], body.base_height)

    def _elapsed(self, stamp_ns: int) -> float:
        """Time since the last tick [s]; 0 on the first one and after a stamp that jumps back."""
        last = stamp_ns if self._stamp_ns is None else self._stamp_ns
        self._stamp_ns = stamp_ns
        return max(0, stamp_ns - last) / NANOSECONDS

    def _move_reference(self, elapsed: float, verdict: Verdict, body: Body) -> None:
        """Reference of this tick: where the body is under a joint policy, ahead of it otherwise."""
        command = verdict.command if verdict.mode is Mode.WALK else VelocityCommand()
        yaw = body.rpy[2]
        if verdict.mode is Mode.STAND_UP:
            self._reference.reset(body.position, yaw, body.base_height)
        self._reference.update(elapsed, command, body.position, yaw)
        if verdict.joints is not None:
            self._reference.follow(body.position, yaw, body.base_height, body.velocity)

    def _step(self, estimate: Estimate, verdict: Verdict, body: Body, elapsed: float) -> GaitPhase:
        """Gait phase of this tick; feet push as scheduled, as far as they find the ground."""
        contact = estimate.contact.tolist()
        _, speed_to_left = rotate_plane(-body.rpy[2], *body.velocity[:2])
        phase = self._clock.update(
            estimate.stamp_ns,
            verdict.gait,
            step=verdict.mode is Mode.WALK,
            begin=first_stride(speed_to_left),
        )
        stepping = self._clock.stepping
        for leg, foot in enumerate(self._feet):
            x, y, z = body.feet[leg]
            away = abs(z - self._radius - body.plane_height(x, y)) > self._swing.lost_distance
            foot.step(
                (x, y, z),
                scheduled=phase.stance[leg],
                progress=phase.swing_progress[leg],
                contact=contact[leg],
                hangs=away and stepping,
                elapsed=elapsed,
                parameters=self._swing,
                lifted=(lift := phase.lifts[leg]) is not None and lift.wanted,
            )
        return phase

    def _follow(
        self, estimate: Estimate, verdict: Verdict, body: Body, elapsed: float
    ) -> GaitPhase:
        """Gait phase that fits the feet as a joint policy moves them."""
        contact = estimate.contact.tolist()
        for leg, foot in enumerate(self._feet):
            foot.follow(body.feet[leg], contact=contact[leg], elapsed=elapsed)
        phase = self._clock.follow(
            estimate.stamp_ns,
            verdict.gait,
            [foot.air_time for foot in self._feet],
            [foot.ground_time for foot in self._feet],
        )
        for leg, foot in enumerate(self._feet):
            foot.expect(body.feet[leg], scheduled=phase.stance[leg], parameters=self._swing)
        return phase

    def _watch_slip(self, body: Body, estimate: Estimate, elapsed: float) -> None:
        """Let the MPC count on less friction while a loaded foot slides."""
        contact = estimate.contact.tolist()
        loaded = [foot.stance and felt for foot, felt in zip(self._feet, contact, strict=True)]
        self.mpc.assume_friction(self._slip.update(elapsed, body.feet, loaded))

    def _swings(self, phase: GaitPhase, gait: GaitParameters, body: Body) -> list[Swing]:
        """Swing of each foot; a stance foot has its foothold where it is."""
        wanted = self._reference.velocity_at(body.rpy[2])
        swings = []
        for leg, foot in enumerate(self._feet):
            at = body.feet[leg]
            lift = phase.lifts[leg]
            neutral = (0.0, 0.0)
            if not foot.stance:
                hip = (self._hip_x[leg], gait.foot_y[leg], 0.0)
                x, y, _ = rotate(body.rotation, hip)
                neutral = (x, y)
                x, y = foothold(
                    centre=body.position[:2],
                    neutral=neutral,
                    velocity=body.velocity[:2],
                    yaw_rate=body.rates[2],
                    wanted=wanted,
                    left=phase.time_to_touchdown[leg],
                    stance_duration=phase.stance_duration,
                    parameters=self._swing,
                )
                at = (x, y, body.plane_height(x, y) + self._radius)
            swing = Swing(phase.swing_progress[leg], phase.swing_duration, at)
            if lift is not None and not foot.stance:
                swing = self._lifted(swing, lift, body, neutral)
                foot.descend(swing, self._swing)
            swings.append(swing)
        return swings

    def _lifted(self, swing: Swing, lift: Lift, body: Body, neutral: tuple[float, float]) -> Swing:
        """The swing of a leg that has left the gait; `neutral` is its place from the base [m]."""
        from_base_x, from_base_y = neutral
        x = body.position[0] + from_base_x
        y = body.position[1] + from_base_y
        vx, vy, _ = body.velocity
        yaw_rate = body.rates[2]
        return swing._replace(
            lift=lift,
            under_hip=(x, y, body.plane_height(x, y) + self._radius),
            hip_velocity=(vx - yaw_rate * from_base_y, vy + yaw_rate * from_base_x, 0.0),
        )

    def _targets(self, body: Body, swings: list[Swing]) -> tuple[Array, Array]:
        """Position and velocity (4, 3) of the feet in base.

        A stance foot moves as the body leaves it behind.
        """
        positions = []
        velocities = []
        for foot, at, swing in zip(self._feet, body.feet_in_base, swings, strict=True):
            position = at
            speed = (0.0, 0.0, 0.0)
            if not foot.stance:
                point, speed = foot.swing(swing, self._swing)
                position = rotate_back(body.rotation, subtract(point, body.position))
            relative = rotate_back(body.rotation, subtract(speed, body.velocity))
            positions.append(position)
            velocities.append(subtract(relative, cross(body.rates_in_base, position)))
        return np.array(positions), np.array(velocities)

    def _solve(self, gait: GaitParameters, body: Body, swings: list[Swing]) -> tuple[Array, bool]:
        """Forces (4, 3) in base, and whether they come from a solve within tolerance."""
        answer = self.mpc.solve(self._problem(gait, body, swings))
        if answer.found:
            # A rough answer is inside the cone and knows the present. The last good one does not.
            self._force = answer.forces.dot(np.array(relative_rows(body.frame, body.rotation)))
        force = self._force.copy()
        for leg, foot in enumerate(self._feet):
            if not foot.stance:
                force[leg] = 0.0
        return force, answer.ok

    def _problem(self, gait: GaitParameters, body: Body, swings: list[Swing]) -> MpcProblem:
        ground = body.on_ground()
        path = self._path(body, ground.x0[9], ground.x0[10])
        schedule = self._clock.schedule(gait, self._middles)
        schedule[0] = [foot.stance for foot in self._feet]
        # The ground pushes one foot radius below the foot centre.
        levers = [body.lever(swing.foothold) for swing in swings]
        contacts = [(x, y, z - self._radius) for x, y, z in levers]
        feet = feet_left_behind(contacts, path.travel)
        if self._parameters.later_contacts and path.as_wanted:
            self._place_later_contacts(feet, gait, body, path, ground.height)
        return MpcProblem(
            x0=np.array(ground.x0),
            reference=path.states,
            feet=feet,
            stance=schedule,
            gravity=np.array(ground.gravity),
        )

    def _place_later_contacts(
        self, feet: Array, gait: GaitParameters, body: Body, path: ReferencePath, height: float
    ) -> None:
        """Write where feet stand that come down again within the horizon."""
        touchdowns = self._clock.later_touchdowns(gait)
        if min(touchdowns) >= self._middles[-1]:
            return
        under_hips = [
            body.lever(add(body.position, rotate(body.rotation, (hip_x, foot_y, 0.0))))
            for hip_x, foot_y in zip(self._hip_x, gait.foot_y, strict=True)
        ]
        place_later_contacts(
            feet,
            self._middles.tolist(),
            touchdowns,
            [(x, y) for x, y, _ in under_hips],
            velocity=path.velocity,
            height=height,
            yaw_rate=self._reference.velocity[2],
            stride=1.0 / gait.frequency,
            stance_duration=(1.0 - gait.swing_ratio) / gait.frequency,
            reach=self._swing.reach,
        )

    def _path(self, body: Body, vx: float, vy: float) -> ReferencePath:
        """Reference over the horizon of a body that moves with vx, vy in the ground frame."""
        reference = self._reference
        slack = self._parameters.velocity_slack
        (ax, bx, _), (ay, by, _), _ = body.frame
        ahead_x = reference.position[0] - body.position[0]
        ahead_y = reference.position[1] - body.position[1]
        wanted_x, wanted_y, wz = reference.velocity
        velocity = (within(wanted_x, vx, slack), within(wanted_y, vy, slack))
        path = reference_path(
            (
                ax * ahead_x + ay * ahead_y,
                bx * ahead_x + by * ahead_y,
                reference.yaw - body.rpy[2],
            ),
            (*velocity, wz),
            reference.height + self._com[2],
            dt=self.mpc.parameters.dt,
            steps=self.mpc.parameters.horizon,
        )
        return path._replace(as_wanted=velocity == (wanted_x, wanted_y))


def _idle(stamp_ns: int, body: Body) -> StancePlan:
    """Plan without force: all feet stay where they are."""
    return StancePlan(
        stamp_ns=stamp_ns,
        stance=np.ones(N_LEGS, dtype=np.bool_),
        force=np.zeros((N_LEGS, 3)),
        foot_position=np.array(body.feet_in_base),
        foot_velocity=np.zeros((N_LEGS, 3)),
        solved=False,
    )


def _solver(model: CentroidalModel, parameters: MpcParameters) -> MpcSolver:
    """The solver that the parameters name."""
    if parameters.method == "osqp":
        # OSQP and SciPy's sparse matrices, which no other stage needs, take 0.1 s to import.
        from safe_locomotion.control.osqp_mpc import OsqpMpc  # noqa: PLC0415

        return OsqpMpc(model, parameters)
    return ConvexMpc(model, parameters)
