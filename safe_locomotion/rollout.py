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
from math import ceil, isfinite

import numpy as np

from safe_locomotion.centroidal import (
    LEVEL_GRAVITY,
    NX,
    POSITION,
    RATES,
    RPY,
    VELOCITY,
    CentroidalModel,
    centroidal_state,
    ground_frame,
)
from safe_locomotion.gait import GaitClock, GaitPhase
from safe_locomotion.kinematics import Kinematics
from safe_locomotion.locomotion import LocomotionParameters
from safe_locomotion.mpc import ConvexMpc, MpcParameters, MpcProblem, plan_in_cone
from safe_locomotion.reachability import STEP, STEP_NS
from safe_locomotion.robots import RobotModel
from safe_locomotion.rotations import matrix_from_quaternion, multiply, quaternion_from_rpy, rpy_from_matrix
from safe_locomotion.swing import SwingParameters
from safe_locomotion.types import N_LEGS, Array, Estimate, Flags, GaitParameters, VelocityCommand

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
        feet: (4, 3) contact points relative to the centre of mass [m].
        aloft: (4,) feet that hang in the air.
        wanted: (2,) planar velocity that the reference asks for [m/s].
    """

    x0: Array
    frame: Array
    turn: Array
    origin: Array
    feet: Array
    aloft: Flags
    wanted: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What pushes the robot over W steps: forces (W, 4, 3) [N] at feet (W, 4, 3) relative to the centre of mass [m]."""

    forces: Array
    feet: Array


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
        self._parameters = replace(mpc, horizon=horizon, dt=STEPS_PER_SOLVER_STEP * STEP, extra_batches=0)
        self._mpc = ConvexMpc(self.model, self._parameters)
        self._robot, self._swing, self._height = robot, swing, reference.body_height + float(robot.com[2])
        self._slack = reference.velocity_slack
        self._kinematics = Kinematics(robot)
        self._hip_x: Array = robot.hip_position[:, 0] - robot.com[0]
        self._com_y = float(robot.com[1])
        self._ends: Array = self._parameters.dt * np.arange(1.0, horizon + 1.0)
        self._middles: Array = self._ends - 0.5 * self._parameters.dt
        self._at = np.arange(steps) // STEPS_PER_SOLVER_STEP
        self._step_middles: Array = STEP * (np.arange(steps, dtype=np.float64) + 0.5)
        self._clock = GaitClock()

    def reset(self) -> None:
        """A new walk begins, with all feet down."""
        self._clock = GaitClock()

    def follow(self, stamp_ns: int, gait: GaitParameters) -> None:
        """Advance the phase of the gait that is executed."""
        self._clock.update(stamp_ns, gait, step=True)

    def scene(self, estimate: Estimate, command: VelocityCommand) -> Scene:
        """The robot now; costs the kinematics of four legs, so it is shared by all predictions of a tick."""
        rotation = matrix_from_quaternion(estimate.quaternion_wxyz)
        _, _, yaw = rpy_from_matrix(rotation)
        frame = ground_frame(yaw, estimate.ground_normal)
        to_ground = frame.T @ rotation
        com = estimate.position + rotation @ self._robot.com
        foot_of_plumb = estimate.position.copy()
        foot_of_plumb[2] = estimate.ground_height
        gap = float((com - foot_of_plumb) @ estimate.ground_normal)
        origin = com - gap * estimate.ground_normal
        x0 = centroidal_state(
            rotation=rotation,
            position=estimate.position,
            rates=estimate.angular_velocity,
            velocity=estimate.velocity,
            com=self._robot.com,
            frame=frame,
            origin=origin,
        )
        x0[2] = 0.0
        feet = (self._kinematics.feet(estimate.q) - self._robot.com) @ to_ground.T
        feet[:, 2] -= self._robot.foot_radius
        aloft = feet[:, 2] + gap > ALOFT
        wanted = np.array((command.vx, command.vy))
        return Scene(
            x0=x0,
            frame=frame,
            turn=quaternion_from_rpy(*rpy_from_matrix(frame)),
            origin=origin,
            feet=feet,
            aloft=aloft,
            wanted=wanted,
        )

    def inputs(self, scene: Scene, stamp_ns: int, gait: GaitParameters) -> Inputs | None:
        """Forces and feet of one MPC solve under `gait` from here on; None when the solver fails."""
        clock, spots = copy(self._clock), scene.x0[3:5] + scene.feet[:, :2]
        feet = self._feet(spots, scene, scene.x0, clock.update(stamp_ns, gait, step=True), gait)
        problem = self._problem(scene, scene.x0, feet, clock, gait, 0.0)
        answer = self._mpc.solve(problem)
        if not isfinite(answer.primal_residual):
            return None
        plan = plan_in_cone(answer.plan, problem.stance, self._parameters)
        return Inputs(forces=plan[self._at], feet=_left_behind(feet, scene.x0, self._step_middles))

    def closed_loop(self, scene: Scene, stamp_ns: int, gait: GaitParameters, ask: AskAgain, estimate: Estimate) -> Array | None:
        """Predicted states (W + 1, 12) when learner and MPC see each of them; None when the solver fails.

        Args:
            scene, stamp_ns, estimate: now.
            gait: that the learner wants now.
            ask: what it would want in a later state; None keeps the last.
        """
        clock, x, gravity = copy(self._clock), scene.x0, LEVEL_GRAVITY @ scene.frame
        states, spots = [x], x[3:5] + scene.feet[:, :2]
        for k in range(self.steps):
            if k:
                gait = ask(self.estimate_at(scene, x, estimate, k)) or gait
            phase = clock.update(stamp_ns + k * STEP_NS, gait, step=True)
            feet = self._feet(spots, scene, x, phase, gait)
            problem = self._problem(scene, x, feet, clock, gait, k * STEP)
            answer = self._mpc.solve(problem)
            if not isfinite(answer.primal_residual):
                return None
            x = self.model.step(x, answer.forces, problem.feet[0], STEP, gravity)
            states.append(x)
        return np.array(states)

    def states(self, scene: Scene, x0: Array, forces: Array, feet: Array) -> Array:
        """Predicted states (..., W + 1, 12) of any number of hypotheses about x0 (..., 12), forces and feet (..., W, 4, 3)."""
        ahead = self.model.rollout(x0, forces, feet, STEP, LEVEL_GRAVITY @ scene.frame)
        first = np.broadcast_to(x0[..., None, :], (*ahead.shape[:-2], 1, NX))
        return np.concatenate((first, ahead), axis=-2)

    def estimate_at(self, scene: Scene, x: Array, estimate: Estimate, steps: int) -> Estimate:
        """What the estimator would say in a predicted state; joints and contacts stay as they are."""
        roll, pitch, yaw = x[RPY].tolist()
        body = scene.frame @ matrix_from_quaternion(quaternion_from_rpy(roll, pitch, yaw))
        rates = body.T @ (scene.frame @ x[RATES])
        arm = body @ self._robot.com
        return replace(
            estimate,
            stamp_ns=estimate.stamp_ns + steps * STEP_NS,
            position=scene.origin + scene.frame @ x[POSITION] - arm,
            quaternion_wxyz=multiply(scene.turn, quaternion_from_rpy(roll, pitch, yaw)),
            velocity=scene.frame @ x[VELOCITY] - np.cross(body @ rates, arm),
            angular_velocity=rates,
        )

    def _feet(self, spots: Array, scene: Scene, x: Array, phase: GaitPhase, gait: GaitParameters) -> Array:
        """Feet (4, 3) relative to the centre of mass in state x; `spots` (4, 2), where feet stand, follows those that do not."""
        swing, velocity = self._swing, x[9:11]
        stance = np.array(phase.stance)
        lands = ~stance | scene.aloft
        if lands.any():
            left = (np.array(phase.time_to_touchdown) + FALL_TIME * (scene.aloft & stance))[:, None]
            step = 0.5 * phase.stance_duration * velocity + swing.velocity_gain * (velocity - scene.wanted)
            footholds = x[3:5] + velocity * left + np.minimum(np.maximum(step, -swing.reach), swing.reach)
            footholds[:, 0] += self._hip_x
            footholds[:, 1] += np.array(gait.foot_y) - self._com_y
            spots[lands] = footholds[lands]
        feet = np.empty((N_LEGS, 3))
        feet[:, :2] = spots - x[3:5]
        feet[:, 2] = np.where(lands, -x[5], scene.feet[:, 2] + (scene.x0[5] - x[5]))
        return feet

    def _problem(self, scene: Scene, x: Array, feet: Array, clock: GaitClock, gait: GaitParameters, since: float) -> MpcProblem:
        """The MPC's problem in state x, `since` [s] from now: hold height and attitude, move as wanted."""
        stance = clock.schedule(gait, self._middles)
        stance &= ~(scene.aloft & (self._middles + since < FALL_TIME)[:, None])
        reference = np.zeros((len(self._ends), NX))
        reference[:, 5] = self._height
        reference[:, 9:11] = np.clip(scene.wanted, x[9:11] - self._slack, x[9:11] + self._slack)
        reference[:, 3:5] = x[3:5] + self._ends[:, None] * reference[:, 9:11]
        x = x.copy()
        reference[:, 2] = x[2]
        return MpcProblem(
            x0=x,
            reference=reference,
            feet=_left_behind(feet, x, self._middles),
            stance=stance,
            gravity=LEVEL_GRAVITY @ scene.frame,
        )


def _left_behind(feet: Array, x: Array, times: Array) -> Array:
    """Feet (n, 4, 3) relative to a centre of mass that goes on as it moves in state x, at `times` (n,) from then."""
    moved = np.repeat(feet[None], len(times), axis=0)
    moved[:, :, :2] -= times[:, None, None] * x[9:11]
    return moved
