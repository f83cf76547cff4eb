"""Evaluations end to end: the file, its continuation, and learners and rules in one environment."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnx")

from safe_locomotion.cli.evaluate.run import run_cells
from safe_locomotion.cli.evaluate.tables import draw, label
from safe_locomotion.cli.main import main
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.results import Evaluation, Job
from safe_locomotion.evaluation.walkers import Walker, Walkers, evaluate

PROMISED = {
    *("robot", "task", "policy", "supervisor", "horizon", "trigger_set", "terrain"),
    *("episodes", "falls", "uses", "share", "reward", "energy_j", "seeds"),
}
SHORT = 0.5  # s


def test_the_command_writes_what_is_promised_and_goes_on_with_it(tmp_path, capsys) -> None:
    """After two episodes a second call with three walks only the third.

    The first two stay as they were. A call with another cell leaves those of the file as they are.
    """
    file = tmp_path / "e.json"
    words = ["--supervisor", "naive", "--duration", str(SHORT), "--json", str(tmp_path / "e.json")]
    assert main(["evaluate", *words, "--episodes", "2"]) == 0
    assert "naive" in capsys.readouterr().out
    before = json.loads(file.read_text())["cells"]
    assert [cell["supervisor"] for cell in before] == ["naive"]
    for cell in before:
        assert set(cell) >= PROMISED and cell["seeds"] == [0, 1] and cell["episodes"] == 2
        assert 0.0 <= cell["share"] <= 1.0 and cell["energy_j"] > 0.0
    assert main(["evaluate", *words, "--episodes", "3", "--plot", str(tmp_path / "e.png")]) == 0
    after = json.loads(file.read_text())["cells"]
    for old, new in zip(before, after, strict=True):
        assert new["seeds"] == [0, 1, 2]
        assert all(column[:2] == old["results"][name] for name, column in new["results"].items())
    assert (tmp_path / "e.png").stat().st_size > 0
    assert main(["evaluate", "--supervisor", "off", "--episodes", "1", *words[2:]]) == 0
    assert json.loads(file.read_text())["cells"][:-1] == after


def test_cells_grow_together_and_groups_come_in_order() -> None:
    """Within a group jobs come seed by seed; episodes that exist are not walked again."""
    cells = [Cell(supervisor=name) for name in ("off", "naive", "dwell")]
    evaluation = Evaluation(cells, None)
    assert [(job.cell, job.seed) for job in evaluation.jobs([[0, 2], [1]], [5, 6])] == [
        (0, 5),
        (2, 5),
        (0, 6),
        (2, 6),
        (1, 5),
        (1, 6),
    ]


def test_past_the_deadline_nothing_begins(tmp_path) -> None:
    """The file is written without cells."""
    cells = [Cell(supervisor="off", duration=SHORT)]
    evaluation = Evaluation(cells, tmp_path / "e.json")
    evaluate(evaluation, [Job(0, 0)], Walkers(cells=cells, deadline=0.0), processes=1)
    assert json.loads((tmp_path / "e.json").read_text()) == {"cells": []}


def test_the_ellipsoid_decides_in_the_place_of_the_configured_rule() -> None:
    """The ellipsoid lies in the trigger set, so it leaves the random learner fewer steps.

    Equal seeds give equal episodes.
    """
    shares = {}
    for name in ("naive", "ellipsoid"):
        walker = Walker(Cell(supervisor=name, sigma=0.2, duration=1.0), {}, {}, 0)
        first = walker.walk(1)
        again = walker.walk(1)
        assert first == again
        shares[name] = first.recovery_steps / first.steps
    assert shares["naive"] < shares["ellipsoid"]


def test_a_critic_learns_where_it_will_judge() -> None:
    """It learns from the random learner on the same task and ground, under the same pushes.

    The learner that it will supervise makes no difference.
    """
    hit = Cell(policy="a1_trot", supervisor="critic", push=35.0, friction=0.4)
    assert hit.unsupervised == Cell(supervisor="off", push=35.0, friction=0.4)
    assert (
        hit.unsupervised
        == replace(hit, supervisor="reachability", horizon=5, trigger_set="c2").unsupervised
    )
    assert hit.unsupervised != replace(hit, push=20.0).unsupervised


def test_what_is_not_there_is_refused(tmp_path) -> None:
    """Names are checked before any walk, and a file of something else is not overwritten."""
    with pytest.raises(UnknownNameError, match="ellipsoid"):
        Cell(supervisor="best")
    with pytest.raises(ConfigurationError, match="--critic"):
        run_cells(
            [[Cell(supervisor="critic")]],
            [0],
            processes=1,
            deadline=0.0,
            file=None,
            critic_file=None,
        )
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="no evaluation"):
        Evaluation([Cell()], tmp_path / "e.json")


def test_the_picture_shows_every_cell(tmp_path) -> None:
    """An interval that ends at the value itself is drawn without an error."""
    cell = {"task": "trot", "supervisor": "off", "horizon": 0, "trigger_set": "c1", "overrides": []}
    assert label(cell) == "trot off  c1"
    assert (
        label(cell | {"horizon": 5, "overrides": [["a.capture", True]]})
        == "trot off 5 c1 capture=True"
    )
    row = cell | {"falls": 0, "episodes": 4, "share": 0.0}
    draw(
        [row | {"falls_interval": (0.0, 0.5), "share_interval": (0.0, 0.0)}], tmp_path / "falls.svg"
    )
    assert (
        "recovery" in (tmp_path / "falls.svg").read_text()
        or (tmp_path / "falls.svg").stat().st_size > 1000
    )
