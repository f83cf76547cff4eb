"""Rollout: where a gait takes the robot in the next w steps of 0.016 s, on the linear centroidal model.

A and B of the model follow the gait (which feet push when) and the positions of the feet. The inputs are forces:

- open loop: of one MPC solve under the gait, each held as long as the solver holds it;
- closed loop: of a solve at each predicted state, for which the learner is asked again.

The solve is lighter than the one that drives the robot: fewer and longer steps, over the time that is predicted. Feet that
push stay where they are, feet in the air come down where Raibert's rule puts them, and a foot that is to push but hangs in
the air, because the gait wants it down at once, takes its time to come down.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from math import atan2, ceil, isfinite
from typing import NamedTuple

import numpy as np

from safe_locomotion.control.footholds import raibert_step
from safe_locomotion.control.gait import GaitClock, GaitPhase
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.centroidal import NU, POSITION, RATES, RPY, VELOCITY, CentroidalModel
from safe_locomotion.robot.ground_frame import ground_rows
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    clamp,
    cross,
    matrix_from_quaternion,
    multiply,
    quaternion_from_rpy,
    relative_rows,
    rotate,
    rotate_back,
    rows_from_quaternion,
    rpy_from_rows,
    vector,
)
from safe_locomotion.safety.switching_rule import STEP, STEP_NS
from safe_locomotion.types import (
    GRAVITY,
    N_LEGS,
    Array,
    Estimate,
    Flags,
    GaitParameters,
    VelocityCommand,
)

STEPS_PER_SOLVER_STEP = 3  #: 0.048 s, close to the 0.04 s of the MPC that drives
LEAST_SOLVER_STEPS = 5  #: over 0.24 s, half a stride: a shorter plan does not see the next stance
ALOFT = 0.02  #: [m] above the ground from which a foot hangs in the air

FALL_TIME = 0.09  #: [s] in which such a foot comes down: the controller waits 0.03 s, then reaches for the ground in 0.06 s

AskAgain = Callable[[Estimate], GaitParameters | None]


class Scene(NamedTuple):
    """The robot now, in the ground frame.

    Attributes:
        x0: (12,) centroidal state; its origin lies on the ground under the centre of mass.
        rows: ground frame to odom.
        origin: of the ground frame in odom.
        gravity: (3,) in the ground frame [m/s2].
        spots: (4, 2) where the contact points are on the ground [m].
        foot_z: (4,) their height [m].
        aloft: (4,) feet that hang in the air.
        wanted: planar velocity that the reference asks for [m/s].
    """

    x0: Array
    rows: RotationRows
    origin: Vector
    gravity: Array
    spots: list[tuple[float, float]]
    foot_z: list[float]
    aloft: list[bool]
    wanted: tuple[float, float]

    @property
    def frame(self) -> Array:
        """(3, 3) of `rows`."""
        return np.array(self.rows)

    @property
    def turn(self) -> Array:
        """The same as quaternion w, x, y, z."""
        return quaternion_from_rpy(*rpy_from_rows(self.rows))


class Inputs(NamedTuple):
    """What pushes the robot.

    Attributes:
        forces: (N, 4, 3) [N], each held over a step of the solver.
        feet: now, relative to the centre of mass [m].
        accelerations: (W, 6) angular and linear that the forces cause, gravity included, in the middle of each predicted step.

    The feet fall back along the path that the MPC linearised along. On the path that its forces lead to in the model the body would
    sway off, and fall three times as far from what a robot does, whose MPC sees the sway and answers it.
    """

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
            reference: of the controller: height, and how far the wanted velocity may lie from the present one.
            swing: where feet come down.
            mpc: of the controller; horizon and step length are chosen here.
            steps: w >= 1.
        """
        horizon = max(LEAST_SOLVER_STEPS, ceil(steps / STEPS_PER_SOLVER_STEP))
        self.steps, self.model = steps, CentroidalModel(mass=robot.mass, inertia=robot.inertia)
        self._parameters = _lighter(mpc, horizon)
        self._mpc = ConvexMpc(self.model, self._parameters)
        self._robot = robot
        self._swing = swing
        self._slack = reference.velocity_slack
        self._kinematics = Kinematics(robot)
        self._hip_x: list[float] = (robot.hip_position[:, 0] - robot.com[0]).tolist()
        self._com = vector(robot.com)
        self._foot_radius = float(robot.foot_radius)
        self._com_y = self._com[1]
        self._inverse_inertia: RotationRows = tuple(
            tuple(row) for row in self.model.inverse_inertia.tolist()
        )  # type: ignore[assignment]
        self._height = reference.body_height + float(robot.com[2])
        ends: Array = self._parameters.dt * np.arange(1.0, horizon + 1.0)
        middles: Array = ends - 0.5 * self._parameters.dt
        self._middles: list[float] = middles.tolist()
        self._at_ends, self._in_middles = _since(ends), _since(middles)
        self._held = _held_and_fading(steps, horizon)
        self._clock = GaitClock()

    def reset(self) -> None:
        """A new walk begins, with all feet down."""
        self._clock = GaitClock()

    def follow(self, stamp_ns: int, gait: GaitParameters) -> None:
        """Advance the phase of the gait that is executed."""
        self._clock.update(stamp_ns, gait, step=True)

    def scene(self, estimate: Estimate, command: VelocityCommand) -> Scene:
        """The robot now; costs the kinematics of four legs, so it is shared by all predictions of a tick."""
        rotation = rows_from_quaternion(estimate.quaternion_wxyz)
        normal = vector(estimate.ground_normal)
        frame = ground_rows(atan2(rotation[1][0], rotation[0][0]), normal)
        position = vector(estimate.position)
        arm = rotate(rotation, self._com)
        x = position[0] + arm[0]
        y = position[1] + arm[1]
        z = position[2] + arm[2]
        gap = arm[0] * normal[0] + arm[1] * normal[1] + (z - estimate.ground_height) * normal[2]
        turned, rates, (vx, vy, vz) = (
            relative_rows(frame, rotation),
            vector(estimate.angular_velocity),
            vector(estimate.velocity),
        )
        ux, uy, uz = rotate(rotation, cross(rates, self._com))
        roll, pitch, _ = rpy_from_rows(turned)
        velocity = rotate_back(frame, (vx + ux, vy + uy, vz + uz))
        spots, foot_z, (cx, cy, cz) = [], [], self._com
        for a, b, c in self._kinematics.foot_points(estimate.q):
            foot_x, foot_y, above_com = rotate(turned, (a - cx, b - cy, c - cz))
            spots.append((foot_x, foot_y))
            foot_z.append(above_com + gap - self._foot_radius)
        gx, gy, gz = frame[2]
        return Scene(
            x0=np.array((roll, pitch, 0.0, 0.0, 0.0, gap, *rotate(turned, rates), *velocity)),
            rows=frame,
            origin=(x - gap * normal[0], y - gap * normal[1], z - gap * normal[2]),
            gravity=np.array((-GRAVITY * gx, -GRAVITY * gy, -GRAVITY * gz)),
            spots=spots,
            foot_z=foot_z,
            aloft=[z > ALOFT for z in foot_z],
            wanted=(command.vx, command.vy),
        )

    def inputs(self, scene: Scene, stamp_ns: int, gait: GaitParameters) -> Inputs | None:
        """Forces and feet of one MPC solve under `gait` from here on; None when the solver fails."""
        clock = copy(self._clock)
        spots = scene.spots.copy()
        x = scene.x0.tolist()
        feet = self._feet(spots, scene, x, clock.update(stamp_ns, gait, step=True), gait)
        problem = self._problem(scene, scene.x0, feet, clock, gait, 0.0)
        answer = self._mpc.solve(problem)
        if not isfinite(answer.primal_residual):
            return None
        forces = _in_cone(answer.plan, problem.stance, self._parameters)
        effect = self.model.effect(feet, (x[9], x[10]))
        caused: Array = self._held.dot(forces.reshape(-1, NU).dot(effect).reshape(-1, 6))
        caused += (0.0, 0.0, 0.0, *scene.gravity.tolist())
        return Inputs(forces=forces, feet=feet, accelerations=caused)

    def closed_loop(
        self,
        scene: Scene,
        stamp_ns: int,
        gait: GaitParameters,
        ask: AskAgain | None,
        estimate: Estimate,
    ) -> Array | None:
        """Predicted states (W + 1, 12) when learner and MPC see each of them; None when the solver fails.

        Args:
            scene, stamp_ns, estimate: now.
            gait: that the learner wants now.
            ask: what it would want in a later state; None keeps the last.
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
            if not isfinite(answer.primal_residual):
                return None
            x = np.array(self.stepped(x.tolist(), answer.forces.tolist(), feet, gravity))
            states.append(x)
        return np.array(states)

    def estimate_at(self, scene: Scene, x: Array, estimate: Estimate, steps: int) -> Estimate:
        """What the estimator would say in a predicted state; joints and contacts stay as they are."""
        roll, pitch, yaw = x[RPY].tolist()
        frame = scene.frame
        turn = quaternion_from_rpy(roll, pitch, yaw)
        body = frame @ matrix_from_quaternion(turn)
        spin = frame @ x[RATES]
        arm = body @ self._robot.com
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
        """Feet relative to the centre of mass in state x; `spots`, where feet stand, follows those that do not."""
        px, py, pz, vx, vy, (wx, wy) = x[3], x[4], x[5], x[9], x[10], scene.wanted
        time = phase.stance_duration
        gain = self._swing.velocity_gain
        reach = self._swing.reach
        x_ahead = px + raibert_step(vx, wx, time, gain, reach)
        y_ahead = py + raibert_step(vy, wy, time, gain, reach) - self._com_y
        left = phase.time_to_touchdown
        stance = phase.stance
        feet = []
        for leg, foot_y in enumerate(gait.foot_y):
            z = scene.foot_z[leg] - pz
            if scene.aloft[leg] or not stance[leg]:
                until = left[leg] + (FALL_TIME if stance[leg] else 0.0)
                spots[leg] = x_ahead + vx * until + self._hip_x[leg], y_ahead + vy * until + foot_y
                z = -pz
            feet.append((spots[leg][0] - px, spots[leg][1] - py, z))
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
        """The MPC's problem in state x, `since` [s] from now: hold height and attitude, move as wanted."""
        stance = clock.schedule(gait, self._middles)
        if any(scene.aloft):
            for leg, hangs in enumerate(scene.aloft):
                if hangs:
                    stance[:, leg] &= [not middle + since < FALL_TIME for middle in self._middles]
        _, _, yaw, px, py, _, _, _, _, vx, vy, _ = x.tolist()
        slack, (wx, wy) = self._slack, scene.wanted
        wx = clamp(wx, vx - slack, vx + slack)
        wy = clamp(wy, vy - slack, vy + slack)
        wanted = np.array(
            (
                (0.0, 0.0, yaw, px, py, self._height, 0.0, 0.0, 0.0, wx, wy, 0.0),
                (0.0, 0.0, 0.0, wx, wy, *(7 * (0.0,))),
            )
        )
        a, b, c, d = feet
        levers = np.array((*a, *b, *c, *d, *(4 * (-vx, -vy, 0.0))))
        return MpcProblem(
            x0=x,
            reference=self._at_ends.dot(wanted),
            feet=self._in_middles.dot(levers.reshape(2, NU)).reshape(-1, N_LEGS, 3),
            stance=stance,
            gravity=scene.gravity,
        )

    def stepped(
        self,
        x: list[float],
        forces: Iterable[Sequence[float]],
        feet: Iterable[Vector],
        gravity: list[float],
    ) -> list[float]:
        """`CentroidalModel.step` of one state over 0.016 s, in plain numbers; feet that do not push may be left out."""
        fx = fy = fz = mx = my = mz = 0.0
        for (x_, y_, z_), (a, b, c) in zip(feet, forces, strict=True):
            fx = fx + a
            fy = fy + b
            fz = fz + c
            mx = mx + y_ * c - z_ * b
            my = my + z_ * a - x_ * c
            mz = mz + x_ * b - y_ * a
        m = self.model.mass
        turning = rotate(self._inverse_inertia, (mx, my, mz))
        rates = (*turning, fx / m + gravity[0], fy / m + gravity[1], fz / m + gravity[2])
        before = x[6:]
        after = [velocity + STEP * rate for velocity, rate in zip(before, rates, strict=True)]
        return [
            at + 0.5 * STEP * (old + new) for at, old, new in zip(x[:6], before, after, strict=True)
        ] + after


def _lighter(mpc: MpcParameters, horizon: int) -> MpcParameters:
    """Few iterations where the solver goes on from the tick before, more by its residuals after a gap.

    Seven are the least of which one batch nearly always does on a calm walk (98 % of ticks; six: 56 %). Against a converged plan,
    predicted angles then differ by at most 0.003 rad on that walk, and under pushes of 22 N s by at most 0.02 rad (99 % of ticks:
    0.0035 rad) from states outside the trigger set; from states inside it, where the answer is known, by up to 0.7 rad. Not one of
    2000 answers of the safety test differed.
    """
    dt = STEPS_PER_SOLVER_STEP * STEP
    return replace(
        mpc,
        horizon=horizon,
        dt=dt,
        iterations=7,
        extra_batches=3,
        primal_tolerance=0.02,
        dual_tolerance=1.0,
    )


def _in_cone(plan: Array, stance: Flags, parameters: MpcParameters) -> Array:
    """`mpc.clip_to_cone` of a whole plan (N, 4, 3) with its stance flags (N, 4)."""
    fz = np.minimum(np.maximum(plan[..., 2], parameters.fz_min), parameters.fz_max) * stance
    limits = (parameters.mu * fz)[..., None]
    clipped: Array = np.minimum(np.maximum(plan, -limits), limits)
    clipped[..., 2] = fz
    return clipped


def _since(times: Array) -> Array:
    """(n, 2) rows (1, t): from where something is and how fast it moves to where it will be."""
    return np.stack((np.ones(len(times)), times), axis=1)


def _held_and_fading(steps: int, horizon: int) -> Array:
    """(W, 2 N) from accelerations of each solver step, and how fast they fade, to those in the middle of each predicted step."""
    out = np.zeros((steps, horizon, 2))
    for k in range(steps):
        out[k, k // STEPS_PER_SOLVER_STEP] = 1.0, -STEP * (k + 0.5)
    return out.reshape(steps, -1)
