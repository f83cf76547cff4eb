"""Logs of the stages: kept on the tick, written when there is time."""

import resource

import pytest
from core_values import START_NS, TICK_NS, low_state
from random_values import random_estimate

from safe_locomotion.commands import damping_command
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes.stage_logs import LAYOUTS, BridgeLogs, StageLogs
from safe_locomotion.nodes.stage_loop import StageSettings
from safe_locomotion.runtime.stage_log import BLOCK, read_stage_log


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


def log_row(logs):
    """Text and values of the row of `/diagnostics`."""
    (row,) = (make() for make in logs.rows())
    return row.message, {pair.key: pair.value for pair in row.values}


def test_a_log_says_what_it_deletes(tmp_path):
    """Only when the file before the last one is replaced, rows are gone."""
    most_mb = 2e-6 * 1.5 * BLOCK * 8 * len((*LAYOUTS["estimator"].columns, "stamp_ns", "ms"))
    logs = StageLogs(str(tmp_path), "estimator", most_mb)
    estimate = random_estimate(1)
    for _ in range(4 * BLOCK):
        logs.observe("estimator", estimate, 1e-3)
    logs.close()
    text, values = log_row(logs)
    assert text == "estimator: only the newest rows are kept"
    assert values == {"rows lost": "0", "older rows of estimator deleted": "2"}


def test_a_full_disk_is_said_and_the_tick_goes_on(tmp_path):
    """Nothing is raised where the controller calls; the row names file and reason."""
    logs = BridgeLogs(str(tmp_path), states=True)
    assert log_row(logs)[0] == "written"
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, previous[1]))
    try:
        for tick in range(2 * BLOCK):
            state = low_state(stamp_ns=START_NS + tick * TICK_NS, tick=tick)
            logs.received(state)
            logs.answered(state, damping_command(state.stamp_ns, 1.0, reason="estop"), 5e-4)
            logs.settle()
        logs.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    text, _ = log_row(logs)
    assert text.startswith("cannot write ") and text.endswith("File too large; this log ends here")


def test_without_a_folder_there_is_no_row():
    """Nothing to say."""
    assert not StageLogs("", "mpc").rows()


@pytest.mark.parametrize("size", [0.0, float("nan"), -1.0])
def test_a_largest_size_without_room_is_refused(size):
    """A log of nothing is a mistake."""
    with pytest.raises(ConfigurationError, match="at least 1 MB"):
        StageSettings(log_mb=size)
