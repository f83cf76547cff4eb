"""Rollouts of many gaits: `safety.gait_rollout` in open loop, as Warp kernels, on flat ground.

A plan is one MPC solve under a gait. A prediction follows the learner's plan, or the recovery
policy's plan first and the learner's after it. All robots are predicted on every tick, because
kernels in a CUDA graph have static shapes. The solver is nearly converged. The onboard one has few
iterations, so its answers are rougher.
"""

from dataclasses import replace
from math import ceil
from typing import Any

import warp as wp

from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.robot.centroidal import NX, CentroidalModel
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.gait_rollout import LEAST_SOLVER_STEPS, STEPS_PER_SOLVER_STEP
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array3, Array4, Integers1
from safe_locomotion.training.gait.world.convex_mpc import AdmmParameters, BatchedMpc, MpcOutputs
from safe_locomotion.training.gait.world.gait import gait_clocks
from safe_locomotion.training.gait.world.rollout_problem import (
    G,
    GaitPlans,
    RolloutModel,
    Scenes,
    empty_scenes,
    pose_problems,
    rollout_model,
    see_scenes,
)
from safe_locomotion.types import N_LEGS

wp.set_module_options({"block_dim": BLOCK})

PREDICTED_STEP = wp.constant(STEP)
PER_SOLVER_STEP = wp.constant(STEPS_PER_SOLVER_STEP)
UNIT = wp.constant(FORCE_UNIT)
#: Effort of the rollout's solver. A large rho suits its short horizons. From a cold start, plans of
#: wild walks under pushes then differ by 0.04 N RMS and 1.5 N at most from converged ones.
EFFORT = AdmmParameters(iterations=120, rho=3.0, alpha=1.9)


@wp.func
def force_at(forces: Array3, robot: int, step: int, leg: int) -> wp.vec3:
    """Force of a foot during a predicted step [N]."""
    held = step // PER_SOLVER_STEP
    return UNIT * wp.vec3(
        forces[robot, held, 3 * leg],
        forces[robot, held, 3 * leg + 1],
        forces[robot, held, 3 * leg + 2],
    )


@wp.kernel(enable_backward=False)
def predict_states(
    model: RolloutModel,
    scenes: Scenes,
    learner: GaitPlans,
    recovery: GaitPlans,
    states: Array4,
) -> None:
    """States of each prediction; second half of `GaitRollout.inputs`, and `centroidal.driven`.

    In prediction i the first i steps are the recovery policy's. The feet fall back while the centre
    of mass moves on with its present velocity.
    """
    robot, prediction = wp.tid()
    velocity = wp.vec3(scenes.x0[robot, 9], scenes.x0[robot, 10], 0.0)
    for column in range(12):
        states[robot, prediction, 0, column] = scenes.x0[robot, column]
    for step in range(states.shape[2] - 1):
        moment = wp.vec3(0.0, 0.0, 0.0)
        push = wp.vec3(0.0, 0.0, 0.0)
        back = PREDICTED_STEP * (float(step) + 0.5) * velocity
        for leg in range(4):
            foot = learner.feet[robot, leg]
            force = force_at(learner.forces, robot, step, leg)
            if step < prediction:
                foot = recovery.feet[robot, leg]
                force = force_at(recovery.forces, robot, step, leg)
            moment += wp.cross(foot - back, force)
            push += force
        angular = model.inverse_inertia * moment
        linear = push / model.mass - wp.vec3(0.0, 0.0, G)
        for axis in range(3):
            write_step(states, robot, prediction, step, axis, angular[axis])
            write_step(states, robot, prediction, step, 3 + axis, linear[axis])


@wp.func
def write_step(
    states: Array4, robot: int, prediction: int, step: int, place: int, acceleration: float
) -> None:
    """Write one place and its rate at the end of a step of constant acceleration."""
    rate = 6 + place
    before = states[robot, prediction, step, rate]
    after = before + PREDICTED_STEP * acceleration
    way = 0.5 * PREDICTED_STEP * (before + after)
    states[robot, prediction, step + 1, rate] = after
    states[robot, prediction, step + 1, place] = states[robot, prediction, step, place] + way


@wp.kernel(enable_backward=False)
def forget_solutions(mask: Array1, robots: Integers1, outputs: MpcOutputs) -> None:
    """Let the solver of each robot that begins a walk forget the solution of the last one."""
    judged = wp.tid()
    if mask[robots[judged]] > 0.5:
        for step in range(outputs.forces.shape[1]):
            for column in range(12):
                outputs.forces[judged, step, column] = 0.0
                outputs.dual[judged, step, column] = 0.0


class BatchedGaitRollout:
    """Predicts what gaits do from here on.

    Attributes:
        scenes: of the last prediction.
        solver: of the learner's plans; its inputs are the last problems.
        states: (B, H, W + 1, 12) predicted centroidal states, the first of a row now. H is 1, or W
            if recovery may act first: in row i it acts for i steps.
    """

    def __init__(
        self,
        robot: RobotModel,
        legs: Any,
        *,
        reference: LocomotionParameters,
        swing: SwingParameters,
        mpc: MpcParameters,
        steps: int,
        robots: Any,
        recovery_first: bool = False,
        admm: AdmmParameters = EFFORT,
        device: str = "cpu",
    ) -> None:
        """Prepare solvers and arrays.

        Args:
            robot: model of all robots.
            legs: of `legs_of`.
            reference, swing, mpc: of the controller, as onboard.
            steps: w >= 1.
            robots: (B,) integers, the numbers of the judged robots in their world.
            recovery_first: also predict recovery first and the learner after it.
            admm: effort of the solver.
            device: of Warp.
        """
        count = len(robots)
        horizon = max(LEAST_SOLVER_STEPS, ceil(steps / STEPS_PER_SOLVER_STEP))
        solver = replace(mpc, horizon=horizon, dt=STEPS_PER_SOLVER_STEP * STEP)
        body = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
        self._device = device
        self._robots = robots
        self._model = rollout_model(robot, legs, reference=reference, swing=swing, solver=solver)
        self._copies = gait_clocks(count, device)
        self._none_lifted = wp.zeros((count, N_LEGS), dtype=float, device=device)
        self.solver = BatchedMpc(body, solver, count, admm=admm, device=device)
        self._learner = _plans_of(self.solver, count, device)
        self._recovery = self._learner
        self._recovery_solver: BatchedMpc | None = None
        if recovery_first:
            self._recovery_solver = BatchedMpc(body, solver, count, admm=admm, device=device)
            self._recovery = _plans_of(self._recovery_solver, count, device)
        predictions = steps if recovery_first else 1
        self.states = wp.zeros((count, predictions, steps + 1, NX), dtype=float, device=device)
        self.scenes = empty_scenes(count, horizon, device)

    def restart(self, mask: Any) -> None:
        """Let robots begin a walk.

        Args:
            mask: (world,) 1 for a robot that begins, 0 for others.
        """
        for solver in (self.solver, self._recovery_solver):
            if solver is not None:
                self._launch(forget_solutions, mask, self._robots, solver.outputs)

    def predict(
        self,
        estimates: Any,
        clocks: Any,
        learner: Any,
        recovery: Any,
        commands: Any,
        lifted: Any = None,
    ) -> None:
        """Write `states`.

        Args:
            estimates: of all robots of the world.
            clocks: (B,) of the gaits that are executed.
            learner, recovery: (B, 9) gaits that can be executed.
            commands: (world,) vectors of vx, vy [m/s] and wz [rad/s].
            lifted: (B, 4) 1 for legs that the learner's gait holds in the air; None for no leg.
        """
        flags = self._none_lifted if lifted is None else lifted
        self._launch(see_scenes, self._model, estimates, self._robots, commands, self.scenes)
        self._plan(self.solver, self._learner, clocks, learner, flags)
        if self._recovery_solver is not None:
            none = self._none_lifted
            self._plan(self._recovery_solver, self._recovery, clocks, recovery, none)
        wp.launch(
            predict_states,
            dim=self.states.shape[:2],
            inputs=[self._model, self.scenes, self._learner, self._recovery, self.states],
            device=self._device,
        )

    def _plan(self, solver: BatchedMpc, plans: Any, clocks: Any, gaits: Any, lifted: Any) -> None:
        scene = (self._model, self.scenes, clocks, self._copies)
        self._launch(pose_problems, *scene, gaits, lifted, solver.inputs, plans)
        solver.solve()

    def _launch(self, kernel: Any, *inputs: Any) -> None:
        wp.launch(kernel, dim=len(self._robots), inputs=list(inputs), device=self._device)


def _plans_of(solver: BatchedMpc, robots: int, device: str) -> Any:
    """Plans whose forces are the solutions of this solver."""
    plans = GaitPlans()
    plans.feet = wp.zeros((robots, N_LEGS), dtype=wp.vec3, device=device)
    plans.forces = solver.outputs.forces
    return plans
