"""Write the table of hazards into docs/safety.md, between its two markers.

The rows are those of `safe_locomotion.safety.hazards`.
"""

from pathlib import Path

from safe_locomotion.safety.hazards import HAZARDS

PAGE = Path(__file__).resolve().parents[1] / "docs/safety.md"
BEGIN = "<!-- hazards -->"
END = "<!-- /hazards -->"


def table() -> str:
    """All hazards as a table in Markdown."""
    lines = ["| hazard | severity | raised by | meaning |", "|---|---|---|---|"]
    for row in HAZARDS.values():
        cells = (f"`{row.name}`", row.severity.name, row.raised_by, row.meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the present table between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} needs the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
