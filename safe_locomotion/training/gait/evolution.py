"""Evolution strategies on the weights of a gait policy, on all cores of one machine.

Salimans et al. 2017 with antithetic pairs: both members of a pair walk the same episodes (command,
pushes, sensor noise), so that they differ in the policy alone.

    w <- w + rate s * mean_i (F(w + sigma s eps_i) - F(w - sigma s eps_i)) / (2 deviation) eps_i

with eps_i ~ N(0, 1); `s` scales the weights of a layer. Everything is drawn from (seed,
generation): an interrupted run continues as if it had never stopped, and the number of workers
changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np

from safe_locomotion.envs.episodes import Score, mean_score, walk
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.envs.workers import Map, workers
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait.imitation import imitation
from safe_locomotion.training.gait.mlp import Mlp, MlpShape, Normaliser
from safe_locomotion.types import Array


@dataclass(frozen=True, kw_only=True)
class EvolutionOptions:
    """Options of a search.

    Attributes:
        environment: of the episodes.
        hidden: widths of the two tanh layers.
        pairs: antithetic pairs in a generation.
        episodes: number that both members of a pair walk.
        sigma: standard deviation of a perturbation, in units of its layer's scale.
        rate: length of the first step in units of sigma.
        settling: generations after which steps are half as long; the length falls as
            1 / (1 + generation / settling).
        scales: of the weights of the hidden layers, of the last layer's weights, and of its biases.
        validation: number of episodes that judge the unperturbed policy.
        validate_each: generations between two validations.
        seed: of everything that is drawn.
        command: that starts this search, for the policy's contract.
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
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Weights, and the seeds of the episodes to walk with them."""

    weights: Array
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Walkers:
    """Makes, in a worker, the function from a job to the mean over its episodes."""

    options: GaitEnvOptions
    shape: MlpShape
    normaliser: Normaliser

    def __call__(self) -> Callable[[Job], Score]:
        """The function."""
        env = GaitEnv(self.options)

        def score(job: Job) -> Score:
            mlp = Mlp(self.shape, self.normaliser, job.weights)
            return mean_score(
                [walk(env, lambda seen: env.step(mlp.act(seen)), seed) for seed in job.seeds]
            )

        return score


@dataclass(kw_only=True)
class Search:
    """State of a search: everything that a checkpoint holds.

    Attributes:
        mlp: the policy.
        generation: number of the next one.
        best, best_fitness, best_generation: weights of the best validation so far, its fitness and
            its generation.
        history: figures of each generation.
    """

    mlp: Mlp
    generation: int = 0
    best: Array | None = None
    best_fitness: float = -np.inf
    best_generation: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def layer_scales(shape: MlpShape, scales: tuple[float, float, float]) -> Array:
    """Scale of every weight."""
    flat = np.full(shape.size, scales[0])
    matrix, bias = shape.split(flat)[-1]
    matrix[:] = scales[1]
    bias[:] = scales[2]
    return flat


def evolve(
    options: EvolutionOptions,
    *,
    minutes: float,
    processes: int,
    folder: Path,
    tell: Callable[[dict[str, float]], None] = lambda _: None,
    generations: int | None = None,
) -> Search:
    """Search until the time or the number of generations is reached.

    The search continues from the checkpoint in `folder`, if there is one.

    Args:
        options: of the search; those of the checkpoint must be the same.
        minutes: of wall-clock time, checked after each generation.
        processes: of workers.
        folder: for `checkpoint.npz`, written after each generation.
        tell: receives the figures of each generation.
        generations: stop after this number of generations; None sets no limit.
    """
    search = _resume(folder, options) or _begin(options)
    scales = layer_scales(search.mlp.shape, options.scales)
    deadline = monotonic() + 60.0 * minutes
    walkers = Walkers(
        options=options.environment, shape=search.mlp.shape, normaliser=search.mlp.normaliser
    )
    with workers(walkers, processes) as scored:
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
    mlp, _ = imitation(
        env.contract, env.robot.robot, task, env.tuned_gait, options.hidden, options.seed
    )
    return Search(mlp=mlp)


def _generation(
    search: Search, options: EvolutionOptions, scales: Array, scored: Map[Job, Score]
) -> dict[str, float]:
    """Make one step of the search in place, and return its figures."""
    rng = np.random.default_rng((options.seed, search.generation))
    weights = search.mlp.weights
    n = options.pairs
    size = search.mlp.shape.size
    noise = rng.standard_normal((n, size))
    seeds = [tuple(int(s) for s in rng.integers(2**31, size=options.episodes)) for _ in range(n)]
    jobs = [
        Job(weights=weights + sign * options.sigma * scales * noise[i], seeds=seeds[i])
        for i in range(n)
        for sign in (1.0, -1.0)
    ]
    judged = search.generation % options.validate_each == 0
    trials = [Job(weights=weights, seeds=(k,)) for k in range(options.validation)] if judged else []
    scores = list(scored([*trials, *jobs]))
    figures: dict[str, float] = {"generation": search.generation}
    if judged:
        centre = mean_score(scores[: len(trials)])
        figures |= {f"validation_{name}": value for name, value in asdict(centre).items()}
        if centre.fitness > search.best_fitness:
            search.best = weights.copy()
            search.best_fitness = centre.fitness
            search.best_generation = search.generation
    population = scores[len(trials) :]
    figures |= asdict(mean_score(population))
    step = ascent([s.fitness for s in population], noise)
    rate = options.rate / (1.0 + search.generation / options.settling)
    search.mlp = Mlp(
        search.mlp.shape, search.mlp.normaliser, weights + rate * options.sigma * scales * step
    )
    search.generation += 1
    return figures


def ascent(fitness: Sequence[float], noise: Array) -> Array:
    """Direction of ascent (size,).

    Differences of a pair count by their rank among all pairs: one fall does not outweigh thirty
    episodes.

    Args:
        fitness: of w + e_1, w - e_1, w + e_2, ...
        noise: (n, size) perturbations e.
    """
    plus, minus = np.array(fitness).reshape(-1, 2).T
    difference = plus - minus
    size = np.abs(difference)
    rank = np.empty(len(size))
    rank[np.argsort(size)] = np.arange(1, len(size) + 1)
    return (np.sign(difference) * rank / rank.sum()) @ noise


CHECKPOINT = "checkpoint.npz"


def save(search: Search, options: EvolutionOptions, folder: Path) -> None:
    """Write the checkpoint; a crash meanwhile leaves the previous one."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = sorted({key for row in search.history for key in row})
    new = folder / "checkpoint.new.npz"
    np.savez(
        new,
        weights=search.mlp.weights,
        best=search.mlp.weights if search.best is None else search.best,
        best_fitness=search.best_fitness,
        best_generation=search.best_generation,
        generation=search.generation,
        mean=search.mlp.normaliser.mean,
        deviation=search.mlp.normaliser.deviation,
        options=repr(options),
        seed=options.seed,
        command=options.command,
        task=options.environment.task,
        robot=options.environment.simulation.robot,
        hidden=options.hidden,
        action=search.mlp.shape.action,
        history_keys=np.array(keys),
        history=np.array([[row.get(key, np.nan) for key in keys] for row in search.history]),
    )
    new.replace(folder / CHECKPOINT)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Contents of a checkpoint: the last and the best network, their origin, and the search."""

    last: Mlp
    best: Mlp
    task: str
    robot: str
    seed: int
    command: str
    options: str
    search: Search


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file."""
    with np.load(path) as data:
        normaliser = Normaliser(mean=data["mean"], deviation=data["deviation"])
        shape = MlpShape(
            observation=len(normaliser.mean),
            hidden=(int(data["hidden"][0]), int(data["hidden"][1])),
            action=int(data["action"]),
        )
        last = Mlp(shape, normaliser, data["weights"])
        best = Mlp(shape, normaliser, data["best"])
        keys = [str(key) for key in data["history_keys"]]
        return Checkpoint(
            last=last,
            best=best,
            task=str(data["task"]),
            robot=str(data["robot"]),
            seed=int(data["seed"]),
            command=str(data["command"]),
            options=str(data["options"]),
            search=Search(
                mlp=last,
                generation=int(data["generation"]),
                best=best.weights,
                best_fitness=float(data["best_fitness"]),
                best_generation=int(data["best_generation"]),
                history=[
                    {k: float(v) for k, v in zip(keys, row, strict=True) if np.isfinite(v)}
                    for row in data["history"]
                ],
            ),
        )


def _resume(folder: Path, options: EvolutionOptions) -> Search | None:
    """The search in a folder; None when the folder has no checkpoint.

    Raises:
        ConfigurationError: the search had other options.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    found = read_checkpoint(path)
    if found.options != repr(options):
        raise ConfigurationError(
            f"{path} belongs to a search with other options; "
            "continue with those, or use another folder"
        )
    return found.search
