"""`safe-locomotion bench`: time per tick of every stage, beside the alternatives, and what of the budget is met."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from safe_locomotion.robot.models import robot_names

PLAIN_WIDTH = 160  # columns where the output is no terminal


@click.command()
@click.option(
    "--robot",
    type=click.Choice(robot_names()),
    default="a1",
    show_default=True,
    help="Robot model.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures here.",
)
@click.option(
    "--quick", is_flag=True, help="A short walk and two passes: seconds, and coarser tails."
)
@click.option("--only", default="", metavar="STAGE[,STAGE...]", help="Measure these stages alone.")
def bench(*, robot: str, json_file: Path | None, quick: bool, only: str) -> int:
    """Time every stage on data of a simulated walk, beside the alternatives it claims to beat.

    Times depend on the machine and on what else it does: the report names both. Exit status 0 whether or not budgets are met.
    """
    from safe_locomotion.bench.run import FULL, QUICK, run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    console = Console(stderr=True)
    with console.status("starting") as status:
        report = run(effort=QUICK if quick else FULL, only=names, robot=robot, tell=status.update)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    show(report, Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH))
    return 0


def show(report: dict[str, Any], console: Console) -> None:
    """Tables of times and accuracies, the machine, and what is missing and why."""
    from safe_locomotion.bench.machine import line

    paced = [name for name, stage in report["stages"].items() if "misses" in stage]
    if set(report["stages"]) - set(paced):
        console.print(_times(report), _accuracies(report))
    if paced:
        console.print(_paced(report, paced))
    console.print(line(report["machine"]), style="dim")
    for name, reason in report["missing"].items():
        console.print(f"not measured: {name}: {reason}", style="dim")


def _times(report: dict[str, Any]) -> Table:
    table = Table(
        box=None,
        title="milliseconds per tick; quiet: best replay of each; solve: without writing the matrices",
        title_justify="left",
    )
    table.add_column("stage", no_wrap=True)
    for heading in ("p50", "p99", "max", "n", "quiet p50", "solve p50", "budget p50 / p99", "met"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, stage in report["stages"].items():
        if "misses" in stage:
            continue
        budget = report["budgets"].get(name)
        table.add_row(
            name,
            *(_ms(stage.get(key)) for key in ("p50_ms", "p99_ms", "max_ms")),
            str(stage["n"]),
            _ms(stage.get("quiet_p50_ms")),
            _ms(stage.get("solve_p50_ms")),
            *_budget_cells(budget),
        )
    return table


def _paced(report: dict[str, Any], names: list[str]) -> Table:
    table = Table(
        box=None,
        title="paced 500 Hz: milliseconds from the release of a tick until all is done for it; missed: later than 2 ms, or never",
        title_justify="left",
    )
    table.add_column("", no_wrap=True)
    for heading in ("p50", "p99", "p99.9", "max", "missed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("of the operating system")
    for name in names:
        stage = report["stages"][name]
        times = (_ms(stage[key]) for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms"))
        table.add_row(
            name, *times, f"{stage['misses']} of {stage['released']}", "; ".join(stage["realtime"])
        )
    return table


def _budget_cells(budget: dict[str, Any] | None) -> tuple[str, str]:
    if budget is None:
        return "", ""
    limits = " / ".join(
        f"{limit:g}" for limit in (budget["p50_ms"], budget["p99_ms"]) if limit is not None
    )
    return limits, "[green]yes[/]" if budget["met"] else "[red]no[/]"


def _accuracies(report: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False)
    for name, values in report["accuracy"].items():
        table.add_row(name, "  ".join(f"{key} {value:.4g}" for key, value in values.items()))
    return table


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
