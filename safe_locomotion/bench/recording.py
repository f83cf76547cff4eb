"""Inputs and outputs of every stage while a simulated robot stands up, walks and is pushed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.control.mpc import MpcAnswer, MpcSolver
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
PUSH_NS = 15.0  # N s; the robot stays on its feet, but the friction cone saturates
FIRST_PUSH = 1.0  # s
PUSH_EVERY = 1.5  # s


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """One LowState with its velocity command, requests, outputs of the stages, and the truth."""

    state: LowState
    command: VelocityCommand
    requests: tuple[str, ...]
    cycle: Cycle
    truth: Truth


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Ticks from lying to walking, and the MPC problems of the walk.

    Attributes:
        robot, config: model and configuration of the run.
        ticks: all ticks.
        walking: (n,) whether each tick is in WALK.
        problems: MPC problems of the walking ticks that had one, in order.
        answers: answers of the solver to these problems.
    """

    robot: RobotModel
    config: StackConfig
    ticks: Sequence[Tick]
    walking: Flags
    problems: list[MpcProblem]
    answers: list[MpcAnswer]

    @property
    def walking_ticks(self) -> list[Tick]:
        """Ticks in WALK, in order."""
        return [tick for tick, walks in zip(self.ticks, self.walking, strict=True) if walks]


@dataclass(slots=True)
class _ListeningSolver:
    """Takes the place of the pipeline's solver, and stores problems and answers."""

    solver: MpcSolver
    seen: list[tuple[MpcProblem, MpcAnswer]] = field(default_factory=list)

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        answer = self.solver.solve(problem)
        self.seen.append((problem, answer))
        return answer

    def __getattr__(self, name: str) -> object:
        return getattr(self.solver, name)


class _ListeningPipeline(Pipeline):
    """The control cycle that stores every tick."""

    def __init__(self, simulated: SimulatedRobot, config: StackConfig) -> None:
        super().__init__(simulated.robot, config)
        self._simulated = simulated
        self._requests: list[str] = []
        self.ticks: list[Tick] = []
        self.solver = _ListeningSolver(self.locomotion.mpc)
        self.locomotion.mpc = self.solver  # type: ignore[assignment]
        self.problem_modes: list[Mode] = []
        self._request = self.supervisor.request
        self.supervisor.request = self._note_request  # type: ignore[method-assign]

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
    """Walk the simulated robot for `seconds` after it first stood.

    The sensors are noisy, and a lateral push comes every 1.5 s.

    Raises:
        SafeLocomotionError: the robot did not walk.
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
            f"the simulated {robot} did not walk within {seconds:g} s; nothing can be measured"
        )
    return Recording(
        robot=simulated.robot,
        config=config,
        ticks=pipeline.ticks,
        walking=walking,
        problems=[problem for problem, _ in seen],
        answers=[answer for _, answer in seen],
    )
