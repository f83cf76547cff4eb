"""A bar with the time left, for commands that take longer than a moment."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Advance(Protocol):
    """Moves a bar."""

    def __call__(self, done: float, text: str = "") -> None:
        """So much is done; `text` says what is done next, and is kept when it is empty."""
        ...


@contextmanager
def progress(text: str, total: float) -> Iterator[Advance]:
    """Show a bar on standard error while the block runs; a pipe or a file gets nothing.

    Args:
        text: what is done.
        total: amount of it.

    Yields:
        A function that takes the amount that is done so far, and what is done next.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(text, total=total)

        def advance(done: float, text: str = "") -> None:
            bar.update(task, completed=done, description=text or None)

        yield advance


def time_left(seconds: float) -> str:
    """How long a command still takes, for one of its lines."""
    return f"{max(0.0, seconds) / 60.0:5.1f} min left"
