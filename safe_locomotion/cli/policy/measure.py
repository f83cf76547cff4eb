"""`safe-locomotion policy measure`: the figures that paper 1 reports of its policies."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from safe_locomotion.cli.options import json_option
from safe_locomotion.cli.output import console, write_json
from safe_locomotion.cli.policy import flights
from safe_locomotion.cli.policy.flights import Report, Row, fly
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.report import without_nan

FAILED = 1

policy_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("measure")
@click.option("--efficient", type=policy_file, help="Policy of the efficient gait.")
@click.option("--catwalk", type=policy_file, help="Policy of the catwalk.")
@click.option("--two-leg", type=policy_file, help="Policy of the two-leg balance.")
@click.option("--pacing", type=policy_file, help="Policy of the pacing.")
@click.option("--recovery", help="Learned recovery policy: a name of an installed policy.")
@click.option(
    "--share",
    type=click.FloatRange(min=0.0, max=1.0),
    default=1.0,
    show_default=True,
    help="Share of the whole duration of each flight.",
)
@click.option(
    "--results",
    type=policy_file,
    help="JSON of the training, such as paper1_fig3.json: rewards on board are compared with its.",
)
@json_option
def measure(
    *,
    efficient: Path | None,
    catwalk: Path | None,
    two_leg: Path | None,
    pacing: Path | None,
    recovery: str | None,
    share: float,
    results: Path | None,
    json_file: Path | None,
) -> int:
    """Fly gait policies and print the figures of paper 1 beside those of the paper.

    Each flight is a run of `safe-locomotion sim` over the wire. Exit status 0 when every figure is
    as wanted, 1 when one is not.
    """
    rows: list[Row] = []
    if results is not None:
        rows += _rewards([efficient, catwalk, two_leg, pacing], results)
    if efficient is not None:
        rows += flights.efficient(str(efficient), share, _told)
    if catwalk is not None:
        rows += flights.catwalk(str(catwalk), share, _told)
    if two_leg is not None:
        rows += _two_leg(two_leg, share)
    if pacing is not None:
        rows += flights.pacing(str(pacing), share, _told)
    if recovery is not None:
        rows += flights.recovery(recovery, share, _told)
    if not rows:
        raise ConfigurationError("no policy was named; see safe-locomotion policy measure --help")
    console().print(table(rows))
    if json_file is not None:
        content = {"share": share, "rows": [_plain(row) for row in rows]}
        write_json("--json", json_file, without_nan(content))
    return 0 if all(row.met for row in rows) else FAILED


def table(rows: list[Row]) -> Table:
    """Figures with the paper's beside."""
    shown = Table(box=None)
    for heading in ("figure", "policy", "compared with", "paper", "wanted", ""):
        shown.add_column(heading)
    for row in rows:
        beside = f"{row.reference:.3g} {row.unit} ({row.against})" if row.against else ""
        shown.add_row(
            row.figure,
            f"{row.value:.3g} {row.unit}",
            beside,
            row.paper,
            row.wanted,
            "yes" if row.met else "no",
        )
    return shown


def _told(words: Sequence[str]) -> Report:
    """A flight that is announced."""
    click.echo(f"flies: {' '.join(words)}", err=True)
    return fly(words)


def _rewards(files: Sequence[Path | None], results: Path) -> list[Row]:
    """Reward of each policy on the onboard pipeline, beside that of its training."""
    from safe_locomotion.training.gait.onboard_reward import onboard_rewards

    named = [file for file in files if file is not None]
    return [
        flights.reward(found.task, found.onboard, found.trained)
        for found in onboard_rewards(named, results)
    ]


def _two_leg(file: Path, share: float) -> list[Row]:
    """Rows of the two-leg balance, with the untrained gait as a policy of its own."""
    from safe_locomotion.training.gait.export import write_untrained

    with tempfile.TemporaryDirectory() as folder:
        untrained = Path(folder) / "untrained.onnx"
        write_untrained(file, untrained)
        return flights.two_leg(str(file), str(untrained), share, _told)


def _plain(row: Row) -> dict[str, Any]:
    """A row for JSON."""
    return {name: getattr(row, name) for name in Row.__dataclass_fields__}
