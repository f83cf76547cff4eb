"""The onboard locomotion and leg controllers for many robots that walk on flat ground.

Each robot walks under a gait of its own, as in mode WALK. All methods only launch kernels, so that
a CUDA graph can capture them.
"""

from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.config import StackConfig
from safe_locomotion.robot.centroidal import LEVEL_GRAVITY, CentroidalModel
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2
from safe_locomotion.training.gait.world.convex_mpc import AdmmParameters, BatchedMpc
from safe_locomotion.training.gait.world.feet import feet_of
from safe_locomotion.training.gait.world.friction import slip_rules, slip_watch
from safe_locomotion.training.gait.world.gait import gait_clocks
from safe_locomotion.training.gait.world.legs import legs_of
from safe_locomotion.training.gait.world.locomotion import (
    ReferenceState,
    reference_limits,
    swing_shape,
)
from safe_locomotion.training.gait.world.motor_commands import (
    command_constants,
    command_legs,
    motor_commands,
)
from safe_locomotion.training.gait.world.planning import (
    PlanningConstants,
    PlanningState,
    assume_friction,
    move_references,
    plans_of,
    step_feet,
    take_forces,
)
from safe_locomotion.types import N_LEGS

wp.set_module_options({"block_dim": BLOCK})


class BatchedController:
    """`LocomotionController`, `LegController` and the gate's bound on steps, for B robots.

    Attributes:
        mpc: the solver of all robots.
        state: struct `PlanningState`.
        plans: struct `Plans`, the results of `plan`.
        commands: struct `MotorCommands`, the results of `command`.
    """

    def __init__(
        self,
        robot: RobotModel,
        config: StackConfig,
        robots: int,
        *,
        admm: AdmmParameters | None = None,
        device: str = "cpu",
    ) -> None:
        """Controllers of robots whose walks begin with the first plan.

        Args:
            robot: model of all robots.
            config: of their stack.
            robots: B.
            admm: effort of the MPC.
            device: of Warp.
        """
        solver = config.mpc.solver
        model = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
        self.mpc = BatchedMpc(model, solver, robots, admm=admm, device=device)
        gravity = np.tile(LEVEL_GRAVITY, (robots, 1)).astype(np.float32)
        self.mpc.inputs.gravity.assign(gravity)
        self.mpc.inputs.mu.fill_(solver.mu)
        self.state = _planning_state(self.mpc, robots, solver.horizon, device)
        self.plans = plans_of(robots, device)
        self.commands = motor_commands(robots, device)
        self._planning = _planning_constants(robot, config, device)
        bridge = config.bridge
        self._commanding = command_constants(robot, bridge.gains, bridge.limits, device)
        self._none_lifted = wp.zeros((robots, N_LEGS), dtype=float, device=device)
        self._robots = robots
        self._device = device

    def restart(self, mask: Any) -> None:
        """Let robots begin a walk on their next plan, standing where their estimate says.

        A robot that begins has no memory of an earlier walk, like a new controller.

        Args:
            mask: (B,) 1 for a robot that begins, 0 for others.
        """
        inputs = [mask, self.state.fresh, self.commands.sent]
        self._launch(begin_walks, self._robots, inputs)

    def plan(
        self, estimates: Any, gaits: Any, commands: Any, elapsed: float, lifted: Any = None
    ) -> None:
        """Write `plans` for this tick; the twin of `LocomotionController.update` in WALK.

        Args:
            estimates: struct `Estimates` of the robots.
            gaits: (B, 9) frequency [Hz], swing ratio, offsets of FL, RR, RL, foot y of all legs.
            commands: (B,) vectors of vx, vy [m/s] and wz [rad/s].
            elapsed: since the last plan [s]; on the first one of a walk it counts as 0.
            lifted: (B, 4) 1 for legs that these gaits hold in the air; None for no leg.
        """
        feet = (self._robots, N_LEGS)
        problem = self.mpc.inputs
        answer = self.mpc.outputs
        start = [self._planning, self.state]
        sensed = [*start, estimates]
        flags = self._none_lifted if lifted is None else lifted
        moved = [*sensed, gaits, flags, commands, elapsed, problem, answer]
        self._launch(move_references, self._robots, moved)
        self._launch(step_feet, feet, [*sensed, gaits, problem, self.plans])
        self._launch(assume_friction, self._robots, start)
        self.mpc.solve()
        self._launch(take_forces, feet, [*sensed, answer, self.plans])

    def command(self, estimates: Any, plans: Any, age: float) -> None:
        """Write `commands` for this LowState.

        They are those of `LegController` in WALK, and their torque changes no faster than the gate
        allows. What else the gate does is left out: it damps the motors when a state or a command
        is out of bounds, or when steps stay too large. So is the cross-fade from a mode before.

        Args:
            estimates: struct `Estimates` of the robots.
            plans: struct `Plans` in force.
            age: of the plans [s].
        """
        inputs = [self._commanding, estimates, plans, age, self.commands]
        self._launch(command_legs, (self._robots, N_LEGS), inputs)

    def _launch(self, kernel: Any, dim: int | tuple[int, int], inputs: list[Any]) -> None:
        wp.launch(kernel, dim=dim, inputs=inputs, device=self._device)


@wp.kernel(enable_backward=False)
def begin_walks(mask: Array1, fresh: Array1, sent: Array2) -> None:
    """Mark one robot per thread, if it begins a walk."""
    robot = wp.tid()
    if mask[robot] > 0.5:
        fresh[robot] = 1.0
        for leg in range(4):
            sent[robot, leg] = 0.0


def _planning_constants(robot: RobotModel, config: StackConfig, device: str) -> Any:
    mpc = config.mpc
    constants = PlanningConstants()
    constants.legs = legs_of(robot, config.bridge.gains, device)
    constants.com = wp.vec3(*robot.com.tolist())
    constants.shape = swing_shape(mpc.swing)
    constants.limits = reference_limits(mpc.locomotion)
    constants.slip = slip_rules(mpc.locomotion.slip, mpc.solver.mu)
    constants.dt = mpc.solver.dt
    constants.later_contacts = int(mpc.locomotion.later_contacts)
    return constants


def _planning_state(mpc: BatchedMpc, robots: int, horizon: int, device: str) -> Any:
    state = PlanningState()
    state.fresh = wp.full(robots, 1.0, dtype=float, device=device)
    state.elapsed = wp.zeros(robots, dtype=float, device=device)
    state.references = wp.zeros(robots, dtype=ReferenceState, device=device)
    state.clocks = gait_clocks(robots, device)
    state.feet = feet_of(robots, device)
    state.slip = slip_watch(mpc.inputs.mu)
    state.travel = wp.zeros((robots, horizon), dtype=wp.vec2, device=device)
    state.force = wp.zeros((robots, N_LEGS), dtype=wp.vec3, device=device)
    return state
