"""`safe-locomotion trigger-set`: show a robot's trigger sets, or design one."""

from pathlib import Path

import click
import numpy as np
from rich.table import Table

from safe_locomotion.cli.options import robot_option
from safe_locomotion.cli.output import console
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.trigger_set import TriggerBounds, designed_bounds
from safe_locomotion.types import GRAVITY

FORMATS = (".png", ".svg", ".pdf")
UNITS = {
    "height_min": "m",
    "height_max": "m",
    "roll": "rad",
    "pitch": "rad",
    "lateral_velocity": "m/s",
    "roll_rate": "rad/s",
}


@click.command("trigger-set")
@robot_option
@click.option(
    "--design",
    is_flag=True,
    help="Also design a set from the capture point.",
)
@click.option(
    "--reach",
    type=float,
    default=0.1,
    show_default=True,
    help="Distance that a foot may step to the side [m].",
)
@click.option(
    "--height",
    type=float,
    help="Height of the walking base [m]. [default: the robot's file]",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Draw the sets into this file ({', '.join(FORMATS)}).",
)
def trigger_set(
    robot: str, design: bool, reach: float, height: float | None, plot: Path | None
) -> int:
    """Show the bounds of the trigger sets c1, c2 and c3.

    While the state is within all bounds, the learner may walk the robot. Outside, the recovery
    policy takes over.
    """
    if plot is not None and plot.suffix not in FORMATS:
        raise ConfigurationError(f"--plot {plot}: the name must end in one of {', '.join(FORMATS)}")
    config = load_config(robot)
    sets = config.supervisor.trigger_set
    height = height or config.mpc.locomotion.body_height
    rows = {"c1": sets.c1, "c2": sets.c2, "c3": sets.c3}
    if design:
        rows["designed"] = designed_bounds(height=height, reach=reach)
    headings = (f"{name}\n\\[{unit}]" for name, unit in UNITS.items())
    table = Table("set", *headings, box=None)
    for name, bounds in rows.items():
        table.add_row(
            f"{name} (in use)" if name == sets.use else name,
            *(f"{getattr(bounds, component):.3g}" for component in UNITS),
        )
    console().print(table)
    if plot is not None:
        _draw(rows, height, reach, plot)
    return 0


def _draw(rows: dict[str, TriggerBounds], height: float, reach: float, file: Path) -> None:
    """Draw the boxes over lateral velocity and roll rate.

    Two lines show where the capture point lies at the end of the feet's reach.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(f"--plot needs {error.name}, which is not installed") from None
    figure = Figure(figsize=(5.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, b in rows.items():
        v = b.lateral_velocity
        w = b.roll_rate
        axes.plot([-v, v, v, -v, -v], [-w, -w, w, w, -w], label=name)
    speed = reach / np.sqrt(height / GRAVITY)
    widest = 1.5 * max(b.lateral_velocity for b in rows.values())
    along = np.linspace(-widest, widest, 2)
    for side in (-1.0, 1.0):
        axes.plot(
            along,
            (side * speed - along) / height,
            "k--",
            label=f"capture point {reach:g} m away" if side > 0.0 else None,
        )
    axes.set(
        xlabel="lateral velocity [m/s]",
        ylabel="roll rate [rad/s]",
        xlim=(-widest, widest),
        ylim=(-widest, widest),
    )
    axes.legend(loc="upper right", fontsize="small")
    try:
        figure.savefig(file)
    except OSError as error:
        raise ConfigurationError(f"--plot {file}: {error.strerror}") from error
