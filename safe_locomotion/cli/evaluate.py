"""`safe-locomotion evaluate`: falls and the cost of preventing them over many episodes."""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from safe_locomotion.cli.options import TERRAINS, assignment, robot_option
from safe_locomotion.cli.output import console
from safe_locomotion.envs.gait_tasks import TASKS
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.random_gait import NAME as RANDOM
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING

if TYPE_CHECKING:
    from safe_locomotion.evaluation.cells import Cell
    from safe_locomotion.evaluation.walkers import Model

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
    type=click.Choice(TERRAINS),
    default="flat",
    show_default=True,
    help="Ground that the robot walks on.",
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
    deadline = time.time() + 60.0 * minutes if minutes is not None else float("inf")
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


def run_cells(
    groups: Sequence[Sequence["Cell"]],
    seeds: Iterable[int],
    *,
    processes: int,
    deadline: float,
    file: Path | None,
    critic_file: Path | None,
    start_seed: int = 0,
    ray: str = "",
) -> list[dict[str, Any]]:
    """Evaluate groups of cells one after the other and print their table.

    Args:
        groups: cells whose episodes are walked together; earlier groups first.
        seeds: one per episode of each cell.
        processes: number of worker processes.
        deadline: Unix time after which no episode begins [s].
        file: JSON file of results; episodes that it holds are not repeated. None keeps none.
        critic_file: file of the safety critic, for cells that need one.
        start_seed: seed that the environments start with.
        ray: address of a Ray cluster; empty for this machine.

    Returns:
        The rows of all cells, as in the JSON file.
    """
    from safe_locomotion.evaluation.baselines import CRITIC
    from safe_locomotion.evaluation.results import Evaluation
    from safe_locomotion.evaluation.walkers import Walkers, critic_from
    from safe_locomotion.evaluation.walkers import evaluate as walk_all

    cells = list(dict.fromkeys(cell for group in groups for cell in group))
    evaluation = Evaluation(cells, file)
    jobs = list(
        evaluation.jobs([[cells.index(cell) for cell in group] for group in groups], list(seeds))
    )
    shared = len({cell.unsupervised for cell in cells}) == 1
    critics = {}
    for lesson in dict.fromkeys(
        cells[job.cell].unsupervised for job in jobs if cells[job.cell].supervisor == CRITIC
    ):
        if critic_file is None:
            raise ConfigurationError(
                "the supervisor critic needs --critic FILE, a file that holds the trained critic"
                " or will hold it"
            )
        own = critic_file if shared else _critic_file_of(critic_file, lesson)
        critics[lesson] = critic_from(own, lesson, processes=processes, ray=ray)
    make = Walkers(
        cells=cells, models=_models(cells), critics=critics, deadline=deadline, seed=start_seed
    )
    walk_all(evaluation, jobs, make, processes=processes, ray=ray)
    rows = evaluation.rows()
    console().print(table(rows))
    return rows


def _critic_file_of(file: Path, lesson: "Cell") -> Path:
    """File of one critic among several: task and pushes stand in its name."""
    pushed = ""
    if lesson.push:
        pushed = f"-{lesson.push:g}Ns-{lesson.push_offset:g}m-{lesson.friction:g}"
    return file.with_name(f"{file.stem}.{lesson.task}{pushed}{file.suffix}")


def table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Table of cells, with intervals of 95 %."""
    shown = Table(box=None)
    for heading in ("policy", "task", "supervisor", "w", "set", "ground", "push"):
        shown.add_column(heading)
    for heading in (
        "falls",
        "of",
        "fall rate [%]",
        "uses",
        "recovery [%]",
        "in set [%]",
        "reward",
        "energy [J]",
    ):
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(
            f"random {row['sigma']:g}" if row["policy"] == RANDOM else row["policy"],
            row["task"],
            row["supervisor"],
            str(row["horizon"] or "-"),
            row["trigger_set"],
            f"{row['terrain']} {row['friction']:g}",
            f"{row['push']:g}" if row["push"] else "-",
            str(row["falls"]),
            str(row["episodes"]),
            _interval(row["falls_interval"], ".1f", 100.0),
            str(row["uses"]),
            f"{100.0 * row['share']:.1f} ({_interval(row['share_interval'], '.1f', 100.0)})",
            f"{100.0 * row['triggered']:.2f}",
            f"{row['reward']:.0f} ({_interval(row['reward_interval'], '.0f')})",
            f"{row['energy_j']:.0f} ({_interval(row['energy_j_interval'], '.0f')})",
        )
    return shown


def _interval(bounds: Sequence[float], form: str, factor: float = 1.0) -> str:
    """Both ends of an interval, in the format `form`."""
    return "..".join(format(factor * bound, form) for bound in bounds)


def draw(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw falls and recovery share of each cell, with intervals of 95 %."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = [label(row) for row in rows]
    figure, axes = plt.subplots(
        1, 2, sharey=True, figsize=(11.0, 1.5 + 0.3 * len(rows)), layout="constrained"
    )
    for axis, interval, values, title in (
        (
            axes[0],
            "falls_interval",
            [row["falls"] / row["episodes"] for row in rows],
            "episodes that fell [%]",
        ),
        (axes[1], "share_interval", [row["share"] for row in rows], "steps under recovery [%]"),
    ):
        low, high = zip(*(row[interval] for row in rows), strict=True)
        errors = [[max(0.0, 100 * (v - a)) for v, a in zip(values, low, strict=True)]]
        errors.append([max(0.0, 100 * (b - v)) for v, b in zip(values, high, strict=True)])
        axis.barh(names, [100 * v for v in values], xerr=errors, capsize=2)
        axis.set_xlabel(title)
    axes[0].invert_yaxis()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


def label(row: Mapping[str, Any]) -> str:
    """Name of a cell's bar, unique among the cells of one policy and ground."""
    words = [row["task"], row["supervisor"], str(row["horizon"] or ""), row["trigger_set"]]
    return " ".join(
        words + [f"{key.rpartition('.')[2]}={value}" for key, value in row["overrides"]]
    )


def _cells(options: Mapping[str, Any]) -> list["Cell"]:
    """One cell for each supervisor, horizon and trigger set."""
    from safe_locomotion.evaluation.cells import SIGMAS, Cell

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


def _models(cells: Iterable["Cell"]) -> dict[str, "Model"]:
    """Policies from files, each read once and checked for its robot."""
    named = {(cell.policy, cell.robot) for cell in cells if cell.policy not in (RANDOM, NOMINAL)}
    if not named:
        return {}
    from safe_locomotion.config import load_config
    from safe_locomotion.policy.file import check_fit, find_policy, read_policy
    from safe_locomotion.robot.models import load_robot

    models = {}
    for name, robot in named:
        models[name] = read_policy(find_policy(name))
        check_fit(models[name][0], load_robot(robot), load_config(robot).bridge.limits)
    return models
