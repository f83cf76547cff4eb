"""Where the files that ship with the package lie: `models/`, `config/`, `launch/`."""

import os
import sys
from pathlib import Path

from safe_locomotion.errors import ConfigurationError

PACKAGE = "safe_locomotion"


def share_roots() -> tuple[Path, ...]:
    """Folders that may hold the shared files, in order: source checkout, installation prefix, ament prefixes."""
    ament = (
        Path(prefix) / "share" / PACKAGE
        for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        if prefix
    )
    return Path(__file__).resolve().parents[1], Path(sys.prefix) / "share" / PACKAGE, *ament


def find_share(relative: str) -> Path:
    """Path of a shared file or folder such as "models/robots".

    Raises:
        ConfigurationError: it lies under none of `share_roots`; the message names them.
    """
    roots = share_roots()
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise ConfigurationError(f"{relative!r} not found; looked under: {', '.join(map(str, roots))}")
