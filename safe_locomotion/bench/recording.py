"""What every stage saw and said while the simulated robot stood up, walked and was pushed: the material of the measurements."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.control.mpc import ConvexMpc, MpcAnswer
from safe_locomotion.control.mpc_problem import MpcProblem
from safe_locomotion.envs.walk import run_episode
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.operator.requests import Step
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.pushes import lateral_pushes
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.truth import Truth
from safe_locomotion.types import Flags, LowState, Mode, VelocityCommand

WALK = VelocityCommand(vx=0.5, vy=0.05, wz=0.2)
PUSH_NS = (
    15.0  # N s, well inside what the controller holds, large enough to saturate the friction cone
)
# s
FIRST_PUSH = 1.0
PUSH_EVERY = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """One LowState, the velocity command and requests that came with it, what the stages said to it, and the truth."""

    state: LowState
    command: VelocityCommand
    requests: tuple[str, ...]
    cycle: Cycle
    truth: Truth


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Ticks from lying to walking, and the MPC problems of the walk.

    Attributes:
        robot, config: of the run.
        ticks: all of them.
        walking: (n,) ticks in WALK.
        problems: of the walking ticks that had one, in order.
        answers: of the solver to them.
    """

    robot: RobotModel
    config: StackConfig
    ticks: Sequence[Tick]
    walking: Flags
    problems: list[MpcProblem]
    answers: list[MpcAnswer]


@dataclass(slots=True)
class _ListeningSolver:
    """Stands where the pipeline's solver stood and keeps what passes."""

    solver: ConvexMpc
    seen: list[tuple[MpcProblem, MpcAnswer]] = field(default_factory=list)

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        answer = self.solver.solve(problem)
        self.seen.append((problem, answer))
        return answer

    def __getattr__(self, name: str) -> object:
        return getattr(self.solver, name)


class _ListeningPipeline(Pipeline):
    """The control cycle with a memory."""

    def __init__(self, simulated: SimulatedRobot, config: StackConfig) -> None:
        super().__init__(simulated.robot, config)
        self._simulated, self._requests = simulated, list[str]()
        self.ticks: list[Tick] = []
        self.solver = _ListeningSolver(self.locomotion._mpc)
        self.locomotion._mpc = self.solver  # type: ignore[assignment]
        self.problem_modes: list[Mode] = []
        self._request, self.supervisor.request = self.supervisor.request, self._note_request  # type: ignore[method-assign]

    def _note_request(self, name: str) -> str | None:
        self._requests.append(name)
        return self._request(name)

    def step(self, state: LowState, velocity: VelocityCommand) -> Cycle:
        truth = self._simulated.truth()
        requests = tuple(self._requests)
        self._requests.clear()
        cycle = super().step(state, velocity)
        self.ticks.append(
            Tick(state=state, command=velocity, requests=requests, cycle=cycle, truth=truth)
        )
        self.problem_modes += [self.supervisor.mode] * (
            len(self.solver.seen) - len(self.problem_modes)
        )
        return cycle


def record(*, robot: str = "a1", seconds: float, seed: int = 0) -> Recording:
    """Walk the simulated robot, with sensor noise and a lateral push each 1.5 s, for `seconds` after it first stood.

    Raises:
        SafeLocomotionError: it did not walk.
    """
    config = load_config(robot)
    simulated = SimulatedRobot(SimulationOptions(robot=robot, seed=seed))
    pipeline = _ListeningPipeline(simulated, config)
    count = max(0, int((seconds - FIRST_PUSH) / PUSH_EVERY))
    pushes = lateral_pushes(
        PUSH_NS, count, start=FIRST_PUSH, interval=PUSH_EVERY, rng=np.random.default_rng(seed)
    )
    steps = [Step(time=0.0, request="walk", command=WALK)]
    run_episode(
        simulated,
        pipeline,
        VelocityInput(config.supervisor.command),
        steps,
        duration=seconds,
        pushes=pushes,
    )
    walking = np.array([tick.cycle.verdict.mode is Mode.WALK for tick in pipeline.ticks])
    seen = [
        pair
        for pair, mode in zip(pipeline.solver.seen, pipeline.problem_modes, strict=True)
        if mode is Mode.WALK
    ]
    if not walking.any() or not seen:
        raise SafeLocomotionError(
            f"the simulated {robot} did not walk within {seconds:g} s: nothing to measure on"
        )
    return Recording(
        robot=simulated.robot,
        config=config,
        ticks=pipeline.ticks,
        walking=walking,
        problems=[problem for problem, _ in seen],
        answers=[answer for _, answer in seen],
    )
