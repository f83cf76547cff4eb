"""The tool behind the tables of evidence: which cells it walks, and the tables of their rows."""

import runpy

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnx")

from places import ROOT

from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.results import EpisodeResult, Evaluation

TOOL = runpy.run_path(str(ROOT / "tools/safety_evidence.py"))
EVERY = {"off", "naive", "planning", "dwell", "ellipsoid", "reachability"}
RESULT = EpisodeResult(
    seed=3,
    fell=True,
    steps=100,
    recovery_steps=20,
    triggered_steps=5,
    uses=4,
    reward=1.0,
    energy_j=2.0,
    distance=3.0,
)


def test_every_rule_w_and_box_is_walked_on_every_task_and_for_pushed_policies() -> None:
    """A learner that proposes gaits has twelve rules; a joint policy has all but the critic."""
    groups = TOOL["groups"](Cell(), ["nominal", "a1_trot", "a1_velocity_lstm"])
    for name in ("trot", "catwalk", "two_leg", "pushed", "slippery"):
        random = name not in ("pushed", "slippery")
        for policy in {cell.policy for cell in groups[name]}:
            cells = [cell for cell in groups[name] if cell.policy == policy]
            judged = policy != "a1_velocity_lstm"
            assert {cell.supervisor for cell in cells} == EVERY | ({"critic"} if judged else set())
            assert {cell.horizon for cell in cells if cell.supervisor == "reachability"} == {
                5,
                10,
                15,
                20,
            }
            assert {cell.trigger_set for cell in cells} == {"c1", "c2", "c3"}
            assert len(set(cells)) == len(cells) == 11 + judged
            assert {cell.task for cell in cells} == {name if random else "trot"}
    assert {(cell.push, cell.friction, cell.push_offset) for cell in groups["slippery"]} == {
        (20.0, 0.4, 0.15)
    }
    assert {cell.push for cell in (*groups["pushed"], *groups["others"])} == {20.0, 35.0, 50.0}
    assert len({cell for cells in groups.values() for cell in cells}) == sum(
        len(cells) for cells in groups.values()
    )
    assert len(groups["box"]) == 5 * 9 and all(
        not dict(cell.overrides)["supervisor.intervention.capture"] for cell in groups["box"]
    )


def test_tables_say_who_fell_under_which_rule() -> None:
    """Conditions are columns and rules are lines, in a fixed order; missing cells stay empty."""
    cells = [
        Cell(supervisor="off"),
        Cell(horizon=5, trigger_set="c2"),
        Cell(policy="a1_trot", push=20.0, push_offset=0.15),
    ]
    cells.append(Cell(task="catwalk", overrides=(("supervisor.intervention.capture", False),)))
    evaluation = Evaluation(cells, None)
    for index in range(len(cells)):
        evaluation.results[index][3] = RESULT
    rows = evaluation.rows()
    assert TOOL["matrix"](rows).splitlines() == [
        "|  | trot | a1_trot, 20 N s, off centre, friction 0.8 | catwalk |",
        "| --- | --- | --- | --- |",
        "| off | 1 of 1 |  |  |",
        "| reachability 10 |  | 1 of 1, 20.0 % |  |",
        "| reachability 5, c2 | 1 of 1, 20.0 % |  |  |",
        "| reachability 10, box alone |  |  | 1 of 1, 20.0 % |",
    ]
    detailed = TOOL["details"](rows[1:2]).splitlines()
    assert (
        detailed[2]
        == "| reachability 5, c2 | 1 of 1 | 20.7 to 100.0 | 4 | 20.0 (20.0 to 20.0) | 5.0 | 40 |"
    )
