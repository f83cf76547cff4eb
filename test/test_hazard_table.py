"""The table of hazards on the page on safety is that of the code."""

import importlib.util

import pytest
from places import ROOT

from safe_locomotion.safety.hazards import HAZARDS


def test_the_page_on_safety_shows_this_table() -> None:
    """The page is up to date; `python tools/hazard_table.py` brings it up to date."""
    spec = importlib.util.spec_from_file_location("hazard_table", ROOT / "tools/hazard_table.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    page = (ROOT / "docs/safety.md").read_text()
    assert tool.with_table(page) == page
    assert all(f"| `{name}` | {row.severity.name} |" in page for name, row in HAZARDS.items())
    with pytest.raises(ValueError, match=r"^safety\.md needs the markers <!-- hazards --> and "):
        tool.with_table("# Safety")
