"""`safe-locomotion doctor`: check that this machine can run the stack, and say how to mend it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.cli.doctor import machine, software, wire
from safe_locomotion.cli.doctor import robot as robots
from safe_locomotion.cli.doctor.findings import Finding
from safe_locomotion.cli.options import DASH, json_or_dash_option, robot_option
from safe_locomotion.cli.output import console, write_json
from safe_locomotion.cli.progress import progress

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
CHECKS = 22  #: of `examine`
HEALTHY = 0
ILL = 1


@click.command()
@robot_option
@click.option("--interface", help="Network interface that is connected to the robot, e.g. eth0.")
@click.option(
    "--record",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Folder in which episodes will be recorded.",
)
@json_or_dash_option
def doctor(*, robot: str, interface: str | None, folder: Path, json_file: Path | None) -> int:
    """Check this machine and the link to the robot, and name a remedy for each finding.

    No motor is commanded. With a problem the robot would not walk, or would not be safe. Exit
    status 0 without problems, 1 with at least one. Warnings do not count.
    """
    findings = []
    with progress("checks", CHECKS) as tell:
        for finding in examine(robot, interface, folder):
            findings.append(finding)
            tell(len(findings))
    data = {"findings": [finding.as_json() for finding in findings]}
    if json_file == DASH:
        click.echo(json.dumps(data, indent=2))
    else:
        if json_file is not None:
            write_json("--json", json_file, data)
        show(findings, console())
    return ILL if any(finding.level == "problem" for finding in findings) else HEALTHY


def examine(robot: str, interface: str | None, folder: Path) -> Iterator[Finding]:
    """Run all checks on this machine and its environment."""
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


def show(findings: list[Finding], out: Console) -> None:
    """Print one row per finding, with the remedy below it."""
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        colour = COLOURS[finding.level]
        table.add_row(f"[{colour}]{finding.level}[/]", finding.check, escape(finding.text))
        if finding.mend:
            table.add_row("", "", f"[dim]-> {escape(finding.mend)}[/]")
    out.print(table)
