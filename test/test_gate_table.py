"""The page's specification of the last hop is measured on the code.

`safety/test_last_hop.py` holds each row in each mode, on each robot.
"""

import pytest
from places import ROOT
from table_tools import tool_named


@pytest.fixture(scope="module")
def tool():
    """The program that writes the table."""
    with pytest.MonkeyPatch.context() as patch:
        return tool_named(patch, "gate_table")


def test_the_page_on_safety_shows_this_table(tool):
    """`python tools/gate_table.py` brings it up to date."""
    page = (ROOT / "docs/safety.md").read_text()
    assert tool.with_table(page) == page
    with pytest.raises(ValueError, match=r"^the page needs the marks <!-- gate --> and "):
        tool.with_table("# Safety")
