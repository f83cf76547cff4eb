"""Logs of the stages: kept on the tick, written when there is time."""

from random_values import random_estimate

from safe_locomotion.nodes.stage_logs import StageLogs
from safe_locomotion.runtime.stage_log import read_stage_log


class Stage:
    """Answers with one estimate after another."""

    name = "mine"

    def __init__(self):
        self.seen = 0

    def update(self, item):
        self.seen += 1
        return random_estimate(item)


def test_a_tick_only_keeps_what_settle_writes(tmp_path):
    """The stage's answers pass through; their rows are in the log in order once it is settled and closed, with the time each took."""
    logs = StageLogs(str(tmp_path))
    stage = logs.estimator(Stage())
    answers = [stage.update(seed) for seed in (1, 2)]
    assert stage.name == "mine" and stage.seen == 2
    assert len(read_stage_log(tmp_path / "estimator.log")["stamp_ns"]) == 0
    logs.settle()
    answers.append(stage.update(3))
    logs.close()
    columns = read_stage_log(tmp_path / "estimator.log")
    assert columns["stamp_ns"].tolist() == [float(answer.stamp_ns) for answer in answers]
    assert columns["position"].tolist() == [answer.position.tolist() for answer in answers]
    assert (columns["ms"] >= 0.0).all()


def test_without_a_folder_a_stage_stays_as_it_is():
    """No log, no wrapper."""
    stage = Stage()
    logs = StageLogs("")
    assert logs.estimator(stage) is stage and logs.bridge() is None
    logs.settle()
    logs.close()
