"""Logs of the stages: kept on the tick, written when there is time."""

import pytest
from core_values import START_NS, TICK_NS, low_state
from random_values import random_estimate

from safe_locomotion.commands import damping_command
from safe_locomotion.nodes.stage_logs import BridgeLogs, StageLogs
from safe_locomotion.runtime.stage_log import read_stage_log


def test_a_tick_only_keeps_what_settle_writes(tmp_path):
    """Settled rows are in the log in order, each with its computing time."""
    logs = StageLogs(str(tmp_path), "estimator")
    outputs = [random_estimate(seed) for seed in (1, 2, 3)]
    logs.observe("estimator", outputs[0], 1e-3)
    logs.observe("estimator", outputs[1], 2e-3)
    assert len(read_stage_log(tmp_path / "estimator.log")["stamp_ns"]) == 0
    logs.settle()
    logs.observe("estimator", outputs[2], 3e-3)
    logs.close()
    columns = read_stage_log(tmp_path / "estimator.log")
    assert columns["stamp_ns"].tolist() == [float(output.stamp_ns) for output in outputs]
    assert columns["position"].tolist() == [output.position.tolist() for output in outputs]
    assert columns["ms"].tolist() == [1.0, 2.0, 3.0]


def test_a_log_takes_the_rows_of_its_own_stage_alone(tmp_path):
    """An observer of the whole pipeline may tell it of every stage."""
    logs = StageLogs(str(tmp_path), "mpc")
    logs.observe("estimator", random_estimate(1), 1e-3)
    logs.close()
    assert [path.name for path in tmp_path.iterdir()] == ["mpc.log"]
    assert len(read_stage_log(tmp_path / "mpc.log")["stamp_ns"]) == 0


@pytest.mark.parametrize("states", [False, True])
def test_the_bridge_logs_answers_and_states_by_number_of_reason(tmp_path, states):
    """Reasons are numbered in the order in which they come up; 0 is a command that passed."""
    logs = BridgeLogs(str(tmp_path), states=states)
    for tick, reason in enumerate(("", "estop", "plan_stale", "estop")):
        state = low_state(stamp_ns=START_NS + tick * TICK_NS, tick=tick)
        logs.received(state)
        logs.answered(state, damping_command(state.stamp_ns, 1.0, reason=reason), 5e-4)
    logs.close()
    answers = read_stage_log(tmp_path / "bridge.log")
    assert answers["reason"].tolist() == [0, 1, 2, 1] and set(answers["ms"]) == {0.5}
    assert (tmp_path / "gate_reasons.txt").read_text().split() == ["estop", "plan_stale"]
    assert (tmp_path / "states.log").exists() is states
    if states:
        assert read_stage_log(tmp_path / "states.log")["tick"].tolist() == [0, 1, 2, 3]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    """Observing and closing do nothing then."""
    monkeypatch.chdir(tmp_path)
    logs = BridgeLogs("", states=True)
    state = low_state()
    logs.received(state)
    logs.answered(state, damping_command(state.stamp_ns, 1.0, reason="estop"), 5e-4)
    logs.settle()
    logs.close()
    assert not list(tmp_path.iterdir())
