"""Options of the commands that train runs of a grid."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from safe_locomotion.cli.options import robot_option

Command = Callable[..., Any]

_OPTIONS = (
    robot_option,
    click.option(
        "--updates",
        type=click.IntRange(min=1),
        default=1360,
        show_default=True,
        help="Updates of a run, each of 10 trajectories.",
    ),
    click.option(
        "--physics-ms",
        type=click.FloatRange(min=0.1, max=2.0),
        default=1.0,
        show_default=True,
        help="Time step of the physics [ms].",
    ),
    click.option(
        "--steps",
        type=click.IntRange(min=1),
        default=400,
        show_default=True,
        help="Policy steps of a trajectory, of 8 ms each.",
    ),
    click.option(
        "--robots",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        help="Trajectories of an update.",
    ),
    click.option(
        "--seeking",
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        help="Rounds that seek falls, for the critic of Recovery RL.",
    ),
    click.option(
        "--critic-updates",
        type=click.IntRange(min=1),
        default=2000,
        show_default=True,
        help="Steps in which that critic learns.",
    ),
    click.option(
        "--recovery",
        default="tuned",
        show_default=True,
        metavar="tuned|FILE",
        help="Recovery policy: the tuned controller, or the file of a learned one.",
    ),
    click.option(
        "--device", default="cuda:0", show_default=True, help="Device of torch: cuda:0 or cpu."
    ),
    click.option(
        "--minutes",
        type=click.FloatRange(min=0.0),
        default=600.0,
        show_default=True,
        help="Wall-clock time after which it stops at the next update [min].",
    ),
    click.option("--resume", is_flag=True, help="Continue from the checkpoint in the folder."),
    click.option("--export", is_flag=True, help="Write the policies to OUT/policies at the end."),
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        help="Folder of checkpoint, results and pages.",
    ),
)


def training_options(command: Command) -> Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
