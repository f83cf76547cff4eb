"""One training of some runs, on one device or on several: train, write results, export."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safe_locomotion.cli.training.options import TIME_IS_UP, command_line

if TYPE_CHECKING:
    from safe_locomotion.training.gait.grid import Recovery, Run
    from safe_locomotion.training.gait.parallel import Progress
    from safe_locomotion.training.gait.trainer import TrainingOptions

POLICIES = "policies"


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a command trains.

    Attributes:
        command: as typed behind the program, without its options.
        pages: file name and figure of each page.
        runs: of the grid.
        devices: of torch; several share the runs.
        minutes: of wall-clock time.
        resume: continue from the checkpoint.
        export: write the policies at the end.
        out: folder.
        chosen: the other options, by name.
    """

    command: str
    pages: Sequence[tuple[str, str]]
    runs: "Sequence[Run]"
    devices: Sequence[str]
    minutes: float
    resume: bool
    export: bool
    out: Path
    chosen: dict[str, Any]


def recovery_of(option: str) -> "Recovery":
    """Kind of the recovery policy that `--recovery` names."""
    return "tuned" if option == "tuned" else "learned"


def train(training: Training) -> int:
    """Train, and write results and pages; the exit status is 3 when the time was up."""
    from safe_locomotion.training.devices import check_device
    from safe_locomotion.training.provenance import write_about

    for device in training.devices:
        check_device(device)
    began = time.monotonic()
    out = training.out
    options = _options(training)
    progress = _progress(training, options)
    minutes = (time.monotonic() - began) / 60.0
    about = write_about(out, _command(training), training.devices, minutes)
    _write(training, progress, about)
    done = progress.updates >= options.updates
    if training.export and done:
        _export(out)
    return 0 if done else TIME_IS_UP


def _options(training: Training) -> "TrainingOptions":
    from safe_locomotion.training.gait.trainer import TrainingOptions
    from safe_locomotion.training.gait.world.world import WorldOptions

    chosen = training.chosen
    return TrainingOptions(
        runs=tuple(training.runs),
        world=WorldOptions(
            robot=chosen["robot"],
            physics_ms=chosen["physics_ms"],
            recovery=chosen["recovery"],
            device=training.devices[0],
        ),
        updates=chosen["updates"],
        steps=chosen["steps"],
        robots=chosen["robots"],
        seeking=chosen["seeking"],
        critic_updates=chosen["critic_updates"],
    )


def _progress(training: Training, options: "TrainingOptions") -> "Progress":
    """Train on one device here, or on several in processes of their own."""
    from safe_locomotion.training.devices import enough_memory
    from safe_locomotion.training.gait.parallel import Progress, parts_of, train_parts
    from safe_locomotion.training.gait.trainer import train as train_here

    out = training.out
    minutes = training.minutes
    resume = training.resume
    if len(training.devices) > 1:
        out.mkdir(parents=True, exist_ok=True)
        return train_parts(parts_of(options, training.devices, out, minutes, resume))
    with enough_memory(training.devices[0]):
        trainer = train_here(options, out, minutes=minutes, resume=resume, tell=click.echo)
    return Progress(runs=options.runs, history=trainer.history)


def _command(training: Training) -> str:
    """The command that repeats this training."""
    several = "devices" if len(training.devices) > 1 else "device"
    words = {**training.chosen, several: ",".join(training.devices)}
    return command_line(training.command, words)


def _write(training: Training, progress: "Progress", about: dict[str, Any]) -> None:
    """Results and pages."""
    from safe_locomotion.training.gait.pictures import write_page
    from safe_locomotion.training.gait.results import cells, write

    if not progress.history:
        return
    chosen = training.chosen
    found = cells(progress.runs, progress.history, chosen["robot"], chosen["robots"])
    for stem, figure in training.pages:
        path = training.out / f"{stem}.json"
        write(path, figure, found, about, recovery_of(chosen["recovery"]))
        click.echo(f"{write_page(path)}: {figure} after {progress.updates} updates")


def _export(out: Path) -> None:
    """Policies of all runs."""
    from safe_locomotion.training.gait.policies import export_all

    written = export_all(out, out / POLICIES)
    click.echo(f"{out / POLICIES}: {len(written)} policies")
