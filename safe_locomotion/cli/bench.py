"""`safe-locomotion bench`: time every stage per tick, beside alternatives and the time budget."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from safe_locomotion.cli.options import json_option, robot_option
from safe_locomotion.cli.output import console, write_json
from safe_locomotion.cli.progress import progress


@click.command()
@robot_option
@json_option
@click.option(
    "--quick",
    is_flag=True,
    help="A short walk and two passes. It takes seconds; p99 and max are less exact.",
)
@click.option(
    "--only",
    default="",
    metavar="STAGE[,STAGE...]",
    help="Measure only these stages.",
)
def bench(*, robot: str, json_file: Path | None, quick: bool, only: str) -> int:
    """Time every stage on data of a simulated walk, beside alternatives.

    Times depend on the machine and its load. The report names both. The exit status is 0
    whether or not the budgets are met.
    """
    from safe_locomotion.bench.run import FULL, QUICK, run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    with progress("starting", 1.0) as tell:
        report = run(effort=QUICK if quick else FULL, only=names, robot=robot, tell=tell)
    if json_file is not None:
        write_json("--json", json_file, report)
    show(report, console())
    return 0


def show(report: dict[str, Any], out: Console) -> None:
    """Print times, accuracies, the machine, and each missing stage with its reason."""
    from safe_locomotion.bench.machine import line

    paced = [name for name, stage in report["stages"].items() if "misses" in stage]
    if set(report["stages"]) - set(paced):
        out.print(_times(report), _accuracies(report))
    if paced:
        out.print(_paced(report, paced))
    out.print(line(report["machine"]), style="dim")
    for name, reason in report["missing"].items():
        out.print(f"not measured: {name}: {reason}", style="dim")


def _times(report: dict[str, Any]) -> Table:
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        title=(
            "milliseconds per tick; quiet: best replay of each tick;"
            " solve: without writing the matrices"
        ),
        title_justify="left",
    )
    table.add_column("stage", overflow="fold")
    for heading in (
        "p50",
        "p99",
        "max",
        "n",
        "quiet\np50",
        "solve\np50",
        "budget\np50 / p99",
        "met",
    ):
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
        title=(
            "paced at 500 Hz: milliseconds from the release of a tick until its work is done;"
            " missed: later than 2 ms, or never done"
        ),
        title_justify="left",
    )
    table.add_column("", overflow="fold")
    for heading in ("p50", "p99", "p99.9", "max", "missed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("granted by the operating system")
    for name in names:
        stage = report["stages"][name]
        times = (_ms(stage[key]) for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms"))
        missed = f"{stage['misses']} of {stage['released']}"
        table.add_row(name, *times, missed, "; ".join(stage["realtime"]))
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
