"""Rollout: where a gait takes the robot in the next w steps of 0.016 s, on the linear centroidal model.

A and B of the model follow the gait (which feet push when) and the positions of the feet. The inputs are forces:

- open loop: of one MPC solve under the gait, each held as long as the solver holds it;
- closed loop: of a solve at each predicted state, for which the learner is asked again.

The solve is lighter than the one that drives the robot: fewer and longer steps, over the time that is predicted. Feet that
push stay where they are, feet in the air come down where Raibert's rule puts them, and a foot that is to push but hangs in
the air, because the gait wants it down at once, takes its time to come down.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from math import atan2, ceil, isfinite

import numpy as np

from safe_locomotion.centroidal import (
    NU,
    NX,
    POSITION,
    RATES,
    RPY,
    STANDARD_GRAVITY,
    VELOCITY,
    CentroidalModel,
    centroidal_values,
    ground_rows,
)
from safe_locomotion.gait import GaitClock, GaitPhase
from safe_locomotion.kinematics import Kinematics, clamp
from safe_locomotion.locomotion import LocomotionParameters
from safe_locomotion.mpc import ConvexMpc, MpcParameters, MpcProblem, plan_in_cone
from safe_locomotion.reachability import STEP, STEP_NS
from safe_locomotion.robots import RobotModel
from safe_locomotion.rotations import (
    Rows,
    cross,
    matrix_from_quaternion,
    multiply,
    quaternion_from_rpy,
    relative_rows,
    rotate,
    rows_from_quaternion,
    rpy_from_rows,
    vector,
)
from safe_locomotion.swing import SwingParameters, raibert_step
from safe_locomotion.types import Array, Estimate, GaitParameters, VelocityCommand

STEPS_PER_SOLVER_STEP = 3  #: 0.048 s, close to the 0.04 s of the MPC that drives
LEAST_SOLVER_STEPS = 5  #: over 0.24 s, half a stride: a shorter plan does not see the next stance
ALOFT = 0.02  #: [m] above the ground from which a foot hangs in the air

FALL_TIME = 0.09  #: [s] in which such a foot comes down: the controller waits 0.03 s, then reaches for the ground in 0.06 s

AskAgain = Callable[[Estimate], GaitParameters | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The robot now, in the ground frame.

    Attributes:
        x0: (12,) centroidal state; its origin lies on the ground under the centre of mass.
        frame: (3, 3) ground frame to odom.
        turn: the same as quaternion w, x, y, z.
        origin: (3,) of the ground frame in odom.
        gravity: (3,) in the ground frame [m/s2].
        spots: (4, 2) where the contact points are on the ground [m].
        foot_z: (4,) their height [m].
        aloft: (4,) feet that hang in the air.
        wanted: planar velocity that the reference asks for [m/s].
    """

    x0: Array
    frame: Array
    turn: Array
    origin: Array
    gravity: Array
    spots: list[tuple[float, float]]
    foot_z: list[float]
    aloft: list[bool]
    wanted: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What pushes the robot.

    Attributes:
        forces: (N, 4, 3) [N], each held over a step of the solver.
        feet: (4, 3) now, relative to the centre of mass [m].
        accelerations: (W, 6) angular and linear that the forces cause, gravity included, in the middle of each predicted step.

    The feet fall back along the path that the MPC linearised along. On the path that its forces lead to in the model the body would
    sway off, and fall three times as far from what a robot does, whose MPC sees the sway and answers it.
    """

    forces: Array
    feet: Array
    accelerations: Array


class GaitRollout:
    """Keeps the phase of the stride that is executed, and predicts what a gait does from here on.

    Attributes:
        steps: w.
        model: that is rolled out.
    """

    def __init__(
        self, robot: RobotModel, *, reference: LocomotionParameters, swing: SwingParameters, mpc: MpcParameters, steps: int
    ) -> None:
        """Prepare the solver.

        Args:
            robot: that walks.
            reference: of the controller: height, and how far the wanted velocity may lie from the present one.
            swing: where feet come down.
            mpc: of the controller; horizon and step length are chosen here.
            steps: w >= 1.
        """
        horizon = max(LEAST_SOLVER_STEPS, ceil(steps / STEPS_PER_SOLVER_STEP))
        self.steps, self.model = steps, CentroidalModel(mass=robot.mass, inertia=robot.inertia)
        self._parameters = _lighter(mpc, horizon)
        self._mpc = ConvexMpc(self.model, self._parameters)
        self._robot, self._swing = robot, swing
        self._slack = reference.velocity_slack
        self._kinematics = Kinematics(robot)
        self._hip_x: list[float] = (robot.hip_position[:, 0] - robot.com[0]).tolist()
        self._com, self._foot_radius = vector(robot.com), float(robot.foot_radius)
        self._com_y = self._com[1]
        self._inverse_inertia: Rows = tuple(tuple(row) for row in self.model.inverse_inertia.tolist())  # type: ignore[assignment]
        self._reference = np.zeros((horizon, NX))
        self._reference[:, 5] = reference.body_height + float(robot.com[2])
        self._ends: Array = self._parameters.dt * np.arange(1.0, horizon + 1.0)
        self._middles: Array = self._ends - 0.5 * self._parameters.dt
        self._at = np.arange(steps) // STEPS_PER_SOLVER_STEP
        self._step_middles: Array = STEP * (np.arange(steps, dtype=np.float64)[:, None] + 0.5)
        self._clock = GaitClock()

    def reset(self) -> None:
        """A new walk begins, with all feet down."""
        self._clock = GaitClock()

    def follow(self, stamp_ns: int, gait: GaitParameters) -> None:
        """Advance the phase of the gait that is executed."""
        self._clock.update(stamp_ns, gait, step=True)

    def scene(self, estimate: Estimate, command: VelocityCommand) -> Scene:
        """The robot now; costs the kinematics of four legs, so it is shared by all predictions of a tick."""
        rotation, normal = rows_from_quaternion(estimate.quaternion_wxyz), vector(estimate.ground_normal)
        frame = ground_rows(atan2(rotation[1][0], rotation[0][0]), normal)
        position, arm = vector(estimate.position), rotate(rotation, self._com)
        x, y, z = position[0] + arm[0], position[1] + arm[1], position[2] + arm[2]
        gap = arm[0] * normal[0] + arm[1] * normal[1] + (z - estimate.ground_height) * normal[2]
        origin = x - gap * normal[0], y - gap * normal[1], z - gap * normal[2]
        (roll, pitch, _), (px, py, pz), rates, velocity = centroidal_values(
            rotation=rotation,
            position=position,
            rates=vector(estimate.angular_velocity),
            velocity=vector(estimate.velocity),
            com=self._com,
            frame=frame,
            origin=origin,
        )
        feet, turned, (cx, cy, cz) = [], relative_rows(frame, rotation), self._com
        for leg, pose in zip(self._kinematics.legs, self._kinematics.poses(estimate.q), strict=True):
            x, y, z = leg.foot(pose)
            x, y, z = rotate(turned, (x - cx, y - cy, z - cz))
            feet.append((x + px, y + py, z + pz - self._foot_radius))
        foot_z = [z for _, _, z in feet]
        return Scene(
            x0=np.array((roll, pitch, 0.0, px, py, pz, *rates, *velocity)),
            frame=np.array(frame),
            turn=quaternion_from_rpy(*rpy_from_rows(frame)),
            origin=np.array(origin),
            gravity=-STANDARD_GRAVITY * np.array(frame[2]),
            spots=[(x, y) for x, y, _ in feet],
            foot_z=foot_z,
            aloft=[z > ALOFT for z in foot_z],
            wanted=(command.vx, command.vy),
        )

    def inputs(self, scene: Scene, stamp_ns: int, gait: GaitParameters) -> Inputs | None:
        """Forces and feet of one MPC solve under `gait` from here on; None when the solver fails."""
        clock, spots = copy(self._clock), scene.spots.copy()
        feet = self._feet(spots, scene, scene.x0, clock.update(stamp_ns, gait, step=True), gait)
        problem = self._problem(scene, scene.x0, feet, clock, gait, 0.0)
        answer = self._mpc.solve(problem)
        if not isfinite(answer.primal_residual):
            return None
        forces = plan_in_cone(answer.plan, problem.stance, self._parameters)
        effect = self.model.effect(feet, (float(scene.x0[9]), float(scene.x0[10])))
        caused: Array = (forces.reshape(-1, NU) @ effect)[self._at]
        caused[:, :3] -= self._step_middles * caused[:, 6:]
        caused[:, 3:6] += scene.gravity
        return Inputs(forces=forces, feet=feet, accelerations=caused[:, :6])

    def closed_loop(
        self, scene: Scene, stamp_ns: int, gait: GaitParameters, ask: AskAgain | None, estimate: Estimate
    ) -> Array | None:
        """Predicted states (W + 1, 12) when learner and MPC see each of them; None when the solver fails.

        Args:
            scene, stamp_ns, estimate: now.
            gait: that the learner wants now.
            ask: what it would want in a later state; None keeps the last.
        """
        clock, x, gravity = copy(self._clock), scene.x0, scene.gravity.tolist()
        states, spots = [x], scene.spots.copy()
        for k in range(self.steps):
            if k and ask is not None:
                gait = ask(self.estimate_at(scene, x, estimate, k)) or gait
            phase = clock.update(stamp_ns + k * STEP_NS, gait, step=True)
            feet = self._feet(spots, scene, x, phase, gait)
            problem = self._problem(scene, x, feet, clock, gait, k * STEP)
            answer = self._mpc.solve(problem)
            if not isfinite(answer.primal_residual):
                return None
            x = self.stepped(x, answer.forces, feet, gravity)
            states.append(x)
        return np.array(states)

    def estimate_at(self, scene: Scene, x: Array, estimate: Estimate, steps: int) -> Estimate:
        """What the estimator would say in a predicted state; joints and contacts stay as they are."""
        roll, pitch, yaw = x[RPY].tolist()
        body = scene.frame @ matrix_from_quaternion(quaternion_from_rpy(roll, pitch, yaw))
        spin, arm = scene.frame @ x[RATES], body @ self._robot.com
        return replace(
            estimate,
            stamp_ns=estimate.stamp_ns + steps * STEP_NS,
            position=scene.origin + scene.frame @ x[POSITION] - arm,
            quaternion_wxyz=multiply(scene.turn, quaternion_from_rpy(roll, pitch, yaw)),
            velocity=scene.frame @ x[VELOCITY] - np.array(cross(spin.tolist(), arm.tolist())),
            angular_velocity=body.T @ spin,
        )

    def _feet(self, spots: list[tuple[float, float]], scene: Scene, x: Array, phase: GaitPhase, gait: GaitParameters) -> Array:
        """Feet (4, 3) relative to the centre of mass in state x; `spots`, where feet stand, follows those that do not."""
        px, py, pz, vx, vy = float(x[3]), float(x[4]), float(x[5]), float(x[9]), float(x[10])
        wx, wy = scene.wanted
        time, gain, reach = phase.stance_duration, self._swing.velocity_gain, self._swing.reach
        x_ahead = px + raibert_step(vx, wx, time, gain, reach)
        y_ahead = py + raibert_step(vy, wy, time, gain, reach) - self._com_y
        left, stance = phase.time_to_touchdown, phase.stance
        feet = []
        for leg, foot_y in enumerate(gait.foot_y):
            z = scene.foot_z[leg] - pz
            if scene.aloft[leg] or not stance[leg]:
                until = left[leg] + (FALL_TIME if stance[leg] else 0.0)
                spots[leg] = x_ahead + vx * until + self._hip_x[leg], y_ahead + vy * until + foot_y
                z = -pz
            feet.append((spots[leg][0] - px, spots[leg][1] - py, z))
        return np.array(feet)

    def _problem(self, scene: Scene, x: Array, feet: Array, clock: GaitClock, gait: GaitParameters, since: float) -> MpcProblem:
        """The MPC's problem in state x, `since` [s] from now: hold height and attitude, move as wanted."""
        stance = clock.schedule(gait, self._middles)
        if any(scene.aloft):
            falls = self._middles + since < FALL_TIME
            stance &= ~(falls[:, None] & np.array(scene.aloft))
        slack, vx, vy = self._slack, float(x[9]), float(x[10])
        wanted = (clamp(scene.wanted[0], vx - slack, vx + slack), clamp(scene.wanted[1], vy - slack, vy + slack))
        reference = self._reference.copy()
        reference[:, 9:11] = wanted
        reference[:, 3:5] = x[3:5] + self._ends[:, None] * wanted
        reference[:, 2] = x[2]
        return MpcProblem(
            x0=x,
            reference=reference,
            feet=_left_behind(feet, x, self._middles),
            stance=stance,
            gravity=scene.gravity,
        )

    def stepped(self, x: Array, forces: Array, feet: Array, gravity: list[float]) -> Array:
        """`CentroidalModel.step` of one state over 0.016 s, in plain numbers."""
        fx = fy = fz = mx = my = mz = 0.0
        for (x_, y_, z_), (a, b, c) in zip(feet.tolist(), forces.tolist(), strict=True):
            fx, fy, fz = fx + a, fy + b, fz + c
            mx, my, mz = mx + y_ * c - z_ * b, my + z_ * a - x_ * c, mz + x_ * b - y_ * a
        m = self.model.mass
        turning = rotate(self._inverse_inertia, (mx, my, mz))
        rate = np.array((*turning, fx / m + gravity[0], fy / m + gravity[1], fz / m + gravity[2]))
        after = x[6:] + STEP * rate
        return np.concatenate((x[:6] + 0.5 * STEP * (x[6:] + after), after))


def _lighter(mpc: MpcParameters, horizon: int) -> MpcParameters:
    """Few iterations where the solver goes on from the tick before, more by its residuals after a gap.

    Against a converged plan that moves predicted angles by at most 0.004 rad.
    """
    dt = STEPS_PER_SOLVER_STEP * STEP
    return replace(mpc, horizon=horizon, dt=dt, iterations=6, extra_batches=3, primal_tolerance=0.02, dual_tolerance=1.0)


def _left_behind(feet: Array, x: Array, times: Array) -> Array:
    """Feet (n, 4, 3) relative to a centre of mass that goes on as it moves in state x, at `times` (n,) from then."""
    behind: Array = feet - times[:, None, None] * np.array((x[9], x[10], 0.0))
    return behind
