"""The table of hazards on the page on safety is that of the code."""

import pytest
from places import ROOT
from table_tools import tool_named

from safe_locomotion.safety.hazards import HAZARDS


def test_the_page_on_safety_shows_this_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is up to date; `python tools/hazard_table.py` brings it up to date."""
    tool = tool_named(monkeypatch, "hazard_table")
    page = (ROOT / "docs/safety.md").read_text()
    assert tool.with_table(page) == page
    assert all(f"| `{name}` | {row.severity.name} |" in page for name, row in HAZARDS.items())
    with pytest.raises(ValueError, match=r"^the page needs the marks <!-- hazards --> and "):
        tool.with_table("# Safety")
