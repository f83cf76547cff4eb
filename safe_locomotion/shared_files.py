"""Paths of the files that ship with the package: `models/`, `config/`, `launch/`."""

import os
import sys
from pathlib import Path

from safe_locomotion.errors import ConfigurationError

PACKAGE = "safe_locomotion"


def share_roots() -> tuple[Path, ...]:
    """Folders that may hold the shared files.

    In this order: source checkout, installation prefix, ament prefixes.
    """
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    installed = [sys.prefix, *filter(None, prefixes)]
    checkout = Path(__file__).resolve().parents[1]
    return checkout, *(Path(prefix) / "share" / PACKAGE for prefix in installed)


def find_share(relative: str) -> Path:
    """Path of a shared file or folder such as "models/robots".

    Raises:
        ConfigurationError: it is not under any of `share_roots`; the message names them.
    """
    roots = share_roots()
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise ConfigurationError(f"{relative!r} not found; looked under: {', '.join(map(str, roots))}")
