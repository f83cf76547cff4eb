"""Walks the episodes of an evaluation: a learner under a supervisor on a simulated robot.

All learners propose from the pipeline's own policy stage: gait or joint, random or from a file. A
fall ends the episode.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from safe_locomotion.envs.episodes import RecoveryCount
from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_env import UNTRAINED, GaitEnv
from safe_locomotion.envs.gait_tasks import gait_task, start_gait
from safe_locomotion.envs.random_gait import NAME as RANDOM
from safe_locomotion.envs.random_gait import RandomGait, RandomWalk
from safe_locomotion.envs.workers import workers
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.baselines import (
    CRITIC,
    ELLIPSOID,
    CriticRule,
    EllipsoidRule,
    SafetyCritic,
    Trace,
    load_critic,
    train_critic,
)
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.results import EpisodeResult, Evaluation, Job
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.network import Float32
from safe_locomotion.policy.observation import Observer
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.trigger_set import COMPONENTS, TriggerSet
from safe_locomotion.types import Verdict

CRITIC_EPISODES = 60  #: that a critic learns from
CRITIC_SEED = 100_000  #: first seed of those episodes, which no evaluation uses
Model = tuple[PolicyContract, bytes]


class RandomLearner(RandomGait):
    """`random` with a contract, so that a policy stage can host it."""

    def __init__(self, robot: RobotModel, task: str, seed: int, sigma: float) -> None:
        one = gait_task(task)
        lowest, highest = RandomWalk().frequency
        walk = RandomWalk(sigma=sigma, frequency=(lowest, max(highest, one.frequency)))
        super().__init__(start_gait(one, robot), seed, walk)
        self.contract = gait_contract(robot, one, name=RANDOM, origin=UNTRAINED)


class Walker:
    """The simulated robot and the learner of one cell.

    Raises:
        ConfigurationError: the supervisor is the safety critic, but the policy proposes joint
            targets.
    """

    def __init__(
        self,
        cell: Cell,
        models: Mapping[str, Model],
        critics: Mapping[Cell, SafetyCritic],
        seed: int,
    ) -> None:
        self._cell = cell
        self._critic = critics.get(cell.unsupervised)
        self._env = GaitEnv(cell.options(seed))
        self._observer = Observer(self._env.contract)
        self._loaded: PolicyRuntime | None = None
        if cell.policy in (RANDOM, NOMINAL):
            return
        self._loaded = PolicyRuntime(*models[cell.policy], self._env.robot.robot)
        if cell.supervisor == CRITIC and self._loaded.contract.kind != "gait":
            raise ConfigurationError(
                "the safety critic judges gaits, but this policy proposes joint targets"
            )

    def walk(self, seed: int) -> EpisodeResult:
        """One episode."""
        return self._walk(seed, lambda: None)

    def trace(self, seed: int) -> Trace:
        """One episode, recorded for a critic to learn from."""
        seen: list[Float32] = []
        result = self._walk(seed, lambda: seen.append(self._observe()))
        return Trace(np.array(seen), result.fell)

    def _walk(self, seed: int, look: Callable[[], None]) -> EpisodeResult:
        env = self._env
        env.reset(seed=seed)
        env.host(self._learner(seed))
        self._use_rule()
        began = env.robot.truth()
        reward = 0.0
        recovery = RecoveryCount()
        triggered = 0
        done = False
        fell = False
        while not done:
            _, earned, fell, late, info = env.advance()
            look()
            done = fell or late
            reward = reward + earned
            recovery.add(info["active"] == "recovery")
            triggered += _outside_the_box(_verdict(env))
        truth = env.robot.truth()
        return EpisodeResult(
            seed=seed,
            fell=bool(fell),
            steps=env.steps,
            recovery_steps=recovery.steps,
            triggered_steps=triggered,
            uses=recovery.uses,
            reward=reward,
            energy_j=truth.energy - began.energy,
            distance=float(np.hypot(*(truth.position - began.position)[:2])),
            reasons=" ".join(_verdict(env).reasons) if fell else "",
        )

    def _learner(self, seed: int) -> Learner | None:
        if self._cell.policy == RANDOM:
            return RandomLearner(self._env.robot.robot, self._cell.task, seed, self._cell.sigma)
        return self._loaded

    def _use_rule(self) -> None:
        """Replace the configured switching rule by the baseline that the cell names, if any."""
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
        """Observation of a gait policy, with the gait that the learner proposes now."""
        env = self._env
        proposal = env.pipeline.proposal
        proposed = None if proposal is None else proposal.gait
        gait = _verdict(env).gait if proposed is None else proposed
        return self._observer.write(
            env.estimate, env.velocity_command, [0.0] * env.action_size, gait
        )[0].copy()


def _outside_the_box(verdict: Verdict) -> bool:
    """Whether a component of the state lies outside the box of safe states; NaN does."""
    return any(not margin >= 0.0 for name, margin in verdict.margins if name in COMPONENTS)


def _verdict(env: GaitEnv) -> Verdict:
    assert env.pipeline.cycle is not None
    return env.pipeline.cycle.verdict


@dataclass(frozen=True, kw_only=True)
class Walkers:
    """Makes, in a worker, the function that does a job.

    Attributes:
        cells: that the jobs number.
        models: policies by name.
        critics: by the cell that they learned from.
        deadline: time (of `time.monotonic`) after which the function does nothing and returns None.
        seed: of the robots' first starts.
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
            if time.monotonic() > self.deadline:
                return None
            if job.cell not in walkers:
                walkers[job.cell] = Walker(
                    self.cells[job.cell], self.models, self.critics, self.seed
                )
            walker = walkers[job.cell]
            return walker.trace(job.seed) if job.traced else walker.walk(job.seed)

        return do


def evaluate(
    evaluation: Evaluation,
    jobs: Iterable[Job],
    make: Walkers,
    *,
    processes: int,
    ray: str = "",
    tell: Callable[[int], None] = lambda done: None,
) -> None:
    """Do the jobs for which the deadline leaves time; `tell` is told how many are done."""
    listed = list(jobs)
    try:
        with workers(make, processes, ray) as walked:
            for done, (job, result) in enumerate(zip(listed, walked(listed), strict=True), 1):
                tell(done)
                if isinstance(result, EpisodeResult):
                    evaluation.take(job, result)
    finally:
        evaluation.write()


def critic_from(
    file: Path, lesson: Cell, *, processes: int, ray: str = "", episodes: int = CRITIC_EPISODES
) -> SafetyCritic:
    """The critic in a file; without the file, a critic is trained and written there.

    Args:
        file: npz.
        lesson: `Cell.unsupervised` of the cells that the critic will supervise.
        processes: that walk the episodes.
        ray: address of the Ray cluster that runs them; "" is this machine.
        episodes: how many.
    """
    if not file.exists():
        jobs = [Job(0, CRITIC_SEED + k, traced=True) for k in range(episodes)]
        with workers(Walkers(cells=(lesson,)), processes, ray) as walked:
            traces = [trace for trace in walked(jobs) if isinstance(trace, Trace)]
        train_critic(traces, CRITIC_SEED).save(file)
    return load_critic(file)
