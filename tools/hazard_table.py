"""Write the table of hazards into docs/safety.md, between its two marks.

The rows are those of `safe_locomotion.safety.hazards`.
"""

from pathlib import Path

from page_tables import with_only_table

from safe_locomotion.safety.hazards import HAZARDS

PAGE = Path(__file__).resolve().parents[1] / "docs/safety.md"
MARK = "hazards"


def table() -> str:
    """All hazards as a table in Markdown."""
    lines = ["| hazard | severity | raised by | meaning |", "|---|---|---|---|"]
    for row in HAZARDS.values():
        cells = (f"`{row.name}`", row.severity.name, row.raised_by, row.meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    return with_only_table(page, MARK, table())


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
