"""Write the tables of docs/results.md from the files in docs/data.

.venv/bin/python tools/results.py
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evidence import markdown, summary
from evidence import read as read_evidence
from page_tables import blocks, refilled

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/results.md"
BLOCK = blocks("results")
Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    """Rows of a file in docs/data."""
    found: list[Row] = json.loads((ROOT / f"docs/data/{name}.json").read_text())["rows"]
    return found


def imports() -> str:
    """Right and wrong imports of a policy."""
    zoo = rows("policy_zoo")
    wrong = rows("wrong_imports")
    caught = {by: sum(row["caught"] == by for row in wrong) for by in ("import", "flight")}
    error = max(row["velocity_error"] for row in zoo)
    turn = max(row["turn_error"] for row in zoo)
    return markdown(
        ("what", "result"),
        [
            (
                "right imports in seven layouts that may fly",
                f"{sum(row['flies'] for row in zoo)} of {len(zoo)}",
            ),
            ("their largest error", f"{error:.2f} m/s, {turn:.2f} rad/s"),
            ("wrong imports that are caught", f"{sum(caught.values())} of {len(wrong)}"),
            ("of these before any flight", str(caught["import"])),
            ("falls in all flights", str(sum(row["falls"] for row in (*zoo, *wrong)))),
        ],
    )


TABLES: dict[str, Callable[[], str]] = {
    "falls": lambda: summary(read_evidence()),
    "imports": imports,
}


def filled(text: str) -> str:
    """The page with its tables made anew."""
    return refilled(text, BLOCK, lambda name: TABLES[name]())


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
