"""Rollout of gaits: where a gait takes the robot in the next w steps of 0.016 s.

The model is the linear centroidal one. Its A and B follow the gait (which feet push when) and the
positions of the feet. The inputs are forces:

- open loop: of one MPC solve under the gait, each held as long as the solver holds it;
- closed loop: of a solve at each predicted state, for which the learner is asked again.

The solve is lighter than the one that drives the robot: it has fewer and longer steps, over the
time that is predicted. Feet that push stay where they are. Feet in the air come down where
Raibert's rule puts them. A foot that hangs in the air while the gait wants it down takes its time
to come down.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from math import atan2, ceil
from typing import NamedTuple

import numpy as np

from safe_locomotion.control.footholds import foothold
from safe_locomotion.control.friction_cone import clip_plan
from safe_locomotion.control.gait import GaitClock, GaitPhase, first_stride
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem, feet_left_behind
from safe_locomotion.control.reference import LocomotionParameters, reference_path, within
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.centroidal import NU, POSITION, RATES, RPY, VELOCITY, CentroidalModel
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    add,
    cross,
    matrix_from_quaternion,
    multiply,
    quaternion_from_rpy,
    relative_rows,
    rotate,
    rotate_back,
    rotate_plane,
    rows_from_quaternion,
    rpy_from_rows,
    vector,
)
from safe_locomotion.safety.switching_rule import STEP, STEP_NS
from safe_locomotion.types import GRAVITY, Array, Estimate, GaitParameters, VelocityCommand

STEPS_PER_SOLVER_STEP = 3  #: 0.048 s, close to the 0.04 s of the MPC that drives
LEAST_SOLVER_STEPS = 5  #: over 0.24 s, half a stride: a shorter plan does not see the next stance
ALOFT = 0.02  #: [m] above the ground from which a foot hangs in the air
#: [s] in which such a foot comes down: the controller waits 0.03 s, then reaches for the ground in
#: 0.06 s
FALL_TIME = 0.09

AskAgain = Callable[[Estimate], GaitParameters | None]


class Scene(NamedTuple):
    """The robot now, in the ground frame.

    Attributes:
        x0: (12,) centroidal state; its origin lies on the ground under the centre of mass.
        rows: rotation from the ground frame to odom.
        origin: of the ground frame in odom.
        gravity: (3,) in the ground frame [m/s2].
        spots: (4, 2) contact points on the ground [m].
        foot_z: (4,) their height [m].
        aloft: (4,) feet that hang in the air.
        wanted: velocity along x and y [m/s] and yaw rate [rad/s] of the command.
    """

    x0: Array
    rows: RotationRows
    origin: Vector
    gravity: Array
    spots: list[tuple[float, float]]
    foot_z: list[float]
    aloft: list[bool]
    wanted: Vector

    @property
    def frame(self) -> Array:
        """Rotation (3, 3) from the ground frame to odom."""
        return np.array(self.rows)

    @property
    def turn(self) -> Array:
        """The same rotation as a quaternion w, x, y, z."""
        return quaternion_from_rpy(*rpy_from_rows(self.rows))


class Inputs(NamedTuple):
    """What pushes the robot.

    The feet fall back along the path that the MPC linearised along. On the path that its forces
    lead to in the model, the body would sway off and fall three times as far from what a robot
    does. The MPC of a robot sees the sway and answers it.

    Attributes:
        problem: the MPC's problem that the forces solve.
        forces: (N, 4, 3) [N], each held over a step of the solver.
        feet: now, relative to the centre of mass [m].
        accelerations: (W, 6) angular and linear accelerations by the forces and gravity, in the
            middle of each predicted step.
    """

    problem: MpcProblem
    forces: Array
    feet: list[Vector]
    accelerations: Array


class GaitRollout:
    """Keeps the phase of the stride that is executed, and predicts what a gait does from here on.

    Attributes:
        steps: w.
        model: that is rolled out.
    """

    def __init__(
        self,
        robot: RobotModel,
        *,
        reference: LocomotionParameters,
        swing: SwingParameters,
        mpc: MpcParameters,
        steps: int,
    ) -> None:
        """Prepare the solver.

        Args:
            robot: that walks.
            reference: of the controller: height, and how far the wanted velocity may lie from the
                present one.
            swing: where feet come down.
            mpc: of the controller; horizon and step length are chosen here.
            steps: w >= 1.
        """
        horizon = max(LEAST_SOLVER_STEPS, ceil(steps / STEPS_PER_SOLVER_STEP))
        self.steps = steps
        self.model = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
        self._parameters = _lighter(mpc, horizon)
        self._mpc = ConvexMpc(self.model, self._parameters)
        self._swing = swing
        self._slack = reference.velocity_slack
        self._kinematics = Kinematics(robot)
        self._com = vector(robot.com)
        self._hip_x: list[float] = (robot.hip_position[:, 0] - robot.com[0]).tolist()
        self._foot_radius = float(robot.foot_radius)
        self._height = reference.body_height + self._com[2]
        middles: Array = self._parameters.dt * np.arange(0.5, horizon)
        self._middles: Array = middles
        self._held = _held_and_fading(steps, horizon)
        self._clock = GaitClock()

    def reset(self) -> None:
        """Begin a new walk with all feet down."""
        self._clock = GaitClock()

    def follow(self, stamp_ns: int, gait: GaitParameters, speed_to_left: float = 0.0) -> GaitPhase:
        """Advance the phase of the gait that is executed, and return it.

        A walk begins as the controller's does, by the body's speed to the left [m/s].
        """
        begin = first_stride(speed_to_left)
        return self._clock.update(stamp_ns, gait, step=True, begin=begin)

    def scene(self, estimate: Estimate, command: VelocityCommand) -> Scene:
        """The robot now.

        It costs the kinematics of four legs, so all predictions of a tick share it.
        """
        rotation = rows_from_quaternion(estimate.quaternion_wxyz)
        normal = vector(estimate.ground_normal)
        frame = ground_rows(atan2(rotation[1][0], rotation[0][0]), normal)
        turned = relative_rows(frame, rotation)
        rates = vector(estimate.angular_velocity)
        px, py, pz = vector(estimate.position)
        nx, ny, nz = normal
        ax, ay, az = rotate(rotation, self._com)
        gap = ax * nx + ay * ny + (pz + az - estimate.ground_height) * nz
        swept = rotate(rotation, cross(rates, self._com))
        velocity = rotate_back(frame, add(vector(estimate.velocity), swept))
        roll, pitch, _ = rpy_from_rows(turned)
        cx, cy, cz = self._com
        spots = []
        foot_z = []
        for a, b, c in self._kinematics.foot_points(estimate.q):
            foot_x, foot_y, above_com = rotate(turned, (a - cx, b - cy, c - cz))
            spots.append((foot_x, foot_y))
            foot_z.append(above_com + gap - self._foot_radius)
        gx, gy, gz = frame[2]
        return Scene(
            x0=np.array((roll, pitch, 0.0, 0.0, 0.0, gap, *rotate(turned, rates), *velocity)),
            rows=frame,
            origin=(px + ax - gap * nx, py + ay - gap * ny, pz + az - gap * nz),
            gravity=np.array((-GRAVITY * gx, -GRAVITY * gy, -GRAVITY * gz)),
            spots=spots,
            foot_z=foot_z,
            aloft=[z > ALOFT for z in foot_z],
            wanted=(command.vx, command.vy, command.wz),
        )

    def inputs(self, scene: Scene, stamp_ns: int, gait: GaitParameters) -> Inputs | None:
        """Forces and feet of one MPC solve under `gait` from here on.

        Returns:
            None when the solver fails.
        """
        clock = copy(self._clock)
        spots = scene.spots.copy()
        x = scene.x0.tolist()
        phase = clock.update(stamp_ns, gait, step=True)
        feet = self._feet(spots, scene, x, phase, gait)
        problem = self._problem(scene, scene.x0, feet, clock, gait, 0.0)
        answer = self._mpc.solve(problem)
        if not answer.found:
            return None
        forces = clip_plan(answer.plan, problem.stance, self._parameters)
        effect = self.model.effect(feet, (x[9], x[10]))
        caused: Array = self._held.dot(forces.reshape(-1, NU).dot(effect).reshape(-1, 6))
        caused += (0.0, 0.0, 0.0, *scene.gravity.tolist())
        return Inputs(problem, forces, feet, caused)

    def closed_loop(
        self,
        scene: Scene,
        stamp_ns: int,
        gait: GaitParameters,
        ask: AskAgain | None,
        estimate: Estimate,
    ) -> Array | None:
        """Predicted states (W + 1, 12) when learner and MPC see each of them.

        Args:
            scene, stamp_ns, estimate: now.
            gait: that the learner wants now.
            ask: what it would want in a later state; None keeps the last.

        Returns:
            None when the solver fails.
        """
        clock = copy(self._clock)
        x = scene.x0
        gravity = scene.gravity.tolist()
        states = [x]
        spots = scene.spots.copy()
        for k in range(self.steps):
            if k and ask is not None:
                gait = ask(self.estimate_at(scene, x, estimate, k)) or gait
            phase = clock.update(stamp_ns + k * STEP_NS, gait, step=True)
            feet = self._feet(spots, scene, x.tolist(), phase, gait)
            problem = self._problem(scene, x, feet, clock, gait, k * STEP)
            answer = self._mpc.solve(problem)
            if not answer.found:
                return None
            forces = answer.forces.tolist()
            x = np.array(self.model.step(x.tolist(), forces, feet, STEP, gravity))
            states.append(x)
        return np.array(states)

    def estimate_at(self, scene: Scene, x: Array, estimate: Estimate, steps: int) -> Estimate:
        """What the estimator would say in a predicted state.

        Joints and contacts stay as they are.
        """
        roll, pitch, yaw = x[RPY].tolist()
        frame = scene.frame
        turn = quaternion_from_rpy(roll, pitch, yaw)
        body = frame @ matrix_from_quaternion(turn)
        spin = frame @ x[RATES]
        arm = body @ self._com
        return replace(
            estimate,
            stamp_ns=estimate.stamp_ns + steps * STEP_NS,
            position=scene.origin + frame @ x[POSITION] - arm,
            quaternion_wxyz=multiply(scene.turn, turn),
            velocity=frame @ x[VELOCITY] - np.array(cross(spin.tolist(), arm.tolist())),
            angular_velocity=body.T @ spin,
        )

    def _feet(
        self,
        spots: list[tuple[float, float]],
        scene: Scene,
        x: list[float],
        phase: GaitPhase,
        gait: GaitParameters,
    ) -> list[Vector]:
        """Feet relative to the centre of mass in state x.

        Writes the new footholds of feet that do not stand into `spots`.
        """
        yaw, px, py, pz = x[2:6]
        wanted = _turned(scene.wanted, yaw)
        feet = []
        for leg, foot_y in enumerate(gait.foot_y):
            z = scene.foot_z[leg] - pz
            stands = phase.stance[leg]
            if scene.aloft[leg] or not stands:
                spots[leg] = foothold(
                    centre=(px, py),
                    neutral=rotate_plane(yaw, self._hip_x[leg], foot_y - self._com[1]),
                    velocity=(x[9], x[10]),
                    yaw_rate=x[8],
                    wanted=wanted,
                    left=phase.time_to_touchdown[leg] + (FALL_TIME if stands else 0.0),
                    stance_duration=phase.stance_duration,
                    parameters=self._swing,
                )
                z = -pz
            x_now, y_now = spots[leg]
            feet.append((x_now - px, y_now - py, z))
        return feet

    def _problem(
        self,
        scene: Scene,
        x: Array,
        feet: list[Vector],
        clock: GaitClock,
        gait: GaitParameters,
        since: float,
    ) -> MpcProblem:
        """The MPC's problem in state x, `since` [s] from now.

        Its reference keeps height and attitude and moves as wanted.
        """
        stance = clock.schedule(gait, self._middles)
        if any(scene.aloft):
            down = self._middles + since >= FALL_TIME
            for leg, hangs in enumerate(scene.aloft):
                if hangs:
                    stance[:, leg] &= down
        _, _, yaw, px, py, _, _, _, _, vx, vy, _ = x.tolist()
        slack = self._slack
        wanted_x, wanted_y, wz = _turned(scene.wanted, yaw)
        path = reference_path(
            (px, py, yaw),
            (within(wanted_x, vx, slack), within(wanted_y, vy, slack), wz),
            self._height,
            dt=self._parameters.dt,
            steps=self._parameters.horizon,
        )
        return MpcProblem(
            x0=x,
            reference=path.states,
            feet=feet_left_behind(feet, np.multiply.outer(self._middles, (vx, vy, 0.0))),
            stance=stance,
            gravity=scene.gravity,
        )


def _lighter(mpc: MpcParameters, horizon: int) -> MpcParameters:
    """Parameters of the rollout's solver: fewer and longer steps, over the time that is predicted.

    All steps of its plan count, not the first alone, so its tolerance is smaller.
    """
    dt = STEPS_PER_SOLVER_STEP * STEP
    return replace(mpc, horizon=horizon, dt=dt, newton_steps=8, tolerance=0.1)


def _turned(wanted: Vector, yaw: float) -> Vector:
    """Wanted velocity of a body that heads for `yaw`, in the frame in which yaw is measured."""
    vx, vy, wz = wanted
    return (*rotate_plane(yaw, vx, vy), wz)


def _held_and_fading(steps: int, horizon: int) -> Array:
    """Map (W, 2 N) from accelerations of solver steps to those in the middle of predicted steps.

    The input has the acceleration at the start of each solver step, and how fast it fades.
    """
    out = np.zeros((steps, horizon, 2))
    for k in range(steps):
        out[k, k // STEPS_PER_SOLVER_STEP] = 1.0, -STEP * (k + 0.5)
    return out.reshape(steps, -1)
