"""docs/results.md agrees with the data it is made from."""

from types import ModuleType

import pytest
from table_tools import assert_tables_of_the_data, tool_named

pytest.importorskip("mujoco")
pytest.importorskip("onnx")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool that writes the tables."""
    return tool_named(monkeypatch, "results")


def test_the_tables_are_those_of_the_data(tool: ModuleType) -> None:
    """The page holds each table of tools/results.py once, as made from the data."""
    assert_tables_of_the_data(tool)


def test_every_fixture_flies_and_every_wrong_import_is_caught(tool: ModuleType) -> None:
    """What the text beside the tables says of them holds in the data."""
    zoo = tool.rows("policy_zoo")
    assert len(zoo) >= 12 and all(row["flies"] for row in zoo)
    assert {row["caught"] for row in tool.rows("wrong_imports")} == {"import", "flight"}
