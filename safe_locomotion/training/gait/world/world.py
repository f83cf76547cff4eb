"""Thousands of robots that walk under gait policies, with controller, supervisor and physics.

A policy step of all robots is one sequence of kernels on arrays of fixed shape. Within a step the
stages follow each other as in `pipeline.Pipeline`: the supervisor decides on the first of four
ticks; on each tick the legs are commanded by the newest plan; a plan is made on every second tick,
after the command, and acts from the next tick on. So a decision and a plan need not be ready before
the physics moves: on a CUDA device they are computed beside it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
import warp as wp
from torch import Tensor

from safe_locomotion.config import SupervisorConfig, load_config
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2, Integers1
from safe_locomotion.training.gait.world.controller import BatchedController
from safe_locomotion.training.gait.world.drawn import DrawnRobots
from safe_locomotion.training.gait.world.gait_actions import N_GAIT
from safe_locomotion.training.gait.world.gait_handover import (
    blend_gaits,
    gait_blends,
    restart_blends,
)
from safe_locomotion.training.gait.world.intervention import (
    BatchedIntervention,
    interventions_of,
)
from safe_locomotion.training.gait.world.judges import Decisions, decisions
from safe_locomotion.training.gait.world.noise import EstimatorNoise
from safe_locomotion.training.gait.world.nominal_gait import BatchedNominalGait
from safe_locomotion.training.gait.world.outcomes import Motion
from safe_locomotion.training.gait.world.parts import Parts
from safe_locomotion.training.gait.world.physics import Physics
from safe_locomotion.training.gait.world.planning import Plans
from safe_locomotion.types import GRAVITY, N_LEGS, Array

wp.set_module_options({"block_dim": BLOCK})

TICK = 0.002  #: [s] between two LowStates
TICKS = round(1.0 / (RATE_HZ * TICK))  #: of a policy step
TICKS_OF_PLAN = 2  #: between two plans
ROUND_TICKS = 2048  #: more than a round has


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """What is simulated.

    Attributes:
        robot: folder under `models/robots`.
        physics_ms: time step of the physics [ms]; it divides a tick of 2 ms.
        solver_iterations: of the physics, at most. After 0.1 s of walking the base is then 0.15 mm
            from where 10 iterations bring it. Of 650 random walks of 12 s fell 57.1 % with 4 and
            57.4 % with 10, and 2.9 % with either under the supervisor.
        noise: scale of the estimator's errors; 0 shows the truth.
        friction: between feet and floor.
        later_contacts: parameter of that name of the MPC. Robots ship with it, and the published
            runs were made without it.
        recovery: "tuned", or the policy file of runs whose recovery policy is learned.
        device: of torch, "cpu" or "cuda:0".
    """

    robot: str = "a1"
    physics_ms: float = 1.0
    solver_iterations: int = 4
    noise: float = 1.0
    friction: float = 0.8
    later_contacts: bool = False
    recovery: str = "tuned"
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse a time step that does not divide a tick."""
        substeps = 1e3 * TICK / self.physics_ms if self.physics_ms > 0.0 else 0.0
        if substeps < 1.0 or substeps != round(substeps):
            raise ConfigurationError(
                f"physics: the time step must divide 2 ms, as 2, 1 and 0.5 ms do "
                f"(found {self.physics_ms:g} ms)"
            )


class GaitWorld:
    """B robots, each with a supervisor of its own or with another rule that decides about recovery.

    Attributes:
        robots: B.
        config: of the robot's stack.
        robot: model of all robots.
        learner_gaits, recovery_gaits: (B, 9) what the two policies propose; the first is an input.
        learner_lifted: (B, 4) 1 for legs that the learner's gaits hold in the air; an input.
        velocity_commands: (B, 3) vx, vy [m/s], wz [rad/s]; an input.
        asked: (B,) 1 where another rule wants recovery to act on this step; an input.
        learned_gaits: (B, 9) what a learned recovery policy proposes; an input.
        learned: (B,) 1 for robots whose recovery policy is the learned one; an input.
        impulses: (B, 3) of pushes that begin with the next step, in odom [N s]; an input.
        pushed: (B,) 1 for robots that are pushed; an input.
        fell: (B,) 1 for robots that fell on the last step; they stand again after it.
        recovers: (B,) 1 for robots that the recovery policy drove on the last step.
        triggered: (B,) 1 for robots inside their trigger set at the start of the last step.
        measured: (B, 5) components of the trigger set at that time, see `measure_components`.
        capture: (B,) margin of the capture point at that time.
        executed: (B, 9) gaits that the legs follow.
        forces: (B, 4, 3) of the ground on the feet as planned, in base [N].
    """

    def __init__(
        self,
        options: WorldOptions,
        supervisors: Sequence[SupervisorConfig],
        other_rule: Sequence[bool],
        seed: int = 0,
        drawn: DrawnRobots | None = None,
    ) -> None:
        """Robots that stand.

        Args:
            options: what is simulated.
            supervisors: of each robot.
            other_rule: robots whose supervisor does not count, because `asked` decides.
            seed: of the estimator's errors.
            drawn: in what each robot differs from its model; None for nothing.
        """
        robots = len(supervisors)
        self.robots = robots
        self.options = options
        placed = {"mpc.locomotion.later_contacts": options.later_contacts}
        self.config = load_config(options.robot, placed)
        self.robot = load_robot(options.robot)
        self._device = options.device
        self._substeps = round(1e3 * TICK / options.physics_ms)
        self.physics = Physics(
            options.robot,
            robots,
            options.device,
            timestep=1e-3 * options.physics_ms,
            iterations=options.solver_iterations,
            **_differences(options, robots, drawn),
        )
        self._noise = EstimatorNoise(
            self.robot, robots, options.device, period=TICK, seed=seed, scale=options.noise
        )
        self.seen = self._noise.estimates
        self._controller = BatchedController(self.robot, self.config, robots, device=options.device)
        self._recovery = BatchedNominalGait(
            self.robot, self.config.supervisor.recovery, options.device
        )
        self._decisions = decisions(robots, options.device)
        self._interventions = interventions_of(
            self.robot, self.config, supervisors, self._decisions, options.device
        )
        self._blends = gait_blends(robots, options.device)
        self._make_arrays(other_rule)
        self._parts = Parts(options.device, 1 + len(self._interventions))
        self.restart()

    def _make_arrays(self, other_rule: Sequence[bool]) -> None:
        robots = self.robots
        device = self._device

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        self.learner_gaits = zeros(robots, N_GAIT)
        self.learner_lifted = zeros(robots, N_LEGS)
        self.recovery_gaits = zeros(robots, N_GAIT)
        self.velocity_commands = zeros(robots, 3)
        self.asked = zeros(robots, dtype=torch.int32)
        self.learned_gaits = zeros(robots, N_GAIT)
        self.learned = zeros(robots, dtype=torch.int32)
        self.impulses = zeros(robots, 3)
        self.pushed = zeros(robots)
        self.fell = zeros(robots)
        self._power = zeros(robots)
        self._everyone = torch.ones(robots, device=device)
        others = torch.tensor(list(other_rule), dtype=torch.int32, device=device)
        self._others = wp.from_torch(others)
        self._asking = wp.from_torch(self.asked)
        self._learner = wp.from_torch(self.learner_gaits)
        self._lifting = wp.from_torch(self.learner_lifted)
        self._recovering = wp.from_torch(self.recovery_gaits)
        self._commands = wp.from_torch(self.velocity_commands, dtype=wp.vec3)
        self.recovers = wp.to_torch(self._decisions.recovers)
        self.triggered = wp.to_torch(self._decisions.triggered)
        self.measured = wp.to_torch(self._decisions.values)
        self.capture = wp.to_torch(self._decisions.capture)
        self.executed = wp.to_torch(self._blends.gaits)
        self.forces = wp.to_torch(self._controller.plans.force)

    def restart(self, number: int = 0) -> None:
        """Let all robots stand again and begin a walk.

        Args:
            number: of the round; equal numbers draw equal errors of the estimator.
        """
        self._noise.seek(number * ROUND_TICKS)
        self._restart(self._everyone)

    def step(self) -> None:
        """Walk on for one policy step with the present inputs."""
        parts = self._parts
        parts.run("begin", self._begin)
        for k, intervention in enumerate(self._interventions):
            with parts.beside(1 + k):
                parts.run(f"decide {k}", partial(self._decide, intervention))
        with parts.beside(0):
            for k in range(len(self._interventions)):
                parts.wait_for(1 + k)
            parts.run("first plan", self._take_over_and_plan)
        parts.run("first tick", self._move)
        parts.wait_for(0)
        parts.run("second tick", self._second_tick)
        with parts.beside(0):
            parts.run("second plan", self._plan_again)
        parts.run("third tick", self._move)
        parts.wait_for(0)
        parts.run("last tick", self._last_tick)

    def motion(self) -> Motion:
        """Truth at the end of the last step."""
        truth = self.physics.truth
        return Motion(
            position=wp.to_torch(truth.position),
            rotation=wp.to_torch(truth.rotation),
            velocity=wp.to_torch(truth.velocity),
            rates=wp.to_torch(truth.rates),
            power=self._power,
        )

    def _begin(self) -> None:
        wp.from_torch(self._power).zero_()
        impulses = wp.from_torch(self.impulses, dtype=wp.vec3)
        self.physics.push(impulses, wp.from_torch(self.pushed))
        self._recovery.write(self.seen, self._commands, self._recovering)
        learned = [wp.from_torch(self.learned), wp.from_torch(self.learned_gaits)]
        self._launch(take_learned, [*learned, self._recovering])
        self._command(TICKS_OF_PLAN)

    def _decide(self, intervention: BatchedIntervention) -> None:
        gaits = (self._learner, self._recovering)
        intervention.decide(self.seen, *gaits, self._commands, self._lifting)

    def _take_over_and_plan(self) -> None:
        self._launch(
            take_over,
            [
                *(self._others, self._asking),
                *(self._learner, self._lifting, self._recovering),
                self._decisions,
            ],
        )
        self._blend(TICK * (TICKS_OF_PLAN - 1), TICK)
        self._plan()

    def _second_tick(self) -> None:
        self._noise.sense(self.physics.truth, self.physics.touch)
        self._command(1)
        self._move()
        self._noise.sense(self.physics.truth, self.physics.touch)
        self._command(TICKS_OF_PLAN)

    def _last_tick(self) -> None:
        self._noise.sense(self.physics.truth, self.physics.touch)
        self._command(1)
        self._move()
        wp.copy(wp.from_torch(self.fell), self.physics.fallen)
        self._restart(self.fell)

    def _command(self, ticks: int) -> None:
        """Command the legs by a plan that is so many ticks old."""
        self._controller.command(self.seen, self._controller.plans, TICK * ticks)

    def _blend(self, before: float, tick: float) -> None:
        """Let the executed gaits follow the policies that drive; see `blend_gaits`."""
        drive = self._decisions
        self._launch(
            blend_gaits,
            [drive.recovers, drive.driving, drive.driving_lifted, before, tick, self._blends],
        )

    def _plan_again(self) -> None:
        self._blend(TICK * (TICKS_OF_PLAN - 1), TICK)
        self._plan()

    def _plan(self) -> None:
        """Plan under the executed gaits."""
        blends = self._blends
        elapsed = TICK * TICKS_OF_PLAN
        self._controller.plan(self.seen, blends.gaits, self._commands, elapsed, blends.lifted)

    def _move(self) -> None:
        """Let the physics move on for one tick."""
        sent = self._controller.commands
        self.physics.step(sent.bias, sent.kp, sent.kd, self._substeps)
        self._launch(add_share, [self.physics.power, 1.0 / TICKS, wp.from_torch(self._power)])

    def _restart(self, mask: Tensor) -> None:
        """Let some robots stand again, then sense all of them."""
        floats = wp.from_torch(mask)
        self.physics.restart(floats)
        self._noise.restart(floats)
        self._noise.sense(self.physics.truth, self.physics.touch)
        self._controller.restart(floats)
        self._launch(
            stand,
            [
                floats,
                self.robot.mass * GRAVITY / 4.0,
                self._controller.plans,
            ],
        )
        self._launch(restart_blends, [floats, self._blends])
        for intervention in self._interventions:
            intervention.restart(floats)

    def _launch(self, kernel: object, inputs: list[object]) -> None:
        wp.launch(kernel, self.robots, inputs=inputs, device=self._device)


def _differences(
    options: WorldOptions, robots: int, drawn: DrawnRobots | None
) -> dict[str, Array | float]:
    """Arguments of `Physics` that say in what robots differ from their model.

    Raises:
        ConfigurationError: so many robots were not drawn.
    """
    if drawn is None:
        return {"friction": options.friction}
    if len(drawn) != robots:
        raise ConfigurationError(f"{len(drawn)} robots were drawn, and {robots} are needed")
    return asdict(drawn)


@wp.kernel(enable_backward=False)
def take_over(
    others: Integers1,
    asked: Integers1,
    learner: Array2,
    lifted: Array2,
    recovery: Array2,
    out: Decisions,
) -> None:
    """Let recovery drive where another rule than the supervisor wants it."""
    robot = wp.tid()
    if others[robot] == 0:
        return
    out.recovers[robot] = asked[robot]
    for column in range(9):
        number = learner[robot, column]
        if asked[robot] == 1:
            number = recovery[robot, column]
        out.driving[robot, column] = number
    for leg in range(4):
        out.driving_lifted[robot, leg] = wp.where(asked[robot] == 1, 0.0, lifted[robot, leg])


@wp.kernel(enable_backward=False)
def take_learned(learned: Integers1, gaits: Array2, recovery: Array2) -> None:
    """Let a learned policy be the recovery policy of some robots."""
    robot = wp.tid()
    if learned[robot] == 1:
        for column in range(9):
            recovery[robot, column] = gaits[robot, column]


@wp.kernel(enable_backward=False)
def add_share(values: Array1, share: float, sums: Array1) -> None:
    """Add a share of each value to a sum."""
    robot = wp.tid()
    sums[robot] = sums[robot] + share * values[robot]


@wp.kernel(enable_backward=False)
def stand(mask: Array1, load: float, plans: Plans) -> None:
    """Let all feet of some robots carry their share [N] until their first plan."""
    robot = wp.tid()
    if mask[robot] < 0.5:
        return
    for leg in range(4):
        plans.stance[robot, leg] = 1.0
        plans.force[robot, leg] = wp.vec3(0.0, 0.0, load)
        plans.foot_velocity[robot, leg] = wp.vec3(0.0)
