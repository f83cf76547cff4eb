"""Learning curves in TensorBoard, where it is installed."""

from collections.abc import Callable
from pathlib import Path

from safe_locomotion.training.board import open_writer
from safe_locomotion.training.joint.alarm.learning.training import Figures, Watch


def open_board(folder: Path, tell: Callable[[str], None]) -> Watch | None:
    """What writes the figures of an iteration; None, and one line, without TensorBoard."""
    writer = open_writer(folder, tell)
    if writer is None:
        return None

    def watch(_: int, figures: Figures) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, int(figures["steps"]))
        writer.flush()

    return watch
