"""Options of `safe-locomotion policy import`, and how their texts are read."""

from collections.abc import Callable
from typing import Any

import click

from safe_locomotion.policy.importers.layout import LAYOUTS
from safe_locomotion.policy.refusal import Numbers
from safe_locomotion.types import N_JOINTS

Command = Callable[..., Any]


class NumberList(click.ParamType):
    """Numbers separated by commas.

    Attributes:
        size: how many there must be, or one for all; None for any number of them.
    """

    name = "number[,...]"

    def __init__(self, size: int | None = N_JOINTS) -> None:
        self.size = size

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Numbers:
        """Numbers, one for each joint where there are twelve."""
        try:
            numbers = tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: must be numbers separated by commas", param, ctx)
        if self.size is None:
            return numbers
        if len(numbers) not in (1, self.size):
            self.fail(f"expected 1 or {self.size} numbers, found {len(numbers)}", param, ctx)
        return numbers * (self.size // len(numbers))


def layout_options(command: Command) -> Command:
    """What kind of file it is, and which files belong to it."""
    for option in (
        click.option(
            "--encoder",
            type=click.Path(exists=True, dir_okay=False),
            help="File of a network whose output the network of SOURCE reads behind its"
            " observation.",
        ),
        click.option(
            "--config",
            type=click.Path(exists=True, dir_okay=False),
            help="File of the training's settings: IO_descriptors.yaml, deploy.yaml, config.yaml or"
            " parameters.pkl.",
        ),
        click.option(
            "--layout",
            type=click.Choice(list(LAYOUTS)),
            help="Project that wrote the file. Only files with mjlab's metadata need none.",
        ),
    ):
        command = option(command)
    return command


def observation_options(command: Command) -> Command:
    """What the network observes."""
    for option in (
        click.option(
            "--behaviour",
            type=NumberList(None),
            help="Commands of walk_these_ways after the velocity, for example of a trot.",
        ),
        click.option("--obs-clip", type=float, help="Bound on each scaled number observed."),
        click.option(
            "--history-start",
            type=click.Choice(["repeat", "zero"]),
            default="repeat",
            show_default=True,
            help="Frames before the first one, with --history-order.",
        ),
        click.option(
            "--history-order",
            type=click.Choice(["term", "frame"]),
            help="All frames of a term together, or all terms of a frame.",
        ),
        click.option("--history", type=int, help="Frames observed, oldest first."),
        click.option(
            "--obs-scale", help="Scales of single terms: base_ang_vel=0.25,commands=2/2/0.25."
        ),
        click.option(
            "--terms",
            help="Terms observed, in order, by our names or those of the project, each with"
            " its scale: base_ang_vel:0.25,projected_gravity,...",
        ),
    ):
        command = option(command)
    return command


def action_options(command: Command) -> Command:
    """What the network's output means."""
    joints = NumberList()
    for option in (
        click.option(
            "--limit",
            type=float,
            default=100.0,
            show_default=True,
            help="Limit of each number of the action; beyond it the policy is faulty.",
        ),
        click.option("--clip", type=float, help="Bound on each number of the action."),
        click.option("--pose", type=joints, help="Default pose [rad]."),
        click.option("--scale", type=joints, help="Scale of the action [rad]."),
        click.option("--kd", type=joints, help="Damping of the joints [Nm s/rad]."),
        click.option("--kp", type=joints, help="Stiffness of the joints [Nm/rad], in that order."),
        click.option(
            "--order",
            help="Joint order: sdk (FR FL RR RL), isaacgym (FL FR RL RR, leg by leg), isaaclab"
            " (all hips, thighs, calves of FL FR RL RR), or twelve names.",
        ),
        click.option("--rate", type=int, help="Policy steps per second."),
    ):
        command = option(command)
    return command


def origin_options(command: Command) -> Command:
    """Where the network comes from, for the record."""
    for option in (
        click.option("--command", default="unknown", show_default=True, help="Of the training."),
        click.option("--commit", default="unknown", show_default=True, help="Of its code."),
        click.option("--seed", type=int, default=0, show_default=True, help="Of the training."),
    ):
        command = option(command)
    return command
