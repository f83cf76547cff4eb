"""`safe-locomotion experiment`: the experiments of the papers, on one GPU or a slow CPU."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safe_locomotion.errors import ConfigurationError

if TYPE_CHECKING:
    from safe_locomotion.training.gait.trainer import TrainingOptions

FIGURES = ("fig3", "fig4a", "fig4b", "beyond")
ABOUT = "about.json"
TIME_IS_UP = 3


@click.command()
@click.argument("figures", nargs=-1, required=True, type=click.Choice(FIGURES))
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Seeds of each learner and task.",
)
@click.option(
    "--updates",
    type=click.IntRange(min=1),
    default=1360,
    show_default=True,
    help="Updates of a run, each of 10 trajectories.",
)
@click.option(
    "--robot",
    type=click.Choice(("a1", "go2", "go1", "laikago")),
    default="a1",
    show_default=True,
    help="Robot that learns.",
)
@click.option(
    "--physics-ms",
    type=click.FloatRange(min=0.1, max=2.0),
    default=1.0,
    show_default=True,
    help="Time step of the physics [ms].",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="Policy steps of a trajectory, of 8 ms each.",
)
@click.option(
    "--robots",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Trajectories of an update.",
)
@click.option(
    "--seeking",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Rounds that seek falls, for the critic of Recovery RL.",
)
@click.option(
    "--critic-updates",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Steps in which that critic learns.",
)
@click.option(
    "--device", default="cuda:0", show_default=True, help="Device of torch: cuda:0 or cpu."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0),
    default=600.0,
    show_default=True,
    help="Wall-clock time after which it stops at the next update [min].",
)
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in the folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of checkpoint, results and pages.",
)
def experiment(
    *, figures: tuple[str, ...], minutes: float, resume: bool, out: Path, **chosen: Any
) -> int:
    """Train every run of some figures of paper 1, and write their results and pages.

    The runs of all named figures are trained side by side; a run that two figures need is trained
    once. It needs the extra 'train'. The exit status is 3 when the time was up before the end.
    """
    try:
        from safe_locomotion.training.gait.devices import check_device
        from safe_locomotion.training.gait.trainer import train
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: pip install 'safe_locomotion[train]'"
        ) from error
    check_device(chosen["device"])
    began = time.monotonic()
    options = _options(figures, **chosen)
    trainer = train(options, out, minutes=minutes, resume=resume, tell=click.echo)
    about = _about(figures, chosen, _minutes_before(out) + (time.monotonic() - began) / 60.0)
    (out / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")
    _write(out, figures, trainer, about)
    return 0 if trainer.updates >= options.updates else TIME_IS_UP


def _options(
    figures: tuple[str, ...],
    *,
    runs: int,
    updates: int,
    robot: str,
    physics_ms: float,
    steps: int,
    robots: int,
    seeking: int,
    critic_updates: int,
    device: str,
) -> "TrainingOptions":
    """What is trained."""
    from safe_locomotion.training.gait.grid import runs_of
    from safe_locomotion.training.gait.trainer import TrainingOptions
    from safe_locomotion.training.gait.world.world import WorldOptions

    return TrainingOptions(
        runs=tuple(runs_of(figures, runs)),
        world=WorldOptions(robot=robot, physics_ms=physics_ms, device=device),
        updates=updates,
        steps=steps,
        robots=robots,
        seeking=seeking,
        critic_updates=critic_updates,
    )


def _about(figures: tuple[str, ...], chosen: dict[str, Any], minutes: float) -> dict[str, Any]:
    """Where results come from."""
    from safe_locomotion.training.exporting import code_commit
    from safe_locomotion.training.gait.devices import device_name

    words = [f"--{name.replace('_', '-')} {value}" for name, value in chosen.items()]
    return {
        "command": " ".join(["safe-locomotion experiment", *figures, *words]),
        "commit": code_commit(),
        "device": device_name(chosen["device"]),
        "minutes": round(minutes, 2),
    }


def _write(out: Path, figures: tuple[str, ...], trainer: Any, about: dict[str, Any]) -> None:
    """Results and page of each figure."""
    from safe_locomotion.training.gait.pictures import page
    from safe_locomotion.training.gait.results import cells, read, write

    if not trainer.history:
        return
    options = trainer.options
    found = cells(options.runs, trainer.history, options.world.robot, options.robots)
    for figure in figures:
        path = out / f"paper1_{figure}.json"
        write(path, figure, found, about)
        path.with_suffix(".html").write_text(page(read(path)), encoding="utf-8")
        click.echo(f"{path.with_suffix('.html')}: {figure} after {trainer.updates} updates")


def _minutes_before(out: Path) -> float:
    """Minutes that earlier parts of this experiment took."""
    try:
        return float(json.loads((out / ABOUT).read_text(encoding="utf-8"))["minutes"])
    except (OSError, ValueError, KeyError):
        return 0.0
