"""`safe-locomotion robot`: make the files of a robot of one's own, and check them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.cli.output import console
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.shared_files import OWN_ROBOTS, own_robot_folders

FAILED = 1
MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}


class Triple(click.ParamType):
    """Three positive numbers, of hip, thigh and calf."""

    name = "hip,thigh,calf"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        """The numbers; a single one holds for all three."""
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) == 1:
            numbers *= 3
        if len(numbers) != 3 or not all(0.0 < number < 1e4 for number in numbers):
            self.fail(f"{value!r}: three positive numbers are needed, e.g. 23.7,23.7,45.4")
        hip, thigh, calf = numbers
        return hip, thigh, calf


@click.group()
def robot() -> None:
    """Make the files of a robot of your own from its URDF, and check them."""


@robot.command()
@click.argument("name")
@click.option(
    "--urdf",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="URDF of the robot's vendor; no .xacro.",
)
@click.option("--height", type=float, help="Base above the ground when standing [m].")
@click.option("--torque", type=Triple(), help="Peak torques of hip, thigh and calf [Nm].")
@click.option("--speed", type=Triple(), help="Top speeds of hip, thigh and calf [rad/s].")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Where the robot's folder is made. [default: the first folder of {OWN_ROBOTS}, else"
    " ~/.local/share/safe_locomotion/robots]",
)
def new(
    name: str,
    urdf: Path,
    height: float | None,
    torque: tuple[float, float, float] | None,
    speed: tuple[float, float, float] | None,
    folder: Path | None,
) -> None:
    """Make drafts of model, poses, motors and parameters of the robot NAME from its URDF.

    The list of what a person must still decide is printed, and kept in README.md beside them.
    """
    from safe_locomotion.cli.robot.draft import new_robot
    from safe_locomotion.robot.vendor.completed import Answers

    folders = own_robot_folders()
    if folder is None and not folders:
        raise ConfigurationError(f"{OWN_ROBOTS} is empty; give --folder")
    answers = Answers(height=height, torque=torque, speed=speed)
    chosen = folders[0] if folder is None else folder
    draft = new_robot(name, urdf, chosen.expanduser().absolute(), answers)
    screen = console()
    screen.print(f"{draft.folder}: {draft.mass:.3f} kg", highlight=False, soft_wrap=True)
    screen.print("Decide, and tick in README.md:")
    for point in draft.points:
        screen.print(f"- {point}", highlight=False, markup=False, soft_wrap=True)
    found = any(draft.folder.parent == known.absolute() for known in folders)
    where = "" if found else f"{OWN_ROBOTS}={draft.folder.parent} "
    screen.print(
        f"Next: {where}safe-locomotion robot check {name}", highlight=False, soft_wrap=True
    )


@robot.command()
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the robot's folder is. [default: as for every command]",
)
@click.option("--walk/--no-walk", default=True, help="Simulate standing, walking and a push.")
@click.option("--vx", type=float, default=0.5, show_default=True, help="Speed of the walk [m/s].")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def check(name: str, folder: Path | None, walk: bool, vx: float, seed: int) -> int:
    """Check model, limits, mass and gains of the robot NAME, and let it stand, walk and be pushed.

    Exit status: 0 without problems, 1 with problems, 2 when the files cannot be read.
    """
    if folder is not None:
        os.environ[OWN_ROBOTS] = str(folder.absolute())
    screen = console()
    problems = 0
    for finding in _findings(name, walk=walk, vx=vx, seed=seed):
        screen.print(f"{MARKS[finding.level]} {finding.check}: {finding.text}", highlight=False)
        if finding.mend and finding.level != "ok":
            screen.print(f"    {finding.mend}", highlight=False, markup=False)
        problems += finding.level == "problem"
    return FAILED if problems else 0


def _findings(name: str, *, walk: bool, vx: float, seed: int) -> Iterator[Finding]:
    """Of the files, and then of the simulation, if the files have no problem."""
    from safe_locomotion.cli.robot import checks
    from safe_locomotion.cli.robot.draft import open_points
    from safe_locomotion.cli.robot.trial import Plan, try_robot
    from safe_locomotion.config import load_config
    from safe_locomotion.robot.models import load_robot, robot_file
    from safe_locomotion.sim.motors import load_motors

    model = load_robot(name)
    config = load_config(name)
    motors = load_motors(name)
    sound = True
    for finding in (
        *checks.check_models(model),
        *checks.check_mass(model),
        *checks.check_limits(model, config),
        *checks.check_gains(model, config, motors),
    ):
        sound &= finding.level != "problem"
        yield finding
    undecided, decided = open_points(robot_file(name, ".urdf").parent)
    if undecided + decided:
        yield judge(
            "points for a person",
            met=not undecided,
            text=f"{undecided} open, {decided} decided in README.md",
            mend="decide them, and tick each (- [x])",
            otherwise="warning",
        )
    if walk and sound:
        yield from try_robot(name, config, Plan(speed=vx), seed)
