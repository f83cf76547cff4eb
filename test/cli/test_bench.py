"""The bench command on a short walk: its JSON, its errors, and what cannot be measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from safe_locomotion.bench.paced import PACED
from safe_locomotion.bench.run import BUDGETS, NAMES, Budget
from safe_locomotion.cli.bench import bench
from safe_locomotion.cli.main import main

CONTRACT = {
    "mpc",
    "mpc_textbook_osqp",
    "mpc_daqp",
    "mpc_proxqp",
    "estimator",
    "codec_read",
    "codec_write",
    "leg_control",
    "trigger",
    "rollout_open",
    "rollout_closed",
    "policy_mlp",
    "policy_lstm",
    "state_to_command_composed",
    "state_to_command_nodes",
}
IN_PROCESS = (
    "mpc,mpc_daqp,estimator,codec_read,codec_write,leg_control,supervisor,pipeline,rollout_open,rollout_closed,"
    "trigger,policy_mlp,policy_lstm,paced_realtime"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Figures of one quick run without the wire."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    result = CliRunner().invoke(
        bench, ["--quick", "--only", IN_PROCESS, "--json", str(file)], standalone_mode=False
    )
    assert result.exception is None, result.exception
    assert result.return_value == 0
    assert "cores, load" in result.output
    return json.loads(file.read_text())


def test_every_name_of_the_contract_is_known() -> None:
    """Every stage that users rely on is known."""
    assert set(NAMES) >= CONTRACT


def test_stages_carry_the_promised_figures(report: dict) -> None:
    """Each wanted stage has ordered p50, p99 and max, n and a description, or is missing."""
    asked = set(IN_PROCESS.split(","))
    assert set(report["stages"]) | set(report["missing"]) == asked
    for name, stage in report["stages"].items():
        quiet = stage["p50_ms"] if name in PACED else stage["quiet_p50_ms"]
        assert 0.0 < quiet <= stage["p50_ms"] <= stage["p99_ms"] <= stage["max_ms"]
        assert stage["n"] >= 100 and stage["what"]


def test_a_paced_walk_says_what_was_missed_and_granted(report: dict) -> None:
    """A paced walk counts late ticks and says whether priority and memory were granted."""
    row = report["stages"]["paced_realtime"]
    assert row["p99_ms"] <= row["p999_ms"] <= row["max_ms"]
    assert (
        row["n"] <= row["released"]
        and 0 <= row["misses"] <= row["released"]
        and (row["misses"] > 0) == (row["max_ms"] >= 2.0)
    )
    said = " ".join(row["realtime"])
    assert "memory" in said and "SCHED_FIFO" in said


def test_build_and_solve_are_told_apart(report: dict) -> None:
    """The time of the solver alone is below that of the whole tick."""
    for name in ("mpc", "mpc_daqp"):
        stage = report["stages"].get(name)
        if stage is not None:
            assert 0.0 < stage["solve_p50_ms"] < stage["p50_ms"]


def test_accuracy_on_walking_data(report: dict) -> None:
    """On the walk, forces are in the cone and near the exact ones, and the estimate is good."""
    assert report["accuracy"]["mpc"]["cone_violation_n"] <= 1e-9
    assert report["accuracy"]["mpc"]["u0_rms_n"] <= 0.3
    assert report["accuracy"]["estimator"]["velocity_rmse_mps"] <= 0.05


def test_the_verdict_is_that_of_the_figures(report: dict) -> None:
    """A budget is met when p50 and p99 are within it."""
    for name, verdict in report["budgets"].items():
        stage = report["stages"][name]
        budget = BUDGETS[name]
        p99_ms = min(budget.p99_ms, budget.p99_over_p50 * stage["p50_ms"])
        assert verdict["met"] == (stage["p50_ms"] <= budget.p50_ms and stage["p99_ms"] <= p99_ms)


@pytest.mark.parametrize(
    ("p50", "p99", "met"),
    [(1.0, 2.0, True), (1.01, 2.0, False), (1.0, 2.01, False), (np.nan, 1.0, False)],
)
def test_budget_edges(p50: float, p99: float, met: bool) -> None:
    """The limit itself meets the budget; NaN does not."""
    budget = Budget(p50_ms=1.0, p99_ms=2.0)
    assert budget.judge({"p50_ms": p50, "p99_ms": p99})["met"] is met


def test_a_tail_may_be_bounded_by_the_median() -> None:
    """A p99 limit in units of the median is reported as a time [ms]."""
    budget = Budget(p50_ms=1.0, p99_over_p50=2.0)
    assert budget.judge({"p50_ms": 0.5, "p99_ms": 1.0}) == {
        "p50_ms": 1.0,
        "p99_ms": 1.0,
        "met": True,
    }
    assert budget.judge({"p50_ms": 0.5, "p99_ms": 1.01})["met"] is False
    assert budget.judge({"p50_ms": 0.5, "p99_ms": np.nan})["met"] is False


def test_unknown_stage_names_the_choices(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An unknown stage ends with status 2 and the valid names before any measurement."""
    assert main(["bench", "--only", "mpcc", "--json", str(tmp_path / "x.json")]) == 2
    said = capsys.readouterr().err
    assert "mpcc" in said and "state_to_command_nodes" in said
    assert not (tmp_path / "x.json").exists()
