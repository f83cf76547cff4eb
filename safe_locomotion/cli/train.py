"""`safe-locomotion train` and `safe-locomotion export`: train policies and write their files."""

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safe_locomotion.cli.dispatch import Dispatch, names_option
from safe_locomotion.cli.options import robot_option
from safe_locomotion.cli.progress import progress, time_left
from safe_locomotion.cli.training.alarm import train_alarm
from safe_locomotion.cli.training.gait import gait
from safe_locomotion.cli.training.options import require_training, seed_option
from safe_locomotion.envs.gait_tasks import TASKS

if TYPE_CHECKING:
    from safe_locomotion.policy.contract import PolicyContract
    from safe_locomotion.training.gait.evolution import EvolutionOptions

minutes_option = partial(
    click.option,
    "--minutes",
    type=click.FloatRange(min=0.0),
    show_default=True,
    help="Wall-clock time of the training [min].",
)


@click.group()
def train() -> None:
    """Train a policy on the simulated robot."""


train.add_command(gait)


@train.command()
@robot_option
@click.option(
    "--task",
    type=click.Choice(tuple(TASKS)),
    default="trot",
    show_default=True,
    help="Task that gives the reward.",
)
@seed_option(default=0)
@minutes_option(default=10.0)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes.",
)
@click.option(
    "--generations",
    type=click.IntRange(min=1),
    help="Stop after this many generations, counted from the first. [default: no limit]",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Antithetic pairs in a generation.",
)
@click.option(
    "--episode",
    type=click.FloatRange(min=1.0),
    default=5.0,
    show_default=True,
    help="Length of an episode [s].",
)
@click.option(
    "--push-share",
    type=click.FloatRange(0.0, 1.0),
    default=0.4,
    show_default=True,
    help="Share of the episodes with pushes.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the checkpoint.",
)
def evolution(
    *, minutes: float, workers: int, generations: int | None, out: Path, **options: Any
) -> int:
    """Search for a gait policy by evolution strategies, on the CPU and the onboard pipeline.

    A search that was interrupted continues from its checkpoint.
    """
    from safe_locomotion.training.gait.evolution import evolve

    folder = out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (folder / "progress.jsonl").open("a", encoding="utf-8") as log:

        def tell(figures: dict[str, float]) -> None:
            log.write(json.dumps(figures) + "\n")
            log.flush()
            left = 60.0 * minutes - (time.monotonic() - began)
            if generations is not None:
                left = min(left, figures["seconds"] * (generations - figures["generation"]))
            click.echo(f"{_line(figures)}  {time_left(left)}")

        search = evolve(
            _evolution(**options),
            minutes=minutes,
            processes=workers,
            folder=folder,
            tell=tell,
            generations=generations,
        )
    click.echo(
        f"{search.generation} generations,"
        f" best validated fitness {search.best_fitness:.4f}: {folder}"
    )
    return 0


def _evolution(
    *, robot: str, task: str, seed: int, pairs: int, episode: float, push_share: float
) -> "EvolutionOptions":
    """Options of the search, with the command that repeats it."""
    from safe_locomotion.envs.gait_env import GaitEnvOptions
    from safe_locomotion.sim.options import SimulationOptions
    from safe_locomotion.training.gait.evolution import EvolutionOptions

    environment = GaitEnvOptions(
        task=task,
        duration=episode,
        command_period=episode,
        push_share=push_share,
        simulation=SimulationOptions(robot=robot, seed=seed),
    )
    command = (
        f"safe-locomotion train evolution --robot {robot} --task {task} --seed {seed}"
        f" --pairs {pairs} --episode {episode:g} --push-share {push_share:g}"
    )
    return EvolutionOptions(environment=environment, pairs=pairs, seed=seed, command=command)


@train.command(cls=Dispatch, other=train_alarm, chooses=names_option("--task", "alarm"))
@click.option(
    "--task",
    type=click.Choice(("flat", "alarm")),
    default="flat",
    show_default=True,
    help="alarm: slopes, stairs and obstacles; see --task alarm --help for its options.",
)
@seed_option(default=2)
@minutes_option(default=9.0)
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Stop after this many iterations.",
)
@click.option(
    "--envs",
    type=click.IntRange(min=1),
    default=8192,
    show_default=True,
    help="Robots that are simulated at once.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Policy steps in an iteration.",
)
@click.option(
    "--entropy",
    type=click.FloatRange(min=0.0),
    default=0.008,
    show_default=True,
    help="Weight of the entropy bonus.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File joint.pt of an earlier training to continue from.",
)
@click.option(
    "--device", default="", help="Device of torch, e.g. cuda:0 or cpu. [default: the first GPU]"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the weights.",
)
def joint(
    *,
    task: str,
    seed: int,
    minutes: float,
    iterations: int,
    envs: int,
    steps: int,
    entropy: float,
    resume: Path | None,
    device: str,
    out: Path,
) -> int:
    """Train a recurrent joint policy of the A1 by PPO, on flat ground.

    This needs the extra 'train'. Without a GPU it is slow.
    """
    require_training("safe_locomotion.training.joint.ppo")
    from safe_locomotion.training.joint.ppo import JointTraining, train_joint

    command = (
        f"safe-locomotion train joint --task {task} --seed {seed} --envs {envs} --steps {steps}"
        f" --entropy {entropy:g} --minutes {minutes:g}"
    )
    if resume:
        command += f" --resume {resume.name}"
    options = JointTraining(
        out=out,
        command=command,
        seed=seed,
        envs=envs,
        steps=steps,
        iterations=iterations,
        minutes=minutes,
        entropy=entropy,
        resume=resume,
        device=device,
    )
    with progress("trains", 1.0) as tell:
        done = train_joint(options, tell)
    click.echo(f"{done} iterations: {out}")
    return 0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, help="Name of the policy.")
@click.option("--run", default="", help="Run of a grid, such as a1-catwalk-trpo-s0.")
@click.option(
    "--last",
    is_flag=True,
    help="Take the last weights of an evolution, not the best validated ones.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. [default: models/policies/NAME.onnx]",
)
def export(*, folder: Path, name: str, run: str, last: bool, out: Path | None) -> int:
    """Write the policy that was trained in FOLDER, gait or joint, as a file for the robot.

    The file holds the network, its contract and recorded pairs of observation and action.
    """
    from safe_locomotion.training.gait.evolution import CHECKPOINT
    from safe_locomotion.training.gait.export import export_gait
    from safe_locomotion.training.joint.alarm.learning.export import export_alarm
    from safe_locomotion.training.joint.alarm.learning.files import WEIGHTS as ALARM_WEIGHTS
    from safe_locomotion.training.joint.export import WEIGHTS, export_joint

    target = out or Path("models/policies") / f"{name}.onnx"
    if (folder / ALARM_WEIGHTS).exists():
        contract = export_alarm(folder, name, target)
    elif (folder / WEIGHTS).exists():
        contract = export_joint(folder, name, target)
    elif (folder / CHECKPOINT).exists():
        contract = export_gait(folder, name, target, best=not last)
    else:
        contract = _export_run(folder, name, target, run)
    click.echo(f"{target}: {contract.origin.command}")
    return 0


def _export_run(folder: Path, name: str, target: Path, run: str) -> "PolicyContract":
    """The policy of one run of a grid."""
    require_training()
    from safe_locomotion.training.gait.policies import export_run

    return export_run(folder, name, target, run)


def _line(figures: dict[str, float]) -> str:
    """A generation in one line; figures of the unperturbed policy follow behind the bar."""
    line = (
        "{generation:4.0f}  fitness {fitness:7.4f}  power {power:5.1f} W"
        "  falls {falls:2.0f}  {seconds:5.1f} s".format(**figures)
    )
    if "validation_fitness" not in figures:
        return line
    keys = ("fitness", "power", "cost_of_transport", "velocity_error", "falls")
    judged = {key: figures[f"validation_{key}"] for key in keys}
    return line + (
        "  |  fitness {fitness:7.4f}  power {power:5.1f} W"
        "  cost of transport {cost_of_transport:.3f}"
        "  velocity error {velocity_error:.3f} m/s  falls {falls:.0f}".format(**judged)
    )
