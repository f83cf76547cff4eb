"""What commands that train share: options, their checks, and the exit status."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from safe_locomotion.cli.options import robot_option
from safe_locomotion.errors import ConfigurationError

Command = Callable[..., Any]
TIME_IS_UP = 3  #: exit status of a training whose time was up before its end

seed_option = partial(
    click.option,
    "--seed",
    type=click.IntRange(min=0),
    show_default=True,
    help="Seed of all random numbers.",
)
device_option = click.option(
    "--device", default="cuda:0", show_default=True, help="Device of torch: cuda:0 or cpu."
)
devices_option = click.option(
    "--devices",
    default="",
    metavar="NAME,NAME,...",
    help="Several devices, such as cuda:0,cuda:1; each trains a share of the runs.",
)
_GRID = (
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
    device_option,
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


def with_options(
    options: Sequence[Callable[[Command], Command]],
) -> Callable[[Command], Command]:
    """A decorator that gives a command these options."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


training_options = with_options(_GRID)
"""Give a command the options of a training of a grid."""


def names_of(text: str) -> list[str]:
    """Names of a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def devices_of(devices: str, device: str) -> list[str]:
    """What `--devices` names, or else the one of `--device`.

    Raises:
        ConfigurationError: one of them is named twice.
    """
    names = names_of(devices)
    twice = sorted({name for name in names if names.count(name) > 1 and name != "cpu"})
    if twice:
        raise ConfigurationError(f"--devices: {', '.join(twice)} is named twice")
    return names or [device]


def command_line(start: str, words: Mapping[str, Any]) -> str:
    """The command that repeats a training; flags that are off and empty words are left out."""
    options = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for name, value in words.items()
        if value is not False and value != ""
    ]
    return " ".join(["safe-locomotion", start, *options])


def require_training(module: str = "safe_locomotion.training.gait.trainer") -> None:
    """Refuse to train where a library that a module of the training imports is missing.

    Raises:
        ConfigurationError: with the command that installs them.
    """
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: pip install 'safe_locomotion[train]'"
        ) from error
