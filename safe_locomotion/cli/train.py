"""`safe-locomotion train` and `safe-locomotion export`: policies from nothing but this package."""

import json
from pathlib import Path

import click
from rich.console import Console

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import robot_names

TASKS = ("trot", "catwalk", "two_leg", "pacing")


@click.group()
def train() -> None:
    """Train a policy on the simulated robot."""


@train.command()
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
@click.option(
    "--task", type=click.Choice(TASKS), default="trot", show_default=True, help="What is rewarded."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of everything that is drawn.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0),
    default=10.0,
    show_default=True,
    help="Wall-clock time.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option(
    "--generations", type=click.IntRange(min=1), help="Stop after so many, counted from the first."
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
    help="Of the episodes.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the checkpoint.",
)
def gait(
    *,
    robot: str,
    task: str,
    seed: int,
    minutes: float,
    workers: int,
    generations: int | None,
    pairs: int,
    episode: float,
    push_share: float,
    out: Path,
) -> int:
    """Search for a gait policy by evolution strategies; an interrupted search goes on where it was."""
    from safe_locomotion.envs.gait_env import GaitEnvOptions
    from safe_locomotion.sim.options import SimulationOptions
    from safe_locomotion.training.gait.evolution import EvolutionOptions, evolve

    environment = GaitEnvOptions(
        task=task,
        duration=episode,
        command_period=episode,
        push_share=push_share,
        simulation=SimulationOptions(robot=robot, seed=seed),
    )
    command = (
        f"safe-locomotion train gait --robot {robot} --task {task} --seed {seed}"
        f" --pairs {pairs} --episode {episode:g} --push-share {push_share:g}"
    )
    options = EvolutionOptions(environment=environment, pairs=pairs, seed=seed, command=command)
    console = Console()
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with (out / "progress.jsonl").open("a", encoding="utf-8") as log:

        def tell(figures: dict[str, float]) -> None:
            log.write(json.dumps(figures) + "\n")
            log.flush()
            console.print(_line(figures), highlight=False, soft_wrap=True)

        search = evolve(
            options,
            minutes=minutes,
            processes=workers,
            folder=out,
            tell=tell,
            generations=generations,
        )
    console.print(
        f"{search.generation} generations, best validated fitness {search.best_fitness:.4f}: {out}"
    )
    return 0


@train.command()
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Of everything that is drawn.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0),
    default=9.0,
    show_default=True,
    help="Wall-clock time.",
)
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Stop after so many.",
)
@click.option(
    "--envs", type=click.IntRange(min=1), default=8192, show_default=True, help="Robots at once."
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Policy periods in an iteration.",
)
@click.option(
    "--entropy",
    type=click.FloatRange(min=0.0),
    default=0.008,
    show_default=True,
    help="Weight of the entropy.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A joint.pt to go on from.",
)
@click.option("--device", default="", help="Of torch. [default: the first GPU]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the weights.",
)
def joint(
    *,
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
    """Train a recurrent joint policy of the A1 by PPO; needs the extra 'train', and a GPU to be quick."""
    try:
        from safe_locomotion.training.joint.learner import JointTraining, train_joint
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed; the extra 'train' brings it"
        ) from error
    command = f"safe-locomotion train joint --seed {seed} --envs {envs} --steps {steps} --entropy {entropy:g}"
    command += f" --minutes {minutes:g}" + (f" --resume {resume.name}" if resume else "")
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
    Console().print(f"{train_joint(options)} iterations: {out}", soft_wrap=True)
    return 0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, help="Of the policy.")
@click.option(
    "--last",
    is_flag=True,
    help="Of a gait policy the last weights instead of the best validated ones.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File. [default: models/policies/NAME.onnx]",
)
def export(*, folder: Path, name: str, last: bool, out: Path | None) -> int:
    """Write the policy of a training in FOLDER, gait or joint, as a file that the robot runs: network, contract, recorded pairs."""
    from safe_locomotion.training.gait.export import export_gait
    from safe_locomotion.training.joint.export import WEIGHTS, export_joint

    target = out or Path("models/policies") / f"{name}.onnx"
    joint = (folder / WEIGHTS).exists()
    contract = (
        export_joint(folder, name, target)
        if joint
        else export_gait(folder, name, target, best=not last)
    )
    Console().print(f"{target}: {contract.origin.command}", soft_wrap=True)
    return 0


def _line(figures: dict[str, float]) -> str:
    """A generation in one line; where the unperturbed policy was judged, its figures stand behind the bar."""
    line = "{generation:4.0f}  fitness {fitness:7.4f}  power {power:5.1f} W  falls {falls:2.0f}  {seconds:5.1f} s".format(
        **figures
    )
    if "validation_fitness" not in figures:
        return line
    keys = ("fitness", "power", "cost_of_transport", "velocity_error", "falls")
    judged = {key: figures[f"validation_{key}"] for key in keys}
    return line + (
        "  |  fitness {fitness:7.4f}  power {power:5.1f} W  cost of transport {cost_of_transport:.3f}"
        "  velocity error {velocity_error:.3f} m/s  falls {falls:.0f}".format(**judged)
    )
