"""Paths of the files that ship with the package: `models/`, `config/`, `launch/`.

Robots of one's own lie outside of it.
"""

import os
import sys
from pathlib import Path

from safe_locomotion.errors import ConfigurationError

PACKAGE = "safe_locomotion"
OWN_ROBOTS = "SAFE_LOCOMOTION_ROBOTS"  #: folders with robots of one's own, joined as in PATH


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


def own_robot_folders() -> tuple[Path, ...]:
    """Folders that may hold robots of one's own, each in a folder of its name.

    They are those of the environment variable `OWN_ROBOTS`. Where it is not set, it is
    `safe_locomotion/robots` in the user's folder for data (XDG_DATA_HOME).
    """
    named = os.environ.get(OWN_ROBOTS)
    if named is not None:
        return tuple(Path(part).expanduser() for part in named.split(os.pathsep) if part)
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(data).expanduser() / PACKAGE / "robots",)
