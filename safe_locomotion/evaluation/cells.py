"""Episodes of a learner under a supervisor, many of them in many cells: how often the robot falls, and what keeping it up costs.

All learners, gait or joint, random or from a file, propose from the pipeline's own policy stage. A fall ends the episode. Results go to
a JSON file as they come, and an evaluation that was interrupted goes on where it was.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_env import UNTRAINED, GaitEnv, GaitEnvOptions
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.envs.workers import workers
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.evaluation.baselines import (
    CRITIC,
    ELLIPSOID,
    RIVALS,
    CriticRule,
    EllipsoidRule,
    SafetyCritic,
    Trace,
    load_critic,
    train_critic,
)
from safe_locomotion.evaluation.random_gait import NAME as RANDOM
from safe_locomotion.evaluation.random_gait import RandomGait, RandomWalk
from safe_locomotion.evaluation.statistics import bootstrap, wilson
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.observation import Float32, Observer
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.robot.kinematics import clamp
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING
from safe_locomotion.safety.trigger_set import COMPONENTS, TriggerSet
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.types import VelocityCommand, Verdict

SUPERVISORS = (*CRITERIA, *RIVALS)
SPEED = 0.3  #: along x [m/s], as far as the task goes there
DURATION = 12.0  #: of an episode [s]
SIGMAS = {"trot": 0.05, "catwalk": 0.17, "two_leg": 0.05, "pacing": 0.05}
"""Of the random learner on each task: at least half of its unsupervised episodes fall."""
CRITIC_EPISODES = 60  #: that a critic learns from; seeds of their own
CRITIC_SEED = 100_000
MEASURES: dict[str, dict[str, Any]] = {
    "configured": {},
    "paper": {"roll_rate": "raw", "attitude": "vertical", "height": "odom", "lookahead": 0.0},
}
CHECKPOINT_S = 10.0  #: wall-clock time between two writes of the file
Model = tuple[PolicyContract, bytes]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row of the table: what is simulated.

    Attributes:
        robot, task: model and task; the task gives reward and first gait.
        policy: `random`, `nominal` or a policy's name.
        supervisor: a criterion of the configuration's, or one of `baselines`.
        horizon: of a criterion that predicts, 0 for the others.
        trigger_set: box, c1 to c3.
        measures: how its components are measured: as configured, or as in the paper.
        terrain, friction: ground.
        push: impulse of pushes from random directions, each 1.5 to 3 s [N s].
        push_offset: how far before the centre of mass they attack [m].
        duration: [s].
        sigma: of `random`.
        overrides: of the configuration, dotted keys and their values.
    """

    robot: str = "a1"
    task: str = "trot"
    policy: str = RANDOM
    supervisor: str = "reachability"
    horizon: int = 10
    trigger_set: str = "c1"
    measures: str = "configured"
    terrain: str = "flat"
    friction: float = 0.8
    push: float = 0.0
    push_offset: float = 0.0
    duration: float = DURATION
    sigma: float = SIGMAS["trot"]
    overrides: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that are not there; a horizon that is not used is none."""
        if self.supervisor not in SUPERVISORS:
            raise UnknownNameError("supervisor", self.supervisor, SUPERVISORS)
        if self.measures not in MEASURES:
            raise UnknownNameError("measures", self.measures, MEASURES)
        gait_task(self.task)
        if self.supervisor not in PREDICTING:
            object.__setattr__(self, "horizon", 0)

    @property
    def unsupervised(self) -> "Cell":
        """The random learner by itself on the same task and ground, under the same pushes: what a safety critic learns from."""
        return replace(self, supervisor="off", policy=RANDOM, trigger_set="c1", overrides=())

    def options(self, seed: int) -> GaitEnvOptions:
        """The environment."""
        task = gait_task(self.task)
        set_key = "supervisor.trigger_set"
        measures = {f"{set_key}.{key}": value for key, value in MEASURES[self.measures].items()}
        return GaitEnvOptions(
            task=self.task,
            duration=self.duration,
            command=VelocityCommand(vx=clamp(SPEED, *task.vx)),
            push_share=1.0 if self.push > 0.0 else 0.0,
            push_impulse=(self.push, self.push),
            push_offset=self.push_offset,
            starts=1,
            supervisor="naive" if self.supervisor in RIVALS else self.supervisor,
            horizon=self.horizon,
            simulation=SimulationOptions(
                robot=self.robot, terrain=self.terrain, friction=self.friction, seed=seed
            ),
            overrides={f"{set_key}.use": self.trigger_set, **measures, **dict(self.overrides)},
        )


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """What an episode came to.

    Attributes:
        seed: of all that was drawn.
        fell: it ended in a fall, or in a fault that takes the robot down.
        steps: policy steps of 8 ms walked.
        recovery_steps, triggered_steps: those under the recovery policy, those outside the box of safe states.
        uses: how often the recovery policy took over.
        reward: sum over the steps, each less 1 under recovery.
        energy_j: positive mechanical work of the motors.
        distance: walked [m].
        reasons: hazards at the end of an episode that ended early.
    """

    seed: int
    fell: bool
    steps: int
    recovery_steps: int
    triggered_steps: int
    uses: int
    reward: float
    energy_j: float
    distance: float
    reasons: str = ""


class RandomLearner(RandomGait):
    """`random` with a contract, so that a policy stage can host it."""

    def __init__(self, robot: RobotModel, task: str, seed: int, sigma: float) -> None:
        one = gait_task(task)
        super().__init__(start_gait(one, robot), seed, RandomWalk(sigma=sigma))
        self.contract = gait_contract(robot, one, name=RANDOM, origin=UNTRAINED)


class Walker:
    """One cell's simulated robot and learner."""

    def __init__(
        self,
        cell: Cell,
        models: Mapping[str, Model],
        critics: Mapping[Cell, SafetyCritic],
        seed: int,
    ) -> None:
        self._cell, self._critic, self._env = (
            cell,
            critics.get(cell.unsupervised),
            GaitEnv(cell.options(seed)),
        )
        self._observer = Observer(self._env.contract)
        robot = self._env.robot.robot
        self._loaded = (
            PolicyRuntime(*models[cell.policy], robot)
            if cell.policy not in (RANDOM, NOMINAL)
            else None
        )
        if (
            cell.supervisor == CRITIC
            and self._loaded is not None
            and self._loaded.contract.kind != "gait"
        ):
            raise ConfigurationError(
                "the safety critic judges gaits; the policy proposes joint targets"
            )

    def walk(self, seed: int) -> EpisodeResult:
        """One episode."""
        return self._walk(seed, lambda: None)

    def trace(self, seed: int) -> Trace:
        """The same for a critic to learn from."""
        seen: list[Float32] = []
        result = self._walk(seed, lambda: seen.append(self._observe()))
        return Trace(np.array(seen), result.fell)

    def _walk(self, seed: int, look: Callable[[], None]) -> EpisodeResult:
        env = self._env
        env.reset(seed=seed)
        env.host(self._learner(seed))
        self._judge()
        began = env.robot.truth()
        reward = 0.0
        recovery = 0
        triggered = 0
        uses = 0
        done = False
        fell = False
        before = False
        while not done:
            _, earned, fell, late, info = env.advance()
            look()
            done = fell or late
            reward = reward + earned
            recovers = info["active"] == "recovery"
            recovery = recovery + recovers
            uses = uses + (recovers and not before)
            before = recovers
            triggered += any(
                not margin >= 0.0 for name, margin in _verdict(env).margins if name in COMPONENTS
            )
        truth = env.robot.truth()
        return EpisodeResult(
            seed=seed,
            fell=bool(fell),
            steps=env.steps,
            recovery_steps=recovery,
            triggered_steps=triggered,
            uses=uses,
            reward=reward,
            energy_j=truth.energy - began.energy,
            distance=float(np.hypot(*(truth.position - began.position)[:2])),
            reasons=" ".join(_verdict(env).reasons) if fell else "",
        )

    def _learner(self, seed: int) -> Learner | None:
        if self._cell.policy == RANDOM:
            return RandomLearner(self._env.robot.robot, self._cell.task, seed, self._cell.sigma)
        return self._loaded

    def _judge(self) -> None:
        """Put a rival in the place of the configuration's rule."""
        intervention = self._env.pipeline.supervisor.intervention
        config = self._env.config.supervisor
        if self._cell.supervisor == ELLIPSOID:
            box = TriggerSet(config.trigger_set.bounds, config.thresholds.fall_height)
            intervention.judge_by(
                EllipsoidRule(box, lambda: intervention.measured, config.intervention.dwell_time)
            )
        elif self._cell.supervisor == CRITIC:
            if self._critic is None:
                raise ConfigurationError("the supervisor critic needs a trained safety critic")
            intervention.judge_by(CriticRule(self._critic, self._observe))

    def _observe(self) -> Float32:
        """What a gait policy sees, with the gait that the learner asks for now."""
        cycle = self._env.pipeline.cycle
        env = self._env
        gait = (
            _verdict(env).gait
            if cycle.proposal is None or cycle.proposal.gait is None
            else cycle.proposal.gait
        )
        return self._observer.write(
            env.estimate, env.velocity_command, [0.0] * env.action_size, gait
        )[0].copy()


def _verdict(env: GaitEnv) -> Verdict:
    assert env.pipeline.cycle.verdict is not None
    return env.pipeline.cycle.verdict


@dataclass(frozen=True)
class Job:
    """An episode to walk: index of its cell, seed, and whether a critic learns from it."""

    cell: int
    seed: int
    traced: bool = False


@dataclass(frozen=True, kw_only=True)
class Walkers:
    """Makes, in a worker, the function that does a job; past `deadline` (of `time.time`) it does nothing and answers None.

    `critics` are by the cell that they learned from.
    """

    cells: Sequence[Cell]
    models: Mapping[str, Model] = field(default_factory=dict)
    critics: Mapping[Cell, SafetyCritic] = field(default_factory=dict)
    deadline: float = float("inf")
    seed: int = 0

    def __call__(self) -> Callable[[Job], EpisodeResult | Trace | None]:
        """The function."""
        walkers: dict[int, Walker] = {}

        def do(job: Job) -> EpisodeResult | Trace | None:
            if time.time() > self.deadline:
                return None
            if job.cell not in walkers:
                walkers[job.cell] = Walker(
                    self.cells[job.cell], self.models, self.critics, self.seed
                )
            walker = walkers[job.cell]
            return walker.trace(job.seed) if job.traced else walker.walk(job.seed)

        return do


class Evaluation:
    """Cells, the episodes done, and the file they go to."""

    def __init__(self, cells: Sequence[Cell], file: Path | None) -> None:
        """Go on with what the file holds of these cells; what it holds of others stays in it.

        Raises:
            ConfigurationError: there is a file, but not of an evaluation.
        """
        self.cells = tuple(cells)
        self._file = file
        self.results: list[dict[int, EpisodeResult]] = [{} for _ in cells]
        self._others: list[dict[str, Any]] = []
        self._written = 0.0
        if file is not None and file.exists():
            self._resume(file)

    def jobs(self, groups: Sequence[Sequence[int]], seeds: Sequence[int]) -> Iterator[Job]:
        """What is left to do: one group of cells after the other, within a group seed by seed, so that cells grow together."""
        for group in groups:
            for seed in seeds:
                yield from (Job(cell, seed) for cell in group if seed not in self.results[cell])

    def take(self, job: Job, result: EpisodeResult) -> None:
        """Remember a result; the file is written now and then."""
        self.results[job.cell][job.seed] = result
        if time.monotonic() - self._written > CHECKPOINT_S:
            self.write()

    def rows(self) -> list[dict[str, Any]]:
        """Cells with the figures of their episodes; one without episodes has none."""
        pairs = zip(self.cells, self.results, strict=True)
        return [_row(cell, [done[seed] for seed in sorted(done)]) for cell, done in pairs if done]

    def write(self) -> None:
        """Write the file, whole and at once."""
        self._written = time.monotonic()
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_name(f".{self._file.name}.new")
        scratch.write_text(
            json.dumps({"cells": [*self._others, *self.rows()]}, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        scratch.replace(self._file)

    def _resume(self, file: Path) -> None:
        known = {cell: index for index, cell in enumerate(self.cells)}
        try:
            for row in json.loads(file.read_text(encoding="utf-8"))["cells"]:
                overrides = tuple((key, value) for key, value in row["overrides"])
                index = known.get(
                    Cell(**{f.name: row[f.name] for f in fields(Cell)} | {"overrides": overrides})
                )
                if index is None:
                    self._others.append(row)
                    continue
                columns = row["results"]
                for values in zip(*columns.values(), strict=True):
                    result = EpisodeResult(**dict(zip(columns, values, strict=True)))
                    self.results[index][result.seed] = result
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{file}: no evaluation to go on with: {error!r}") from error


def evaluate(
    evaluation: Evaluation,
    jobs: Iterable[Job],
    make: Walkers,
    *,
    processes: int,
    ray: str = "",
    tell: Callable[[Job, EpisodeResult], None] = lambda *_: None,
) -> None:
    """Do the jobs that the deadline leaves time for."""
    listed = list(jobs)
    try:
        with workers(make, processes, ray) as walked:
            for job, result in zip(listed, walked(listed), strict=True):
                if isinstance(result, EpisodeResult):
                    evaluation.take(job, result)
                    tell(job, result)
    finally:
        evaluation.write()


def critic_from(
    file: Path, lesson: Cell, *, processes: int, ray: str = "", episodes: int = CRITIC_EPISODES
) -> SafetyCritic:
    """The critic in a file; when there is none, one that learns from unsupervised episodes is written there.

    Args:
        file: npz.
        lesson: `Cell.unsupervised` of those that it will supervise.
        processes: that walk them.
        ray: address of the cluster that they run on, if not on this machine.
        episodes: how many.
    """
    if not file.exists():
        jobs = [Job(0, CRITIC_SEED + k, traced=True) for k in range(episodes)]
        with workers(Walkers(cells=(lesson,)), processes, ray) as walked:
            traces = [trace for trace in walked(jobs) if isinstance(trace, Trace)]
        train_critic(traces, CRITIC_SEED).save(file)
    return load_critic(file)


def _row(cell: Cell, done: Sequence[EpisodeResult]) -> dict[str, Any]:
    """One cell of the file."""
    columns = {f.name: [getattr(result, f.name) for result in done] for f in fields(EpisodeResult)}
    steps = columns["steps"]
    falls = sum(columns["fell"])
    return {
        **asdict(cell),
        "episodes": len(done),
        "falls": falls,
        "falls_interval": wilson(falls, len(done)),
        "uses": sum(columns["uses"]),
        "uses_interval": bootstrap(columns["uses"]),
        "share": sum(columns["recovery_steps"]) / sum(steps),
        "share_interval": bootstrap(columns["recovery_steps"], steps),
        "triggered": sum(columns["triggered_steps"]) / sum(steps),
        "reward": float(np.mean(columns["reward"])),
        "reward_interval": bootstrap(columns["reward"]),
        "energy_j": float(np.mean(columns["energy_j"])),
        "energy_j_interval": bootstrap(columns["energy_j"]),
        "seeds": columns["seed"],
        "results": columns,
    }
