"""`safe-locomotion experiment`: the experiments of the papers, on GPUs or a slow CPU."""

from pathlib import Path
from typing import Any

import click

from safe_locomotion.cli.dispatch import Dispatch, names_any
from safe_locomotion.cli.training.alarm import FIGURES as ALARM_FIGURES
from safe_locomotion.cli.training.alarm import alarm_figures
from safe_locomotion.cli.training.options import (
    devices_of,
    devices_option,
    require_training,
    training_options,
)
from safe_locomotion.cli.training.run import Training, recovery_of, train
from safe_locomotion.errors import ConfigurationError

FIGURES = ("fig3", "fig4a", "fig4b", "beyond", "recovery", "learned")


@click.command(cls=Dispatch, other=alarm_figures, chooses=names_any(*ALARM_FIGURES))
@click.argument("figures", nargs=-1, required=True, type=click.Choice(FIGURES))
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Seeds of each learner and task.",
)
@training_options
@devices_option
def experiment(
    *,
    figures: tuple[str, ...],
    runs: int,
    devices: str,
    device: str,
    minutes: float,
    resume: bool,
    export: bool,
    out: Path,
    **chosen: Any,
) -> int:
    """Train every run of some figures of paper 1, and write their results and pages.

    The runs of all named figures are trained side by side; a run that two figures need is trained
    once. It needs the extra 'train'. The exit status is 3 when the time was up before the end.

    alarm-fig3 and alarm-fig4 are figures of ALARM, with options of their own: see
    `experiment alarm-fig3 --help`.
    """
    require_training()
    from safe_locomotion.training.gait.grid import runs_of

    recovery = recovery_of(chosen["recovery"])
    if "learned" in figures and recovery == "tuned":
        raise ConfigurationError(
            "learned: needs --recovery FILE, such as a policy of 'experiment recovery --export'"
        )
    return train(
        Training(
            command=" ".join(["experiment", *figures]),
            pages=[(f"paper1_{figure}", figure) for figure in figures],
            runs=runs_of(figures, runs, recovery),
            devices=devices_of(devices, device),
            minutes=minutes,
            resume=resume,
            export=export,
            out=out,
            chosen={"runs": runs, **chosen},
        )
    )
