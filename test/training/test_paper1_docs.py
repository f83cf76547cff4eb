"""docs/experiments_paper1.md agrees with the results in docs/data."""

from types import ModuleType

import pytest
from places import ROOT
from table_tools import assert_tables_of_the_data, tool_named

from safe_locomotion.training.gait.comparisons import ours_of
from safe_locomotion.training.gait.grid import PAPER_TASKS
from safe_locomotion.training.gait.results import KEY

FIGURES = ("fig3", "fig4a", "fig4b", "recovery")

pytest.importorskip("mujoco")
pytest.importorskip("onnx")
pytest.importorskip("matplotlib")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool that writes the tables."""
    return tool_named(monkeypatch, "paper1_docs")


def test_the_tables_are_those_of_the_data(tool: ModuleType) -> None:
    """The page holds each table of tools/paper1_docs.py once, as made from the data."""
    assert_tables_of_the_data(tool)


def test_the_page_shows_the_pictures_of_the_tool(tool: ModuleType) -> None:
    """Each picture that the tool draws exists and stands on the page."""
    page = tool.PAGE.read_text()
    for figure, words in tool.PICTURES.items():
        for word in words:
            name = f"media/paper1_{figure}_{word}.png"
            assert name in page and (ROOT / "docs" / name).is_file()


def test_every_run_is_whole(tool: ModuleType) -> None:
    """135 runs of 1,360 updates and 13,600 trajectories, five seeds of each."""
    cells = [cell for figure in FIGURES for cell in tool.cells_of(figure)]
    assert {(cell["updates"], cell["trajectories"]) for cell in cells} == {(1360, 13600)}
    runs = {tuple(cell[name] for name in KEY) for cell in cells}
    assert len(runs) == 135 and {run[-1] for run in runs} == set(range(5))


def test_what_the_text_says_of_ours(tool: ModuleType) -> None:
    """No fall on the catwalk under any setting and none on two legs, 54.2 in pacing."""
    cells = tool.cells_of("fig3")
    ours = {task: [cell["falls"] for cell in ours_of(cells, task)] for task in PAPER_TASKS}
    assert ours["catwalk"] == ours["two_leg"] == [0] * 5
    assert sum(ours["pacing"]) == pytest.approx(5 * 54.2)
    catwalks = [*tool.cells_of("fig4a"), *tool.cells_of("fig4b")]
    assert {cell["falls"] for cell in catwalks if cell["learner"] == "ours"} == {0}
