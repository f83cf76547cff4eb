"""`train joint --task alarm` and `experiment alarm-fig3|alarm-fig4`: trainings of ALARM."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safe_locomotion.cli.options import robot_option
from safe_locomotion.cli.training.options import (
    TIME_IS_UP,
    command_line,
    device_option,
    devices_of,
    devices_option,
    names_of,
    require_training,
    seed_option,
    with_options,
)

if TYPE_CHECKING:
    from safe_locomotion.training.joint.alarm.learning.training import TrainingOptions

FIGURES = ("alarm-fig3", "alarm-fig4")
VARIANTS = (
    *("alarm", "concurrent", "dreamwaq", "two_stage", "no_en", "no_lstm_ac", "no_decoder"),
    *("no_constraints", "beta_by_clock", "beta_as_written"),
)

_OPTIONS = (
    robot_option,
    click.option(
        "--steps",
        type=click.IntRange(min=1),
        default=500_000_000,
        show_default=True,
        help="Policy steps of all robots together, after which a training ends.",
    ),
    click.option(
        "--envs",
        type=click.IntRange(min=1),
        default=8192,
        show_default=True,
        help="Robots that walk at once.",
    ),
    click.option(
        "--delta",
        type=click.FloatRange(0.0, 1.0),
        default=0.004,
        show_default=True,
        help="Increment of beta in an iteration; the paper names none.",
    ),
    click.option(
        "--entropy",
        type=click.FloatRange(0.0, 1.0),
        default=0.01,
        show_default=True,
        help="Weight of the entropy of the actions; the paper names none.",
    ),
    device_option,
    click.option("--no-capture", is_flag=True, help="Replay no graphs on the GPU; it is slower."),
    click.option(
        "--minutes",
        type=click.FloatRange(min=0.0),
        default=600.0,
        show_default=True,
        help="Wall-clock time after which it stops at the next iteration [min].",
    ),
    click.option("--resume", is_flag=True, help="Continue from the checkpoints in the folder."),
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        help="Folder of checkpoints, weights, results and pages.",
    ),
)


alarm_options = with_options(_OPTIONS)
"""Give a command the options of a training of ALARM."""


@click.command("joint")
@click.option("--task", type=click.Choice(("alarm",)), required=True, help="alarm, for this help.")
@click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    default="alarm",
    show_default=True,
    help="ALARM, one of its baselines, or one of its ablations.",
)
@seed_option(default=0)
@alarm_options
def train_alarm(
    *, task: str, variant: str, seed: int, minutes: float, resume: bool, out: Path, **chosen: Any
) -> int:
    """Train a joint policy by ALARM for slopes, stairs and obstacles.

    The folder then holds checkpoint, history, and the weights that `export` reads. It needs the
    extra 'train'. The exit status is 3 when the time was up before the end.
    """
    require_alarm(chosen["device"])
    from safe_locomotion.training.joint.alarm.experiment import Run, train_run

    words = {"task": task, "variant": variant, "seed": seed, **chosen}
    options = _options(command_line("train joint", words), variant=variant, seed=seed, **chosen)
    run = Run(options=options, folder=out)
    done = train_run(run, minutes=minutes, resume=resume, tell=click.echo)
    click.echo(f"{'done' if done else 'time is up'}: {out}")
    return 0 if done else TIME_IS_UP


@click.command("experiment")
@click.argument("figures", nargs=-1, required=True, type=click.Choice(FIGURES))
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Seeds of each variant.",
)
@click.option(
    "--variants",
    default="",
    metavar="NAME,NAME,...",
    help="Variants of alarm-fig3. [default: all of the figure]",
)
@click.option(
    "--walk-s",
    type=click.FloatRange(min=0.1, max=60.0),
    default=6.0,
    show_default=True,
    help="Time of the walk up stairs of alarm-fig4 [s].",
)
@devices_option
@alarm_options
def alarm_figures(
    *,
    figures: tuple[str, ...],
    runs: int,
    variants: str,
    walk_s: float,
    devices: str,
    minutes: float,
    resume: bool,
    out: Path,
    **chosen: Any,
) -> int:
    """Train the variants of some figures of ALARM, and write their results and pages.

    A training that two figures need is made once. The exit status is 3 when the time was up before
    the end; results and pages are written all the same.
    """
    named = devices_of(devices, chosen["device"])
    for device in named:
        require_alarm(device)
    from safe_locomotion.training.joint.alarm.experiment import Share, runs_of, train_on_devices
    from safe_locomotion.training.joint.alarm.pages import write_figure
    from safe_locomotion.training.provenance import write_about

    words = {"runs": runs, "variants": variants, **chosen}
    command = command_line(" ".join(["experiment", *figures]), words)
    common = _options(command, variant="alarm", seed=0, **chosen)
    wanted = {figure: _variants(figure, variants) for figure in figures}
    every = list(dict.fromkeys(name for names in wanted.values() for name in names))
    began = time.monotonic()
    share = Share(runs=tuple(runs_of(every, runs, common, out)), minutes=minutes, resume=resume)
    done = train_on_devices(share, named, tell=click.echo)
    about = write_about(out, command, named, (time.monotonic() - began) / 60.0)
    for figure, names in wanted.items():
        path = write_figure(figure, runs_of(names, runs, common, out), about, out, walk_s)
        click.echo(f"{path}: {figure}" if path else f"{figure}: no iteration yet, so no page")
    return 0 if done else TIME_IS_UP


def require_alarm(device: str) -> None:
    """Refuse to train where the libraries or the device are missing.

    Raises:
        ConfigurationError: with what can be done.
    """
    require_training("safe_locomotion.training.joint.alarm.experiment")
    from safe_locomotion.training.devices import check_device

    check_device(device)


def _variants(figure: str, named: str) -> Sequence[str]:
    """Variants of a figure.

    Raises:
        UnknownNameError: a named one does not exist.
    """
    from safe_locomotion.training.joint.alarm.experiment import FIG3, FIG4
    from safe_locomotion.training.joint.alarm.learning.variants import variant_named

    names = names_of(named)
    for name in names:
        variant_named(name)
    return FIG4 if figure == "alarm-fig4" else names or FIG3


def _options(
    command: str,
    *,
    variant: str,
    seed: int,
    robot: str,
    steps: int,
    envs: int,
    delta: float,
    entropy: float,
    device: str,
    no_capture: bool,
) -> "TrainingOptions":
    """What is trained."""
    from safe_locomotion.training.joint.alarm.learning.settings import Settings
    from safe_locomotion.training.joint.alarm.learning.training import TrainingOptions

    return TrainingOptions(
        variant=variant,
        robot=robot,
        seed=seed,
        envs=envs,
        steps=steps,
        settings=Settings(delta=delta, entropy=entropy),
        device=device,
        capture=not no_capture,
        command=command,
    )
