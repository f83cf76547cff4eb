"""`safe-locomotion model-error`: error of the supervisor's model on a recorded robot."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from safe_locomotion.cli.options import json_option, robot_option
from safe_locomotion.cli.output import console, write_json
from safe_locomotion.errors import ConfigurationError
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
from safe_locomotion.robot.models import RobotModel, load_robot


@click.command(name="model-error")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@robot_option
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="W of theorem 5.1: steps of 0.016 s.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(min=0.0, min_open=True),
    default=LINEAR_ALPHA,
    show_default=True,
    help="Exponent of assumption 2.3; 2 for linear dynamics.",
)
@click.option(
    "--smoothness",
    type=click.FloatRange(min=0.0),
    help="G of assumption 2.3. [default: largest singular value of the robot's B]",
)
@json_option
def model_error(
    *,
    folder: Path,
    robot: str,
    horizon: int,
    alpha: float,
    smoothness: float | None,
    json_file: Path | None,
) -> int:
    """Estimate A - A_hat and B - B_hat from the recording in FOLDER.

    The bound of theorem 5.1 is printed beside the measured cost. FOLDER holds walks on level
    ground: one episode, several episodes, or the logs of a stack whose nodes have the
    parameter log_dir.
    """
    one = load_robot(robot)
    model = CentroidalModel(mass=one.mass, inertia=one.inertia)
    steps = _transitions(folder, one)
    error = fit_model_error(model, steps)
    bound = performance_bound(
        model, steps, error, horizon=horizon, alpha=alpha, smoothness=smoothness
    )
    if json_file is not None:
        write_json("--json", json_file, figures(error, bound))
    out = console()
    out.print(_table(error, bound))
    out.print(conclusion(bound))
    return 0


def _transitions(folder: Path, robot: RobotModel) -> Transitions:
    """Steps from the stage logs in the folder, else from all its episodes."""
    if (folder / "estimator.log").is_file():
        return read_transitions(folder, robot, STEP)
    from safe_locomotion.evaluation.transitions import recorded_transitions
    from safe_locomotion.recording.reader import episode_paths

    paths = episode_paths(folder)
    if not paths:
        raise ConfigurationError(f"{folder}: no recordings; needed are stage logs or episodes")
    return recorded_transitions(paths, robot, where=str(folder))


def figures(error: ModelError, bound: Bound) -> dict[str, Any]:
    """All figures as plain data, for a file."""
    plain = {
        name: value for name, value in asdict(error).items() if name not in ("a", "b", "offset")
    }
    matrices = {name: getattr(error, name).tolist() for name in ("a", "b", "offset")}
    return {
        "model_error": plain | matrices,
        "bound": asdict(bound) | {"measured_excess": bound.measured_excess},
    }


def conclusion(bound: Bound) -> str:
    """State in one sentence whether the bound is below the tracking cost."""
    if bound.says_something:
        return "The bound is below the tracking cost, so it is informative for this robot."
    ratio = bound.excess / max(bound.cost, 1e-300)
    return (
        f"The bound is {ratio:.3g} times the tracking cost, so it is not informative for this"
        " robot. Use the measured difference instead."
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
            "rollout of the model with the recorded wrenches, minus the robot's cost",
        ),
        ("measured tracking cost", f"{bound.cost:.4g}", "sum of |x - y|^2 over a window"),
    ):
        table.add_row(name, value, source)
    return table
