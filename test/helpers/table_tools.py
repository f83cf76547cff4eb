"""Tools that write tables into pages, as tests look at them."""

from importlib import import_module
from types import ModuleType

import pytest
from places import ROOT


def tool_named(patch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A module of tools/, which may import its neighbours as long as the patch lasts."""
    patch.syspath_prepend(ROOT / "tools")
    return import_module(name)


def assert_tables_of_the_data(tool: ModuleType) -> None:
    """The page holds each table of the tool once, as made from the data."""
    page = tool.PAGE.read_text()
    assert tool.filled(page) == page
    assert sorted(found[1] for found in tool.BLOCK.findall(page)) == sorted(tool.TABLES)
