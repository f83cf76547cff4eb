"""`safe-locomotion train gait`: one run of the grid of paper 1."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from safe_locomotion.cli.training.episodes import (
    SCRATCH,
    follow_episodes,
    learn_from_episodes,
    learning_of,
)
from safe_locomotion.cli.training.options import require_training, seed_option, training_options
from safe_locomotion.cli.training.run import Training, recovery_of, train
from safe_locomotion.envs.gait_tasks import TASKS
from safe_locomotion.safety.switching_rule import CRITERIA

LEARNERS = ("ours", "trpo", "trpo_n", "recovery_rl", "filter", "ellipsoid", "pcpo", "p3o")


@click.command()
@click.argument("task", type=click.Choice(tuple(TASKS)))
@click.option(
    "--learner",
    type=click.Choice(LEARNERS),
    default="ours",
    show_default=True,
    help="Who learns; ours learns under the supervisor.",
)
@click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    default="reachability",
    show_default=True,
    help="Criterion of the supervisor of ours.",
)
@click.option(
    "--horizon",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Steps of 0.016 s that it looks ahead.",
)
@click.option(
    "--trigger-set",
    type=click.Choice(("c1", "c2", "c3")),
    default="c1",
    show_default=True,
    help="Its trigger set.",
)
@click.option(
    "--measures",
    type=click.Choice(("paper", "own")),
    default="own",
    show_default=True,
    help="Measures of the trigger set: the paper's raw ones, or those of the robot's file.",
)
@click.option(
    "--from-episodes",
    type=click.Path(path_type=Path, file_okay=False),
    help="Learn from the episodes that one robot recorded in this folder, without a simulation."
    " --robots, --steps, --seed, --robot, --from, --follow and --export count then.",
)
@click.option(
    "--from",
    "start",
    default=SCRATCH,
    show_default=True,
    metavar="scratch|FILE",
    help="With --from-episodes: policy file that learns on.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="With --from-episodes: wait for more episodes until --updates were made.",
)
@seed_option(default=0)
@training_options
def gait(
    *,
    task: str,
    from_episodes: Path | None,
    start: str,
    follow: bool,
    seed: int,
    device: str,
    minutes: float,
    resume: bool,
    export: bool,
    out: Path,
    **chosen: Any,
) -> int:
    """Train one gait policy of paper 1, as a grid of one run.

    The folder then holds its checkpoint, its results and a page. A training that was interrupted
    continues with --resume. It needs the extra 'train'.
    """
    require_training()
    if from_episodes is not None:
        options, file = learning_of(
            task, chosen["robot"], seed, start=start, trajectories=chosen["robots"]
        )
        options = replace(options, steps=chosen["steps"])
        if follow:
            return follow_episodes(options, file, from_episodes, out, updates=chosen["updates"])
        return learn_from_episodes(options, file, from_episodes, out, export=export)
    from safe_locomotion.training.gait.grid import UNSUPERVISED, Recovery, Run

    words = ("learner", "criterion", "horizon", "trigger_set", "measures")
    settings = {word: chosen[word] for word in words}
    alone = settings["learner"] in UNSUPERVISED
    recovery: Recovery = "tuned" if alone else recovery_of(chosen["recovery"])
    return train(
        Training(
            command=f"train gait {task}",
            pages=[("run", "run")],
            runs=[Run(task=task, seed=seed, recovery=recovery, **settings)],
            devices=[device],
            minutes=minutes,
            resume=resume,
            export=export,
            out=out,
            chosen={"seed": seed, **chosen},
        )
    )
