"""Where the results in a folder come from: command, commit, devices and minutes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safe_locomotion.training.devices import device_name
from safe_locomotion.training.exporting import code_commit

ABOUT = "about.json"


def write_about(
    folder: Path, command: str, devices: Sequence[str], minutes: float
) -> dict[str, Any]:
    """Write where results come from, with the minutes of earlier parts of the training.

    Args:
        folder: of the training.
        command: that repeats it.
        devices: of torch.
        minutes: that this part took.
    """
    about = {
        "command": command,
        "commit": code_commit(),
        "device": ", ".join(device_name(device) for device in devices),
        "minutes": round(_minutes_before(folder) + minutes, 2),
    }
    (folder / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")
    return about


def _minutes_before(folder: Path) -> float:
    try:
        return float(json.loads((folder / ABOUT).read_text(encoding="utf-8"))["minutes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
