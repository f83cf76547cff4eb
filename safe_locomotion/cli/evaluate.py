"""`safe-locomotion evaluate`: falls, and what it costs to prevent them, over many simulated episodes."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from rich.console import Console
from rich.table import Table

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.random_gait import NAME as RANDOM
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.robot.models import robot_names
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING

if TYPE_CHECKING:
    from safe_locomotion.evaluation.cells import Cell
    from safe_locomotion.evaluation.walkers import Model

PLAIN_WIDTH = 140  # columns where the output is no terminal
DEFAULT_CRITERIA = ",".join(CRITERIA)
TASKS = ("trot", "catwalk", "two_leg", "pacing")
TERRAINS = ("flat", "slope", "stairs", "rough")


@click.command()
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
@click.option(
    "--policy",
    default=RANDOM,
    show_default=True,
    help="Name or path of a policy, nominal, or random: one that never learned.",
)
@click.option(
    "--task",
    type=click.Choice(TASKS),
    default="trot",
    show_default=True,
    help="Reward and first gait.",
)
@click.option(
    "--supervisor",
    default=DEFAULT_CRITERIA,
    show_default=True,
    help="Criteria; also ellipsoid and critic, rules of others.",
)
@click.option(
    "--horizon",
    default="10",
    show_default=True,
    help="Steps of 0.016 s that reachability and planning look ahead.",
)
@click.option(
    "--trigger-set", default="c1", show_default=True, help="Boxes of the configuration: c1, c2, c3."
)
@click.option(
    "--measures",
    default="configured",
    show_default=True,
    help="Of the trigger set's components: configured, paper.",
)
@click.option(
    "--episodes", type=click.IntRange(min=1), default=100, show_default=True, help="In each cell."
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0.5),
    default=12.0,
    show_default=True,
    help="Of an episode [s].",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option(
    "--ray",
    default="",
    help="Address of a Ray cluster that runs the processes: HOST:PORT or auto. Without: this machine.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Begin no episode after this wall-clock time.",
)
@click.option(
    "--pushes",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="Impulse of a push from anywhere each 1.5 to 3 s [N s].",
)
@click.option(
    "--push-offset",
    type=float,
    default=0.0,
    help="How far before the centre of mass pushes attack [m].",
)
@click.option(
    "--friction", type=float, default=0.8, show_default=True, help="Between feet and ground."
)
@click.option(
    "--terrain", type=click.Choice(TERRAINS), default="flat", show_default=True, help="Ground."
)
@click.option(
    "--sigma",
    type=click.FloatRange(min=0.0),
    help="Of one step of the random policy's walk; by task when not given.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    help="Parameter of the robot's configuration: SECTION.KEY=VALUE.",
)
@click.option(
    "--critic",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Safety critic; one is trained when there is no such file.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the first episode."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Results; goes on with what is there.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Picture of falls and share of recovery.",
)
def evaluate(
    *,
    json_file: Path | None,
    plot: Path | None,
    critic: Path | None,
    minutes: float | None,
    **options: Any,
) -> int:
    """Walk episodes of a policy with each supervisor, and say how often the robot fell and how much of the learner was left."""
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
    """Evaluate groups of cells one after the other and print their table; the rows of the file."""
    from safe_locomotion.evaluation.baselines import CRITIC
    from safe_locomotion.evaluation.results import Evaluation
    from safe_locomotion.evaluation.walkers import Walkers, critic_from
    from safe_locomotion.evaluation.walkers import evaluate as walk_all

    cells = list(dict.fromkeys(cell for group in groups for cell in group))
    evaluation = Evaluation(cells, file)
    jobs = list(
        evaluation.jobs([[cells.index(cell) for cell in group] for group in groups], list(seeds))
    )
    only = len({cell.unsupervised for cell in cells}) == 1
    critics = {}
    for lesson in dict.fromkeys(
        cells[job.cell].unsupervised for job in jobs if cells[job.cell].supervisor == CRITIC
    ):
        if critic_file is None:
            raise ConfigurationError(
                "the supervisor critic needs --critic FILE, in which a trained one is or will be"
            )
        pushed = (
            f"-{lesson.push:g}Ns-{lesson.push_offset:g}m-{lesson.friction:g}" if lesson.push else ""
        )
        own = (
            critic_file
            if only
            else critic_file.with_name(
                f"{critic_file.stem}.{lesson.task}{pushed}{critic_file.suffix}"
            )
        )
        critics[lesson] = critic_from(own, lesson, processes=processes, ray=ray)
    make = Walkers(
        cells=cells, models=_models(cells), critics=critics, deadline=deadline, seed=start_seed
    )
    walk_all(evaluation, jobs, make, processes=processes, ray=ray)
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    rows = evaluation.rows()
    console.print(table(rows))
    return rows


def table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Cells as a table; intervals of 95 %."""
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
        low, high = (100.0 * x for x in row["falls_interval"])
        share = [100.0 * x for x in (row["share"], *row["share_interval"])]
        reward, energy = (_spread(row, name) for name in ("reward", "energy_j"))
        shown.add_row(
            f"random {row['sigma']:g}" if row["policy"] == RANDOM else row["policy"],
            *(row["task"], row["supervisor"], str(row["horizon"] or "-"), row["trigger_set"]),
            f"{row['terrain']} {row['friction']:g}",
            f"{row['push']:g}" if row["push"] else "-",
            *(str(row["falls"]), str(row["episodes"]), f"{low:.1f}..{high:.1f}", str(row["uses"])),
            f"{share[0]:.1f} ({share[1]:.1f}..{share[2]:.1f})",
            f"{100.0 * row['triggered']:.2f}",
            *(reward, energy),
        )
    return shown


def draw(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Falls and share of recovery of each cell, with their intervals."""
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
    """Names a cell's bar; no two cells of one policy and ground share it."""
    words = [row["task"], row["supervisor"], str(row["horizon"] or ""), row["trigger_set"]]
    return " ".join(
        words + [f"{key.rpartition('.')[2]}={value}" for key, value in row["overrides"]]
    )


def _spread(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.0f} ({low:.0f}..{high:.0f})"


def _cells(options: Mapping[str, Any]) -> list["Cell"]:
    """One cell for each supervisor, horizon and trigger set."""
    from safe_locomotion.evaluation.cells import SIGMAS, Cell

    try:
        horizons = [int(text) for text in options["horizon"].split(",")]
    except ValueError:
        raise ConfigurationError(
            f"--horizon: whole numbers with commas between them are needed (found {options['horizon']!r})"
        ) from None
    same = {
        name: options[name]
        for name in (
            "robot",
            "task",
            "policy",
            "measures",
            "terrain",
            "friction",
            "push_offset",
            "duration",
        )
    }
    sigma = SIGMAS[options["task"]] if options["sigma"] is None else options["sigma"]
    same["overrides"] = tuple(_override(text) for text in options["overrides"])
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


def _override(text: str) -> tuple[str, Any]:
    """Key and value of SECTION.KEY=VALUE, the value as YAML."""
    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigurationError(f"--set {text!r}: SECTION.KEY=VALUE is needed")
    return key, yaml.safe_load(value)


def _models(cells: Iterable["Cell"]) -> dict[str, "Model"]:
    """Policies from files, read once and checked against the robot."""
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
