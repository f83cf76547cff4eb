"""`safe-locomotion learn`: algorithm 1 of paper 1, over the wire, without a reset by hand."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from safe_locomotion.cli.learn.folder import LearnFolder
from safe_locomotion.cli.learn.run import run
from safe_locomotion.cli.learn.settings import LearnSettings
from safe_locomotion.cli.options import (
    horizon_option,
    motor_delay_option,
    payload_option,
    robot_option,
)
from safe_locomotion.cli.training.episodes import SCRATCH, walked_speed
from safe_locomotion.safety.switching_rule import CRITERIA

TASKS = ("efficient", "catwalk", "two_leg")
TRAJECTORIES = {"efficient": 10, "catwalk": 10, "two_leg": 5}  #: paper 1, section VI


@click.command()
@robot_option
@click.option(
    "--task",
    type=click.Choice(TASKS),
    default="efficient",
    show_default=True,
    help="Task that gives the reward.",
)
@click.option(
    "--from",
    "start",
    default=SCRATCH,
    show_default=True,
    metavar="scratch|POLICY",
    help="Begin with a new policy, or with a policy file of the same task.",
)
@click.option(
    "--updates",
    type=click.IntRange(min=1),
    default=84,
    show_default=True,
    help="Updates, each of 4,000 steps (two_leg 2,000); 84 take 45 min of walking.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of episodes, policies, checkpoint and page; the same one goes on.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of weights, exploration, sensor noise and pushes.",
)
@click.option("--vx", type=float, help="Forward velocity [m/s]. [default: of the task]")
@click.option(
    "--field",
    "radius",
    type=click.FloatRange(min=2.0),
    default=10.0,
    show_default=True,
    help="Radius at which the robot turns back, by its odometry [m].",
)
@click.option(
    "--supervisor",
    type=click.Choice(CRITERIA),
    help="Criterion; dwell is that of the paper's robot. [default: the robot's file]",
)
@horizon_option
@click.option(
    "--person",
    default="",
    metavar="J@T",
    help="A person pushes with J [N s] from any side, once in each T [s], e.g. 5@20.",
)
@click.option("--friction", type=float, default=0.8, show_default=True, help="Of the ground.")
@payload_option
@motor_delay_option
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NODE.KEY=VALUE",
    help="Change a parameter, e.g. supervisor.trigger_set.use=c2.",
)
@click.option(
    "--quota-mb",
    type=click.FloatRange(min=0.0),
    default=2000.0,
    show_default=True,
    help="Of the episodes: the oldest are deleted; 0 keeps all [MB].",
)
def learn(*, task: str, vx: float | None, record: Path, **options: Any) -> int:
    """A simulated robot learns by itself, over the wire, and gets up by itself when it falls.

    Ctrl-C lets the robot sit down and ends; the same command goes on. Exit status: 0 when all
    updates are made, 130 when it was interrupted, 2 for bad usage.
    """
    settings = LearnSettings(
        task=task,
        vx=walked_speed(task) if vx is None else vx,
        folder=LearnFolder(root=record.resolve()),
        trajectories=TRAJECTORIES[task],
        **options,
    )
    return run(settings, Console(stderr=True))
