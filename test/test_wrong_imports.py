"""The published table of wrong imports agrees with its data and its list of errors."""

import json

import pytest
from table_tools import tool_named


@pytest.fixture(scope="module")
def tool():
    """The program that makes the table."""
    with pytest.MonkeyPatch.context() as patch:
        return tool_named(patch, "wrong_imports")


def test_the_page_shows_the_data(tool) -> None:
    """`python tools/wrong_imports.py --page` brings the page up to date."""
    page = tool.PAGE.read_text()
    assert tool.with_table(page) == page
    with pytest.raises(ValueError, match="needs the marks"):
        tool.with_table("# Flight check")


def test_at_least_sixty_wrong_imports_are_listed_once_each(tool) -> None:
    """The data hold each wrong import of the list, which are different contracts."""
    wrongs = [wrong for policy in tool.POLICIES for wrong in tool.wrong_imports(policy)]
    keys = {(wrong.policy, wrong.kind, wrong.name) for wrong in wrongs}
    rows = json.loads(tool.DATA.read_text())["rows"]
    assert len(keys) == len(wrongs) >= 60
    shipped = {
        (row["policy"], row["kind"], row["name"]) for row in rows if row["policy"] in tool.POLICIES
    }
    assert shipped == keys


def test_every_fixture_of_the_zoo_is_imported_wrongly(tool) -> None:
    """Each has a wrong order, sign, scale, gain and rate, and those with a history none."""
    rows = json.loads(tool.DATA.read_text())["rows"]
    for fixture in tool.zoo():
        kinds = {row["kind"] for row in rows if row["policy"] == fixture}
        assert {"joint order", "joint sign", "action scale", "gains", "control rate"} <= kinds


def test_nobody_fell_and_every_error_is_caught(tool) -> None:
    """No supervised flight ended in a fall, and none of the wrong imports may fly."""
    rows = json.loads(tool.DATA.read_text())["rows"]
    assert not any(row["falls"] for row in rows)
    assert {row["caught"] for row in rows} == {"import", "flight"}


def test_what_no_file_can_say_is_refused_at_once(tool) -> None:
    """Contracts that contradict their network or themselves are refused without a flight."""
    impossible = [w for w in tool.wrong_imports("a1_velocity_lstm") if w.kind == "impossible"]
    assert len(impossible) == 7
    for wrong in impossible:
        row = tool.examine(wrong)
        assert row.caught == "import" and "expected" in row.line, wrong.name
