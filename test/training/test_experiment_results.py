"""Cells, tables and pages of experiments, from figures that are known."""

from pathlib import Path

import numpy as np
import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait.grid import Run, runs_of
from safe_locomotion.training.gait.pictures import page, rows
from safe_locomotion.training.gait.results import POINTS, cells, read, write

UPDATES = 150
RUNS = runs_of(["fig4a"], 2)


def history(runs: list[Run]) -> list[dict[str, np.ndarray]]:
    """Run k falls k times in each update; recovery drives half as often at the end."""
    count = np.arange(len(runs), dtype=np.float32)
    return [
        {
            "episode_reward": 100.0 + count + update,
            "falls": count,
            "steps": np.full(len(runs), 4000.0, np.float32),
            "uses": np.full(len(runs), 10.0, np.float32),
            "recovery_share": np.full(len(runs), 0.2 if update < 75 else 0.1, np.float32),
        }
        for update in range(UPDATES)
    ]


def test_a_cell_sums_up_its_run() -> None:
    """Falls, steps and uses are sums; reward and shares are means over 20 updates."""
    cell = cells(RUNS, history(RUNS), "a1", 10)[3]
    assert (cell["task"], cell["robot"], cell["seed"]) == ("catwalk", "a1", RUNS[3].seed)
    assert (cell["falls"], cell["uses"]) == (3 * UPDATES, 10 * UPDATES)
    assert (cell["steps"], cell["trajectories"]) == (4000 * UPDATES, 10 * UPDATES)
    assert cell["reward"] == pytest.approx(100.0 + 3.0 + np.arange(130, 150).mean())
    assert (cell["first_share"], cell["final_share"]) == pytest.approx((0.2, 0.1))
    assert cell["share"] == pytest.approx(0.15)
    assert cell["recovery_steps"] == 0.15 * 4000 * UPDATES
    assert len(cell["curves"]["reward"]) == POINTS


def test_a_page_shows_each_setting_beside_the_papers_numbers(tmp_path: Path) -> None:
    """Rows group the seeds; the page holds its pictures itself."""
    path = tmp_path / "paper1_fig4a.json"
    found = cells(RUNS, history(RUNS), "a1", 10)
    write(path, "fig4a", found, {"command": "as typed <here>", "minutes": 3.0})
    content = read(path)
    assert content["command"] == "as typed <here>" and len(content["cells"]) == len(RUNS)
    html = page(content)
    assert html.count("data:image/png;base64,") == 4
    assert "as typed &lt;here&gt;" in html
    assert "551 ± 84, 106,280 ± 4,921, 1,517 ± 282" in html
    assert "viewport" in html
    shown = {row[1]: row for row in rows(content["cells"])[1:]}
    assert set(shown) == {"ours", "Recovery RL"}


def test_a_figure_takes_its_own_cells_only(tmp_path: Path) -> None:
    """A training of two figures writes a file for each."""
    runs = runs_of(["fig4a", "fig4b"], 1)
    found = cells(runs, history(runs), "a1", 10)
    path = tmp_path / "paper1_fig4b.json"
    write(path, "fig4b", found, {})
    kept = read(path)["cells"]
    assert sorted((cell["learner"], cell["trigger_set"]) for cell in kept) == [
        ("ours", "c1"),
        ("ours", "c2"),
        ("ours", "c3"),
        ("recovery_rl", ""),
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}'])
def test_a_file_without_results_is_named(tmp_path: Path, text: str) -> None:
    """One line that names the file."""
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"odd\.json: no results"):
        read(path)
