"""`safe-locomotion top`: watch a running stack in a terminal."""

from time import monotonic, sleep
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live

from safe_locomotion.cli.drive.hearing import PATIENCE_S, ros_domain, unheard
from safe_locomotion.cli.drive.top_page import page

if TYPE_CHECKING:
    from safe_locomotion.ui.stack_view import StackView

LOOK_S = 0.2
WIDTH = 110  # columns when the output is not a terminal
HEARD = 0
UNHEARD = 1


@click.command()
@click.option(
    "--once",
    is_flag=True,
    help="Print one page and end. This is the default when the output is not a terminal.",
)
def top(once: bool) -> int:
    """Watch a running stack: mode, active policy, margins, streams, times, interventions.

    This command only listens, on ROS_DOMAIN_ID. Exit status: 0 when a stack is heard, 1 when
    not.
    """
    from safe_locomotion.ui.stack_view import StackView

    console = Console()
    view = StackView(ros_domain())
    try:
        if not _hears(view):
            Console(stderr=True).print(
                f"error: {unheard()}", markup=False, highlight=False, soft_wrap=True
            )
            return UNHEARD
        if once or not console.is_terminal:
            wide = console if console.is_terminal else Console(width=WIDTH)
            wide.print(page(view.look(), monotonic()))
            return HEARD
        return _show(view, console)
    finally:
        view.close()


def _hears(view: "StackView") -> bool:
    """Wait for a verdict and the supervisor's rows, and return whether anything was heard.

    At the end of the wait, either of them is enough.
    """
    end = monotonic() + PATIENCE_S
    while monotonic() < end:
        report = view.look()
        if report.verdict is not None and any(name == "supervisor" for _, name in report.rows):
            sleep(2.5 * LOOK_S)  # until each node has published once
            return True
        sleep(0.25 * LOOK_S)
    return view.report.verdict is not None or bool(view.report.rows)


def _show(view: "StackView", console: Console) -> int:
    """Show the page until Ctrl-C."""
    try:
        with Live(
            console=console, auto_refresh=False, screen=True, vertical_overflow="crop"
        ) as live:
            while True:
                live.update(page(view.look(), monotonic()), refresh=True)
                sleep(LOOK_S)
    except KeyboardInterrupt:
        return HEARD
