"""A bar with the time left, for commands that take longer than a moment."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Advance = Callable[[float], None]


@contextmanager
def progress(text: str, total: float) -> Iterator[Advance]:
    """Show a bar on standard error while the block runs; a pipe or a file gets nothing.

    Args:
        text: what is done.
        total: amount of it.

    Yields:
        A function that takes the amount that is done so far.
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
        yield lambda done: bar.update(task, completed=done)
