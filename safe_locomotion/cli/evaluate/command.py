"""`safe-locomotion evaluate`: falls and the cost of preventing them over many episodes."""

import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safe_locomotion.cli.evaluate.run import run_cells
from safe_locomotion.cli.evaluate.tables import draw
from safe_locomotion.cli.options import TerrainName, assignment, robot_option
from safe_locomotion.envs.gait_tasks import TASKS
from safe_locomotion.envs.random_gait import NAME as RANDOM
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING

if TYPE_CHECKING:
    from safe_locomotion.evaluation.cells import Cell

DEFAULT_CRITERIA = ",".join(CRITERIA)
SHARED = (
    "robot",
    "task",
    "policy",
    "measures",
    "terrain",
    "friction",
    "push_offset",
    "duration",
)
"""Options that have the same value in every cell."""


@click.command()
@robot_option
@click.option(
    "--policy",
    default=RANDOM,
    show_default=True,
    help="Name or path of a policy; nominal; or random: a policy without any training.",
)
@click.option(
    "--task",
    type=click.Choice(tuple(TASKS)),
    default="trot",
    show_default=True,
    help="Task that gives the reward and the first gait.",
)
@click.option(
    "--supervisor",
    default=DEFAULT_CRITERIA,
    show_default=True,
    help="Criteria, separated by commas; also the baselines ellipsoid and critic.",
)
@click.option(
    "--horizon",
    default="10",
    show_default=True,
    help="Steps of 0.016 s that reachability and planning look ahead; several with commas.",
)
@click.option(
    "--trigger-set",
    default="c1",
    show_default=True,
    help="Trigger sets of the configuration (c1, c2, c3), separated by commas.",
)
@click.option(
    "--measures",
    default="configured",
    show_default=True,
    help="How the components of the trigger set are measured: configured or paper.",
)
@click.option(
    "--episodes",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Episodes in each cell.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0.5),
    default=12.0,
    show_default=True,
    help="Length of an episode [s].",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes.",
)
@click.option(
    "--ray",
    default="",
    help="Ray cluster that runs the processes: HOST:PORT or auto. [default: this machine]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Begin no episode after this wall-clock time [min].",
)
@click.option(
    "--pushes",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="Impulse of a push from a random direction every 1.5 to 3 s [N s]. [default: none]",
)
@click.option(
    "--push-offset",
    type=float,
    default=0.0,
    help="Distance of the pushes in front of the centre of mass [m]. [default: 0]",
)
@click.option(
    "--friction",
    type=float,
    default=0.8,
    show_default=True,
    help="Friction coefficient between feet and ground.",
)
@click.option(
    "--terrain",
    type=TerrainName(),
    default="flat",
    show_default=True,
    help="Ground that the robot walks on: flat, slope, stairs, rough, or a tile such as"
    " up_stairs:6.",
)
@click.option(
    "--sigma",
    type=click.FloatRange(min=0.0),
    help="Step size of the random policy's random walk. [default: by task]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NODE.KEY=VALUE",
    help="Change a parameter, e.g. supervisor.trigger_set.c1.roll=0.2.",
)
@click.option(
    "--critic",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the safety critic. A critic is trained when the file does not exist.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the first episode; the others follow.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file of results. Episodes that it holds already are not repeated.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw falls and recovery share into this file.",
)
def evaluate(
    *,
    json_file: Path | None,
    plot: Path | None,
    critic: Path | None,
    minutes: float | None,
    **options: Any,
) -> int:
    """Walk episodes of a policy with each supervisor and count falls.

    The table also shows how often and how long the recovery policy took over, the reward and
    the energy, with intervals of 95 %.
    """
    cells = _cells(options)
    deadline = time.monotonic() + 60.0 * minutes if minutes is not None else float("inf")
    seeds = range(options["seed"], options["seed"] + options["episodes"])
    rows = run_cells(
        [cells],
        seeds,
        processes=options["workers"],
        ray=options["ray"],
        deadline=deadline,
        file=json_file,
        critic_file=critic,
        start_seed=options["seed"],
    )
    if plot is not None:
        draw(rows, plot)
    return 0


def _cells(options: Mapping[str, Any]) -> list["Cell"]:
    """One cell for each supervisor, horizon and trigger set."""
    from safe_locomotion.envs.random_gait import SIGMAS
    from safe_locomotion.evaluation.cells import Cell

    try:
        horizons = [int(text) for text in options["horizon"].split(",")]
    except ValueError:
        raise ConfigurationError(
            f"--horizon {options['horizon']!r}: must be whole numbers, separated by commas"
        ) from None
    same = {name: options[name] for name in SHARED}
    sigma = SIGMAS[options["task"]] if options["sigma"] is None else options["sigma"]
    same["overrides"] = tuple(assignment(text) for text in options["overrides"])
    supervisors = options["supervisor"].split(",")
    boxes = options["trigger_set"].split(",")
    wanted = [
        Cell(
            supervisor=supervisor,
            horizon=horizon,
            trigger_set=box,
            push=options["pushes"],
            sigma=sigma,
            **same,
        )
        for box, supervisor in product(boxes, supervisors)
        for horizon in (horizons if supervisor in PREDICTING else [0])
    ]
    return list(dict.fromkeys(wanted))
