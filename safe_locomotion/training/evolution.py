"""Evolution strategies on the weights of a gait policy, on all cores of one machine.

Salimans et al. 2017 with antithetic pairs: both members of a pair walk the same episodes (command, pushes, sensor noise), so that what
differs is the policy alone.

    w <- w + rate s * mean_i (F(w + sigma s eps_i) - F(w - sigma s eps_i)) / (2 deviation) eps_i,      eps_i ~ N(0, 1)

`s` scales the weights of a layer. Everything is drawn from (seed, generation): a run that was interrupted goes on as if it had not been,
and the number of workers changes nothing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.training.imitation import imitation
from safe_locomotion.training.gait_tasks import gait_task
from safe_locomotion.training.mlp import Mlp, MlpShape, Normaliser
from safe_locomotion.types import Array, VelocityCommand

FALL_PENALTY = 1.0
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class EvolutionOptions:
    """How a policy is searched for.

    Attributes:
        environment: what an episode is.
        hidden: widths of the two tanh layers.
        pairs: antithetic pairs in a generation.
        episodes: that both members of a pair walk.
        sigma: deviation of a perturbation, times the scale of its layer.
        rate: length of the first step in units of sigma.
        settling: generations after which steps are half as long, and so on as 1 / (1 + generation / settling).
        scales: of the weights of the hidden layers, of the last layer's weights and of its biases.
        validation: episodes on which the unperturbed policy is judged.
        validate_each: generations between two judgements.
        seed: of everything.
    """

    environment: GaitEnvOptions = field(default_factory=GaitEnvOptions)
    hidden: tuple[int, int] = (32, 32)
    pairs: int = 32
    episodes: int = 1
    sigma: float = 0.03
    rate: float = 0.5
    settling: float = 40.0
    scales: tuple[float, float, float] = (0.5, 1.0, 3.0)
    validation: int = 16
    validate_each: int = 5
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What episodes came to; means over episodes but for the sums `falls` and `episodes`.

    Attributes:
        fitness: mean reward per step of a whole episode, less `FALL_PENALTY` where it ended in a fall.
        reward: mean reward per step walked.
        power: [W].
        cost_of_transport: energy over weight times distance.
        velocity_error: RMS [m/s].
        recovery: share of steps under the recovery policy.
    """

    fitness: float
    reward: float
    power: float
    cost_of_transport: float
    velocity_error: float
    recovery: float
    falls: int
    episodes: int


def walk(env: GaitEnv, act: Callable[[Any], Array], seed: int) -> Score:
    """One episode."""
    observation, _ = env.reset(seed=seed)
    total = env.total_steps
    rewards = power = distance = error = recovery = 0.0
    steps, done, fell = 0, False, False
    while not done:
        observation, reward, fell, late, info = env.step(act(observation))
        steps, done = steps + 1, fell or late
        rewards += reward
        power += info["power"]
        distance += info["distance"]
        error += info["velocity_error"] ** 2
        recovery += info["active"] == "recovery"
    energy = power * env.step_time
    return Score(
        fitness=rewards / total - FALL_PENALTY * fell,
        reward=rewards / steps,
        power=power / steps,
        cost_of_transport=energy / (env.weight * max(distance, 1e-3)),
        velocity_error=float(np.sqrt(error / steps)),
        recovery=recovery / steps,
        falls=int(fell),
        episodes=1,
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """Means, and sums of falls and episodes."""
    means = {
        name: float(np.mean([getattr(s, name) for s in scores]))
        for name in ("fitness", "reward", "power", "cost_of_transport", "velocity_error", "recovery")
    }
    return Score(**means, falls=sum(s.falls for s in scores), episodes=sum(s.episodes for s in scores))


@dataclass(frozen=True, kw_only=True)
class Job:
    """Weights and the seeds of the episodes that they walk, of the task's commands or of one fixed velocity."""

    weights: Array
    seeds: tuple[int, ...]
    command: VelocityCommand | None = None


class Worker:
    """One process's environments."""

    def __init__(self, options: GaitEnvOptions, shape: MlpShape, normaliser: Normaliser) -> None:
        self._env = GaitEnv(options)
        self._shape, self._normaliser = shape, normaliser

    def score(self, job: Job) -> Score:
        """Mean over the episodes of a job."""
        mlp = Mlp(self._shape, self._normaliser, job.weights)
        self._env.command = job.command
        return mean_score([walk(self._env, mlp.act, seed) for seed in job.seeds])


_worker: Worker | None = None


def _start_worker(options: GaitEnvOptions, shape: MlpShape, normaliser: Normaliser) -> None:
    global _worker  # noqa: PLW0603 - a process pool has no other place for what its processes keep
    _worker = Worker(options, shape, normaliser)


def _score(job: Job) -> Score:
    assert _worker is not None
    return _worker.score(job)


@contextmanager
def _pool(options: GaitEnvOptions, shape: MlpShape, normaliser: Normaliser, workers: int) -> Iterator[Callable[..., Iterator[Score]]]:
    """A map over jobs: on `workers` processes of one thread each, or in this one."""
    if workers == 1:
        alone = Worker(options, shape, normaliser)
        yield lambda jobs: map(alone.score, jobs)
        return
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        executor: Executor = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(options, shape, normaliser)
        )
        with executor:
            yield lambda jobs: executor.map(_score, jobs)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@dataclass(kw_only=True)
class Search:
    """Where a search is: everything that a checkpoint holds.

    Attributes:
        mlp: the policy.
        generation: the next one.
        best: weights of the best validation so far, and that score.
        history: of the generations.
    """

    mlp: Mlp
    generation: int = 0
    best: Array | None = None
    best_fitness: float = -np.inf
    history: list[dict[str, float]] = field(default_factory=list)


def layer_scales(shape: MlpShape, scales: tuple[float, float, float]) -> Array:
    """Scale of every weight."""
    flat = np.full(shape.size, scales[0])
    matrix, bias = shape.split(flat)[-1]
    matrix[:], bias[:] = scales[1], scales[2]
    return flat


def evolve(
    options: EvolutionOptions,
    *,
    minutes: float,
    workers: int,
    folder: Path,
    tell: Callable[[dict[str, float]], None] = lambda _: None,
    generations: int | None = None,
) -> Search:
    """Search until the time or the number of generations is up; continues what lies in `folder`.

    Args:
        options: of the search; those of an earlier part must be the same.
        minutes: of wall-clock time, looked at after each generation.
        workers: processes.
        folder: for `checkpoint.npz`, written after each generation.
        tell: takes the figures of each generation.
        generations: to stop after.
    """
    search = _resume(folder, options) or _begin(options)
    scales = layer_scales(search.mlp.shape, options.scales)
    deadline = monotonic() + 60.0 * minutes
    with _pool(options.environment, search.mlp.shape, search.mlp.normaliser, workers) as scored:
        while monotonic() < deadline and (generations is None or search.generation < generations):
            started = monotonic()
            figures = _generation(search, options, scales, scored)
            search.history.append({**figures, "seconds": monotonic() - started})
            save(search, options, folder)
            tell(search.history[-1])
    return search


def _begin(options: EvolutionOptions) -> Search:
    env = GaitEnv(options.environment)
    task = gait_task(options.environment.task)
    mlp, _ = imitation(env.contract, env.robot.robot, task, env.tuned_gait, options.hidden, options.seed)
    return Search(mlp=mlp)


def _generation(
    search: Search, options: EvolutionOptions, scales: Array, scored: Callable[..., Iterator[Score]]
) -> dict[str, float]:
    """One step of the search, in place; its figures."""
    rng = np.random.default_rng((options.seed, search.generation))
    weights, n, size = search.mlp.weights, options.pairs, search.mlp.shape.size
    noise = rng.standard_normal((n, size))
    seeds = [tuple(int(s) for s in rng.integers(2**31, size=options.episodes)) for _ in range(n)]
    jobs = [
        Job(weights=weights + sign * options.sigma * scales * noise[i], seeds=seeds[i]) for i in range(n) for sign in (1.0, -1.0)
    ]
    judged = search.generation % options.validate_each == 0
    trials = [Job(weights=weights, seeds=(k,)) for k in range(options.validation)] if judged else []
    scores = list(scored([*trials, *jobs]))
    figures: dict[str, float] = {"generation": search.generation}
    if judged:
        centre = mean_score(scores[: len(trials)])
        figures |= {f"validation_{name}": value for name, value in asdict(centre).items()}
        if centre.fitness > search.best_fitness:
            search.best, search.best_fitness = weights.copy(), centre.fitness
    population = scores[len(trials) :]
    figures |= asdict(mean_score(population))
    step = ascent([s.fitness for s in population], noise)
    rate = options.rate / (1.0 + search.generation / options.settling)
    search.mlp = Mlp(search.mlp.shape, search.mlp.normaliser, weights + rate * options.sigma * scales * step)
    search.generation += 1
    return figures


def ascent(fitness: Sequence[float], noise: Array) -> Array:
    """Direction of ascent (size,) from the fitness of w + e_1, w - e_1, w + e_2, ... and the perturbations e (n, size).

    Differences of a pair count by their rank among all pairs: one fall does not outweigh thirty episodes.
    """
    plus, minus = np.array(fitness).reshape(-1, 2).T
    difference = plus - minus
    size = np.abs(difference)
    rank = np.empty(len(size))
    rank[np.argsort(size)] = np.arange(1, len(size) + 1)
    return (np.sign(difference) * rank / rank.sum()) @ noise


CHECKPOINT = "checkpoint.npz"


def save(search: Search, options: EvolutionOptions, folder: Path) -> None:
    """Write the checkpoint so that a crash leaves the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = sorted({key for row in search.history for key in row})
    new = folder / "checkpoint.new.npz"
    np.savez(
        new,
        weights=search.mlp.weights,
        best=search.mlp.weights if search.best is None else search.best,
        best_fitness=search.best_fitness,
        generation=search.generation,
        mean=search.mlp.normaliser.mean,
        deviation=search.mlp.normaliser.deviation,
        options=repr(options),
        seed=options.seed,
        task=options.environment.task,
        robot=options.environment.simulation.robot,
        hidden=options.hidden,
        history_keys=np.array(keys),
        history=np.array([[row.get(key, np.nan) for key in keys] for row in search.history]),
    )
    new.replace(folder / CHECKPOINT)


def _resume(folder: Path, options: EvolutionOptions) -> Search | None:
    """The search that lies in a folder.

    Raises:
        ConfigurationError: it was one with other options.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    with np.load(path) as data:
        if str(data["options"]) != repr(options):
            raise ConfigurationError(f"{path} belongs to a search with other options; continue with those or use another folder")
        keys = [str(key) for key in data["history_keys"]]
        history = [{k: float(v) for k, v in zip(keys, row, strict=True) if np.isfinite(v)} for row in data["history"]]
        return Search(
            mlp=load_mlp(path),
            generation=int(data["generation"]),
            best=data["best"],
            best_fitness=float(data["best_fitness"]),
            history=history,
        )


def load_mlp(path: Path, *, best: bool = False) -> Mlp:
    """The network of a checkpoint: the present one, or the best validated."""
    with np.load(path) as data:
        normaliser = Normaliser(mean=data["mean"], deviation=data["deviation"])
        inputs, outputs = len(normaliser.mean), 9
        shape = MlpShape(observation=inputs, hidden=(int(data["hidden"][0]), int(data["hidden"][1])), action=outputs)
        return Mlp(shape, normaliser, data["best"] if best else data["weights"])
