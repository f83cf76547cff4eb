"""Runs of the experiments of paper 1: what is learned, by whom, and who decides about recovery."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from safe_locomotion.config import SupervisorConfig
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.safety.switching_rule import Criterion

#: The first six share TRPO's update, so that one learner serves all their runs.
LearnerName = Literal["ours", "trpo", "trpo_n", "recovery_rl", "filter", "ellipsoid", "pcpo", "p3o"]
LEARNERS: tuple[str, ...] = get_args(LearnerName)
Recovery = Literal["tuned", "learned"]
Measures = Literal["paper", "own"]
PAPER_LEARNERS = ("trpo", "trpo_n", "pcpo", "recovery_rl", "ours")
PAPER_TASKS = ("efficient", "catwalk", "two_leg", "pacing")
UNSUPERVISED = ("trpo", "trpo_n", "pcpo", "p3o")  #: nobody takes over from these
OTHER_RULES = ("recovery_rl", "filter", "ellipsoid")  #: their own rule decides about recovery
TASK_ORDER = (*PAPER_TASKS, "recovery", "trot")  #: in pictures and in a grid
HORIZONS = (0, 5, 10, 15, 20)
MEASURES: tuple[Measures, ...] = ("paper", "own")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training.

    Attributes:
        task: key of `envs.gait_tasks.TASKS`.
        learner: one of `LEARNERS`.
        criterion, horizon, trigger_set: of the supervisor of `ours`.
        measures: "paper" measures the trigger set as the paper does; "own" as this robot's
            configuration does, with the capture point.
        recovery: "learned" takes the policy file of the world as recovery policy, as the paper's
            simulations do; "tuned" takes the tuned controller, as on its robot.
        seed: of everything that is drawn.
    """

    task: str
    learner: str
    criterion: Criterion = "reachability"
    horizon: int = 10
    trigger_set: Literal["c1", "c2", "c3"] = "c1"
    measures: Measures = "paper"
    recovery: Recovery = "tuned"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse names that do not exist, and a negative horizon."""
        gait_task(self.task)
        if self.learner not in LEARNERS:
            raise UnknownNameError("learner", self.learner, LEARNERS)
        if self.horizon < 0:
            raise ConfigurationError(f"horizon: must not be negative (found {self.horizon})")

    @property
    def name(self) -> str:
        """The run in one word, without its seed."""
        words = [self.task, self.learner]
        if self.learner == "ours":
            words += [self.criterion, f"w{self.horizon}", self.trigger_set, self.measures]
        if self.recovery == "learned":
            words.append(self.recovery)
        return "-".join(words)

    def supervisor(self, configured: SupervisorConfig) -> SupervisorConfig:
        """Supervisor of this run's robots, from the one that is configured for the robot."""
        measures = configured.trigger_set
        intervention = configured.intervention
        supervised = self.learner == "ours"
        if self.measures == "paper":
            measures = replace(
                measures, roll_rate="raw", attitude="vertical", height="odom", lookahead=0.0
            )
            intervention = replace(intervention, capture=False)
        return replace(
            configured,
            trigger_set=replace(measures, use=self.trigger_set),
            intervention=replace(
                intervention,
                criterion=self.criterion if supervised else "off",
                horizon=self.horizon if supervised else 0,
            ),
        )


def _seeded(runs: Sequence[Run], seeds: int) -> list[Run]:
    return [replace(run, seed=seed) for run in runs for seed in range(seeds)]


def fig3(seeds: int) -> list[Run]:
    """Falls against final rewards: each learner on each task."""
    return _seeded(
        [Run(task=task, learner=learner) for task in PAPER_TASKS for learner in PAPER_LEARNERS],
        seeds,
    )


def fig4a(seeds: int) -> list[Run]:
    """Horizons on the catwalk, beside Recovery RL."""
    ours = [Run(task="catwalk", learner="ours", horizon=w) for w in HORIZONS]
    return _seeded([*ours, Run(task="catwalk", learner="recovery_rl")], seeds)


def fig4b(seeds: int) -> list[Run]:
    """Trigger sets on the catwalk, beside Recovery RL."""
    ours = [
        Run(task="catwalk", learner="ours", trigger_set="c1"),
        Run(task="catwalk", learner="ours", trigger_set="c2"),
        Run(task="catwalk", learner="ours", trigger_set="c3"),
    ]
    return _seeded([*ours, Run(task="catwalk", learner="recovery_rl")], seeds)


def beyond(seeds: int) -> list[Run]:
    """Our own measures and criteria, and learners that the paper lacks, on each task."""
    own: list[Run] = []
    for task in PAPER_TASKS:
        own += [
            Run(task=task, learner="ours"),
            Run(task=task, learner="ours", measures="own"),
            Run(task=task, learner="ours", measures="own", criterion="planning"),
            Run(task=task, learner="ours", measures="own", criterion="dwell", horizon=0),
            Run(task=task, learner="p3o"),
            Run(task=task, learner="filter"),
            Run(task=task, learner="ellipsoid"),
        ]
    return _seeded(own, seeds)


def recovery(seeds: int) -> list[Run]:
    """Recovery policies: nobody takes over from a robot that is pushed."""
    return _seeded([Run(task="recovery", learner="trpo")], seeds)


def learned(seeds: int) -> list[Run]:
    """Ours with the tuned and with a learned recovery policy, on each task."""
    tuned = [
        Run(task=task, learner="ours", measures=measures)
        for task in PAPER_TASKS
        for measures in MEASURES
    ]
    return _seeded([*tuned, *(replace(run, recovery="learned") for run in tuned)], seeds)


FIGURES = {
    "fig3": fig3,
    "fig4a": fig4a,
    "fig4b": fig4b,
    "beyond": beyond,
    "recovery": recovery,
    "learned": learned,
}


def runs_of(figures: Sequence[str], seeds: int, recovery: Recovery = "tuned") -> list[Run]:
    """All runs that some figures need, each once, sorted so that equal learners lie together.

    Within a learner equal tasks lie together, so that a reward is computed on a slice.

    Args:
        figures: keys of `FIGURES`.
        seeds: of each run.
        recovery: "learned" gives every run that has a recovery policy the learned one. The figure
            `learned` compares both anyway.
    """
    if seeds < 1:
        raise ConfigurationError(f"runs: at least one seed is needed (found {seeds})")
    for figure in figures:
        if figure not in FIGURES:
            raise UnknownNameError("figure", figure, FIGURES)
    wanted = dict.fromkeys(
        replace(run, recovery=recovery)
        if figure != "learned" and run.learner not in UNSUPERVISED
        else run
        for figure in figures
        for run in FIGURES[figure](seeds)
    )
    return sorted(
        wanted,
        key=lambda run: (
            LEARNERS.index(run.learner),
            TASK_ORDER.index(run.task),
            run.recovery,
            run.measures,
            run.criterion,
            run.horizon,
            run.trigger_set,
            run.seed,
        ),
    )
