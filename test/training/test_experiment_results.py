"""Cells, tables and pages of experiments, from figures that are known."""

from pathlib import Path

import numpy as np
import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.gait.comparisons import fewer_falls, interval
from safe_locomotion.training.gait.grid import Run, runs_of
from safe_locomotion.training.gait.pictures import rows, write_page
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
    html = write_page(path).read_text()
    assert len(list(tmp_path.glob("paper1_fig4a_*.png"))) == 4
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


def test_intervals_are_students() -> None:
    """Five seeds with the falls 1 to 5: 3 +- 2.776 sqrt(2.5 / 5); one seed has none."""
    five = [{"falls": falls} for falls in (1, 2, 3, 4, 5)]
    low, high = interval(five, "falls")
    assert (low, high) == pytest.approx((3.0 - 1.9632, 3.0 + 1.9632), abs=1e-3)
    assert np.isnan(interval(five[:1], "falls")).all()


def test_falls_are_compared_with_those_of_the_baselines() -> None:
    """Run k of figure 3 falls k times an update; ours comes first, so it falls least."""
    runs = runs_of(["fig3"], 1)
    found = cells(runs, history(runs), "a1", 10)
    heading, *tasks, mean = fewer_falls(found)
    assert [row[0] for row in tasks] == ["efficient", "catwalk", "two_leg", "pacing"]
    catwalk = dict(zip(heading, tasks[1], strict=True))
    falls = {run.learner: k * UPDATES for k, run in enumerate(runs) if run.task == "catwalk"}
    others = [falls[name] for name in ("trpo", "trpo_n", "pcpo", "recovery_rl")]
    assert catwalk["falls of ours"] == f"{falls['ours']:,.1f}"
    assert catwalk["mean of the baselines"] == f"{np.mean(others):,.1f}"
    assert catwalk["fewer [%]"] == f"{100.0 * (1.0 - falls['ours'] / np.mean(others)):.1f}"
    assert catwalk["fewest"] == "yes" and mean[0] == "mean" and "paper: 48.6" in mean[3]
    own = [cell for cell in found if cell["learner"] != "ours"]
    assert len(fewer_falls(own)) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}'])
def test_a_file_without_results_is_named(tmp_path: Path, text: str) -> None:
    """One line that names the file."""
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"odd\.json: no results"):
        read(path)
