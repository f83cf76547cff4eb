"""`safe-locomotion doctor`: is this machine fit to run the stack, and what mends it where it is not."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.cli.doctor import machine, software, wire
from safe_locomotion.cli.doctor import robot as robots
from safe_locomotion.cli.doctor.findings import Finding
from safe_locomotion.robot.models import robot_names

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
HEALTHY = 0
ILL = 1
PLAIN_WIDTH = 160  # columns where the output is no terminal


@click.command()
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
@click.option("--interface", help="Network interface that leads to the robot, e.g. eth0.")
@click.option(
    "--record",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Folder that episodes would go to.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the findings here; - prints them.",
)
def doctor(*, robot: str, interface: str | None, folder: Path, json_file: Path | None) -> int:
    """Check this machine and the link to the robot; name what mends each finding.

    Commands no motor. Exit status 0 when there is no problem, warnings or not; 1 when something is a problem: the robot would not walk, or
    not safely.
    """
    console = Console(stderr=True)
    with console.status("examining"):
        findings = list(examine(robot, interface, folder))
    text = json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2) + "\n"
    if json_file == Path("-"):
        sys.stdout.write(text)
    else:
        if json_file is not None:
            json_file.parent.mkdir(parents=True, exist_ok=True)
            json_file.write_text(text)
        show(findings, Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH))
    return ILL if any(finding.level == "problem" for finding in findings) else HEALTHY


def examine(robot: str, interface: str | None, folder: Path) -> Iterator[Finding]:
    """All checks, on this machine and its environment."""
    yield software.check_python()
    yield software.check_packages()
    yield software.check_versions()
    yield software.check_extras()
    yield software.check_mujoco()
    yield software.check_files(robot)
    yield software.check_ros(os.environ)
    yield software.check_rmw(os.environ)
    yield software.check_ros_domain(os.environ, robot)
    yield software.check_discovery(os.environ)
    yield machine.check_shared_memory(machine.stale_files())
    yield machine.check_interfaces(machine.addresses(), interface)
    with claim_domain() as domain:
        yield wire.check_round_trip(domain)
    yield wire.check_publishers(interface)
    yield robots.check_states(robot, interface)
    yield robots.check_firmware(robot, interface)
    yield machine.check_governor()
    yield machine.check_priority()
    yield machine.check_memory_lock()
    yield machine.check_clock()
    yield machine.check_time_sync()
    yield machine.check_disk(folder)


def show(findings: list[Finding], console: Console) -> None:
    """One row per finding, the remedy below it."""
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        colour = COLOURS[finding.level]
        table.add_row(f"[{colour}]{finding.level}[/]", finding.check, _plain(finding.text))
        if finding.mend:
            table.add_row("", "", f"[dim]-> {_plain(finding.mend)}[/]")
    console.print(table)


def _plain(text: str) -> str:
    """Square brackets as they are, not as markup."""
    return text.replace("[", "\\[")
