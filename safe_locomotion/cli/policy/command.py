"""`safe-locomotion policy`: list policy files, show their contracts, check and import them."""

from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safe_locomotion.cli.output import console
from safe_locomotion.cli.policy.check import CheckedStep, check_policy
from safe_locomotion.cli.policy.import_command import import_policy
from safe_locomotion.cli.policy.measure import measure
from safe_locomotion.cli.policy.tables import action, head, observation, row
from safe_locomotion.cli.policy.trust import allow, key, locate, sign
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import SUFFIX, policy_folders, read_policy
from safe_locomotion.robot.models import robot_names

WIDE = 120  #: columns that the list needs with the origins
FLIES = 0
MUST_NOT_FLY = 1


@click.group()
def policy() -> None:
    """Inspect policy files, check whether they may fly, and import those of other projects."""


policy.add_command(import_policy)
policy.add_command(measure)
for command in (allow, sign, key):
    policy.add_command(command)


@policy.command("ls")
@click.argument(
    "folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True)
)
def list_policies(folder: Path | None) -> int:
    """List the installed policies, or those in FOLDER.

    A narrow terminal leaves their origins out; `info` shows them.
    """
    out = console()
    folders = policy_folders() if folder is None else (folder,)
    files = sorted(path for folder in folders for path in folder.glob(f"*{SUFFIX}"))
    if not files:
        out.print(f"no policies in {', '.join(map(str, folders)) or 'this installation'}")
        return 0
    headings = ("name", "kind", "rate", "robot", "observation", "network", "origin")
    shown = headings if out.width >= WIDE else headings[:-1]
    table = Table(box=None)
    for heading in shown:
        table.add_column(heading, overflow="fold", no_wrap=heading in headings[:4])
    refused = []
    for path in files:
        try:
            cells = (path.stem, *map(escape, row(read_policy(path)[0])))
            table.add_row(*cells[: len(shown)])
        except PolicyRefusedError as error:
            refused.append(f"{path.stem}: [red]{escape(str(error))}[/]")
    if table.rows:
        out.print(table)
    for line in refused:
        out.print(line)
    return 0


@policy.command()
@click.argument("file")
def info(file: str) -> int:
    """Print the contract of a policy.

    FILE is a path or the name of an installed policy.
    """
    contract, data = read_policy(locate(file))
    console().print(head(contract, len(data)), "", observation(contract), "", action(contract))
    return 0


@policy.command()
@click.argument("file")
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    help="Robot that the policy is checked for.  [default: the contract's]",
)
@click.option("--fly", is_flag=True, help="Walk the policy in the simulator, too.")
@click.option(
    "--search/--no-search",
    default=True,
    show_default=True,
    help="After a flight that it does not pass: try the usual errors of imports.",
)
def check(file: str, robot: str | None, fly: bool, search: bool) -> int:
    """Check whether a policy may fly.

    FILE is a path or the name of an installed policy. The steps are contract and shapes, fit to
    the robot, parity with the recorded pairs, and latency. With --fly the policy then walks for
    20 s under the supervisor in the simulator. Only this shows whether the contract is right.

    Exit status 0 when every step is passed, 1 when one is not. The reasons are printed.
    """
    out = console()
    passed = True
    for step in check_policy(lambda: read_policy(locate(file)), robot):
        passed = _show(out, step) and passed
    if not passed:
        out.print("it must not fly")
        return MUST_NOT_FLY
    if not fly:
        out.print(
            "the file is sound; whether the policy walks, only a flight shows:"
            f" safe-locomotion policy check {escape(file)} --fly",
            soft_wrap=True,
        )
        return FLIES
    return _fly(out, *read_policy(locate(file)), search=search)


def _show(out: Console, step: CheckedStep) -> bool:
    """Print a step; return whether it was passed."""
    colour = "[green]ok[/]      " if step.passed else "[red]refused[/] "
    out.print(f"{colour} {step.name}: {escape(step.text)}")
    return step.passed


def _fly(out: Console, contract: PolicyContract, model: bytes, *, search: bool) -> int:
    """Fly a policy whose file is sound, print what was seen, and return the exit status."""
    from safe_locomotion.cli.policy import flight_check

    flight, judgement = flight_check.fly_over_course(contract, model)
    out.print(flight_check.flight_table(flight))
    _show(out, CheckedStep(name="flight", passed=judgement.flies, text=judgement.line))
    if judgement.flies:
        if not _show(out, flight_check.rate_step(contract, model, flight)):
            out.print("it must not fly")
            return MUST_NOT_FLY
        out.print(f"it may fly at {contract.rate_hz} Hz, if it was trained at that rate")
        return FLIES
    if search:
        flight_check.search(contract, model, out)
    out.print("it must not fly")
    return MUST_NOT_FLY
