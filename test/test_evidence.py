"""The evidence in README and docs/evidence.md agrees with the data it is made from."""

import re
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnx")

from places import ROOT
from table_tools import tool_named

PUSHED = "a1_velocity_lstm, 35 N s"
SLIPPERY = "a1_velocity_lstm, 20 N s, off centre, friction 0.4"
HALF_OF_THE_STEPS = (0.4, 0.6)  # shares of recovery


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool that writes the tables."""
    return tool_named(monkeypatch, "evidence")


def plain(text: str) -> str:
    """A page without line breaks."""
    return re.sub(r"\s+", " ", text)


def supervised(tool: ModuleType, evidence: Any, simulated: str) -> list[dict[str, Any]]:
    """Cells of what was simulated that a rule supervised, as shipped."""
    return [
        row
        for row in evidence.rows
        if tool.condition(row) == simulated and row["supervisor"] != "off" and not row["overrides"]
    ]


def test_tables_are_those_of_the_data(tool: ModuleType) -> None:
    """README and docs/evidence.md hold what tools/evidence.py makes from the data."""
    data = tool.read()
    for page in tool.PAGES:
        text = page.read_text()
        assert tool.BLOCK.search(text), page
        assert tool.filled(text, data) == text, page


def test_every_table_stands_on_one_page(tool: ModuleType) -> None:
    """No table of the tool is missing, none stands twice."""
    text = "".join(page.read_text() for page in tool.PAGES)
    named = [found[1] for found in tool.BLOCK.findall(text)]
    assert sorted(named) == sorted(tool.TABLES)


def test_cells_are_as_large_as_the_page_says(tool: ModuleType) -> None:
    """Each cell is 100 episodes of 12 s, on the same seeds."""
    rows = tool.read().rows
    assert {(row["episodes"], row["duration"]) for row in rows} == {(100, 12.0)}
    assert len({tuple(row["seeds"]) for row in rows}) == 1


def test_prose_on_the_random_learner_is_that_of_the_data(tool: ModuleType) -> None:
    """Figures in the text below the claims."""
    evidence = tool.read()
    page = plain((ROOT / "docs/evidence.md").read_text())
    alone = evidence.row("catwalk", "reachability 10, box alone")["falls"]
    tight = evidence.row("catwalk", "reachability 10, c2, box alone")["falls"]
    assert f"`c2` prevents {alone - tight} of {alone} falls with the box alone" in page
    uses = [evidence.row("trot", name)["uses"] for name in ("naive", "reachability 20")]
    assert f"{uses[0]:,} take-overs on trot with w = 0, {uses[1]:,} with w = 20" in page
    critics = [evidence.row(task, "critic") for task in ("trot", "catwalk", "two_leg")]
    assert all(0.005 < row["share"] < 0.035 for row in critics)
    assert all(25 <= row["falls"] <= 53 for row in critics)


def test_prose_on_pushed_policies_is_that_of_the_data(tool: ModuleType) -> None:
    """Figures in the text below the tables of the policies that ship."""
    evidence = tool.read()
    page = plain((ROOT / "docs/evidence.md").read_text())
    alone = evidence.row("a1_velocity_lstm, 20 N s", "off")["falls"]
    assert f"Pushed with 20 N s it falls in {alone} of 100 episodes alone" in page
    assert max(row["falls"] for row in supervised(tool, evidence, "a1_velocity_lstm, 20 N s")) == 1
    alone = evidence.row(SLIPPERY, "off")["falls"]
    worst = max(row["falls"] for row in supervised(tool, evidence, SLIPPERY))
    assert f"it falls in {alone} alone, and in at most {worst} under any rule" in page
    assert evidence.row(PUSHED, "off")["falls"] == 100
    low, high = HALF_OF_THE_STEPS
    rows = [row for row in supervised(tool, evidence, PUSHED) if low < row["share"] < high]
    falls = sorted(row["falls"] for row in rows)
    assert f"half of the steps, {falls[0]} to {falls[-1]} episodes fall" in page
    assert f"Under `dwell` {evidence.row(PUSHED, 'dwell')['falls']} fall" in page
    names = ("reachability 10, box alone", "naive, box alone")
    ahead, naive = (evidence.row(PUSHED, name)["falls"] for name in names)
    assert f"{ahead} episodes fall with w = 10 and {naive} with `naive`" in page


def test_prose_on_the_critic_is_that_of_the_data(tool: ModuleType) -> None:
    """Falls and share of the critic for the pushed gait policy, against w = 10."""
    evidence = tool.read()
    page = plain((ROOT / "docs/evidence.md").read_text())
    critic = evidence.row("a1_trot, 35 N s", "critic")
    shipped = evidence.row("a1_trot, 35 N s", "reachability 10")
    alone = evidence.row("a1_trot, 35 N s", "off")["falls"]
    assert (
        f"{critic['falls']} fall instead of {alone} with {100 * critic['share']:.0f} % of the steps"
        f". With w = 10 it is {shipped['falls']} with {100 * shipped['share']:.0f} %"
    ) in page
