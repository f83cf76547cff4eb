"""What `safe-locomotion doctor` finds: one row per check."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        check: its name.
        level: a problem keeps the stack from working or the robot from being safe; a warning costs quality.
        text: what was found.
        mend: the command or step that mends it; empty when nothing needs mending.
    """

    check: str
    level: Level
    text: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def judge(check: str, *, met: bool, text: str, mend: str, otherwise: Level = "problem") -> Finding:
    """Ok when `met`, else the level and the remedy."""
    return (
        Finding(check=check, level="ok", text=text)
        if met
        else Finding(check=check, level=otherwise, text=text, mend=mend)
    )
