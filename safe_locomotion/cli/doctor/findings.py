"""Results of the checks of `safe-locomotion doctor`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        check: name of the check.
        level: with a problem the stack does not work or the robot is not safe; a warning costs
            quality.
        text: what was found.
        mend: the command or step that mends it; empty when there is nothing to mend.
    """

    check: str
    level: Level
    text: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as plain data."""
        return asdict(self)


def judge(check: str, *, met: bool, text: str, mend: str, otherwise: Level = "problem") -> Finding:
    """An `ok` when `met`, else a finding of the level `otherwise` with the remedy."""
    if met:
        return Finding(check=check, level="ok", text=text)
    return Finding(check=check, level=otherwise, text=text, mend=mend)
