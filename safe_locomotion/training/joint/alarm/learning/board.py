"""Learning curves in TensorBoard, where it is installed."""

from collections.abc import Callable
from pathlib import Path

from safe_locomotion.training.joint.alarm.learning.training import Figures, Watch

FOLDER = "tensorboard"


def open_board(folder: Path, tell: Callable[[str], None]) -> Watch | None:
    """What writes the figures of an iteration; None, and one line, without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - needs a package more
    except ImportError:
        tell("TensorBoard is not installed (pip install tensorboard): no curves for it")
        return None
    writer = SummaryWriter(str(folder / FOLDER))

    def watch(_: int, figures: Figures) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, int(figures["steps"]))
        writer.flush()

    return watch
