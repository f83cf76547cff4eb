"""Evaluate cells of episodes, with the policies and critics that they need."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_locomotion.cli.evaluate.tables import WIDE, table
from safe_locomotion.cli.output import console
from safe_locomotion.cli.progress import progress
from safe_locomotion.envs.random_gait import NAME as RANDOM
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.stage import NOMINAL

if TYPE_CHECKING:
    from safe_locomotion.evaluation.baselines import SafetyCritic
    from safe_locomotion.evaluation.cells import Cell
    from safe_locomotion.evaluation.results import Job
    from safe_locomotion.evaluation.walkers import Model


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
    from safe_locomotion.evaluation.results import Evaluation
    from safe_locomotion.evaluation.walkers import Walkers
    from safe_locomotion.evaluation.walkers import evaluate as walk_all

    cells = list(dict.fromkeys(cell for group in groups for cell in group))
    evaluation = Evaluation(cells, file)
    jobs = list(
        evaluation.jobs([[cells.index(cell) for cell in group] for group in groups], list(seeds))
    )
    critics = _critics(cells, jobs, critic_file, processes, ray)
    make = Walkers(
        cells=cells, models=_models(cells), critics=critics, deadline=deadline, seed=start_seed
    )
    with progress("walks", len(jobs)) as tell:
        walk_all(evaluation, jobs, make, processes=processes, ray=ray, tell=tell)
    rows = evaluation.rows()
    out = console()
    out.print(table(rows, short=out.width < WIDE))
    return rows


def _critics(
    cells: Sequence["Cell"], jobs: Iterable["Job"], file: Path | None, processes: int, ray: str
) -> dict["Cell", "SafetyCritic"]:
    """Safety critics of the cells that need one, by the cell they learn from."""
    from safe_locomotion.evaluation.baselines import CRITIC
    from safe_locomotion.evaluation.walkers import critic_from

    shared = len({cell.unsupervised for cell in cells}) == 1
    supervised = (cells[job.cell] for job in jobs)
    lessons = (cell.unsupervised for cell in supervised if cell.supervisor == CRITIC)
    critics = {}
    for lesson in dict.fromkeys(lessons):
        if file is None:
            raise ConfigurationError(
                "the supervisor critic needs --critic FILE, a file that holds the trained critic"
                " or will hold it"
            )
        own = file if shared else _critic_file_of(file, lesson)
        critics[lesson] = critic_from(own, lesson, processes=processes, ray=ray)
    return critics


def _critic_file_of(file: Path, lesson: "Cell") -> Path:
    """File of one critic among several: task and pushes stand in its name."""
    pushed = ""
    if lesson.push:
        pushed = f"-{lesson.push:g}Ns-{lesson.push_offset:g}m-{lesson.friction:g}"
    return file.with_name(f"{file.stem}.{lesson.task}{pushed}{file.suffix}")


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
