"""`safe-locomotion model-error`: how wrong the supervisor's model is on a recorded robot, and what theorem 5.1 makes of it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from safe_locomotion.evaluation.model_error import (
    LINEAR_ALPHA,
    STEP,
    Bound,
    ModelError,
    Transitions,
    fit_model_error,
    performance_bound,
)
from safe_locomotion.evaluation.recorded_transitions import read_transitions
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.robot.models import RobotModel, load_robot, robot_names

PLAIN_WIDTH = 120  # columns where the output is no terminal


@click.command(name="model-error")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="W: steps of 0.016 s.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(min=0.0, min_open=True),
    default=LINEAR_ALPHA,
    show_default=True,
    help="Exponent.",
)
@click.option(
    "--smoothness",
    type=click.FloatRange(min=0.0),
    help="G. [default: largest singular value of the robot's B]",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures here.",
)
def model_error(
    *,
    folder: Path,
    robot: str,
    horizon: int,
    alpha: float,
    smoothness: float | None,
    json_file: Path | None,
) -> int:
    """Estimate A - A_hat and B - B_hat from the recording in FOLDER, and print the bound of theorem 5.1 beside the measured cost.

    FOLDER holds walks on level ground: an episode, episodes, or the logs of a stack whose nodes have the parameter log_dir.
    """
    one = load_robot(robot)
    model = CentroidalModel(mass=one.mass, inertia=one.inertia)
    steps = _transitions(folder, one)
    error = fit_model_error(model, steps)
    bound = performance_bound(
        model, steps, error, horizon=horizon, alpha=alpha, smoothness=smoothness
    )
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(figures(error, bound), indent=2, allow_nan=False) + "\n")
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    console.print(_table(error, bound))
    console.print(conclusion(bound))
    return 0


def _transitions(folder: Path, robot: RobotModel) -> Transitions:
    """Steps from stage logs where there are some, else from all episodes of the folder."""
    if (folder / "estimator.log").is_file():
        return read_transitions(folder, robot, STEP)
    from safe_locomotion.evaluation.transitions import recorded_transitions
    from safe_locomotion.recording.reader import episode_paths

    return recorded_transitions(episode_paths(folder), robot, where=str(folder))


def figures(error: ModelError, bound: Bound) -> dict[str, Any]:
    """All figures, for a file."""
    plain = {
        name: value for name, value in asdict(error).items() if name not in ("a", "b", "offset")
    }
    matrices = {name: getattr(error, name).tolist() for name in ("a", "b", "offset")}
    return {
        "model_error": plain | matrices,
        "bound": asdict(bound) | {"measured_excess": bound.measured_excess},
    }


def conclusion(bound: Bound) -> str:
    """Whether the bound means anything here, in one sentence."""
    if bound.says_something:
        return "The bound lies below the tracking cost itself: it says something about this robot."
    return (
        f"The bound is {bound.excess / max(bound.cost, 1e-300):.3g} times the tracking cost itself: it says nothing about this robot;"
        " the measured difference does."
    )


def _table(error: ModelError, bound: Bound) -> Table:
    table = Table(show_header=False, box=None)
    for name, value, source in (
        ("steps", f"{error.steps}", f"of {STEP} s, in {bound.windows} windows"),
        (
            "sigma1(A - A_hat)",
            f"{error.sigma_a:.4g}",
            f"least squares, standard error {error.deviation_a:.2g}",
        ),
        (
            "sigma1(B - B_hat)",
            f"{error.sigma_b:.4g}",
            f"standard error {error.deviation_b:.2g}; B takes the net wrench",
        ),
        ("sigma1(B_hat)", f"{error.sigma_b_model:.4g}", "from mass and inertia"),
        (
            "one-step error",
            f"{error.residual:.4g}",
            f"root mean square; {error.remaining:.4g} is left by A and B",
        ),
        ("W", f"{bound.horizon}", "--horizon"),
        ("alpha", f"{bound.alpha:.4g}", "assumption 2.3; 2 for linear dynamics"),
        ("G", f"{bound.smoothness:.4g}", "assumption 2.3; sigma1(B) unless given"),
        ("a_max", f"{bound.action_max:.4g}", "largest wrench recorded"),
        ("|s_1|^alpha", f"{bound.initial:.4g}", "mean over the windows"),
        ("bound: cost(T_hat) - cost(T) <=", f"{bound.excess:.4g}", "theorem 5.1"),
        (
            "measured difference",
            f"{bound.measured_excess:.4g}",
            "model's rollout under the recorded wrenches against the robot",
        ),
        ("measured tracking cost", f"{bound.cost:.4g}", "sum of |x - y|^2 over a window"),
    ):
        table.add_row(name, value, source)
    return table
