"""Replay of a recorded walk, with the recorded settings and with other ones."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from recorded_walk import RANDOM, WILD, WildGait, wild_walk, write_walk

from safe_locomotion.cli.episodes.tables import comparison as comparison_table
from safe_locomotion.errors import ConfigurationError, PolicyRefusedError, UnknownNameError
from safe_locomotion.policy.file import find_policy
from safe_locomotion.recording import comparison
from safe_locomotion.recording.comparison import AGAIN, RECORDED, compare
from safe_locomotion.recording.episode import EpisodeRecord
from safe_locomotion.recording.measures import measured
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.recording.recorded_policy import recorded_policy_file
from safe_locomotion.recording.stage_values import (
    changed_settings,
    recorded_config,
    recorded_course,
    recorded_estimates,
    recorded_proposals,
)
from safe_locomotion.safety.trigger_set import N_COMPONENTS, TriggerSet
from safe_locomotion.types import Mode

STANDING_STILL = 500  #: ticks that the recorder keeps of the time before a walk


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> EpisodeRecord:
    """An episode that begins with the robot lying on the ground."""
    folder = tmp_path_factory.mktemp("episodes") / "whole"
    write_walk(wild_walk(), folder)
    return read_episode(folder)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> EpisodeRecord:
    """An episode that begins with the robot standing, as the recorder begins one before a walk."""
    first = next(k for k, c in enumerate(wild_walk().cycles) if c.verdict.mode is Mode.WALK)
    folder = tmp_path_factory.mktemp("episodes") / "late"
    write_walk(wild_walk(), folder, first=first - STANDING_STILL // 2)
    return read_episode(folder)


def test_the_walk_is_worth_replaying(whole):
    """The recovery policy takes over more than once."""
    assert np.count_nonzero(np.diff(whole.verdicts.recovery.astype(int)) == 1) >= 2


def test_the_record_holds_the_values_of_the_stages(whole):
    """Estimates, proposals and configuration of the run come back to the last digit."""
    cycles = wild_walk().cycles
    estimate = recorded_estimates(whole)
    for cycle in cycles[::97]:
        sent = cycle.estimate
        found = estimate(sent.stamp_ns)
        assert found.position.tobytes() == sent.position.tobytes()
        assert found.contact.tolist() == sent.contact.tolist()
        assert found.position_covariance.tobytes() == sent.position_covariance.tobytes()
    proposals = list({c.proposal.stamp_ns: c.proposal for c in cycles}.values())
    assert recorded_proposals(whole.proposals) == proposals
    assert recorded_config(whole) == wild_walk().config


def test_same_settings_give_the_recorded_decisions(whole):
    """Decisions, margins and estimates are equal on every tick to the last digit.

    The sensors are recorded in double precision.
    """
    result = compare(whole, {})
    assert result.same.agreement.equal == 1.0 and result.same.agreement.ticks > 500
    assert result.same.agreement.largest_margin_error == 0.0
    assert result.same.figures == result.recorded.figures
    assert result.estimates.exact and result.other is None and result.gaps == 0


def test_an_estimator_that_starts_late_is_the_whole_difference(late):
    """On the recorded estimates the supervisor decides exactly as it did.

    The replayed estimator begins anew, while the robot's estimator had run before.
    """
    again = compare(late, {})
    recorded = compare(late, {}, estimates=RECORDED)
    assert not again.estimates.exact and again.estimates.height < 0.02
    assert again.same.agreement.equal > 0.9
    assert recorded.same.agreement.equal == 1.0
    assert recorded.same.agreement.largest_margin_error == 0.0
    assert not again.begins_walking


def test_missing_states_and_a_missing_beginning_are_reported(tmp_path):
    """An episode that begins within a walk, and lacks two LowStates, is replayed all the same."""
    write_walk(wild_walk(), tmp_path / "part", first=1350)
    record = read_episode(tmp_path / "part")
    fewer = {
        name: np.delete(value, [40, 80], axis=0) for name, value in vars(record.states).items()
    }
    result = compare(replace(record, states=replace(record.states, **fewer)), {})
    assert result.begins_walking and result.gaps == 2
    assert result.same.agreement.ticks == len(record.states) - 2
    lines = [str(line) for line in comparison_table(result)]
    assert sum("missing" in line or "middle of a walk" in line for line in lines) == 2


def test_other_settings_change_what_they_should(whole):
    """Without intervention the learner keeps driving; `dwell` hands back later.

    Both see the same states, so the first trigger is the same.
    """
    off = compare(whole, {"supervisor.intervention.criterion": "off"}, estimates=RECORDED).other
    assert (off.figures.share, off.figures.uses) == (0.0, 0)
    dwell = compare(whole, {"supervisor.intervention.criterion": "dwell"})
    first_trigger_s = dwell.recorded.figures.first_trigger_s
    assert dwell.other.figures.first_trigger_s == first_trigger_s
    assert off.figures.first_trigger_s == first_trigger_s
    assert dwell.other.figures.share > dwell.recorded.figures.share
    first = dwell.other.agreement.first_difference_ns
    assert dwell.seconds(first) == pytest.approx(dwell.recorded.figures.hand_backs_s[0], abs=0.02)


def test_the_same_policy_run_again_proposes_the_same(whole, monkeypatch):
    """The recorded learner acts in the same way on the replayed estimates."""
    monkeypatch.setattr(comparison, "load_learner", lambda *_: WildGait(WILD))
    result = compare(whole, {}, policy="some.onnx")
    assert result.other.agreement.equal == 1.0 and result.other.policy == "some.onnx, run again"


def test_a_policy_is_found_by_its_hash(whole):
    """The recorded hash leads to the file; without a file the error says what to do."""
    path = find_policy("a1_trot")
    info = replace(whole.info, policies={RANDOM: sha256(path.read_bytes()).hexdigest()})
    assert Path(recorded_policy_file(replace(whole, info=info))) == path
    with pytest.raises(ConfigurationError, match="--policy FILE"):
        compare(whole, {}, policy=AGAIN)
    with pytest.raises(PolicyRefusedError, match="a1_trot"):
        compare(whole, {}, policy="no_such_policy")


def test_components_measured_again_are_those_of_the_supervisor(whole):
    """Their margins equal the recorded ones on every decision."""
    config = recorded_config(whole)
    course = recorded_course(whole.verdicts)
    found = measured(whole, config)
    box = TriggerSet(config.supervisor.trigger_set.bounds, config.supervisor.thresholds.fall_height)
    nearest = np.minimum(found.values - box.low, box.high - found.values)
    margins = nearest * 2.0 / (box.high - box.low)
    recorded = course.margins[np.searchsorted(course.stamp_ns, found.stamp_ns)][:, :N_COMPONENTS]
    assert len(found.stamp_ns) > 100
    np.testing.assert_allclose(margins, recorded, rtol=0.0, atol=1e-12)


def test_settings_that_differ_from_the_shipped_ones_are_named(whole):
    """The replay takes the recorded value of such a setting."""
    assert changed_settings(whole) == {}
    parameters = {name: dict(values) for name, values in whole.info.parameters.items()}
    parameters["supervisor_node"]["trigger_set.use"] = "c3"
    other = replace(whole, info=replace(whole.info, parameters=parameters))
    assert changed_settings(other) == {"supervisor.trigger_set.use": ("c3", "c1")}
    assert recorded_config(other).supervisor.trigger_set.use == "c3"


def test_what_cannot_be_replayed_says_why(whole):
    """No sensors, no verdicts, sparse sensors, an unknown robot, and an unknown key are refused."""
    states = vars(whole.states)
    verdicts = {n: v for n, v in vars(whole.verdicts).items() if isinstance(v, np.ndarray)}
    nothing = replace(whole.states, **{name: values[:0] for name, values in states.items()})
    sparse = replace(whole.states, **{name: values[::10] for name, values in states.items()})
    mute = replace(whole.verdicts, **{name: values[:0] for name, values in verdicts.items()})
    for record, text in (
        (replace(whole, states=nothing), "no LowStates"),
        (replace(whole, states=sparse), "each 20 ms"),
        (replace(whole, verdicts=mute), "no verdicts"),
        (replace(whole, info=replace(whole.info, robot="")), "which robot"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            compare(record, {})
    with pytest.raises(UnknownNameError, match="a1"):
        compare(replace(whole, info=replace(whole.info, robot="unicorn")), {})
    with pytest.raises(ConfigurationError, match="roll_rate"):
        compare(whole, {"supervisor.trigger_set.c1.rol": 0.1})
