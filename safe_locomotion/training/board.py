"""Learning curves in TensorBoard, where it is installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


def open_writer(folder: Path, tell: Callable[[str], None]) -> Any | None:
    """TensorBoard's writer in a folder; None, and one line, where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - needs a package more
    except ImportError:
        tell("TensorBoard is not installed (pip install tensorboard): no curves for it")
        return None
    return SummaryWriter(str(folder / FOLDER))
