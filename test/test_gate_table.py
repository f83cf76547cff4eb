"""The page's specification of the last hop is measured on the code.

`safety/test_last_hop.py` holds each row in each mode, on each robot.
"""

import importlib.util

import pytest
from places import ROOT


@pytest.fixture(scope="module")
def tool():
    """The program that writes the table."""
    spec = importlib.util.spec_from_file_location("gate_table", ROOT / "tools/gate_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_on_safety_shows_this_table(tool):
    """`python tools/gate_table.py` brings it up to date."""
    page = (ROOT / "docs/safety.md").read_text()
    assert tool.with_table(page) == page
    with pytest.raises(ValueError, match=r"^safety\.md needs the markers <!-- gate --> and "):
        tool.with_table("# Safety")
