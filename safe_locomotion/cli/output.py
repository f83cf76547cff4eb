"""How commands print tables and write files."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from safe_locomotion.errors import ConfigurationError

PLAIN_WIDTH = 160  # columns where the output is no terminal


def console() -> Console:
    """Standard output; wide enough for every table when it is a pipe or a file."""
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)


def write_json(option: str, path: Path, data: Any) -> None:
    """Write data as indented JSON, in a folder that is made when it is missing.

    Args:
        option: name of the command-line option that named the file, for the error message.
        path: file to write.
        data: plain data without NaN.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}") from error
